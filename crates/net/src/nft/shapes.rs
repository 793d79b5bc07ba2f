//! Rules that gateways need, each a sentence.

use super::{Action, Condition, PairSet, Rule};

/// What goes from a pair's source to its destination keeps its source. For a chain of [`super::Chain::nat`] at
/// [`super::priority::NAT_EXEMPTION`], so that no other table's NAT comes before it.
pub fn keep_source(pairs: &PairSet) -> Rule {
    Rule::new([Condition::Between(pairs.clone())], Action::KeepSource)
}

/// What leaves through `link` gets the link's address for its source, unless it goes between a pair.
pub fn masquerade_except(link: &str, pairs: &PairSet) -> Rule {
    let conditions = [Condition::LeavesThrough(link.to_owned()), Condition::NotBetween(pairs.clone())];
    Rule::new(conditions, Action::Masquerade)
}

/// TCP connections between a pair, whoever opens them, use segments of at most `mss` bytes. Smaller ones stay.
pub fn clamp_mss(pairs: &PairSet, mss: u16) -> [Rule; 2] {
    let clamp = |direction: Condition| {
        Rule::new([direction, Condition::TcpSyn, Condition::MssAbove(mss)], Action::SetMss(mss))
    };
    [clamp(Condition::Between(pairs.clone())), clamp(Condition::BetweenReversed(pairs.clone()))]
}

/// What goes from a pair's source to its destination may leave through links of this name only. For chains at the
/// hooks `forward` and `output`.
pub fn drop_unless_leaves_through(pairs: &PairSet, link: &str, counter: &str) -> Rule {
    drop(Condition::Between(pairs.clone()), Condition::NotLeavesThrough(link.to_owned()), counter)
}

/// What goes from a pair's source to its destination may leave under the kernel's IPsec only. For chains at the hooks
/// `forward` and `output`.
pub fn drop_unless_leaves_protected(pairs: &PairSet, counter: &str) -> Rule {
    drop(Condition::Between(pairs.clone()), Condition::LeavesProtected(false), counter)
}

/// What comes from a pair's destination to its source has to come from links of this name. For chains at the hooks
/// `forward` and `input`.
pub fn drop_unless_came_from(pairs: &PairSet, link: &str, counter: &str) -> Rule {
    drop(Condition::BetweenReversed(pairs.clone()), Condition::NotCameFrom(link.to_owned()), counter)
}

/// What comes from a pair's destination to its source has to come under the kernel's IPsec. For chains at the hooks
/// `forward` and `input`.
pub fn drop_unless_came_protected(pairs: &PairSet, counter: &str) -> Rule {
    drop(Condition::BetweenReversed(pairs.clone()), Condition::CameProtected(false), counter)
}

fn drop(direction: Condition, wrong: Condition, counter: &str) -> Rule {
    Rule::new([direction, wrong], Action::Drop).counted(counter)
}
