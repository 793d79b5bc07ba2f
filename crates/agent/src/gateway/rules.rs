//! The rules of one router, as a table of nftables.
//!
//! What goes between the selectors of a tunnel keeps its addresses, opens TCP connections that fit into the tunnel, and
//! neither leaves nor comes in unprotected. All else passes as if the table were not there.
//!
//! Some of what is between the selectors is not for the tunnel and passes too; see [`passes`].

mod nat;
mod passes;

use super::forwarding::Forwarding;
use super::lanes::Inside;
use crate::Guard;
use ipnet::IpNet;
use karez_engine::{ConnectionId, Datapath, Peer, TunnelPlan};
use karez_net::nft::{
    Action, Chain, Condition, Hook, Pair, PairCounters, PairSet, Rule, Table, clamp_mss, keep_source,
    priority,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

pub(super) use nat::Nat;

/// The table's name in every namespace.
pub(super) const TABLE: &str = "karez";

/// The name of its set of what goes from our side to the peers'.
pub(super) const SELECTED: &str = "selected";

/// What rules have to know of a router besides its guards.
#[derive(Clone, Debug, Default)]
pub(super) struct Site {
    /// Outer addresses, each with where its peer may be.
    pub gateways: BTreeSet<(IpAddr, IpNet)>,
    /// Subnets on the router's links.
    pub connected: BTreeSet<IpNet>,
    /// Links that local subnets may be behind.
    pub inside: Vec<Inside>,
    /// Links to the outside, on which no packet from a connected subnet comes in.
    pub outer_links: BTreeSet<String>,
    /// Whether no packet from our side of a tunnel comes in through an outer link, so that those that do are forged.
    pub is_forgery_known: bool,
    /// Address translation for the rest of the traffic.
    pub nat: Option<Nat>,
    /// What was off before there were tunnels. It has no effect; the table remembers it.
    pub switched_on: BTreeSet<Forwarding>,
}

/// The table; none when there is nothing to rule.
pub(super) fn table(guards: &[Guard], datapath: Datapath, site: &Site) -> Option<Table> {
    if guards.is_empty() && site.nat.is_none() {
        return None;
    }
    // Any order is the same table, so that nothing is done when only that has changed.
    let mut guards = guards.to_vec();
    guards.sort_by_key(|guard| guard.connection);
    let guards = guards.as_slice();
    let mut table = Table::new(TABLE);
    let selected = table.add_pairs(SELECTED, guards.iter().flat_map(guarded).collect());
    if !guards.is_empty() {
        let exempt = Chain::nat("exempt", Hook::Postrouting, priority::NAT_EXEMPTION);
        table.add_chain(exempt.rule(keep_source(&selected)));
        add_clamps(&mut table, guards);
        add_drops(&mut table, guards, datapath, site, &selected);
    }
    let remember = |version: &Forwarding| {
        // No packet is both.
        let never = [Condition::Protocol(50), Condition::Protocol(51)];
        Rule::new(never, Action::Nothing).counted(note(*version))
    };
    if !site.switched_on.is_empty() {
        let notes = Chain::filter("notes", Hook::Input, priority::FILTER);
        table.add_chain(notes.rules(site.switched_on.iter().map(remember)));
    }
    if let Some(nat) = &site.nat {
        nat.add(&mut table, &selected);
    }
    Some(table)
}

/// The outer addresses of tunnels, each with where its peer may be: anywhere, while that is only a host name.
pub(super) fn gateways(tunnels: &[TunnelPlan]) -> BTreeSet<(IpAddr, IpNet)> {
    let peer = |tunnel: &TunnelPlan| match tunnel.peer {
        Peer::Address(address) => address.into(),
        Peer::Host(_) => nat::everywhere(tunnel.local),
    };
    tunnels.iter().map(|tunnel| (tunnel.local, peer(tunnel))).collect()
}

/// The name under which the table counts what it drops for a connection.
pub(super) fn counter(connection: ConnectionId) -> String {
    format!("dropped-{connection}")
}

/// The name of the counter that says that forwarding was off.
pub(super) fn note(version: Forwarding) -> String {
    format!("switched-on-{version}")
}

fn guarded(guard: &Guard) -> impl Iterator<Item = Pair> {
    let to = |local: IpNet| guard.peer.iter().filter_map(move |peer| Pair::new(local, *peer));
    guard.local.iter().flat_map(move |local| to(*local))
}

fn counted(guard: &Guard) -> impl Iterator<Item = (Pair, String)> {
    guarded(guard).map(|pair| (pair, counter(guard.connection)))
}

/// One set for each MSS, since most tunnels of a router have the same.
fn add_clamps(table: &mut Table, guards: &[Guard]) {
    let mut by_mss: BTreeMap<u16, Vec<Pair>> = BTreeMap::new();
    for guard in guards {
        if let Some(mss) = guard.mss {
            by_mss.entry(mss).or_default().extend(guarded(guard));
        }
    }
    let mut rules = Vec::new();
    for (mss, pairs) in by_mss {
        let set = table.add_pairs(format!("mss-{mss}"), pairs.into_iter().collect());
        rules.extend(clamp_mss(&set, mss));
    }
    // What goes through or leaves; and what peers announce to the router itself.
    for (name, hook) in [("clamp", Hook::Postrouting), ("clamp-in", Hook::Input)] {
        table.add_chain(Chain::filter(name, hook, priority::MANGLE).rules(rules.clone()));
    }
}

/// Which way a packet goes between the selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Out,
    In,
}

impl Direction {
    fn between(self, set: &PairSet) -> Condition {
        match self {
            Self::Out => Condition::Between(set.clone()),
            Self::In => Condition::BetweenReversed(set.clone()),
        }
    }

    fn not_between(self, set: &PairSet) -> Condition {
        match self {
            Self::Out => Condition::NotBetween(set.clone()),
            Self::In => Condition::NotBetweenReversed(set.clone()),
        }
    }

    fn count(self, counters: &PairCounters) -> Rule {
        let any = Rule::new([], Action::Nothing);
        match self {
            Self::Out => any.counted_between(counters),
            Self::In => any.counted_between_reversed(counters),
        }
    }

    fn is_protected(self, datapath: Datapath) -> Condition {
        const TUN: &str = "ipsec*";
        match (datapath, self) {
            (Datapath::Userspace, Self::Out) => Condition::LeavesThrough(TUN.to_owned()),
            (Datapath::Userspace, Self::In) => Condition::CameFrom(TUN.to_owned()),
            (Datapath::Kernel, Self::Out) => Condition::LeavesProtected(true),
            (Datapath::Kernel, Self::In) => Condition::CameProtected(true),
        }
    }
}

/// A packet on its way through a protected tunnel, or between none of the selectors, is done with after two rules. How
/// many rules there are does not depend on the number of tunnels, neither for packets nor for who changes a tunnel.
fn add_drops(table: &mut Table, guards: &[Guard], datapath: Datapath, site: &Site, selected: &PairSet) {
    let counters = table.add_counters("dropped", guards.iter().flat_map(counted).collect());
    let passes = passes::Sets::add(table, guards, site);
    let chains = [
        ("clear-out", Hook::Forward, Direction::Out),
        ("clear-out-own", Hook::Output, Direction::Out),
        ("clear-in", Hook::Forward, Direction::In),
        ("clear-in-own", Hook::Input, Direction::In),
    ];
    let in_forged = |direction: Direction| match direction {
        Direction::In => passes.forged(&direction.is_protected(datapath)),
        Direction::Out => Vec::new(),
    };
    for (name, hook, direction) in chains {
        let forged = (hook == Hook::Forward && direction == Direction::Out && site.is_forgery_known)
            .then(|| forged(site, selected));
        let chain = Chain::filter(name, hook, priority::FILTER)
            .rules(forged.into_iter().flatten())
            .rules(in_forged(direction))
            .rule(Rule::new([direction.is_protected(datapath)], Action::Accept))
            .rule(Rule::new([direction.not_between(selected)], Action::Accept))
            .rules(passes.rules(direction, hook, site))
            .rule(direction.count(&counters))
            .rule(Rule::new([], Action::Drop));
        table.add_chain(chain);
    }
}

/// Without this, anybody outside could send packets into a tunnel in the name of our side.
fn forged(site: &Site, selected: &PairSet) -> Vec<Rule> {
    let rule = |link: &String| {
        let came = [Condition::CameFrom(link.clone()), Condition::CameProtected(false)];
        let conditions = came.into_iter().chain([Condition::Between(selected.clone())]);
        Rule::new(conditions, Action::Drop).counted("forged")
    };
    site.outer_links.iter().map(rule).collect()
}

#[cfg(test)]
mod tests;
