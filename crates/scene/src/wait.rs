//! Waiting for a condition, with a bound.

use crate::{Error, clock, interrupt};
use std::time::Duration;

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// Looks until `condition` answers something. What it answered last, when that is an `Err(seen)` of the inner result,
/// is part of the error once `bound` has passed.
///
/// # Errors
///
/// [`Error::InVain`], [`Error::Interrupted`], and those of the condition.
pub fn until<T>(
    what: &str,
    bound: Duration,
    mut condition: impl FnMut() -> Result<Result<T, String>, Error>,
) -> Result<T, Error> {
    let begun = clock::now();
    loop {
        let last = match condition()? {
            Ok(found) => return Ok(found),
            Err(seen) => seen,
        };
        if begun.elapsed() >= bound {
            return Err(Error::InVain { what: what.to_owned(), bound, last });
        }
        pause(PAUSE)?;
    }
}

/// Lets time pass that is part of the scene, such as a ping's; not a way to wait for something.
///
/// # Errors
///
/// [`Error::Interrupted`].
pub fn pause(time: Duration) -> Result<(), Error> {
    const STEP: Duration = Duration::from_millis(50);
    let begun = clock::now();
    loop {
        interrupt::check()?;
        let left = time.saturating_sub(begun.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(STEP));
    }
}
