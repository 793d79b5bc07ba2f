//! What passes in clear although it is between the selectors of a tunnel.
//!
//! - Between our side and a subnet that the router is connected to, when the peer's network is as wide or wider: with a
//!   peer 0.0.0.0/0 all the world is behind the tunnel, but not the neighbours.
//! - Between our side and networks of which no tunnel has a part: these keep their way, whichever it is.
//! - What never leaves its link: multicast of the link, link-local addresses. Without it IPv6 has no neighbours.
//! - Between an outer address and its peer: IKE, and what is protected already. These are between the selectors when
//!   the gateways themselves are, as in transport mode.
//!
//! What comes out of a tunnel in the name of the first two is forged.

use super::{Direction, Site};
use crate::Guard;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use karez_net::nft::{Action, Condition, Hook, Pair, PairSet, Pairs, Rule, Table};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The protocols that protect packets (RFC 4303, RFC 4302).
const ESP: u8 = 50;
const AH: u8 = 51;

/// IKE (RFC 7296, section 2), and ESP in UDP (RFC 3948).
const IKE_PORTS: [u16; 2] = [500, 4500];

/// What never leaves its link (RFC 5771, section 4; RFC 919, section 7; RFC 4291, sections 2.5.6 and 2.7).
const LINK_SCOPE: [IpNet; 4] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 24)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0), 16)),
];

/// The sets that the rules refer to; none where there is nothing of the sort.
pub(super) struct Sets {
    connected: Option<PairSet>,
    protected: Option<PairSet>,
    link: Option<PairSet>,
    gateways: Option<PairSet>,
}

impl Sets {
    pub(super) fn add(table: &mut Table, guards: &[Guard], site: &Site) -> Self {
        let mut add = |name, pairs: Pairs| (!pairs.is_empty()).then(|| table.add_pairs(name, pairs));
        let connected = add("connected", within(guards, |_| site.connected.iter()));
        let protected = add("protected", within(guards, |guard| guard.but.iter()));
        let link = add("link", within(guards, |_| LINK_SCOPE.iter()));
        let gateways = add("gateways", between_gateways(guards, site));
        Self { connected, protected, link, gateways }
    }

    /// For what comes out of a tunnel and cannot be its peer's.
    pub(super) fn forged(&self, came_protected: &Condition) -> Vec<Rule> {
        let rule = |set| {
            let conditions = [came_protected.clone(), Direction::In.between(set)];
            Rule::new(conditions, Action::Drop).counted("forged")
        };
        [&self.connected, &self.protected].into_iter().flatten().map(rule).collect()
    }

    pub(super) fn rules(&self, direction: Direction, hook: Hook, site: &Site) -> Vec<Rule> {
        let pass = |conditions: Vec<Condition>| Rule::new(conditions, Action::Accept);
        let mut rules = Vec::new();
        if let Some(connected) = &self.connected {
            let mut conditions = vec![direction.between(connected)];
            for link in &site.outer_links {
                conditions.extend(not_outside(link, hook));
            }
            rules.push(pass(conditions));
        }
        if let Some(protected) = &self.protected {
            rules.push(pass(vec![direction.between(protected)]));
        }
        if let Some(link) = &self.link {
            rules.push(pass(vec![direction.between(link)]));
        }
        if let Some(gateways) = &self.gateways {
            for protocol in [ESP, AH] {
                rules.push(pass(vec![direction.between(gateways), Condition::Protocol(protocol)]));
            }
            // A peer behind NAT has any port; ours is one of these.
            for port in IKE_PORTS {
                rules.push(pass(vec![direction.between(gateways), own_port(direction, port)]));
            }
            rules.push(pass(vec![direction.between(gateways), Condition::NeighbourDiscovery]));
        }
        rules
    }
}

fn own_port(direction: Direction, port: u16) -> Condition {
    match direction {
        Direction::Out => Condition::UdpSourcePort(port),
        Direction::In => Condition::UdpDestinationPort(port),
    }
}

/// That a packet is not on its way to or from the outside.
fn not_outside(link: &str, hook: Hook) -> Vec<Condition> {
    let came = || Condition::NotCameFrom(link.to_owned());
    let leaves = || Condition::NotLeavesThrough(link.to_owned());
    match hook {
        Hook::Prerouting | Hook::Input => vec![came()],
        Hook::Forward => vec![came(), leaves()],
        Hook::Output | Hook::Postrouting => vec![leaves()],
    }
}

/// From our side of each guard to those of the networks that the peer's hold.
fn within<'a, N: Iterator<Item = &'a IpNet>>(
    guards: &'a [Guard],
    networks: impl Fn(&'a Guard) -> N,
) -> Pairs {
    let mut pairs = Vec::new();
    for guard in guards {
        let held = |network: &&IpNet| guard.peer.iter().any(|peer| peer.contains(*network));
        for network in networks(guard).filter(held) {
            pairs.extend(guard.local.iter().filter_map(|local| Pair::new(*local, *network)));
        }
    }
    pairs.into_iter().collect()
}

/// The outer addresses and their peers, as far as they are between the selectors of any guard.
fn between_gateways(guards: &[Guard], site: &Site) -> Pairs {
    let overlap = |one: &IpNet, other: &IpNet| one.contains(other) || other.contains(one);
    let locals: BTreeSet<IpAddr> = site.gateways.iter().map(|(local, _)| *local).collect();
    let mut pairs = Vec::new();
    // There are few, and hardly ever one that is behind a tunnel; their peers are as many as there are tunnels.
    for local in locals {
        let selects = |guard: &&Guard| guard.local.iter().any(|net| net.contains(&local));
        let selected: Vec<_> = guards.iter().filter(selects).flat_map(|guard| &guard.peer).collect();
        if selected.is_empty() {
            continue;
        }
        let peers = site.gateways.iter().filter(|(of, _)| *of == local).map(|(_, peer)| peer);
        let peers = peers.filter(|peer| selected.iter().any(|net| overlap(net, peer)));
        pairs.extend(peers.filter_map(|peer| Pair::new(IpNet::from(local), *peer)));
    }
    pairs.into_iter().collect()
}
