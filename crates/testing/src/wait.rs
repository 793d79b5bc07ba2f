//! Waiting for a condition, with a bound.

use std::time::{Duration, Instant};

/// Asks until `condition` answers something, and fails with `what` once `bound` has passed.
///
/// # Errors
/// Those of the condition, and the bound.
#[allow(clippy::disallowed_methods, reason = "a test waits for real processes in real time")]
pub fn until<T>(
    what: &str,
    bound: Duration,
    mut condition: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        anyhow::ensure!(started.elapsed() < bound, "waited {bound:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
