//! Two IKE SAs for one purpose. charon leaves both to us.
//!
//! - One is clearly newer: the peer has lost the older one, or it would not have begun, or have answered, again. The
//!   older one goes after a moment, since what is sent through it is lost.
//! - Both ends have begun at the same moment: both work, and each costs rekeys for ever. One is ended once both are old
//!   enough that no rekey is the cause; which one follows from the SPIs, so that both ends choose the same.

use super::Step;
use crate::clock::SECOND;
use crate::observed::{ChildPhase, ObservedChild, ObservedIke, Phase};
use karez_engine::ChildSa;

/// What is younger may still be part of a rekey, microseconds.
const SETTLED: i64 = 5 * SECOND;

/// What was established so much later was not begun at the same moment, microseconds. charon tells ages in seconds.
const LATER: i64 = 2 * SECOND;

/// How long the end that has begun anew has to end the older one itself, microseconds: it does when its plan has
/// changed, and then nothing is lost.
pub(super) const COURTESY: i64 = SECOND / 4;

/// What the peer has lost, or is about to end.
pub(super) fn outdated(sas: &[&ObservedIke]) -> Vec<Step> {
    let alive = || sas.iter().filter(|sa| sa.phase == Phase::Established);
    let is_old =
        |sa: &&&ObservedIke| alive().any(|other| other.number != sa.number && is_outdated(sa, other));
    alive().filter(is_old).flat_map(|sa| dropping(sa)).collect()
}

/// The SAs that are there twice, because both ends have begun.
pub(super) fn surplus(sas: &[&ObservedIke], now: i64) -> Vec<Step> {
    let mut steps = Vec::new();
    let alive: Vec<&&ObservedIke> = sas.iter().filter(|sa| sa.phase == Phase::Established).collect();
    for (index, sa) in alive.iter().enumerate() {
        let others = || alive.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, other)| *other);
        if others().any(|other| is_outdated(sa, other)) {
            continue;
        }
        if others()
            .any(|other| is_same_purpose(sa, other, |child| settled(child, now)) && outranks(other, sa))
        {
            steps.extend(super::ending(sa));
            continue;
        }
        let settled: Vec<(&ObservedChild, &ChildSa)> =
            sa.children.iter().filter_map(|child| Some((child, settled(child, now)?))).collect();
        for (child, shown) in &settled {
            let is_twin = |other: &ChildSa| has_same_selectors(shown, other) && spis(other) > spis(shown);
            if settled.iter().any(|(_, other)| is_twin(other)) {
                steps.push(Step::EndChild(child.number));
            }
        }
    }
    steps
}

/// Whether the other one was begun because the peer has lost this one.
fn is_outdated(one: &ObservedIke, other: &ObservedIke) -> bool {
    let (Some(shown), Some(newer)) = (&one.shown, &other.shown) else { return false };
    let later = newer.established_at - shown.established_at;
    // Two of one end are never begun at the same moment.
    let is_later = later >= LATER || later >= 0 && other.number > one.number && is_of_same_end(one, other);
    is_later && is_same_purpose(one, other, installed)
}

const fn is_of_same_end(one: &ObservedIke, other: &ObservedIke) -> bool {
    one.is_initiator == other.is_initiator
}

/// Drops an IKE SA whose peer has none of it any more, or what it carries of this tunnel.
fn dropping(sa: &ObservedIke) -> Vec<Step> {
    if !sa.carries_others {
        return vec![Step::DropIke(sa.number)];
    }
    sa.children.iter().map(|child| Step::EndChild(child.number)).collect()
}

/// Whether everything that one carries is carried by the other too, of those child SAs that `counts` lets pass.
fn is_same_purpose<'a>(
    one: &'a ObservedIke,
    other: &'a ObservedIke,
    counts: impl Fn(&'a ObservedChild) -> Option<&'a ChildSa>,
) -> bool {
    let has_twin = |child: &'a ObservedChild| {
        let twin =
            |shown| other.children.iter().filter_map(&counts).any(|twin| has_same_selectors(shown, twin));
        counts(child).is_some_and(twin)
    };
    one.connection == other.connection && !one.children.is_empty() && one.children.iter().all(has_twin)
}

fn outranks(one: &ObservedIke, other: &ObservedIke) -> bool {
    let spi = |sa: &ObservedIke| sa.shown.as_ref().map(|shown| shown.initiator_spi.clone());
    spi(one) > spi(other)
}

fn installed(child: &ObservedChild) -> Option<&ChildSa> {
    child.shown.as_ref().filter(|_| child.phase == ChildPhase::Installed)
}

fn settled(child: &ObservedChild, now: i64) -> Option<&ChildSa> {
    installed(child).filter(|shown| now - shown.installed_at > SETTLED)
}

fn has_same_selectors(one: &ChildSa, other: &ChildSa) -> bool {
    one.local_subnets == other.local_subnets && one.peer_subnets == other.peer_subnets
}

/// The same for both ends.
fn spis(child: &ChildSa) -> (&str, &str) {
    let (one, other) = (child.spi_in.as_str(), child.spi_out.as_str());
    (one.min(other), one.max(other))
}
