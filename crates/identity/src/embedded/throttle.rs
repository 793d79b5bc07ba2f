//! How often a password may be tried.
//!
//! What fails is counted per user and source address, so that an attacker elsewhere cannot lock
//! the real user out, and per source address over all users. A source that has failed too often still has one attempt for each
//! user that did not fail from there lately: whoever guesses behind an address does not lock out everybody behind it. A right
//! password is never counted; while it is not known which it is, others wait rather than being refused.
//!
//! The counters are the generic cell rate algorithm (ITU-T I.371) in a table of fixed size: its memory is bounded by
//! construction, whatever is tried. Two keys may share a cell; nobody can choose to, because the hash is keyed with
//! randomness of this process.

use super::error::Error;
use karez_model::address::client_network;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use tokio::sync::Notify;

/// So many attempts may fail in a row; after that, one more each `interval`.
#[derive(Clone, Copy)]
struct Rate {
    burst: i64,
    /// Microseconds.
    interval: i64,
}

const PER_USER_AND_SOURCE: Rate = Rate { burst: 10, interval: 10_000_000 };
const PER_SOURCE: Rate = Rate { burst: 60, interval: 1_000_000 };
const CELLS: usize = 16_384;

/// Attempts of one source whose passwords are being looked at; more of them wait.
const OPEN: u32 = 32;

pub(super) struct Throttle {
    cells: Box<[Cell]>,
    hasher: RandomState,
    /// An attempt is over.
    over: Notify,
}

#[derive(Default)]
struct Cell {
    /// When it is empty again, in microseconds since 1970.
    empty_at: AtomicI64,
    /// Attempts of which it is not known yet whether they fail.
    open: AtomicU32,
}

/// An attempt that was admitted. It counts as failed unless it has succeeded.
#[must_use]
pub(super) struct Attempt<'a> {
    throttle: &'a Throttle,
    user: usize,
    source: usize,
    /// Whether it is counted at its source, too.
    is_counted: bool,
}

/// Why an attempt is not admitted now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too many have failed; seconds until the next one.
    TooMany { retry_after: u64 },
    /// It depends on what becomes of others.
    Busy,
}

impl Throttle {
    pub(super) fn new() -> Self {
        let cells = (0..CELLS).map(|_| Cell::default()).collect();
        Self { cells, hasher: RandomState::new(), over: Notify::new() }
    }

    /// Counts an attempt to authenticate as `user` from `source`, when others before it are over.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub(super) async fn admit(
        &self,
        user: &str,
        source: IpAddr,
        now: impl Fn() -> i64,
    ) -> Result<Attempt<'_>, Error> {
        loop {
            let mut over = pin!(self.over.notified());
            over.as_mut().enable();
            match self.try_admit(user, source, now()) {
                Ok(attempt) => return Ok(attempt),
                Err(Refused::TooMany { retry_after }) => return Err(Error::TooManyAttempts { retry_after }),
                Err(Refused::Busy) => over.await,
            }
        }
    }

    fn try_admit(&self, user: &str, source: IpAddr, now: i64) -> Result<Attempt<'_>, Refused> {
        let source = client_network(source);
        let (user, source) = (self.cell(&(user, source)), self.cell(&source));
        let open = |cell: usize| self.cells[cell].open.load(Ordering::Acquire);
        let refused = |cell, retry_after| match open(cell) {
            0 => Refused::TooMany { retry_after },
            _ => Refused::Busy,
        };
        if open(source) >= OPEN {
            return Err(Refused::Busy);
        }
        let is_clean = self.cells[user].empty_at.load(Ordering::Acquire) <= now;
        self.take(user, PER_USER_AND_SOURCE, now).map_err(|wait| refused(user, wait))?;
        let is_counted = match self.take(source, PER_SOURCE, now) {
            Ok(()) => true,
            Err(_) if is_clean => false,
            Err(wait) => {
                self.give_back(user, PER_USER_AND_SOURCE);
                return Err(refused(source, wait));
            }
        };
        for cell in [user, source] {
            self.cells[cell].open.fetch_add(1, Ordering::AcqRel);
        }
        Ok(Attempt { throttle: self, user, source, is_counted })
    }

    /// Fails with the seconds until there is room.
    fn take(&self, cell: usize, rate: Rate, now: i64) -> Result<(), u64> {
        let next = |empty_at: i64| empty_at.max(now).saturating_add(rate.interval);
        let wait = |empty_at: i64| next(empty_at) - now - rate.burst * rate.interval;
        self.cells[cell]
            .empty_at
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |empty_at| {
                (wait(empty_at) <= 0).then(|| next(empty_at))
            })
            .map(drop)
            .map_err(|empty_at| u64::try_from(wait(empty_at)).unwrap_or(0).div_ceil(1_000_000))
    }

    fn give_back(&self, cell: usize, rate: Rate) {
        self.cells[cell].empty_at.fetch_sub(rate.interval, Ordering::AcqRel);
    }

    fn cell(&self, key: &impl std::hash::Hash) -> usize {
        self.hasher.hash_one(key) as usize % CELLS
    }
}

impl Attempt<'_> {
    /// The password was right, so that nothing is counted.
    pub(super) fn succeeded(self) {
        self.throttle.give_back(self.user, PER_USER_AND_SOURCE);
        if self.is_counted {
            self.throttle.give_back(self.source, PER_SOURCE);
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        for cell in [self.user, self.source] {
            self.throttle.cells[cell].open.fetch_sub(1, Ordering::AcqRel);
        }
        self.throttle.over.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
