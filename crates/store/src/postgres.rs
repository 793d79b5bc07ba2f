//! PostgreSQL: a few threads with a connection each.

mod bell;
mod connection;
mod worker;

use crate::Error;
use crate::lanes::Lane::{self, Brief, Duty, Long};
use crate::store::{Job, Mode, Queued};
use crate::tx::Connection;
use crate::workers::Workers;
use bell::Bell;
use connection::Remote;
pub(crate) use connection::away;
use worker::Outage;
use zeroize::Zeroizing;

/// What each of the connections serves, at most. More of them than the database has cores to serve only makes it slower.
/// What is long never has all of them.
const CONNECTIONS: [&[Lane]; 13] = [
    &[Duty],
    &[Duty, Brief],
    &[Duty, Brief],
    &[Duty, Brief],
    &[Duty, Brief],
    &[Duty, Brief],
    &[Duty, Brief],
    &[Duty, Brief],
    &[Duty, Brief],
    &[Duty, Brief, Long],
    &[Duty, Brief, Long],
    &[Duty, Brief, Long],
    &[Duty, Brief, Long],
];

pub(crate) struct Postgres {
    workers: Workers<Queued>,
    bell: Bell,
}

impl Postgres {
    pub(crate) fn open(
        url: Zeroizing<String>,
        migrate: impl FnOnce(&mut dyn Connection) -> Result<(), Error>,
        on_ring: impl Fn() + Send + 'static,
    ) -> Result<Self, Error> {
        let config = connection::configure(&url)?;
        let mut first = Remote::connect(&config)?;
        first.command("BEGIN")?;
        // Replicas that start together migrate one after the other.
        first.command("SELECT pg_advisory_xact_lock(7525893)")?;
        migrate(&mut first)?;
        first.command("COMMIT")?;
        let outage = Outage::default();
        let mut ready = Some(first);
        let serving = |serves| (serves, worker::serving(config.clone(), outage.clone(), ready.take()));
        let workers = Workers::start("postgres", CONNECTIONS.into_iter().map(serving).collect())?;
        Ok(Self { workers, bell: Bell::hang(&config, on_ring)? })
    }

    /// Has the other servers of this database look.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    pub(crate) async fn read(&self, lane: Lane, job: Job) -> Result<(), Error> {
        Queued::run(&self.workers, lane, Mode::Read, job).await
    }

    pub(crate) async fn write(&self, lane: Lane, job: Job) -> Result<(), Error> {
        Queued::run(&self.workers, lane, Mode::Write, job).await
    }
}
