//! The external gateway of a router: a port on an external network that no project sees.

use super::allocation::{self, Range, Seeker};
use super::fixed_ip::{FixedIp, Wish};
use super::service_port::{self, Service};
use super::{device, route};
use crate::Failure;
use crate::context::{Context, not_authorized, not_found};
use crate::vpn::guard;
use karez_model::policy::Target;
use karez_model::{Kind, Object, Reason};
use karez_store::Datum;
use serde_json::{Value as Json, json};

/// Gives a router without gateway the one that is asked for in its `external_gateway_info`, and
/// writes there what it has got.
pub(crate) fn open(context: &mut Context<'_, '_>, action: &str, router: &mut Object) -> Result<(), Failure> {
    let asked = router.json("external_gateway_info").clone();
    if asked.is_null() {
        return Ok(());
    }
    check_rights(context, action, router, &asked)?;
    let network_id = network_of(&asked);
    let ranges = external(context, network_id)?;
    let connected = route::connected(context, router.id())?;
    for range in &ranges {
        route::check_distinct(&connected, &range.id, range.net)?;
    }
    let service =
        Service { owner: device::ROUTER_GATEWAY, device_id: router.id(), project_id: "", status: "ACTIVE" };
    let port = service_port::add(context, network_id, &ranges, &service, wishes(&asked).as_deref())?;
    router.set("external_gateway_info", info(&asked, port.json("fixed_ips")));
    Ok(())
}

/// Changes the gateway as asked for in `new`, which gets what came out of it.
pub(crate) fn change(context: &mut Context<'_, '_>, old: &Object, new: &mut Object) -> Result<(), Failure> {
    let (had, asked) = (old.json("external_gateway_info"), new.json("external_gateway_info").clone());
    if had.is_null() {
        return open(context, "update", new);
    }
    if !asked.is_null() && network_of(&asked) == network_of(had) {
        return readdress(context, &asked, new);
    }
    guard::gateway(context, old)?;
    check_no_floating_ips(context, old)?;
    service_port::remove(context, device::ROUTER_GATEWAY, old.id())?;
    open(context, "update", new)
}

/// Only admins choose the addresses and whether to translate: both show on the outside.
fn check_rights(
    context: &Context<'_, '_>,
    action: &str,
    router: &Object,
    asked: &Json,
) -> Result<(), Failure> {
    let target = Target::of_project(router.project_id());
    let chosen = ["enable_snat", "external_fixed_ips"].iter().filter(|key| asked.get(key).is_some());
    for key in chosen {
        let rule = format!("{action}_router:external_gateway_info:{key}");
        if !context.policy.allows(&rule, context.caller, target) {
            return Err(not_authorized(&rule));
        }
    }
    Ok(())
}

/// Holds an external network; answers its subnets.
fn external(context: &mut Context<'_, '_>, network_id: &str) -> Result<Vec<Range>, Failure> {
    let network = context.visible_locked(Kind::Network, network_id)?;
    if network.flag("router:external") {
        return allocation::ranges(context, network_id);
    }
    let message =
        format!("The network {network_id} is not router:external; a router's gateway must be on one that is");
    Err(Failure::fault(Reason::BadRequest, message))
}

/// The same network: other addresses where some are named, and whether to translate.
fn readdress(context: &mut Context<'_, '_>, asked: &Json, router: &mut Object) -> Result<(), Failure> {
    check_rights(context, "update", router, asked)?;
    let network_id = network_of(asked);
    allocation::hold(context, network_id)?;
    let ranges = allocation::ranges(context, network_id)?;
    let sql = "SELECT id FROM ports WHERE device_id = $1 AND device_owner = $2";
    let ids = context.column(sql, &[Datum::from(router.id()), Datum::from(device::ROUTER_GATEWAY)])?;
    let id = ids.first().map(String::as_str).unwrap_or_default();
    let stored = context.tx.lock(Kind::Port, id)?.ok_or_else(|| not_found(Kind::Port, id))?;
    let mut port = stored.object.clone();
    let held = FixedIp::from_stored(port.json("fixed_ips"));
    let fixed_ips = match wishes(asked) {
        None => held,
        Some(wishes) => {
            let seeker = Seeker {
                network_id,
                device_owner: device::ROUTER_GATEWAY,
                mac_address: port.text("mac_address"),
                held: &held,
            };
            allocation::as_wished(context, &ranges, &seeker, &wishes)?
        }
    };
    port.set("fixed_ips", FixedIp::to_stored(&fixed_ips));
    router.set("external_gateway_info", info(asked, port.json("fixed_ips")));
    if port != stored.object {
        let port = context.tx.update(port)?;
        allocation::replace(context, &port)?;
    }
    Ok(())
}

fn check_no_floating_ips(context: &mut Context<'_, '_>, router: &Object) -> Result<(), Failure> {
    let sql = "SELECT id FROM floatingips WHERE router_id = $1 ORDER BY id LIMIT 5";
    let users = context.column(sql, &[Datum::from(router.id())])?;
    if users.is_empty() {
        return Ok(());
    }
    Err(Failure::fault(
        Reason::RouterExternalGatewayInUseByFloatingIp,
        format!(
            "The gateway of the router {} is needed by the floating IP(s) {}; disassociate them first",
            router.id(),
            users.join(", ")
        ),
    ))
}

/// An empty list leaves the choice to the server, like no list.
fn wishes(asked: &Json) -> Option<Vec<Wish>> {
    Some(Wish::from_asked(asked.get("external_fixed_ips")?)).filter(|wishes| !wishes.is_empty())
}

fn network_of(gateway: &Json) -> &str {
    gateway.get("network_id").and_then(Json::as_str).unwrap_or_default()
}

fn info(asked: &Json, fixed_ips: &Json) -> Json {
    json!({
        "network_id": network_of(asked),
        "enable_snat": asked.get("enable_snat").and_then(Json::as_bool).unwrap_or(true),
        "external_fixed_ips": fixed_ips,
    })
}
