//! When what happened.

use crate::clock;
use std::fmt;
use std::time::{Duration, Instant};

/// Moments with names, in the order in which they came.
#[derive(Clone, Debug)]
pub struct Timeline {
    begun: Instant,
    moments: Vec<(String, Duration)>,
}

impl Timeline {
    /// Begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self { begun: clock::now(), moments: Vec::new() }
    }

    /// Notes that something has just happened, and answers how long after the beginning.
    pub fn mark(&mut self, what: impl Into<String>) -> Duration {
        let at = self.elapsed();
        self.moments.push((what.into(), at));
        at
    }

    /// Time since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// When something first happened, from the beginning.
    #[must_use]
    pub fn at(&self, what: &str) -> Option<Duration> {
        self.moments.iter().find(|(name, _)| name == what).map(|(_, at)| *at)
    }

    /// How long it took from one moment to another.
    #[must_use]
    pub fn between(&self, one: &str, other: &str) -> Option<Duration> {
        self.at(other)?.checked_sub(self.at(one)?)
    }
}

/// One line a moment.
impl fmt::Display for Timeline {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, at) in &self.moments {
            writeln!(out, "{:>9.3} s  {what}", at.as_secs_f64())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_between_two_moments_is_known_and_that_between_others_is_not() {
        let mut timeline = Timeline::begin();
        let one = timeline.mark("asked");
        let other = timeline.mark("answered");
        assert_eq!(timeline.between("asked", "answered"), Some(other - one));
        assert_eq!(timeline.between("asked", "forgotten"), None);
        assert_eq!(timeline.to_string().lines().count(), 2);
    }
}
