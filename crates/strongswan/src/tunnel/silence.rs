//! IKE SAs that carry nothing and whose peer does not answer in them.
//!
//! Nothing is lost with one, and nothing comes of it, so it is not waited for until dead peer detection counts the peer
//! as dead. Two IKEv1 ends whose quick modes cross may each wait for the other like that.

use super::backoff::Backoff;
use super::{Step, Tunnel};
use crate::explain;
use crate::observed::{ObservedIke, Phase};
use karez_engine::Standing;
use std::collections::BTreeMap;

/// After so many sendings (9.5 seconds with charon's settings here) a peer that does not answer counts as silent.
pub(crate) const ENOUGH: u32 = 4;

/// What was sent again to a peer while its tunnel was not up.
#[derive(Default)]
pub(crate) struct Silence {
    /// How often, by the daemon's numbers of IKE SAs.
    sent: BTreeMap<u32, u32>,
    /// When the next one is given up, at the earliest: ever later, as that may not help.
    patience: Backoff,
    /// One that could be given up is not yet.
    is_waiting: bool,
}

impl Silence {
    /// Something was sent for the `times`th time in this IKE SA. What was sent for the second time while the tunnel was up
    /// is for dead peer detection to judge.
    pub(crate) fn sent_again(&mut self, number: u32, times: u32) {
        if times == 2 || self.sent.contains_key(&number) {
            self.sent.insert(number, times);
        }
    }

    pub(super) fn deadline(&self) -> Option<i64> {
        self.patience.due_at().filter(|_| self.is_waiting)
    }

    /// Those of these IKE SAs that are given up now.
    fn over(&mut self, sas: &[&ObservedIke], now: i64) -> Vec<u32> {
        // What was answered, or carries something by now, begins again from nothing.
        let is_silent = |sa: &&ObservedIke| {
            let carries_nothing = sa.installed().next().is_none() && !sa.carries_others;
            sa.phase == Phase::Established && !sa.tasks.is_empty() && carries_nothing
        };
        let silent = || sas.iter().copied().filter(is_silent).map(|sa| sa.number);
        self.sent.retain(|number, _| silent().any(|silent| silent == *number));
        let over: Vec<u32> =
            self.sent.iter().filter(|(_, times)| **times >= ENOUGH).map(|(number, _)| *number).collect();
        let is_due = self.patience.due_at().is_none_or(|at| now >= at);
        self.is_waiting = !over.is_empty() && !is_due;
        if over.is_empty() || !is_due {
            return Vec::new();
        }
        self.patience.next(now);
        self.sent.clear();
        over
    }
}

impl Tunnel {
    /// Drops what is silent: its peer does not hear of it anyway.
    pub(super) fn give_up(&mut self, sas: &[&ObservedIke], now: i64) -> Vec<Step> {
        let over = self.silence.over(sas, now);
        if over.is_empty() {
            return Vec::new();
        }
        let begins = self.standing == Standing::Begins && !self.is_left_to_peer;
        if self.is_wanted() {
            self.record.failed(explain::silent(self.peer, begins), now);
        }
        self.backoff.reset(now + self.hesitation());
        over.into_iter().map(Step::DropIke).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::duplicates::tests::ike;
    use super::{ENOUGH, Silence};
    use crate::clock::SECOND;
    use crate::observed::{ObservedIke, Phase};

    /// An IKE SA that carries nothing, in which an answer is awaited.
    fn empty(number: u32) -> ObservedIke {
        let mut sa = ike(number, true, SECOND, "a");
        sa.children.clear();
        sa.tasks = vec!["QUICK_MODE".into()];
        sa
    }

    fn over(silence: &mut Silence, sa: &ObservedIke, now: i64) -> Vec<u32> {
        silence.over(&[sa], now)
    }

    #[test]
    fn what_is_silent_is_given_up_after_some_time_and_each_time_later() {
        let mut silence = Silence::default();
        let mut pauses = Vec::new();
        let (mut now, mut last) = (0, 0);
        for number in 1..12 {
            for times in 2..ENOUGH {
                silence.sent_again(number, times);
                assert_eq!(over(&mut silence, &empty(number), now), [0; 0]);
            }
            silence.sent_again(number, ENOUGH);
            if over(&mut silence, &empty(number), now).is_empty() {
                now = silence.deadline().expect("it is waited for");
                assert_eq!(over(&mut silence, &empty(number), now), [number]);
            }
            assert_eq!(silence.deadline(), None, "nothing is left to be waited for");
            pauses.push(now - last);
            last = now;
        }
        assert_eq!(pauses[0], 0);
        assert!(pauses[3] > 2 * pauses[1] && pauses[10] > 50 * SECOND, "{pauses:?}");
    }

    #[test]
    fn what_carries_something_or_was_answered_or_is_not_up_stays() {
        let carries = |mut sa: ObservedIke| {
            sa.carries_others = true;
            sa
        };
        let answered = |mut sa: ObservedIke| {
            sa.tasks.clear();
            sa
        };
        let connecting = |mut sa: ObservedIke| {
            sa.phase = Phase::Connecting;
            sa
        };
        let own = ike(7, true, SECOND, "a");
        for sa in [carries(empty(7)), answered(empty(7)), connecting(empty(7)), own, empty(8)] {
            let mut silence = Silence::default();
            (2..=ENOUGH).for_each(|times| silence.sent_again(7, times));
            assert_eq!(over(&mut silence, &sa, 0), [0; 0]);
            // From then on it counts anew.
            silence.sent_again(7, ENOUGH + 1);
            assert_eq!(over(&mut silence, &empty(7), 0), [0; 0]);
        }
    }
}
