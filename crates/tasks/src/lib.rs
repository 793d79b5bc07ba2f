//! Tasks that go on for as long as the process does. One that panics is told with its place and begun again from the
//! facts; one that does so again and again ends the process, for whoever watches over that to see. Nothing lives on
//! without a part of itself.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep};

/// The exit code of a process whose task panics again and again (`EX_SOFTWARE` of sysexits).
pub const EXIT: i32 = 70;

/// The panics of one task within [`WINDOW`] that are one too many.
const TOO_MANY: usize = 5;

/// See [`TOO_MANY`].
const WINDOW: Duration = Duration::from_secs(60);

/// Before a task is begun again.
const PAUSE: Duration = Duration::from_millis(200);

/// From now on a panic is a line in the log, with its place, and not text on standard error.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        let why = panic.payload_as_str().unwrap_or("it does not say why");
        tracing::error!(place, thread, why, "a panic: please report it as a bug");
    }));
}

/// Runs a task until it ends by itself, and begins it anew after each panic. Ends the process with [`EXIT`] when there are
/// five of them in a minute.
pub async fn keep_up<F: Future<Output = ()>>(task: impl Display, mut begin: impl FnMut() -> F) {
    let mut panics = Panics::default();
    loop {
        let running = async {
            #[cfg(debug_assertions)]
            fault::strike(&task);
            begin().await;
        };
        if AssertUnwindSafe(running).catch_unwind().await.is_ok() {
            return;
        }
        if panics.is_one_too_many(now()) {
            give_up(&task);
        }
        tracing::error!(%task, "a task panicked; it is begun again");
        sleep(PAUSE).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "when a panic came is nobody's to say but the clock's")]
fn now() -> Instant {
    Instant::now()
}

#[allow(clippy::exit, reason = "what is half dead must not go on")]
fn give_up(task: &impl Display) -> ! {
    tracing::error!(%task, "a task panics again and again; the process ends");
    // The log may be what does not work. There is nobody to tell that this does not, either.
    let _ = writeln!(std::io::stderr(), "karez: the task {task} panics again and again");
    std::process::exit(EXIT)
}

/// When a task panicked.
#[derive(Debug, Default)]
struct Panics(VecDeque<Instant>);

impl Panics {
    /// Counts one more.
    fn is_one_too_many(&mut self, now: Instant) -> bool {
        self.0.push_back(now);
        self.0.retain(|panic| now.duration_since(*panic) < WINDOW);
        self.0.len() >= TOO_MANY
    }
}

/// Panics that tests ask for, in builds that are not for release.
#[cfg(debug_assertions)]
mod fault {
    use std::collections::BTreeMap;
    use std::fmt::Display;
    use std::sync::{Mutex, OnceLock, PoisonError};

    /// Panics if the environment asks for it: `KAREZ_FAULT=agent:2,look:1` is that many times for tasks of such names.
    pub(super) fn strike(task: &impl Display) {
        static LEFT: OnceLock<Mutex<BTreeMap<String, u32>>> = OnceLock::new();
        let read = || {
            let faults = std::env::var("KAREZ_FAULT").unwrap_or_default();
            let fault = |fault: &str| {
                let (task, times) = fault.rsplit_once(':')?;
                Some((task.to_owned(), times.parse().ok()?))
            };
            Mutex::new(faults.split(',').filter_map(fault).collect())
        };
        let left = LEFT.get_or_init(read);
        let is_struck = {
            let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
            left.get_mut(&task.to_string()).filter(|left| **left > 0).map(|left| *left -= 1).is_some()
        };
        assert!(!is_struck, "KAREZ_FAULT asks for this panic");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_begun_again_until_it_ends() {
        let begun = Cell::new(0);
        keep_up("a task", || {
            begun.set(begun.get() + 1);
            let number = begun.get();
            async move { assert!(number > 3, "not yet") }
        })
        .await;
        assert_eq!(begun.get(), 4);
    }

    #[test]
    fn five_in_a_minute_are_one_too_many_and_over_longer_they_are_not() {
        let start = now();
        let mut panics = Panics::default();
        for seconds in [0, 20, 40, 59] {
            assert!(!panics.is_one_too_many(start + Duration::from_secs(seconds)));
        }
        assert!(!panics.is_one_too_many(start + Duration::from_secs(60)), "the first is forgotten");
        assert!(panics.is_one_too_many(start + Duration::from_secs(61)));
    }
}
