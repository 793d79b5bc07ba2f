//! The edge where this crate reads the clock and draws lots. Everything else takes them as arguments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;

/// Microseconds since 1970 UTC.
#[allow(clippy::disallowed_methods, reason = "this is the edge")]
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// From `now` until `at`; nothing when it is past.
pub(crate) fn until(at: i64, now: i64) -> Duration {
    Duration::from_micros(u64::try_from(at.saturating_sub(now)).unwrap_or(0))
}

/// A random number below `bound`; 0 when there is no randomness or nothing to choose from.
pub(crate) fn lot(bound: i64) -> i64 {
    let mut octets = [0; 8];
    if bound <= 0 || aws_lc_rs::rand::fill(&mut octets).is_err() {
        return 0;
    }
    (i64::from_be_bytes(octets) & i64::MAX) % bound
}
