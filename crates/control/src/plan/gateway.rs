//! Interfaces, addresses and routes of a router.

use super::{bug, parsed, referred};
use crate::Failure;
use crate::core::device;
use ipnet::IpNet;
use karez_engine::{External, Floating, GatewayPlan, Internal, StaticRoute};
use karez_model::resource::Route;
use karez_model::{Kind, Object, address};
use karez_store::{Query, Tx};
use serde_json::Value as Json;
use std::net::IpAddr;

pub(super) fn of_router(tx: &mut Tx<'_>, router: &Object) -> Result<GatewayPlan, Failure> {
    let mut plan = GatewayPlan { is_up: router.flag("admin_state_up"), ..GatewayPlan::default() };
    for port in tx.list(&Query::all(Kind::Port).with("device_id", router.id()))? {
        match port.text("device_owner") {
            device::ROUTER_GATEWAY => plan.external = external(tx, router, &port)?,
            device::ROUTER_INTERFACE if port.flag("admin_state_up") => {
                plan.internal.extend(internal(tx, &port)?);
            }
            _ => {}
        }
    }
    plan.internal.sort_by_key(|interface| interface.port);
    for route in Route::from_stored(router.json("routes")) {
        plan.routes.push(StaticRoute { destination: route.destination, next_hop: route.nexthop });
    }
    for floating in tx.list(&Query::all(Kind::FloatingIp).with("router_id", router.id()))? {
        if floating.opt_text("fixed_ip_address").is_some() {
            plan.floating.push(Floating {
                external: parsed(&floating, "floating_ip_address")?,
                internal: parsed(&floating, "fixed_ip_address")?,
            });
        }
    }
    plan.floating.sort_by_key(|floating| floating.external);
    Ok(plan)
}

fn external(tx: &mut Tx<'_>, router: &Object, port: &Object) -> Result<Option<External>, Failure> {
    let Some(network) = referred(tx, Kind::Network, port.text("network_id"))? else { return Ok(None) };
    let mut next_hops: Vec<IpAddr> = Vec::new();
    let mut addresses = Vec::new();
    for (address, subnet) in fixed_ips(tx, port)? {
        addresses.push(address);
        let next_hop: Option<IpAddr> = subnet.opt_text("gateway_ip").and_then(|ip| ip.parse().ok());
        let is_new = |hop: &IpAddr| !next_hops.iter().any(|known| known.is_ipv6() == hop.is_ipv6());
        // A router that is itself the subnet's gateway has nobody to hand packets on to.
        next_hops.extend(next_hop.filter(|hop| is_new(hop) && address.addr() != *hop));
    }
    let has_snat = router.json("external_gateway_info").get("enable_snat").and_then(Json::as_bool);
    Ok(Some(External {
        port: parsed(port, "id")?,
        network: parsed(port, "network_id")?,
        mac: port.text("mac_address").to_owned(),
        mtu: mtu(&network),
        addresses,
        next_hops,
        has_snat: has_snat.unwrap_or(true),
    }))
}

fn internal(tx: &mut Tx<'_>, port: &Object) -> Result<Option<Internal>, Failure> {
    let Some(network) = referred(tx, Kind::Network, port.text("network_id"))? else { return Ok(None) };
    Ok(Some(Internal {
        port: parsed(port, "id")?,
        network: parsed(port, "network_id")?,
        mac: port.text("mac_address").to_owned(),
        mtu: mtu(&network),
        addresses: fixed_ips(tx, port)?.into_iter().map(|(address, _)| address).collect(),
    }))
}

/// The addresses of a port, each with the prefix length of its subnet.
fn fixed_ips(
    tx: &mut Tx<'_>,
    port: &Object,
) -> Result<Vec<(IpNet, std::sync::Arc<karez_store::Stored>)>, Failure> {
    let mut found = Vec::new();
    for fixed in port.json("fixed_ips").as_array().into_iter().flatten() {
        let text = |key: &str| fixed.get(key).and_then(Json::as_str).unwrap_or_default();
        let Some(subnet) = referred(tx, Kind::Subnet, text("subnet_id"))? else { continue };
        let ip = address::ip(text("ip_address")).map_err(|_| bug(port, "fixed_ips"))?;
        let range = address::cidr(subnet.text("cidr")).map_err(|_| bug(&subnet, "cidr"))?;
        let net = IpNet::new(ip, range.prefix_len()).map_err(|_| bug(port, "fixed_ips"))?;
        found.push((net, subnet));
    }
    Ok(found)
}

fn mtu(network: &Object) -> u32 {
    u32::try_from(network.int("mtu")).ok().filter(|mtu| *mtu > 0).unwrap_or(1500)
}
