//! How many enrolments are looked at: everybody can ask for one.

use std::time::{Duration, Instant};

/// A bucket of [`Throttle::DEPTH`] that fills at one each [`Throttle::INTERVAL`].
pub(super) struct Throttle {
    /// When the bucket will be full, or was.
    full_at: Instant,
}

impl Throttle {
    /// So many at once: a rack of nodes that is installed together.
    const DEPTH: u32 = 100;
    /// Twenty a second: each costs a signature of ours and a transaction.
    const INTERVAL: Duration = Duration::from_millis(50);

    pub(super) fn new(now: Instant) -> Self {
        Self { full_at: now }
    }

    /// Whether one more may be looked at.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + Self::INTERVAL;
        let admits = full_at <= now + Self::INTERVAL * Self::DEPTH;
        if admits {
            self.full_at = full_at;
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::Throttle;
    use std::time::{Duration, Instant};

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a beginning is needed; the rest is counted from it")]
    fn a_burst_is_admitted_and_then_a_trickle() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        assert_eq!((0..200).filter(|_| throttle.admits(start)).count(), 100);
        assert!(!throttle.admits(start + Duration::from_millis(49)));
        assert!(throttle.admits(start + Duration::from_millis(50)));
        assert!(!throttle.admits(start + Duration::from_millis(99)));
        let later = start + Duration::from_secs(60);
        assert_eq!((0..200).filter(|_| throttle.admits(later)).count(), 100);
    }
}
