//! PostgreSQL: a few threads with a connection each, which take use cases from one queue.

mod bell;
mod connection;
mod worker;

use crate::Error;
use crate::store::Job;
use crate::tx::Connection;
use bell::Bell;
use connection::Remote;
pub(crate) use connection::away;
use std::sync::{Arc, Mutex, mpsc};
use tokio::sync::oneshot;
use worker::{Mode, Outage, Queued};
use zeroize::Zeroizing;

/// Connections at most. More of them than the database has cores to serve only makes it slower.
const CONNECTIONS: usize = 12;

pub(crate) struct Postgres {
    queue: mpsc::Sender<Queued>,
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
        let (queue, arrivals) = mpsc::channel();
        let arrivals = Arc::new(Mutex::new(arrivals));
        let outage = Outage::default();
        let mut ready = Some(first);
        for number in 0..CONNECTIONS {
            worker::start(number, config.clone(), outage.clone(), Arc::clone(&arrivals), ready.take())?;
        }
        Ok(Self { queue, bell: Bell::hang(&config, on_ring)? })
    }

    /// Has the other servers of this database look.
    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    pub(crate) async fn read(&self, job: Job) -> Result<(), Error> {
        self.run(job, Mode::Read).await
    }

    pub(crate) async fn write(&self, job: Job) -> Result<(), Error> {
        self.run(job, Mode::Write).await
    }

    async fn run(&self, job: Job, mode: Mode) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        let gone = || Error::Unavailable("the database threads have stopped".into());
        self.queue.send(Queued { job, mode, done }).map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}
