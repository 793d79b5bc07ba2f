//! How often a password may be tried.
//!
//! An attempt is counted per user and source address, so that an attacker elsewhere cannot lock
//! the real user out, and per source address over all users. A right password takes its attempt
//! back. The counters are the generic cell rate algorithm (ITU-T I.371) in a table of fixed size:
//! its memory is bounded by construction, whatever is tried. Two keys may share a cell; nobody
//! can choose to, because the hash is keyed with randomness of this process.

use super::error::Error;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicI64, Ordering};

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

pub(super) struct Throttle {
    /// When each cell is empty again, in microseconds since 1970.
    cells: Box<[AtomicI64]>,
    hasher: RandomState,
}

/// An attempt that was admitted. It counts as failed unless it is taken back.
#[must_use]
pub(super) struct Attempt {
    cells: [(usize, Rate); 2],
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self { cells: (0..CELLS).map(|_| AtomicI64::new(0)).collect(), hasher: RandomState::new() }
    }

    /// Counts an attempt to authenticate as `user` from `source`.
    ///
    /// # Errors
    /// [`Error::TooManyAttempts`].
    pub(super) fn admit(&self, user: &str, source: IpAddr, now: i64) -> Result<Attempt, Error> {
        let source = network(source);
        let all = (self.cell(&source), PER_SOURCE);
        let one = (self.cell(&(user, source)), PER_USER_AND_SOURCE);
        self.take(all, now)?;
        self.take(one, now).inspect_err(|_| self.give_back(all))?;
        Ok(Attempt { cells: [all, one] })
    }

    /// Takes an attempt back that turned out to be right.
    pub(super) fn succeeded(&self, attempt: Attempt) {
        for cell in attempt.cells {
            self.give_back(cell);
        }
    }

    fn take(&self, (cell, rate): (usize, Rate), now: i64) -> Result<(), Error> {
        let next = |empty_at: i64| empty_at.max(now).saturating_add(rate.interval);
        let wait = |empty_at: i64| next(empty_at) - now - rate.burst * rate.interval;
        self.cells[cell]
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |empty_at| {
                (wait(empty_at) <= 0).then(|| next(empty_at))
            })
            .map(drop)
            .map_err(|empty_at| Error::TooManyAttempts {
                retry_after: u64::try_from(wait(empty_at)).unwrap_or(0).div_ceil(1_000_000),
            })
    }

    fn give_back(&self, (cell, rate): (usize, Rate)) {
        self.cells[cell].fetch_sub(rate.interval, Ordering::AcqRel);
    }

    fn cell(&self, key: &impl std::hash::Hash) -> usize {
        self.hasher.hash_one(key) as usize % CELLS
    }
}

/// What one attacker is likely to own: an IPv4 address, or the 64-bit prefix of an IPv6 one.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests;
