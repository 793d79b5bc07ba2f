//! What time it is. The edge of this room: everything below takes the time from here, so that a
//! test can own it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of the time, in microseconds since 1970 UTC.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<AtomicI64>>);

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands still until it is told to go on. For tests.
    #[must_use]
    pub fn manual(micros: i64) -> Self {
        Self(Some(Arc::new(AtomicI64::new(micros))))
    }

    /// Moves a manual clock; the machine's clock goes on by itself.
    pub fn advance(&self, by: Duration) {
        if let Some(micros) = &self.0 {
            micros.fetch_add(micros_of(by), Ordering::SeqCst);
        }
    }

    /// The time now.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the edge that reads the clock")]
    pub fn now(&self) -> i64 {
        match &self.0 {
            Some(micros) => micros.load(Ordering::SeqCst),
            None => micros_of(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
        }
    }
}

/// A span of time in microseconds.
pub(crate) fn micros_of(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
