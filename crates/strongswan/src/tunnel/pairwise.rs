//! Which pairs of subnets a peer is asked for next, where each is a child SA of its own.

use crate::blueprint::Child;
use crate::observed::{ChildPhase, ObservedIke};
use std::collections::BTreeMap;

/// How many are negotiated at a time: IKEv1 has nothing against more, but a peer may.
const AT_ONCE: usize = 4;

/// How often the peer was asked for each child, in one IKE SA.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The daemon's number of the IKE SA.
    within: Option<u32>,
    times: BTreeMap<String, u32>,
}

impl Asked {
    /// The names of the children to begin now, in the IKE SA that is up. The first of it come when an attempt `is_due`. From
    /// then on those that the peer was never asked for follow as soon as there is room, whatever became of the others; and
    /// those that it did not take come again with each attempt that is due, those asked for least first.
    pub(super) fn next(&mut self, sa: &ObservedIke, needs: &[&Child], is_due: bool) -> Vec<String> {
        if self.within != Some(sa.number) {
            *self = Self { within: Some(sa.number), times: BTreeMap::new() };
        }
        let is_open =
            |name: &str| sa.children.iter().any(|own| own.name == name && own.phase == ChildPhase::Beginning);
        let open =
            sa.children.iter().filter(|own| own.phase == ChildPhase::Beginning).count().max(sa.negotiates);
        let times = |name: &str| self.times.get(name).copied().unwrap_or_default();
        let may = |name: &&str| !is_open(name) && (is_due || !self.times.is_empty() && times(name) == 0);
        let mut next: Vec<&str> = needs.iter().map(|child| child.name.as_str()).filter(may).collect();
        next.sort_by_key(|name| times(name));
        next.truncate(AT_ONCE.saturating_sub(open));
        let next: Vec<String> = next.into_iter().map(str::to_owned).collect();
        for name in &next {
            *self.times.entry(name.clone()).or_default() += 1;
        }
        next
    }
}

#[cfg(test)]
mod tests;
