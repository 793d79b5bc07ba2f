//! What the rules have to know of a router that somebody else has made: looked up, since no plan says it.

use super::lanes::{Inside, may_be_inside};
use super::rules::{Site, gateways};
use crate::Guard;
use ipnet::IpNet;
use karez_engine::RouterPlan;
use karez_net::{Error, Netlink, lane};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// A router as it is.
pub(super) struct Observed {
    pub site: Site,
    /// Outer addresses of tunnels that should be up which are on no link.
    pub missing: BTreeSet<IpAddr>,
}

impl Observed {
    pub(super) async fn look(netlink: &Netlink, plan: &RouterPlan, guards: &[Guard]) -> Result<Self, Error> {
        let outer: BTreeSet<IpAddr> = plan.tunnels.iter().map(|tunnel| tunnel.local).collect();
        let mut missing: BTreeSet<IpAddr> =
            plan.tunnels.iter().filter(|tunnel| tunnel.is_up).map(|tunnel| tunnel.local).collect();
        let mut site = Site { gateways: gateways(&plan.tunnels), ..Site::default() };
        let held = lane::held(netlink.namespace()).await?;
        let mut numbers = Vec::new();
        // A port of a bridge has no addresses; there may be hundreds.
        for link in netlink.links().await?.into_iter().filter(|link| link.master.is_none()) {
            let mut addresses = match netlink.addresses(&link.name).await {
                // It went meanwhile.
                Err(Error::NoLink { .. }) => continue,
                other => other?,
            };
            addresses.retain(|address| !held.contains(&address.addr()));
            if may_be_inside(&link) {
                let behind = BTreeSet::new();
                let addresses = addresses.clone();
                site.inside.push(Inside { link: link.name.clone(), addresses, behind });
                numbers.push(link.index);
            }
            let is_outer = addresses.iter().any(|address| outer.contains(&address.addr()));
            missing.retain(|one| !addresses.iter().any(|address| address.addr() == *one));
            let mut subnets = addresses.iter().map(IpNet::trunc).collect::<BTreeSet<_>>();
            if is_outer {
                // A gateway with one leg has the hosts behind it on the same link as the world.
                subnets.retain(|subnet| {
                    guards.iter().flat_map(|guard| &guard.local).any(|net| overlap(net, subnet))
                });
                if subnets.is_empty() {
                    site.outer_links.insert(link.name);
                }
            }
            site.connected.extend(subnets);
        }
        // Of what is on no link it is looked up who it is behind.
        for net in guards.iter().flat_map(|guard| &guard.local).collect::<BTreeSet<_>>() {
            let is_on = |one: &Inside| one.addresses.iter().any(|address| overlap(&address.trunc(), net));
            let Some(to) = net.hosts().next().filter(|_| !site.inside.iter().any(is_on)) else { continue };
            let number = netlink.outlet(None, to).await?;
            let by = numbers.iter().position(|one| Some(*one) == number);
            if let Some(by) = by.and_then(|by| site.inside.get_mut(by)) {
                by.behind.insert(net.trunc());
            }
        }
        let is_behind = |net: &IpNet| site.connected.iter().any(|subnet| subnet.contains(net));
        site.is_forgery_known = guards.iter().flat_map(|guard| &guard.local).all(is_behind);
        Ok(Self { site, missing })
    }
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}
