//! The one thread that writes.

use super::connection::Local;
use crate::Error;
use crate::store::{ATTEMPTS, Job, Verdict};
use crate::tx::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::{JoinHandle, current};
use tokio::sync::oneshot;

/// Most use cases of one transaction, so that the first of them does not wait for ever.
const BATCH: usize = 64;

/// When it is dropped, what has arrived is still done, and the file is closed: SQLite then moves what stands beside the
/// database into it, so that a copy of the one file is whole.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Queued>>,
    thread: Option<JoinHandle<()>>,
}

struct Queued {
    job: Job,
    done: oneshot::Sender<Result<(), Error>>,
}

impl Writer {
    pub(super) fn start(local: Local) -> Result<Self, Error> {
        let (queue, arrivals) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || write_all(local, &arrivals))
            .map_err(|error| Error::Unavailable(format!("no thread for the writer: {error}")))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) async fn write(&self, job: Job) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        let gone = || Error::Unavailable("the writer has stopped".into());
        let queue = self.queue.as_ref().ok_or_else(gone)?;
        queue.send(Queued { job, done }).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        // A job that holds the last of the store would wait for itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != current().id()) {
            // It catches what panics in it.
            let _ = thread.join();
        }
    }
}

fn write_all(mut local: Local, arrivals: &mpsc::Receiver<Queued>) {
    while let Ok(first) = arrivals.recv() {
        let mut batch = vec![first];
        batch.extend(arrivals.try_iter().take(BATCH - 1));
        // Who asked for it has gone before it was begun.
        batch.retain(|queued| !queued.done.is_closed());
        // Another process holds the database for longer than we wait: it would for each of them.
        if let Err(error) = local.command("BEGIN IMMEDIATE") {
            for queued in batch {
                let _ = queued.done.send(Err(error.clone()));
            }
            continue;
        }
        if together(&mut local, &mut batch).is_ok() {
            for queued in batch {
                let _ = queued.done.send(Ok(()));
            }
            continue;
        }
        // One of them, or the disk, broke the whole transaction: let each stand alone, so that
        // only those that cannot be done are refused.
        for mut queued in batch {
            let result = local.command("BEGIN IMMEDIATE");
            let result = result.and_then(|()| together(&mut local, std::slice::from_mut(&mut queued)));
            let _ = queued.done.send(result);
        }
    }
}

/// Runs the batch in the transaction that has begun, each job in a savepoint, and ends it. After an
/// error nothing of it is kept.
fn together(local: &mut Local, batch: &mut [Queued]) -> Result<(), Error> {
    let result = batch.iter_mut().try_for_each(|queued| guarded(local, &mut queued.job));
    let result = result.and_then(|()| local.command("COMMIT"));
    roll_back(local);
    result
}

fn guarded(local: &mut Local, job: &mut Job) -> Result<(), Error> {
    local.command("SAVEPOINT job")?;
    match caught(|| run_in_savepoint(local, job)) {
        Ok(Verdict::Commit) => {}
        Ok(Verdict::Rollback | Verdict::Again) => local.command("ROLLBACK TO job")?,
        Err(error) => return Err(error),
    }
    if !local.is_in_transaction() {
        return Err(Error::Unavailable("SQLite gave up the transaction".into()));
    }
    local.command("RELEASE job")
}

/// A job that is run again begins where the savepoint did.
fn run_in_savepoint(local: &mut Local, job: &mut Job) -> Result<Verdict, Error> {
    for _ in 1..ATTEMPTS {
        match job(local) {
            Verdict::Again => local.command("ROLLBACK TO job")?,
            verdict @ (Verdict::Commit | Verdict::Rollback) => return Ok(verdict),
        }
    }
    Ok(job(local))
}

/// Runs one piece of work, which is no use case, in a transaction.
pub(super) fn alone(
    local: &mut Local,
    work: impl FnOnce(&mut dyn Connection) -> Result<(), Error>,
) -> Result<(), Error> {
    local.command("BEGIN IMMEDIATE")?;
    let result = caught(|| work(local)).and_then(|()| local.command("COMMIT"));
    roll_back(local);
    result
}

/// Leaves no transaction open, whatever happened.
fn roll_back(local: &Local) {
    if local.is_in_transaction()
        && let Err(error) = local.command("ROLLBACK")
    {
        tracing::error!(%error, "a transaction could not be rolled back");
    }
}

/// A use case that panics must not take the writer with it.
fn caught<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Bug("a use case panicked".into())))
}
