//! The one thread that writes.

#![allow(
    clippy::disallowed_methods,
    reason = "how long others may wait for a transaction is told by the clock"
)]

use super::connection::Local;
use crate::Error;
use crate::store::{ATTEMPTS, Job, Queued, Verdict, caught};
use crate::tx::Connection;
use crate::workers::{Arrivals, Serve};
use std::time::{Duration, Instant};

/// Most use cases of one transaction, so that the first of them does not wait for ever.
const BATCH: usize = 64;

/// After so long nothing is added to a transaction: what is due stands behind it.
const LONG_ENOUGH: Duration = Duration::from_millis(20);

pub(super) fn serving(mut local: Local) -> Serve<Queued> {
    Box::new(move |arrivals| {
        while let Some(first) = arrivals.take() {
            transact(&mut local, first, arrivals);
        }
    })
}

/// Runs a job, and what arrives meanwhile, in one transaction.
fn transact(local: &mut Local, first: Queued, arrivals: &Arrivals<Queued>) {
    if first.is_given_up() {
        return;
    }
    // Another process holds the database for longer than we wait: it would for each of them.
    if let Err(error) = local.command("BEGIN IMMEDIATE") {
        let waiting = std::iter::once(first).chain(std::iter::from_fn(|| arrivals.try_take()).take(BATCH));
        return waiting.for_each(|queued| queued.answer(Err(error.clone())));
    }
    let mut batch = Vec::new();
    if together(local, first, arrivals, &mut batch).is_ok() {
        return batch.into_iter().for_each(|queued| queued.answer(Ok(())));
    }
    // One of them, or the disk, broke the whole transaction: let each stand alone, so that
    // only those that cannot be done are refused.
    for mut queued in batch {
        let result = local.command("BEGIN IMMEDIATE");
        let result = result.and_then(|()| guarded(local, &mut queued.job));
        let result = result.and_then(|()| local.command("COMMIT"));
        roll_back(local);
        queued.answer(result);
    }
}

/// Runs jobs in the transaction that has begun, each in a savepoint, and ends it. They are in the batch afterwards; after an
/// error nothing of them is kept.
fn together(
    local: &mut Local,
    first: Queued,
    arrivals: &Arrivals<Queued>,
    batch: &mut Vec<Queued>,
) -> Result<(), Error> {
    let began = Instant::now();
    let mut next = Some(first);
    let mut result = Ok(());
    while let (Some(mut queued), Ok(())) = (next.take(), &result) {
        // Who asked for it may have gone before it was begun.
        if !queued.is_given_up() {
            result = guarded(local, &mut queued.job);
            batch.push(queued);
        }
        if result.is_ok() && batch.len() < BATCH && began.elapsed() < LONG_ENOUGH {
            next = arrivals.try_take();
        }
    }
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
