//! Ports.

mod security;

use super::allocation::{self, Seeker};
use super::device;
use super::fixed_ip::{FixedIp, Wish};
use crate::Failure;
use crate::context::{Context, not_authorized};
use karez_model::object::Changes;
use karez_model::parse::{Created, clip};
use karez_model::{Fault, Kind, Object, Reason};
use karez_store::Datum;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Random MAC addresses that are tried before giving up. With a million ports on one network one
/// in sixteen is taken.
const MAC_ATTEMPTS: usize = 64;

pub(crate) fn before_create(
    context: &mut Context<'_, '_>,
    created: &Created,
    port: &mut Object,
) -> Result<(), Failure> {
    let network_id = port.text("network_id").to_owned();
    let network = context.visible_locked(Kind::Network, &network_id)?;
    let wishes = wishes(port.json("fixed_ips"));
    check_rights(context, &network, wishes.as_deref(), port)?;
    check_device(context, "create", port)?;
    if !created.has("port_security_enabled") {
        port.set("port_security_enabled", network.flag("port_security_enabled"));
    }
    security::settle_new(context, created.has("security_groups"), port)?;
    settle_mac(context, &network_id, port)?;
    let seeker = Seeker {
        network_id: &network_id,
        device_owner: port.text("device_owner"),
        mac_address: port.text("mac_address"),
        held: &[],
    };
    let ranges = allocation::ranges(context, &network_id)?;
    let fixed_ips = match wishes {
        Some(wishes) => allocation::as_wished(context, &ranges, &seeker, &wishes)?,
        None => allocation::one_per_version(context, &ranges, &seeker)?,
    };
    port.set("fixed_ips", FixedIp::to_stored(&fixed_ips));
    port.set("tags", json!([]));
    settle_status(port);
    Ok(())
}

pub(crate) fn after_create(context: &mut Context<'_, '_>, port: Object) -> Result<Object, Failure> {
    allocation::record(context, &port)?;
    security::record(context, &port)?;
    Ok(port)
}

pub(crate) fn before_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &mut Object,
    changes: &Changes,
) -> Result<(), Failure> {
    let is_given = |name: &str| changes.get(old.resource(), name).is_some();
    if device::is_managed(old.text("device_owner")) {
        return keep_managed(context, old, new, is_given("fixed_ips"));
    }
    if new.opt_text("mac_address").is_none() {
        new.set("mac_address", old.text("mac_address"));
    }
    if is_given("port_security_enabled") || is_given("allowed_address_pairs") {
        let network = context.existing(Kind::Network, old.text("network_id"))?;
        if !is_at_home(context, &network) {
            check_guise("update", new)?;
        }
    }
    if is_given("device_id") || is_given("device_owner") {
        check_device(context, "update", new)?;
    }
    let is_moved = new.text("mac_address") != old.text("mac_address");
    if is_moved && !context.is_admin() {
        return Err(not_authorized("update_port:mac_address"));
    }
    if is_given("fixed_ips") || is_moved {
        readdress(context, old, new, is_given("fixed_ips"))?;
    }
    security::check_update(context, old, new)?;
    settle_status(new);
    Ok(())
}

pub(crate) fn after_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: Object,
) -> Result<Object, Failure> {
    if old.json("fixed_ips") != new.json("fixed_ips") {
        allocation::replace(context, &new)?;
        super::association::drop_lost(context, &new)?;
    }
    if old.json("security_groups") != new.json("security_groups") {
        security::replace(context, &new)?;
    }
    let is_switched = old.flag("admin_state_up") != new.flag("admin_state_up");
    if is_switched && device::is_routers(new.text("device_owner")) {
        context.tx.bump_router(new.text("device_id"))?;
    }
    Ok(new)
}

pub(crate) fn before_delete(context: &mut Context<'_, '_>, port: &Object) -> Result<(), Failure> {
    let (owner, device_id) = (port.text("device_owner"), port.text("device_id"));
    if device::is_managed(owner) && is_device(context, owner, device_id)? {
        return Err(Failure::fault(
            Reason::ServicePortInUse,
            format!(
                "The port {} is the {owner} of {device_id} and is removed through it, not by itself",
                port.id()
            ),
        ));
    }
    super::association::drop_all(context, port.id())
}

/// A MAC address that no port of the network has.
pub(crate) fn free_mac(context: &mut Context<'_, '_>, network_id: &str) -> Result<String, Failure> {
    for _ in 0..MAC_ATTEMPTS {
        let [a, b, c, ..] = *Uuid::new_v4().as_bytes();
        let mac = format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}");
        if !is_mac_taken(context, network_id, &mac)? {
            return Ok(mac);
        }
    }
    let message =
        format!("No free MAC address was found for the network {network_id}; name one in mac_address");
    Err(Failure::fault(Reason::Conflict, message))
}

/// Nothing and null both leave the choice to the server.
fn wishes(asked: &Json) -> Option<Vec<Wish>> {
    if asked.is_null() { None } else { Some(Wish::from_asked(asked)) }
}

/// On a network of another project a member takes what he gets, and only where it is shared.
fn check_rights(
    context: &Context<'_, '_>,
    network: &Object,
    wishes: Option<&[Wish]>,
    port: &Object,
) -> Result<(), Failure> {
    if is_at_home(context, network) {
        return Ok(());
    }
    if !network.flag("shared") {
        return Err(not_authorized("create_port"));
    }
    if wishes.into_iter().flatten().any(|wish| wish.ip.is_some()) {
        return Err(not_authorized("create_port:fixed_ips:ip_address"));
    }
    if port.opt_text("mac_address").is_some() {
        return Err(not_authorized("create_port:mac_address"));
    }
    check_guise("create", port)
}

/// What would let a port pass for others on the network is for those whose network it is.
fn check_guise(action: &str, port: &Object) -> Result<(), Failure> {
    if !port.flag("port_security_enabled") {
        return Err(not_authorized(&format!("{action}_port:port_security_enabled")));
    }
    if port.json("allowed_address_pairs").as_array().is_some_and(|pairs| !pairs.is_empty()) {
        return Err(not_authorized(&format!("{action}_port:allowed_address_pairs")));
    }
    Ok(())
}

fn is_at_home(context: &Context<'_, '_>, network: &Object) -> bool {
    context.is_admin() || context.caller.project_id() == Some(network.project_id())
}

/// A port that says it is a router's would be treated as one.
fn check_device(context: &mut Context<'_, '_>, action: &str, port: &Object) -> Result<(), Failure> {
    let owner = port.text("device_owner");
    if device::is_reserved(owner) && !context.is_admin() {
        return Err(not_authorized(&format!("{action}_port:device_owner")));
    }
    if device::is_managed(owner) && is_device(context, owner, port.text("device_id"))? {
        return Err(Failure::fault(
            Reason::BadRequest,
            format!(
                "device_owner is '{}'; such ports are made by adding interfaces, gateways and floating IPs",
                clip(owner)
            ),
        ));
    }
    Ok(())
}

fn is_device(context: &mut Context<'_, '_>, owner: &str, id: &str) -> Result<bool, Failure> {
    let kind = if owner == device::FLOATING_IP { Kind::FloatingIp } else { Kind::Router };
    Ok(context.tx.get(kind, id)?.is_some())
}

fn settle_mac(context: &mut Context<'_, '_>, network_id: &str, port: &mut Object) -> Result<(), Failure> {
    match port.opt_text("mac_address") {
        None => {
            let mac = free_mac(context, network_id)?;
            port.set("mac_address", mac);
            Ok(())
        }
        Some(mac) if is_mac_taken(context, network_id, mac)? => Err(Failure::fault(
            Reason::MacAddressInUse,
            format!("The MAC address {mac} is in use on the network {network_id}"),
        )),
        Some(_) => Ok(()),
    }
}

fn is_mac_taken(context: &mut Context<'_, '_>, network_id: &str, mac: &str) -> Result<bool, Failure> {
    let sql = "SELECT id FROM ports WHERE network_id = $1 AND mac_address = $2";
    context.exists(sql, &[Datum::from(network_id), Datum::from(mac)])
}

/// Other addresses, or another MAC address, on the same network.
fn readdress(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &mut Object,
    are_ips_given: bool,
) -> Result<(), Failure> {
    let network_id = old.text("network_id");
    let network = allocation::hold(context, network_id)?;
    if new.text("mac_address") != old.text("mac_address") {
        settle_mac(context, network_id, new)?;
    }
    if !are_ips_given {
        return Ok(());
    }
    let Some(wishes) = wishes(new.json("fixed_ips")) else {
        return Err(
            Fault::bad_request("fixed_ips cannot be null; an empty list takes all addresses away").into()
        );
    };
    let held = FixedIp::from_stored(old.json("fixed_ips"));
    let is_fresh = |wish: &Wish| wish.ip.is_some_and(|ip| !held.iter().any(|fixed| fixed.ip == ip));
    if wishes.iter().any(is_fresh) && !is_at_home(context, &network) {
        return Err(not_authorized("update_port:fixed_ips:ip_address"));
    }
    let seeker = Seeker {
        network_id,
        device_owner: new.text("device_owner"),
        mac_address: new.text("mac_address"),
        held: &held,
    };
    let ranges = allocation::ranges(context, network_id)?;
    let fixed_ips = allocation::as_wished(context, &ranges, &seeker, &wishes)?;
    new.set("fixed_ips", FixedIp::to_stored(&fixed_ips));
    Ok(())
}

/// Of a router's or a floating IP's port only names and switches can be changed.
fn keep_managed(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &mut Object,
    are_ips_given: bool,
) -> Result<(), Failure> {
    let mut is_other =
        ["device_id", "device_owner", "mac_address"].iter().any(|name| old.get(name) != new.get(name));
    if are_ips_given {
        let asked = Wish::from_asked(new.json("fixed_ips"));
        let held = FixedIp::from_stored(old.json("fixed_ips"));
        let is_held = |(wish, held): (&Wish, &FixedIp)| {
            wish.ip.is_none_or(|ip| ip == held.ip)
                && wish.subnet_id.as_ref().is_none_or(|id| *id == held.subnet_id)
        };
        is_other |= asked.len() != held.len() || !asked.iter().zip(&held).all(is_held);
        new.set("fixed_ips", old.json("fixed_ips").clone());
    }
    if is_other {
        return Err(Failure::fault(
            Reason::ServicePortInUse,
            format!(
                "The port {} is the {} of {}; its addresses and device are changed there",
                old.id(),
                old.text("device_owner"),
                old.text("device_id")
            ),
        ));
    }
    security::check_update(context, old, new)
}

fn settle_status(port: &mut Object) {
    let is_bound = !port.text("device_id").is_empty() && !port.text("binding:host_id").is_empty();
    let is_router = device::is_routers(port.text("device_owner"));
    port.set("status", if is_bound || is_router { "ACTIVE" } else { "DOWN" });
}
