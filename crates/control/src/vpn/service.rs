//! VPN services.

use super::guard;
use crate::context::Context;
use crate::{Failure, Status, flavors};
use karez_model::{Kind, Object, Reason, Value};
use karez_store::{Datum, Query};

/// Flavor, router, gateway, subnet: in this order.
pub(crate) fn before_create(context: &mut Context<'_, '_>, service: &mut Object) -> Result<(), Failure> {
    if let Some(flavor) = service.opt_text("flavor_id") {
        flavors::check_choice(context, flavor)?;
    }
    // Held, so that the gateway is not cleared nor the interface removed at the same time.
    context.tx.hold(Kind::Router, service.text("router_id"))?;
    let router = context.visible(Kind::Router, service.text("router_id"))?;
    let Some((v4, v6)) = gateway_addresses(&router) else {
        return Err(Failure::fault(
            Reason::RouterIsNotExternal,
            format!("The router {} has no external gateway; set external_gateway_info first", router.id()),
        ));
    };
    if let Some(subnet) = service.opt_text("subnet_id") {
        guard::check_connected(context, router.id(), subnet)?;
    }
    service.set("external_v4_ip", v4);
    service.set("external_v6_ip", v6);
    service.set("status", Status::PendingCreate.as_str());
    Ok(())
}

/// Something about the service has changed: the router's node has work.
pub(crate) fn touch(context: &mut Context<'_, '_>, service: Object) -> Result<Object, Failure> {
    context.tx.bump_router(service.text("router_id"))?;
    Ok(service)
}

pub(crate) fn before_delete(context: &mut Context<'_, '_>, service: &Object) -> Result<(), Failure> {
    let sql = "SELECT id FROM ipsec_site_connections WHERE vpnservice_id = $1 ORDER BY id LIMIT 5";
    context.refuse_if_found(sql, &[Datum::from(service.id())], Reason::VPNServiceInUse, |users| {
        format!("The vpnservice {} still has the connection(s) {users}; delete them first", service.id())
    })
}

/// The router's gateway has other addresses: its services show them, and its node has work.
pub(crate) fn gateway_changed(context: &mut Context<'_, '_>, router: &Object) -> Result<(), Failure> {
    let (v4, v6) = gateway_addresses(router).unwrap_or_default();
    for stored in context.tx.list(&Query::all(Kind::VpnService).with("router_id", router.id()))? {
        let mut service = stored.object.clone();
        service.set("external_v4_ip", v4.clone());
        service.set("external_v6_ip", v6.clone());
        if service != stored.object {
            context.tx.update(service)?;
        }
    }
    context.tx.bump_router(router.id())?;
    Ok(())
}

/// The first IPv4 and the first IPv6 address of a router's gateway; none without gateway.
pub(crate) fn gateway_addresses(router: &Object) -> Option<(Option<String>, Option<String>)> {
    let gateway = match router.get("external_gateway_info") {
        Value::Json(gateway) if gateway.is_object() => gateway,
        _ => return None,
    };
    let fixed = gateway.get("external_fixed_ips").and_then(|ips| ips.as_array()).into_iter().flatten();
    let addresses: Vec<&str> = fixed.filter_map(|ip| ip.get("ip_address")?.as_str()).collect();
    let first =
        |is_v6: bool| addresses.iter().find(|ip| ip.contains(':') == is_v6).map(|ip| (*ip).to_owned());
    Some((first(false), first(true)))
}
