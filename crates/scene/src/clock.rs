//! The one place where a scene reads the clock: it is about real processes in real time.

use std::time::{Instant, SystemTime};

#[allow(clippy::disallowed_methods, reason = "the edge: real processes are waited for in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time that `ping` and packet captures write down.
#[allow(clippy::disallowed_methods, reason = "the edge: captures of packets are compared with it")]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}
