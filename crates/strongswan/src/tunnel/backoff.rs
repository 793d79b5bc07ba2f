//! When to try again: after 1, 2, 4 … seconds, at most a minute, for ever; each time a little earlier or later, so
//! that many tunnels do not try in step.

use crate::clock::{SECOND, lot};

const LONGEST: i64 = 60 * SECOND;

/// The pause before the next attempt of one tunnel. Times are microseconds since 1970.
#[derive(Default)]
pub(crate) struct Backoff {
    failures: u32,
    due_at: Option<i64>,
}

impl Backoff {
    /// From the beginning, with the first attempt at `at`.
    pub(crate) const fn reset(&mut self, at: i64) {
        self.failures = 0;
        self.due_at = Some(at);
    }

    /// All is as it should be.
    pub(crate) const fn settle(&mut self) {
        self.failures = 0;
        self.due_at = None;
    }

    /// An attempt is made at `now`. The next one, should this one fail, comes after a longer pause.
    pub(crate) fn next(&mut self, now: i64) {
        let pause = (SECOND << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.due_at = Some(now + pause - pause / 8 + lot(pause / 4));
    }

    /// Look again at `at`; no attempt was made.
    pub(crate) const fn again_at(&mut self, at: i64) {
        self.due_at = Some(at);
    }

    /// Something is missing and nothing is planned: begin soon.
    pub(crate) fn ensure(&mut self, at: i64) {
        self.due_at.get_or_insert(at);
    }

    pub(crate) fn is_due(&self, now: i64) -> bool {
        self.due_at.is_some_and(|at| now >= at)
    }

    pub(crate) const fn due_at(&self) -> Option<i64> {
        self.due_at
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, LONGEST, SECOND};

    #[test]
    fn pauses_double_up_to_a_minute_and_never_end() {
        let mut backoff = Backoff::default();
        let mut now = 0;
        backoff.reset(now);
        for failures in 0..20 {
            assert!(backoff.is_due(now));
            backoff.next(now);
            let pause = backoff.due_at().unwrap() - now;
            let nominal = (SECOND << failures.min(6)).min(LONGEST);
            assert!((nominal * 7 / 8..=nominal * 9 / 8).contains(&pause), "{failures}: {pause}");
            now += pause;
        }
    }
}
