//! Interfaces, addresses and routes of a router.

use super::parts::{self, Parts};
use super::{bug, parsed};
use crate::Failure;
use crate::core::device;
use ipnet::IpNet;
use karez_engine::{External, Floating, GatewayPlan, Internal, StaticRoute};
use karez_model::resource::Route;
use karez_model::{Object, address};
use karez_store::Stored;
use serde_json::Value as Json;
use std::net::IpAddr;

pub(super) fn of_router(parts: &Parts) -> Result<GatewayPlan, Failure> {
    let router = &parts.router;
    let mut plan = GatewayPlan { is_up: router.flag("admin_state_up"), ..GatewayPlan::default() };
    for port in &parts.ports {
        match port.text("device_owner") {
            device::ROUTER_GATEWAY => plan.external = external(parts, port)?,
            device::ROUTER_INTERFACE if port.flag("admin_state_up") => {
                plan.internal.extend(internal(parts, port)?);
            }
            _ => {}
        }
    }
    plan.internal.sort_by_key(|interface| interface.port);
    for route in Route::from_stored(router.json("routes")) {
        plan.routes.push(StaticRoute { destination: route.destination, next_hop: route.nexthop });
    }
    for floating in &parts.floating_ips {
        if floating.opt_text("fixed_ip_address").is_some() {
            plan.floating.push(Floating {
                external: parsed(floating, "floating_ip_address")?,
                internal: parsed(floating, "fixed_ip_address")?,
            });
        }
    }
    plan.floating.sort_by_key(|floating| floating.external);
    Ok(plan)
}

fn external(parts: &Parts, port: &Object) -> Result<Option<External>, Failure> {
    let Some(network) = parts.networks.get(port.text("network_id")) else { return Ok(None) };
    let mut next_hops: Vec<IpAddr> = Vec::new();
    let mut addresses = Vec::new();
    for (address, subnet) in fixed_ips(parts, port)? {
        addresses.push(address);
        let next_hop: Option<IpAddr> = subnet.opt_text("gateway_ip").and_then(|ip| ip.parse().ok());
        let is_new = |hop: &IpAddr| !next_hops.iter().any(|known| known.is_ipv6() == hop.is_ipv6());
        // A router that is itself the subnet's gateway has nobody to hand packets on to.
        next_hops.extend(next_hop.filter(|hop| is_new(hop) && address.addr() != *hop));
    }
    let has_snat = parts.router.json("external_gateway_info").get("enable_snat").and_then(Json::as_bool);
    Ok(Some(External {
        port: parsed(port, "id")?,
        network: parsed(port, "network_id")?,
        mac: port.text("mac_address").to_owned(),
        mtu: mtu(network),
        addresses,
        next_hops,
        has_snat: has_snat.unwrap_or(true),
    }))
}

fn internal(parts: &Parts, port: &Object) -> Result<Option<Internal>, Failure> {
    let Some(network) = parts.networks.get(port.text("network_id")) else { return Ok(None) };
    Ok(Some(Internal {
        port: parsed(port, "id")?,
        network: parsed(port, "network_id")?,
        mac: port.text("mac_address").to_owned(),
        mtu: mtu(network),
        addresses: fixed_ips(parts, port)?.into_iter().map(|(address, _)| address).collect(),
    }))
}

/// The addresses of a port with the prefix lengths of their subnets, each with its subnet.
fn fixed_ips<'a>(parts: &'a Parts, port: &Object) -> Result<Vec<(IpNet, &'a Stored)>, Failure> {
    let mut found = Vec::new();
    for (subnet, text) in parts::fixed_ips(port) {
        let Some(subnet) = parts.subnets.get(subnet) else { continue };
        let ip = address::ip(text).map_err(|_| bug(port, "fixed_ips"))?;
        let range = address::cidr(subnet.text("cidr")).map_err(|_| bug(subnet, "cidr"))?;
        let net = IpNet::new(ip, range.prefix_len()).map_err(|_| bug(port, "fixed_ips"))?;
        found.push((net, subnet.as_ref()));
    }
    Ok(found)
}

fn mtu(network: &Object) -> u32 {
    u32::try_from(network.int("mtu")).ok().filter(|mtu| *mtu > 0).unwrap_or(1500)
}
