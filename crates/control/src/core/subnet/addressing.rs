//! What makes sense as the range, gateway and pools of a subnet. Nothing here looks at the store.

use crate::Failure;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use karez_model::address::{default_pools, is_usable, usable};
use karez_model::parse::clip;
use karez_model::resource::{Pool, Route};
use karez_model::{Object, Reason};
use serde_json::{Value as Json, json};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ranges in which no host can have an address (RFC 6890).
const NO_HOSTS: [(IpNet, &str); 5] = [
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8)), "\"this network\""),
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)), "loopback"),
    (IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)), "multicast"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 127)), "loopback"),
    (IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)), "multicast"),
];

/// As in Neutron: what a host's resolver and routing table can bear.
const MOST_NAME_SERVERS: usize = 5;
const MOST_HOST_ROUTES: usize = 20;

/// The range of a new subnet; its IP version is filled in.
pub(super) fn range(subnet: &mut Object) -> Result<IpNet, Failure> {
    let Ok(net) = subnet.text("cidr").parse::<IpNet>() else {
        return Err(invalid(format!("cidr is '{}', which is no range", clip(subnet.text("cidr")))));
    };
    let version = if net.addr().is_ipv4() { 4 } else { 6 };
    if subnet.opt_int("ip_version").is_some_and(|given| given != version) {
        let given = subnet.int("ip_version");
        return Err(invalid(format!(
            "ip_version is {given} and cidr is {net}, which is of version {version}"
        )));
    }
    if net.prefix_len() == 0 {
        return Err(invalid(format!("cidr is {net}; a subnet cannot be the whole address space")));
    }
    if let Some((absurd, what)) = NO_HOSTS.iter().find(|(absurd, _)| overlap(net, *absurd)) {
        return Err(invalid(format!(
            "cidr is {net}; hosts cannot have addresses in {absurd}, which is {what}"
        )));
    }
    subnet.set("ip_version", version);
    Ok(net)
}

/// The first address that a host may have.
pub(super) fn first_host(net: IpNet) -> IpAddr {
    usable(net).start
}

/// Whether two ranges have addresses in common.
pub(super) fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// Checks all that can change later, and fills in the pools where none are asked for.
pub(super) fn settle(subnet: &mut Object, net: IpNet) -> Result<(), Failure> {
    let gateway = subnet.opt_text("gateway_ip").and_then(|ip| ip.parse::<IpAddr>().ok());
    if let Some(gateway) = gateway.filter(|gateway| !is_usable(net, *gateway)) {
        return Err(invalid(format!("gateway_ip is {gateway}, which no router can have on {net}")));
    }
    check_dhcp(subnet, net)?;
    settle_pools(subnet, net, gateway)?;
    settle_name_servers(subnet)?;
    check_host_routes(subnet, net)
}

fn settle_pools(subnet: &mut Object, net: IpNet, gateway: Option<IpAddr>) -> Result<(), Failure> {
    let asked = subnet.json("allocation_pools");
    if asked.is_null() {
        let pools = default_pools(net, gateway);
        subnet.set("allocation_pools", Json::Array(pools.iter().map(Pool::to_stored).collect()));
        return Ok(());
    }
    let mut pools = Pool::from_stored(asked);
    let range = usable(net);
    for Pool { start, end } in &pools {
        if start.is_ipv4() != net.addr().is_ipv4() {
            let message = format!("The allocation pool {start} to {end} is of another IP version than {net}");
            return Err(Failure::fault(Reason::InvalidAllocationPool, message));
        }
        if *start < range.start || *end > range.end {
            let message = format!(
                "The allocation pool {start} to {end} is outside of {net}, whose hosts have {} to {}",
                range.start, range.end
            );
            return Err(Failure::fault(Reason::OutOfBoundsAllocationPool, message));
        }
    }
    pools.sort_by_key(|pool| pool.start);
    if let Some([one, other]) = pools.array_windows().find(|[one, other]| one.end >= other.start) {
        let message = format!(
            "The allocation pools {} to {} and {} to {} overlap",
            one.start, one.end, other.start, other.end
        );
        return Err(Failure::fault(Reason::OverlappingAllocationPools, message));
    }
    let is_inside =
        |gateway: &IpAddr| pools.iter().any(|pool| pool.start <= *gateway && *gateway <= pool.end);
    if let Some(gateway) = gateway.filter(is_inside) {
        let message =
            format!("The gateway address {gateway} is in an allocation pool and could be given to a port");
        return Err(Failure::fault(Reason::GatewayConflictWithAllocationPools, message));
    }
    Ok(())
}

/// DHCP needs room for a host beside the router; IPv6 modes need DHCP or advertisements, and both
/// sides of the agreement must say the same.
fn check_dhcp(subnet: &Object, net: IpNet) -> Result<(), Failure> {
    let is_on = subnet.flag("enable_dhcp");
    if is_on && net.max_prefix_len() - net.prefix_len() < 2 {
        return Err(invalid(format!("{net} is too small for DHCP; give enable_dhcp as false")));
    }
    let (own, ra) = (subnet.opt_text("ipv6_address_mode"), subnet.opt_text("ipv6_ra_mode"));
    if own.or(ra).is_none() {
        return Ok(());
    }
    if net.addr().is_ipv4() {
        return Err(invalid("ipv6_address_mode and ipv6_ra_mode are for subnets of IP version 6"));
    }
    if !is_on {
        return Err(invalid("ipv6_address_mode and ipv6_ra_mode need enable_dhcp to be true"));
    }
    if let (Some(own), Some(ra)) = (own, ra)
        && own != ra
    {
        return Err(invalid(format!(
            "ipv6_address_mode is {own} and ipv6_ra_mode is {ra}; they must be the same"
        )));
    }
    if own.or(ra) != Some("dhcpv6-stateful") && net.prefix_len() != 64 {
        return Err(invalid(format!(
            "cidr is {net}; hosts that make their own addresses need a prefix of 64 bits"
        )));
    }
    Ok(())
}

fn settle_name_servers(subnet: &mut Object) -> Result<(), Failure> {
    let mut servers = Vec::new();
    for server in subnet.texts("dns_nameservers") {
        let Ok(ip) = server.parse::<IpAddr>() else {
            return Err(invalid(format!("dns_nameservers has '{}', which is no address", clip(server))));
        };
        servers.push(ip.to_string());
    }
    if servers.len() > MOST_NAME_SERVERS {
        let count = servers.len();
        return Err(invalid(format!(
            "dns_nameservers has {count} entries; at most {MOST_NAME_SERVERS} are allowed"
        )));
    }
    subnet.set("dns_nameservers", json!(servers));
    Ok(())
}

fn check_host_routes(subnet: &Object, net: IpNet) -> Result<(), Failure> {
    let routes = Route::from_stored(subnet.json("host_routes"));
    if routes.len() > MOST_HOST_ROUTES {
        let count = routes.len();
        return Err(invalid(format!(
            "host_routes has {count} entries; at most {MOST_HOST_ROUTES} are allowed"
        )));
    }
    match routes.iter().find(|route| route.nexthop.is_ipv4() != net.addr().is_ipv4()) {
        None => Ok(()),
        Some(route) => Err(invalid(format!(
            "host_routes has {} by {}, which are of another IP version than {net}",
            route.destination, route.nexthop
        ))),
    }
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::fault(Reason::InvalidInput, message)
}
