//! Latencies and what is said about them. Every single one is kept, so a percentile is one that
//! a request really had and not an estimate from buckets.

use std::time::Duration;

#[cfg(test)]
mod tests;

/// The latencies of one measured run, in no particular order.
#[derive(Default)]
pub struct Latencies(Vec<Duration>);

/// What a run's latencies come to; zero everywhere if there were none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub count: usize,
    pub p50: Duration,
    pub p99: Duration,
    pub longest: Duration,
}

impl Latencies {
    pub fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }

    pub fn summary(mut self) -> Summary {
        self.0.sort_unstable();
        Summary {
            count: self.0.len(),
            p50: percentile(&self.0, 50),
            p99: percentile(&self.0, 99),
            longest: self.0.last().copied().unwrap_or_default(),
        }
    }
}

/// The nearest-rank percentile: the smallest value that `percent` of all are not above.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The middle one of a few durations (the lower of the two in the middle).
pub fn median(durations: &[Duration]) -> Duration {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    percentile(&sorted, 50)
}
