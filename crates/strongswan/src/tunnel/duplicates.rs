//! Two ends that begin at the same moment get two SAs for one purpose. Both work, and each costs rekeys for ever.
//! One is ended, once both are old enough that no rekey is the cause; which one follows from the SPIs, so that an end
//! that does the same chooses the same.

use super::Step;
use crate::clock::SECOND;
use crate::observed::{ChildPhase, ObservedChild, ObservedIke, Phase};
use karez_engine::ChildSa;

/// What is younger may still be part of a rekey, microseconds.
const SETTLED: i64 = 5 * SECOND;

/// The SAs that are there twice.
pub(super) fn surplus(sas: &[&ObservedIke], now: i64) -> Vec<Step> {
    let mut steps = Vec::new();
    let alive: Vec<&&ObservedIke> = sas.iter().filter(|sa| sa.phase == Phase::Established).collect();
    for (index, sa) in alive.iter().enumerate() {
        let is_twin = |other: &&&&ObservedIke| is_same_purpose(sa, other, now) && outranks(other, sa);
        if alive.iter().enumerate().filter(|(at, _)| *at != index).any(|(_, other)| is_twin(&other)) {
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

/// Whether everything that one carries is carried by the other too.
fn is_same_purpose(one: &ObservedIke, other: &ObservedIke, now: i64) -> bool {
    let twin = |child: &ObservedChild| {
        let Some(shown) = settled(child, now) else { return false };
        other
            .children
            .iter()
            .any(|twin| settled(twin, now).is_some_and(|twin| has_same_selectors(shown, twin)))
    };
    one.connection == other.connection && !one.children.is_empty() && one.children.iter().all(twin)
}

fn outranks(one: &ObservedIke, other: &ObservedIke) -> bool {
    let spi = |sa: &ObservedIke| sa.shown.as_ref().map(|shown| shown.initiator_spi.clone());
    spi(one) > spi(other)
}

fn settled(child: &ObservedChild, now: i64) -> Option<&ChildSa> {
    let shown = child.shown.as_ref().filter(|_| child.phase == ChildPhase::Installed)?;
    (now - shown.installed_at > SETTLED).then_some(shown)
}

fn has_same_selectors(one: &ChildSa, other: &ChildSa) -> bool {
    one.local_subnets == other.local_subnets && one.peer_subnets == other.peer_subnets
}

/// The same for both ends.
fn spis(child: &ChildSa) -> (&str, &str) {
    let (one, other) = (child.spi_in.as_str(), child.spi_out.as_str());
    (one.min(other), one.max(other))
}
