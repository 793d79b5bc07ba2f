//! Where the clock and randomness come in. Everything else takes them as arguments.

use std::time::SystemTime;
use tokio::time::Instant;

/// The time of day.
#[allow(clippy::disallowed_methods, reason = "this is the edge that reads the clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// A point on the clock that only goes forward.
#[allow(clippy::disallowed_methods, reason = "this is the edge that reads the clock")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Random bytes that nobody can foresee.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // It fails only before the system's generator is seeded, which is long before we run. Zeros would
    // be foreseen: there is nothing to go on with.
    aws_lc_rs::rand::fill(&mut bytes).unwrap_or_else(|_| std::process::abort());
    bytes
}

/// A random number.
pub(crate) fn random() -> u64 {
    u64::from_ne_bytes(random_bytes())
}
