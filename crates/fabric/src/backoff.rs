//! How long to wait before the next attempt.

use std::time::Duration;

/// Exponential, from 0.2 s to 15 s, with full jitter: each wait is anything from nothing to the bound,
/// so that the agents of a server that comes back do not all knock at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

const FIRST: Duration = Duration::from_millis(200);
const MOST: Duration = Duration::from_secs(15);

impl Backoff {
    /// One more attempt has failed. `random` is any number.
    pub fn wait(&mut self, random: u64) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.failures.min(16)).min(MOST);
        self.failures = self.failures.saturating_add(1);
        let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(random % nanos)
    }

    /// All is well again.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn waits_grow_to_a_bound_and_are_spread_over_all_of_it() {
        for random in [0, 1, 12_345_678_901, u64::MAX / 3, u64::MAX] {
            let mut backoff = Backoff::default();
            for bound in [200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000] {
                assert!(backoff.wait(random) < Duration::from_millis(bound));
            }
            (0..100).for_each(|_| assert!(backoff.wait(random) < Duration::from_secs(15)));
            backoff.reset();
            assert!(backoff.wait(random) < Duration::from_millis(200));
        }
        let mut late = Backoff::default();
        assert_eq!(late.wait(199_999_999), Duration::from_nanos(199_999_999));
    }
}
