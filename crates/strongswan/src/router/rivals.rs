//! Tunnels of one router of which only one can be.

use ipnet::IpNet;
use karez_engine::{ConnectionId, Identity, PAIRS_APART, TunnelPlan};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;

/// A subnet of ours and one of a peer's.
pub(crate) type Pair = (IpNet, IpNet);

/// Tunnels that claim the identities of another one with another key: charon would take either key for either. One that
/// works already is kept, and of several new ones that with the lowest id.
pub(super) fn conflicts(
    plans: &[TunnelPlan],
    works: impl Fn(&TunnelPlan) -> bool,
) -> BTreeMap<ConnectionId, ConnectionId> {
    let mut rivals: BTreeMap<(String, String), Vec<&TunnelPlan>> = BTreeMap::new();
    let text = |identity: &Identity| identity.to_string();
    for plan in plans.iter().filter(|plan| plan.is_up) {
        rivals.entry((text(&plan.local_id), text(&plan.peer_id))).or_default().push(plan);
    }
    let mut conflicts = BTreeMap::new();
    for rivals in rivals.into_values() {
        let [first, others @ ..] = rivals.as_slice() else { continue };
        if others.iter().all(|other| other.psk == first.psk) {
            continue;
        }
        let Some(kept) = rivals.iter().min_by_key(|plan| (!works(plan), plan.id)) else { continue };
        let losers = rivals.iter().filter(|plan| plan.psk != kept.psk);
        conflicts.extend(losers.map(|plan| (plan.id, kept.id)));
    }
    conflicts
}

/// Tunnels that select a pair of subnets that another one has, with that one and the pair: a packet goes one way only. One
/// that has its pairs already keeps them, and of several new ones that with the lowest id gets them.
pub(super) fn doubles<'a>(
    plans: impl Iterator<Item = &'a TunnelPlan>,
    carries: impl Fn(&TunnelPlan) -> bool,
) -> BTreeMap<ConnectionId, (ConnectionId, Pair)> {
    let mut plans: Vec<&TunnelPlan> = plans.collect();
    if plans.len() < 2 {
        return BTreeMap::new();
    }
    plans.sort_by_cached_key(|plan| (!carries(plan), plan.id));
    let mut owners: BTreeMap<Pair, ConnectionId> = BTreeMap::new();
    let mut doubles = BTreeMap::new();
    for plan in plans {
        let taken = pairs(plan).find_map(|pair| Some((*owners.get(&pair)?, pair)));
        match taken {
            Some(owner) => drop(doubles.insert(plan.id, owner)),
            None => owners.extend(pairs(plan).map(|pair| (pair, plan.id))),
        }
    }
    doubles
}

/// The pairs of subnets that the tunnels between the same two ends may have together. Each can be a child SA, all of them
/// are of one IKE SA, and what the daemon tells of an IKE SA is one message of 512 KiB at most.
pub(super) const TOGETHER: usize = 512;

/// Of tunnels between their ends with so many pairs, those that are too much beside the ones that come before them.
pub(super) fn crowded<E: Eq + Hash>(
    tunnels: impl Iterator<Item = (ConnectionId, E, usize)>,
) -> BTreeSet<ConnectionId> {
    let mut taken: HashMap<E, usize> = HashMap::new();
    let mut crowded = BTreeSet::new();
    for (id, ends, pairs) in tunnels {
        // So many are in one child SA only.
        let own = if pairs > PAIRS_APART { 1 } else { pairs };
        let taken = taken.entry(ends).or_default();
        if *taken + own > TOGETHER {
            crowded.insert(id);
        } else {
            *taken += own;
        }
    }
    crowded
}

fn pairs(plan: &TunnelPlan) -> impl Iterator<Item = Pair> {
    let peers = |local: IpNet| plan.peer_subnets.iter().map(move |peer| (local.trunc(), peer.trunc()));
    plan.local_subnets.iter().flat_map(move |local| peers(*local))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn tunnels_between_two_ends_have_so_many_pairs_together() {
        let id = |number: u128| ConnectionId(Uuid::from_u128(number));
        let tunnels = [
            (1, "a", 200),
            (2, "a", 200),
            (3, "a", 200),
            (4, "b", 200),
            (5, "a", 111),
            (6, "a", PAIRS_APART + 1),
            (7, "a", 1),
        ];
        let tunnels = tunnels.into_iter().map(|(number, ends, pairs)| (id(number), ends, pairs));
        assert_eq!(crowded(tunnels), BTreeSet::from([id(3), id(7)]));
    }
}
