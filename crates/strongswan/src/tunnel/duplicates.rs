//! Two IKE SAs for one purpose. charon leaves both to us.
//!
//! - One was begun while the other was up ([`crate::births`]): whoever began it has lost the older one, or is about to
//!   end it. The older one is ended after a moment, since what is sent through it may be lost. The peer is told, in case
//!   that it has it all the same.
//! - Both ends have begun at once: both work, and each costs rekeys for ever. One is ended once both are old enough that
//!   no rekey is the cause; which one follows from the SPIs, so that both ends choose the same.
//!
//! In IKEv1, charon's responder takes a second IKE SA for the renewal of the first and moves over what the first carries,
//! so that quick modes of both ends may cross in it. Each end then has both child SAs, and takes the one that came first
//! for renewed by the other. That is left as it is: both work, and the next renewal leaves one.

use super::Step;
use crate::clock::SECOND;
use crate::observed::{ChildPhase, ObservedChild, ObservedIke, Phase};
use karez_engine::ChildSa;
use std::collections::BTreeSet;

/// What is younger may still be part of a rekey, microseconds.
const SETTLED: i64 = 5 * SECOND;

/// Where it is not known what was up when: what was established so much later was not begun at the same moment,
/// microseconds. charon tells ages in seconds.
const LATER: i64 = 2 * SECOND;

/// How long the end that has begun anew has to end the older one itself, microseconds: it does when its plan has
/// changed, and then nothing is lost.
pub(super) const COURTESY: i64 = SECOND / 4;

/// The pause until the peer is asked once more to end what it has replaced, microseconds.
pub(super) const UNCONFIRMED: i64 = 5 * SECOND;

/// What the peer has lost, or is about to end.
pub(super) fn outdated(sas: &[&ObservedIke]) -> Vec<Step> {
    let alive = || sas.iter().filter(|sa| sa.phase == Phase::Established);
    let is_old =
        |sa: &&&ObservedIke| alive().any(|other| other.number != sa.number && is_outdated(sa, other));
    alive().filter(is_old).flat_map(|sa| replaced(sa)).collect()
}

/// The numbers of those that carry nothing that another one does not carry in its place. Of all tunnels that share an IKE
/// SA, which one of them alone cannot say.
pub(crate) fn replaced_whole(sas: &[ObservedIke]) -> BTreeSet<u32> {
    let sas: Vec<&ObservedIke> = sas.iter().collect();
    let whole = outdated(&sas).into_iter().filter_map(|step| match step {
        Step::EndIke(number) => Some(number),
        Step::DropIke(_) | Step::EndChild(_) | Step::Begin { .. } => None,
    });
    whole.collect()
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
        let is_twin = |other: &&ObservedIke| {
            sa.installed().next().is_some()
                && !is_outdated(other, sa)
                && is_same_purpose(sa, other, |child| settled(child, now))
        };
        if others().any(|other| is_twin(other) && outranks(other, sa)) {
            steps.extend(super::ending(sa));
            continue;
        }
        let settled: Vec<(&ObservedChild, &ChildSa)> =
            sa.children.iter().filter_map(|child| Some((child, settled(child, now)?))).collect();
        for (child, shown) in &settled {
            let is_twin = |other: &ChildSa| has_same_selectors(shown, other) && is_kept(other, shown);
            if settled.iter().any(|(_, other)| is_twin(other)) {
                steps.push(Step::EndChild(child.number));
            }
        }
    }
    steps
}

/// The IKE SAs of IKEv1 that the peer has renewed, and whose child SAs charon has moved. It keeps them for ten seconds, and
/// may begin to renew them itself meanwhile; the peer would move all to that one, and then end the one that we use.
pub(super) fn renewed(sas: &[&ObservedIke]) -> Vec<Step> {
    let is_of_v1 = |sa: &ObservedIke| sa.shown.as_ref().is_some_and(|shown| shown.version == 1);
    let is_empty = |sa: &ObservedIke| sa.children.is_empty() && !sa.carries_others;
    let alive = || sas.iter().filter(|sa| sa.phase == Phase::Established && is_of_v1(sa));
    let is_renewed = |old: &&&ObservedIke| {
        let takes_over = |new: &&&ObservedIke| {
            new.number > old.number && !new.is_initiator && new.connection == old.connection && !is_empty(new)
        };
        is_empty(old) && alive().any(|new| takes_over(&new))
    };
    alive().filter(is_renewed).map(|old| Step::EndIke(old.number)).collect()
}

/// Whether the other one was begun because the peer has lost this one.
fn is_outdated(one: &ObservedIke, other: &ObservedIke) -> bool {
    let (Some(shown), Some(newer)) = (&one.shown, &other.shown) else { return false };
    let later = newer.established_at - shown.established_at;
    let is_later = match &other.up_before {
        // Two of one end are never begun at the same moment.
        _ if is_of_same_end(one, other) => later >= 0 && other.number > one.number,
        Some(up) => up.contains(&one.number),
        None => later >= LATER,
    };
    is_later && is_same_purpose(one, other, installed)
}

const fn is_of_same_end(one: &ObservedIke, other: &ObservedIke) -> bool {
    one.is_initiator == other.is_initiator
}

/// Ends an IKE SA that the peer has replaced, or what it carries of this tunnel.
fn replaced(sa: &ObservedIke) -> Vec<Step> {
    if !sa.carries_others {
        return vec![Step::EndIke(sa.number)];
    }
    sa.installed().map(|child| Step::EndChild(child.number)).collect()
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
    // What ends already is nothing to be carried.
    let mut lasting = one.children.iter().filter(|child| child.phase != ChildPhase::Ending);
    one.connection == other.connection && !one.children.is_empty() && lasting.all(has_twin)
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

/// Which of two child SAs for the same traffic stays: the newer one, as the other one may be lost to the peer; and of
/// two that came at once the same at both ends.
fn is_kept(one: &ChildSa, other: &ChildSa) -> bool {
    let later = one.installed_at - other.installed_at;
    later >= LATER || later > -LATER && spis(one) > spis(other)
}

/// The same for both ends.
fn spis(child: &ChildSa) -> (&str, &str) {
    let (one, other) = (child.spi_in.as_str(), child.spi_out.as_str());
    (one.min(other), one.max(other))
}

#[cfg(test)]
pub(super) mod tests;
