//! SQLite in this process: threads that read with a connection each, one writer thread with group commit.
//!
//! A commit in `synchronous = FULL` waits for the disk. Use cases that arrive meanwhile are run
//! together in the next transaction, each in a savepoint of its own, so that many of them share
//! one wait. None is answered before the commit that holds it has returned.

mod connection;
mod reader;
mod writer;

use crate::Error;
use crate::lanes::Lane::{self, Brief, Duty, Long};
use crate::store::{Job, Mode, Queued};
use crate::tx::Connection;
use crate::workers::Workers;
use connection::Local;
use std::path::Path;

/// What each of the readers serves. Two for requests alone, as there are two cores on small machines: what is long never
/// has all of them.
const READERS: [&[Lane]; 5] =
    [&[Duty], &[Duty, Brief], &[Duty, Brief], &[Duty, Brief, Long], &[Duty, Brief, Long]];

pub(crate) struct Sqlite {
    readers: Workers<Queued>,
    writer: Workers<Queued>,
}

impl Sqlite {
    pub(crate) fn open(
        path: &Path,
        migrate: impl FnOnce(&mut dyn Connection) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut local = Local::open(path, true)?;
        writer::alone(&mut local, migrate)?;
        let readers = READERS.iter().map(|_| Local::open(path, false)).collect::<Result<Vec<_>, _>>()?;
        let readers = readers.into_iter().zip(READERS);
        let readers = readers.map(|(local, serves)| (serves, reader::serving(local))).collect();
        let writer = vec![(&[Duty, Brief, Long] as &[Lane], writer::serving(local))];
        Ok(Self {
            readers: Workers::start("sqlite-reader", readers)?,
            writer: Workers::start("sqlite-writer", writer)?,
        })
    }

    pub(crate) async fn read(&self, lane: Lane, job: Job) -> Result<(), Error> {
        Queued::run(&self.readers, lane, Mode::Read, job).await
    }

    pub(crate) async fn write(&self, lane: Lane, job: Job) -> Result<(), Error> {
        Queued::run(&self.writer, lane, Mode::Write, job).await
    }
}

impl Drop for Sqlite {
    /// The writer closes the file last: SQLite then moves what stands beside the database into it, so that a copy of the one
    /// file is whole.
    fn drop(&mut self) {
        self.readers.end();
        self.writer.end();
    }
}
