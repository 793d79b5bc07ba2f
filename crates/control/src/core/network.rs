//! Networks.

use super::{device, zone};
use crate::Failure;
use crate::context::Context;
use crate::vpn::guard;
use karez_model::{Kind, Object, Reason};
use karez_store::Datum;
use serde_json::json;

pub(crate) fn before_create(context: &mut Context<'_, '_>, network: &mut Object) -> Result<(), Failure> {
    check_default(network)?;
    zone::settle(context, network)?;
    network.set("status", "ACTIVE");
    network.set("subnets", json!([]));
    network.set("tags", json!([]));
    Ok(())
}

pub(crate) fn before_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &Object,
) -> Result<(), Failure> {
    check_default(new)?;
    let is_lost = |name: &str| old.flag(name) && !new.flag(name);
    if is_lost("router:external") && is_outside(context, old.id())? {
        return Err(Failure::fault(
            Reason::NetworkInUse,
            format!(
                "The network {} has gateways of routers or floating IPs and must stay router:external",
                old.id()
            ),
        ));
    }
    let sql = "SELECT id FROM ports WHERE network_id = $1 AND project_id <> $2 AND project_id <> '' LIMIT 1";
    if is_lost("shared") && context.exists(sql, &[Datum::from(old.id()), Datum::from(old.project_id())])? {
        return Err(Failure::fault(
            Reason::Conflict,
            format!("The network {} has ports of other projects and must stay shared", old.id()),
        ));
    }
    Ok(())
}

/// The interfaces of routers on the network have its MTU.
pub(crate) fn after_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: Object,
) -> Result<Object, Failure> {
    if old.int("mtu") != new.int("mtu") {
        let sql = "SELECT DISTINCT device_id FROM ports
            WHERE network_id = $1 AND device_owner IN ($2, $3) ORDER BY device_id";
        let params = [new.id().into(), device::ROUTER_GATEWAY.into(), device::ROUTER_INTERFACE.into()];
        for router in context.column(sql, &params)? {
            context.tx.bump_router(&router)?;
        }
    }
    Ok(new)
}

/// Ports must be gone; those that serve the network, and its subnets, go with it.
pub(crate) fn before_delete(context: &mut Context<'_, '_>, network: &Object) -> Result<(), Failure> {
    let id = [Datum::from(network.id())];
    let is_used = format!(
        "SELECT id FROM ports WHERE network_id = $1 AND device_owner NOT IN {} LIMIT 1",
        device::SERVING
    );
    if context.exists(&is_used, &id)? || is_outside(context, network.id())? {
        return Err(Failure::fault(
            Reason::NetworkInUse,
            format!("The network {} still has ports or floating IPs; delete them first", network.id()),
        ));
    }
    context.tx.execute("DELETE FROM ports WHERE network_id = $1", &id)?;
    for subnet in context.column("SELECT id FROM subnets WHERE network_id = $1 ORDER BY id", &id)? {
        guard::subnet(context, &subnet)?;
        context.tx.delete(Kind::Subnet, &subnet)?;
    }
    Ok(())
}

/// Whether routers have their gateway on the network, or floating IPs their address.
fn is_outside(context: &mut Context<'_, '_>, id: &str) -> Result<bool, Failure> {
    let gateways = "SELECT id FROM ports WHERE network_id = $1 AND device_owner = $2 LIMIT 1";
    let floating = "SELECT id FROM floatingips WHERE floating_network_id = $1 LIMIT 1";
    Ok(context.exists(gateways, &[Datum::from(id), Datum::from(device::ROUTER_GATEWAY)])?
        || context.exists(floating, &[Datum::from(id)])?)
}

fn check_default(network: &Object) -> Result<(), Failure> {
    if network.flag("is_default") && !network.flag("router:external") {
        let message = "is_default is true; only a network with router:external can be the default one";
        return Err(Failure::fault(Reason::BadRequest, message));
    }
    Ok(())
}
