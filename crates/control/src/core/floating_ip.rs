//! Floating IPs.

use super::allocation::{self, Range, parsed};
use super::fixed_ip::{FixedIp, Wish};
use super::service_port::{self, Service};
use super::{association, device};
use crate::Failure;
use crate::context::Context;
use karez_model::object::Changes;
use karez_model::{Kind, Object, Reason, Value};
use serde_json::json;
use std::net::IpAddr;

/// What the floating IP leads to is settled first, then its own address is taken.
pub(crate) fn before_create(context: &mut Context<'_, '_>, floating: &mut Object) -> Result<(), Failure> {
    check_network(context, floating.text("floating_network_id"))?;
    let wanted: Option<IpAddr> = floating.opt_text("fixed_ip_address").map(parsed).transpose()?;
    match (floating.opt_text("port_id").map(str::to_owned), wanted) {
        (Some(port), wanted) => association::lead_to(context, floating, &port, wanted)?,
        (None, Some(_)) => {
            return Err(bad_request("fixed_ip_address is given without port_id; name its port"));
        }
        (None, None) => association::clear(floating),
    }
    take_address(context, floating)?;
    floating.set("tags", json!([]));
    Ok(())
}

pub(crate) fn after_create(context: &mut Context<'_, '_>, floating: Object) -> Result<Object, Failure> {
    bump(context, &floating)?;
    Ok(floating)
}

/// Another port, another address of the port, or none.
pub(crate) fn before_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &mut Object,
    changes: &Changes,
) -> Result<(), Failure> {
    let change = |name: &str| changes.get(old.resource(), name);
    if change("port_id").is_none() && change("fixed_ip_address").is_none() {
        return Ok(());
    }
    let wanted = match change("fixed_ip_address") {
        Some(Value::Text(ip)) => Some(parsed(ip)?),
        Some(_) | None => None,
    };
    match (new.opt_text("port_id").map(str::to_owned), wanted) {
        (Some(port), wanted) => association::lead_to(context, new, &port, wanted)?,
        (None, Some(_)) => {
            return Err(bad_request("fixed_ip_address is given and the floating IP has no port"));
        }
        (None, None) => association::clear(new),
    }
    if new != old {
        bump(context, old)?;
        bump(context, new)?;
    }
    Ok(())
}

pub(crate) fn after_delete(context: &mut Context<'_, '_>, floating: &Object) -> Result<(), Failure> {
    service_port::remove(context, device::FLOATING_IP, floating.id())?;
    bump(context, floating)
}

/// Takes an IPv4 address of the external network: the one asked for, or one of the subnet asked
/// for, or any.
fn take_address(context: &mut Context<'_, '_>, floating: &mut Object) -> Result<(), Failure> {
    let network_id = floating.text("floating_network_id").to_owned();
    allocation::hold(context, &network_id)?;
    check_network(context, &network_id)?;
    let mut ranges = allocation::ranges(context, &network_id)?;
    let wish = Wish {
        subnet_id: floating.opt_text("subnet_id").map(str::to_owned),
        ip: floating.opt_text("floating_ip_address").map(parsed).transpose()?,
    };
    let is_v4 = |range: &Range| range.net.addr().is_ipv4();
    if wish.ip.is_some_and(|ip| ip.is_ipv6())
        || ranges.iter().any(|range| Some(&range.id) == wish.subnet_id.as_ref() && !is_v4(range))
    {
        return Err(bad_request("A floating IP has an IPv4 address, and this subnet or address is of IPv6"));
    }
    ranges.retain(is_v4);
    if ranges.is_empty() {
        return Err(bad_request(format!(
            "The network {network_id} has no IPv4 subnet to take an address from"
        )));
    }
    let service =
        Service { owner: device::FLOATING_IP, device_id: floating.id(), project_id: "", status: "N/A" };
    let wishes = [wish];
    let wishes = if wishes[0] == Wish::default() { None } else { Some(wishes.as_slice()) };
    let port = service_port::add(context, &network_id, &ranges, &service, wishes)?;
    if let Some(fixed) = FixedIp::from_stored(port.json("fixed_ips")).first() {
        floating.set("floating_ip_address", fixed.ip.to_string());
    }
    Ok(())
}

/// A network that the caller cannot see is as good as one that is not external.
fn check_network(context: &mut Context<'_, '_>, id: &str) -> Result<(), Failure> {
    if let Some(network) = context.tx.get(Kind::Network, id)?
        && network.flag("router:external")
        && context.sees(&network)?
    {
        return Ok(());
    }
    Err(bad_request(format!("The network {id} is not router:external; floating IPs come from one that is")))
}

fn bump(context: &mut Context<'_, '_>, floating: &Object) -> Result<(), Failure> {
    if let Some(router) = floating.opt_text("router_id") {
        context.tx.bump_router(router)?;
    }
    Ok(())
}

fn bad_request(message: impl Into<String>) -> Failure {
    Failure::fault(Reason::BadRequest, message)
}
