//! Subnets.

mod addressing;

use super::allocation::parsed;
use super::device;
use super::fixed_ip::FixedIp;
use crate::Failure;
use crate::context::{Context, not_authorized, not_found};
use crate::vpn::guard;
use ipnet::IpNet;
use karez_model::parse::Created;
use karez_model::{Kind, Object, Reason};
use karez_store::Datum;
use serde_json::{Value as Json, json};

pub(crate) fn before_create(
    context: &mut Context<'_, '_>,
    created: &Created,
    subnet: &mut Object,
) -> Result<(), Failure> {
    let network = context.visible_locked(Kind::Network, subnet.text("network_id"))?;
    if !context.is_admin() && context.caller.project_id() != Some(network.project_id()) {
        return Err(not_authorized("create_subnet"));
    }
    let net = addressing::range(subnet)?;
    check_overlap(context, network.id(), net)?;
    if !created.has("gateway_ip") {
        subnet.set("gateway_ip", addressing::first_host(net).to_string());
    }
    addressing::settle(subnet, net)?;
    subnet.set("tags", json!([]));
    Ok(())
}

pub(crate) fn after_create(context: &mut Context<'_, '_>, subnet: Object) -> Result<Object, Failure> {
    list_on_network(context, &subnet, |subnets| subnets.push(json!(subnet.id())))?;
    Ok(subnet)
}

pub(crate) fn before_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &mut Object,
) -> Result<(), Failure> {
    let net = parsed(old.text("cidr"))?;
    addressing::settle(new, net)?;
    if old.get("gateway_ip") != new.get("gateway_ip") {
        check_gateway_unused(context, old)?;
        bump_routers(context, old.id())?;
    }
    Ok(())
}

/// Ports must be gone; those that serve the network only lose their address here.
pub(crate) fn before_delete(context: &mut Context<'_, '_>, subnet: &Object) -> Result<(), Failure> {
    let sql = format!(
        "SELECT port_id FROM ip_allocations JOIN ports ON id = port_id
         WHERE subnet_id = $1 AND device_owner NOT IN {} LIMIT 5",
        device::SERVING
    );
    let users = context.column(&sql, &[Datum::from(subnet.id())])?;
    if !users.is_empty() {
        return Err(Failure::fault(
            Reason::SubnetInUse,
            format!(
                "The subnet {} gives addresses to the port(s) {}; delete them first",
                subnet.id(),
                users.join(", ")
            ),
        ));
    }
    guard::subnet(context, subnet.id())?;
    let serving = "SELECT DISTINCT port_id FROM ip_allocations WHERE subnet_id = $1 ORDER BY port_id";
    for port in context.column(serving, &[Datum::from(subnet.id())])? {
        let Some(stored) = context.tx.lock(Kind::Port, &port)? else { continue };
        let mut port = stored.object.clone();
        let mut fixed_ips = FixedIp::from_stored(port.json("fixed_ips"));
        fixed_ips.retain(|fixed| fixed.subnet_id != subnet.id());
        port.set("fixed_ips", FixedIp::to_stored(&fixed_ips));
        context.tx.update(port)?;
    }
    context.tx.execute("DELETE FROM ip_allocations WHERE subnet_id = $1", &[Datum::from(subnet.id())])?;
    Ok(())
}

pub(crate) fn after_delete(context: &mut Context<'_, '_>, subnet: &Object) -> Result<(), Failure> {
    list_on_network(context, subnet, |subnets| subnets.retain(|id| id != subnet.id()))
}

/// Two subnets of one network would share addresses.
fn check_overlap(context: &mut Context<'_, '_>, network_id: &str, net: IpNet) -> Result<(), Failure> {
    for row in
        context.tx.query("SELECT id, cidr FROM subnets WHERE network_id = $1", &[Datum::from(network_id)])?
    {
        let other: IpNet = parsed(row.text(1)?)?;
        if addressing::overlap(net, other) {
            return Err(Failure::fault(
                Reason::InvalidInput,
                format!(
                    "cidr is {net}; it overlaps with {other} of the subnet {} on the same network",
                    row.text(0)?
                ),
            ));
        }
    }
    Ok(())
}

/// A router that answers at the old address would be cut off.
fn check_gateway_unused(context: &mut Context<'_, '_>, subnet: &Object) -> Result<(), Failure> {
    let Some(gateway) = subnet.opt_text("gateway_ip") else { return Ok(()) };
    let sql = "SELECT port_id FROM ip_allocations JOIN ports ON id = port_id
        WHERE subnet_id = $1 AND ip_address = $2 AND device_owner = $3";
    let params = [subnet.id().into(), gateway.into(), device::ROUTER_INTERFACE.into()];
    match context.column(sql, &params)?.first() {
        None => Ok(()),
        Some(port) => Err(Failure::fault(
            Reason::Conflict,
            format!("The gateway address {gateway} is that of the router interface {port}; remove it first"),
        )),
    }
}

/// The gateway of an external subnet is where its routers send what goes outside.
fn bump_routers(context: &mut Context<'_, '_>, subnet_id: &str) -> Result<(), Failure> {
    let sql = "SELECT DISTINCT device_id FROM ip_allocations JOIN ports ON id = port_id
        WHERE subnet_id = $1 AND device_owner IN ($2, $3) ORDER BY device_id";
    let params = [subnet_id.into(), device::ROUTER_GATEWAY.into(), device::ROUTER_INTERFACE.into()];
    for router in context.column(sql, &params)? {
        context.tx.bump_router(&router)?;
    }
    Ok(())
}

fn list_on_network(
    context: &mut Context<'_, '_>,
    subnet: &Object,
    change: impl FnOnce(&mut Vec<Json>),
) -> Result<(), Failure> {
    let id = subnet.text("network_id");
    let stored = context.tx.lock(Kind::Network, id)?.ok_or_else(|| not_found(Kind::Network, id))?;
    let mut network = stored.object.clone();
    let mut subnets = network.json("subnets").as_array().cloned().unwrap_or_default();
    change(&mut subnets);
    network.set("subnets", Json::Array(subnets));
    context.tx.update(network)?;
    Ok(())
}
