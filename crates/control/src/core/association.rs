//! What floating IPs lead to: a fixed address of a port, by a router that reaches both sides.

use super::device;
use super::fixed_ip::FixedIp;
use crate::Failure;
use crate::context::Context;
use karez_model::{Kind, Object, Reason, Value};
use karez_store::Datum;
use std::net::IpAddr;

/// Leads a floating IP to an address of a port, which must be named when there are several.
pub(crate) fn lead_to(
    context: &mut Context<'_, '_>,
    floating: &mut Object,
    port_id: &str,
    wanted: Option<IpAddr>,
) -> Result<(), Failure> {
    // Before the port is held: a router is held before the ports that are its own.
    let owner = context.visible(Kind::Port, port_id)?.text("device_owner").to_owned();
    if device::is_managed(&owner) {
        return Err(bad_request(format!("The port {port_id} is a {owner}; a floating IP leads to hosts")));
    }
    let port = context.visible_locked(Kind::Port, port_id)?;
    if !context.is_admin() && port.project_id() != floating.project_id() {
        return Err(bad_request(format!("The port {port_id} is of another project than the floating IP")));
    }
    let fixed = choose(&port, wanted)?;
    let ip = fixed.ip.to_string();
    let sql = "SELECT id FROM floatingips WHERE port_id = $1 AND fixed_ip_address = $2 AND id <> $3";
    let params = [port_id.into(), ip.as_str().into(), floating.id().into()];
    if let Some(other) = context.column(sql, &params)?.first() {
        return Err(Failure::fault(
            Reason::FloatingIPPortAlreadyAssociated,
            format!("The floating IP {other} leads to the address {ip} of the port {port_id} already"),
        ));
    }
    let router = router(context, &fixed.subnet_id, floating.text("floating_network_id"))?;
    floating.set("port_id", port_id);
    floating.set("fixed_ip_address", ip);
    floating.set("router_id", router);
    floating.set("status", "ACTIVE");
    Ok(())
}

/// Has a floating IP lead nowhere.
pub(crate) fn clear(floating: &mut Object) {
    floating.set("port_id", Value::Null);
    floating.set("fixed_ip_address", Value::Null);
    floating.set("router_id", Value::Null);
    floating.set("status", "DOWN");
}

/// The port goes: the floating IPs that lead to it lead nowhere.
pub(crate) fn drop_all(context: &mut Context<'_, '_>, port_id: &str) -> Result<(), Failure> {
    drop_where(context, port_id, |_| true)
}

/// The port has other addresses: floating IPs that lead to one it no longer has lead nowhere.
pub(crate) fn drop_lost(context: &mut Context<'_, '_>, port: &Object) -> Result<(), Failure> {
    let fixed_ips = FixedIp::from_stored(port.json("fixed_ips"));
    let is_lost = |ip: &str| !fixed_ips.iter().any(|fixed| fixed.ip.to_string() == ip);
    drop_where(context, port.id(), is_lost)
}

fn drop_where(
    context: &mut Context<'_, '_>,
    port_id: &str,
    is_lost: impl Fn(&str) -> bool,
) -> Result<(), Failure> {
    let ids = context
        .column("SELECT id FROM floatingips WHERE port_id = $1 ORDER BY id", &[Datum::from(port_id)])?;
    for id in ids {
        let Some(stored) = context.tx.lock(Kind::FloatingIp, &id)? else { continue };
        if stored.text("port_id") != port_id || !is_lost(stored.text("fixed_ip_address")) {
            continue;
        }
        let mut floating = stored.object.clone();
        clear(&mut floating);
        context.tx.update(floating)?;
        context.tx.bump_router(stored.text("router_id"))?;
    }
    Ok(())
}

fn choose(port: &Object, wanted: Option<IpAddr>) -> Result<FixedIp, Failure> {
    let mut fixed_ips = FixedIp::from_stored(port.json("fixed_ips"));
    fixed_ips.retain(|fixed| fixed.ip.is_ipv4() && wanted.is_none_or(|wanted| wanted == fixed.ip));
    let id = port.id();
    match (fixed_ips.len(), wanted) {
        (1, _) => Ok(fixed_ips.remove(0)),
        (0, Some(wanted)) => Err(bad_request(format!(
            "fixed_ip_address is {wanted}, which is no IPv4 address of the port {id}"
        ))),
        (0, None) => {
            Err(bad_request(format!("The port {id} has no IPv4 address that a floating IP could lead to")))
        }
        (count, _) => Err(bad_request(format!(
            "The port {id} has {count} IPv4 addresses; say in fixed_ip_address which one is meant"
        ))),
    }
}

/// A router with an interface on the subnet and its gateway on the floating IP's network, held
/// until the transaction ends so that it keeps both.
fn router(context: &mut Context<'_, '_>, subnet_id: &str, network_id: &str) -> Result<String, Failure> {
    for candidate in candidates(context, subnet_id, network_id)? {
        if context.tx.lock(Kind::Router, &candidate)?.is_some()
            && candidates(context, subnet_id, network_id)?.contains(&candidate)
        {
            return Ok(candidate);
        }
    }
    Err(Failure::fault(
        Reason::ExternalGatewayForFloatingIPNotFound,
        format!(
            "No router connects the subnet {subnet_id} with the external network {network_id}; give one an interface \
             and a gateway there"
        ),
    ))
}

/// The router at the subnet's gateway address is preferred: it is the one that hosts answer by. It
/// is also found without looking at the other addresses of the subnet.
fn candidates(
    context: &mut Context<'_, '_>,
    subnet_id: &str,
    network_id: &str,
) -> Result<Vec<String>, Failure> {
    const ANY: &str = "SELECT g.device_id FROM subnets s JOIN ip_allocations a ON a.subnet_id = s.id
        JOIN ports i ON i.id = a.port_id JOIN ports g ON g.device_id = i.device_id
        WHERE s.id = $1 AND i.device_owner = $2 AND g.device_owner = $3 AND g.network_id = $4";
    let params =
        [subnet_id.into(), device::ROUTER_INTERFACE.into(), device::ROUTER_GATEWAY.into(), network_id.into()];
    let preferred = context.column(&format!("{ANY} AND a.ip_address = s.gateway_ip"), &params)?;
    if !preferred.is_empty() {
        return Ok(preferred);
    }
    context.column(&format!("{ANY} ORDER BY g.device_id"), &params)
}

fn bad_request(message: impl Into<String>) -> Failure {
    Failure::fault(Reason::BadRequest, message)
}
