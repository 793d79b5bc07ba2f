//! Pings that go on while something else happens.

use super::Pings;
use crate::process::Process;
use crate::{Error, clock, wait};
use rustix::process::Signal;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// How long an answer may take. A ping that was sent less than this before the end and has no answer is neither.
const GRACE: Duration = Duration::from_secs(1);

/// A ping that runs; it ends when it is dropped.
#[derive(Debug)]
pub struct Pinger {
    process: Process,
    base: PathBuf,
    begun: Instant,
}

impl Pinger {
    pub(crate) fn watch(process: Process, base: PathBuf) -> Result<Self, Error> {
        Ok(Self { process, base, begun: clock::now() })
    }

    /// How many were answered so far.
    ///
    /// # Errors
    ///
    /// When what was written cannot be read.
    pub fn answered(&self) -> Result<u32, Error> {
        let out = self.base.with_extension("out");
        let text = std::fs::read_to_string(&out).map_err(Error::file("read", &out))?;
        let answered = text.lines().filter(|line| line.contains(" bytes from ")).count();
        Ok(u32::try_from(answered).unwrap_or(u32::MAX))
    }

    /// Waits until this many more were answered than now: traffic flows.
    ///
    /// # Errors
    ///
    /// [`Error::InVain`].
    pub fn flows(&mut self, more: u32, bound: Duration) -> Result<(), Error> {
        let before = self.answered()?;
        wait::until("answers to pings", bound, || {
            self.process.check()?;
            let new = self.answered()?.saturating_sub(before);
            Ok(if new >= more { Ok(()) } else { Err(format!("{new} of {more} were answered")) })
        })
    }

    /// How long it has been running, which is what [`crate::Lost::at`] is told in.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Ends it. What was sent in the last second and not answered yet is left out of the account.
    ///
    /// # Errors
    ///
    /// When `ping` does not end, or did not do its work.
    pub fn stop(mut self) -> Result<Pings, Error> {
        let stopped = clock::wall();
        self.process.signal(Signal::INT);
        self.process.ended(Duration::from_secs(10))?;
        let pings = Pings::read(&self.base)?;
        let out = self.base.with_extension("out");
        let text = std::fs::read_to_string(&out).map_err(Error::file("read", &out))?;
        Ok(without_undecided(pings, first_sent(&text), stopped))
    }
}

/// Seconds since 1970 of the first answer.
fn first_sent(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.contains(" bytes from "))?;
    line.strip_prefix('[')?.split_once(']')?.0.parse().ok()
}

/// Those at the end that could still have been answered are taken off.
fn without_undecided(mut pings: Pings, first: Option<f64>, stopped: SystemTime) -> Pings {
    let Some(first) = first else { return pings };
    let stopped = stopped.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let ran = Duration::try_from_secs_f64(stopped - first).unwrap_or_default();
    let decided = ran.saturating_sub(GRACE);
    while let Some(lost) = pings.lost.last()
        && lost.number == pings.sent
        && lost.at > decided
    {
        pings.sent -= 1;
        pings.lost.pop();
    }
    pings
}

#[cfg(test)]
mod tests {
    use super::super::Lost;
    use super::*;

    fn lost(number: u32, milliseconds: u64) -> Lost {
        Lost { number, at: Duration::from_millis(milliseconds) }
    }

    #[test]
    fn only_the_pings_of_the_last_moment_are_left_out() {
        let pings = Pings {
            sent: 100,
            received: 97,
            lost: vec![lost(50, 500), lost(99, 980), lost(100, 990)],
            median: None,
        };
        let stopped = SystemTime::UNIX_EPOCH + Duration::from_secs(11);
        let counted = without_undecided(pings, Some(10.0), stopped);
        assert_eq!((counted.sent, counted.lost), (98, vec![lost(50, 500)]));
    }
}
