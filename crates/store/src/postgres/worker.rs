//! The threads that serve the lanes.

#![allow(clippy::disallowed_methods, reason = "how long the database has been away is told by the clock")]

use super::connection::Remote;
use crate::Error;
use crate::store::{ATTEMPTS, Mode, Queued, Verdict};
use crate::workers::Serve;
use postgres::Config;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long nobody tries again to connect after somebody could not: those who wait in the queue
/// get their answer at once instead of one time-out after the other.
const PAUSE: Duration = Duration::from_millis(500);

/// When the database was last found to be away.
#[derive(Clone, Default)]
pub(super) struct Outage(Arc<Mutex<Option<(Instant, Error)>>>);

impl Outage {
    fn connect(&self, config: &Config) -> Result<Remote, Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, error)) = known.filter(|(since, _)| since.elapsed() < PAUSE) {
            return Err(error);
        }
        Remote::connect(config).inspect_err(|error| {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), error.clone()));
        })
    }
}

/// Answers what asks, on a connection that is made when it is needed first.
pub(super) fn serving(config: Config, outage: Outage, mut remote: Option<Remote>) -> Serve<Queued> {
    Box::new(move |arrivals| {
        while let Some(mut queued) = arrivals.take() {
            if queued.is_given_up() {
                continue;
            }
            let result =
                catch_unwind(AssertUnwindSafe(|| attend(&config, &outage, &mut remote, &mut queued)));
            let result = result.unwrap_or_else(|_| {
                remote = None;
                Err(Error::Bug("a use case panicked".into()))
            });
            queued.answer(result);
        }
    })
}

/// Runs the job, on a new connection when the old one has gone. A connection that turns out to be
/// dead before the job has begun is replaced at once, so that a restarted database goes unnoticed.
fn attend(
    config: &Config,
    outage: &Outage,
    remote: &mut Option<Remote>,
    queued: &mut Queued,
) -> Result<(), Error> {
    for attempt in 1..=ATTEMPTS {
        let was_open = remote.is_some();
        let connection = match remote {
            Some(connection) => connection,
            None => remote.insert(outage.connect(config)?),
        };
        let outcome = once(connection, queued);
        let is_closed = connection.is_closed();
        if is_closed {
            *remote = None;
        }
        match outcome {
            Ok(Verdict::Commit | Verdict::Rollback) => return Ok(()),
            Ok(Verdict::Again) if attempt == ATTEMPTS => return Ok(()),
            Ok(Verdict::Again) => {}
            Err(Failed { error, before_commit }) => {
                if !(is_closed && was_open && before_commit && attempt == 1) {
                    return Err(error);
                }
            }
        }
    }
    Ok(())
}

struct Failed {
    error: Error,
    before_commit: bool,
}

fn once(connection: &mut Remote, queued: &mut Queued) -> Result<Verdict, Failed> {
    let early = |error| Failed { error, before_commit: true };
    if queued.mode == Mode::Read {
        let verdict = (queued.job)(connection);
        return if connection.is_closed() { Err(early(lost())) } else { Ok(verdict) };
    }
    connection.begin().map_err(early)?;
    let verdict = (queued.job)(connection);
    if connection.is_closed() {
        return Err(early(lost()));
    }
    match verdict {
        Verdict::Commit => match connection.commit() {
            Ok(()) => Ok(Verdict::Commit),
            Err(Error::Stale) => Ok(Verdict::Again),
            Err(error) => Err(Failed { error, before_commit: false }),
        },
        Verdict::Rollback | Verdict::Again => connection.command("ROLLBACK").map(|()| verdict).map_err(early),
    }
}

fn lost() -> Error {
    Error::Unavailable("the connection to the database was lost".into())
}
