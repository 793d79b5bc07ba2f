//! What follows from a plan alone: what its rules have to know, and its routes.

use crate::gateway::lanes::Inside;
use crate::gateway::names;
use crate::gateway::rules::{Nat, Site, gateways};
use ipnet::IpNet;
use karez_engine::{External, GatewayPlan, Internal, RouterPlan, StaticRoute};
use karez_net::Route;
use std::collections::BTreeSet;
use std::net::IpAddr;

pub(super) fn site(plan: &RouterPlan) -> Site {
    let gateway = &plan.gateway;
    let external = gateway.external.as_ref();
    Site {
        gateways: gateways(&plan.tunnels),
        connected: gateway.internal.iter().flat_map(|one| &one.addresses).map(IpNet::trunc).collect(),
        outer_links: external.iter().map(|external| names::external(external.port)).collect(),
        inside: gateway.internal.iter().map(|internal| inside(internal, gateway)).collect(),
        is_forgery_known: true,
        nat: external.and_then(|external| nat(external, gateway)),
        ..Site::default()
    }
}

fn inside(internal: &Internal, gateway: &GatewayPlan) -> Inside {
    let leads_there =
        |route: &&StaticRoute| internal.addresses.iter().any(|net| net.contains(&route.next_hop));
    Inside {
        link: names::internal(internal.port),
        addresses: internal.addresses.iter().copied().collect(),
        behind: gateway.routes.iter().filter(leads_there).map(|route| route.destination).collect(),
    }
}

fn nat(external: &External, gateway: &GatewayPlan) -> Option<Nat> {
    // As in Neutron: IPv6 addresses are everybody's own.
    let own = external.addresses.iter().map(IpNet::addr).find(IpAddr::is_ipv4);
    Nat::new(names::external(external.port), own, external.has_snat, &gateway.floating)
}

/// The routes of a router, without those of its links' own subnets.
pub(super) fn routes(gateway: &GatewayPlan) -> BTreeSet<Route> {
    let mut routes = BTreeSet::new();
    if let Some(external) = &gateway.external {
        let link = names::external(external.port);
        for next_hop in &external.next_hops {
            if !external.addresses.iter().any(|address| address.contains(next_hop)) {
                routes.insert(Route::over((*next_hop).into(), link.clone()));
            }
            routes.insert(Route::default_via(*next_hop).link(link.clone()));
        }
    }
    routes.extend(gateway.routes.iter().filter(|route| is_reached(gateway, route)).map(extra));
    routes
}

fn extra(route: &StaticRoute) -> Route {
    Route::via(route.destination, route.next_hop)
}

/// A route over somebody who is on no link of the router is as none, until there is a link; the kernel would refuse it.
fn is_reached(gateway: &GatewayPlan, route: &StaticRoute) -> bool {
    let external = gateway.external.iter().flat_map(|external| &external.addresses);
    let internal = gateway.internal.iter().flat_map(|internal| &internal.addresses);
    external.chain(internal).any(|address| address.contains(&route.next_hop))
}
