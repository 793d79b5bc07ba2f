//! SQLite in this process: readers inline, one writer thread with group commit.
//!
//! A commit in `synchronous = FULL` waits for the disk. Use cases that arrive meanwhile are run
//! together in the next transaction, each in a savepoint of its own, so that many of them share
//! one wait. None is answered before the commit that holds it has returned.

mod connection;
mod writer;

use crate::Error;
use crate::store::Job;
use crate::tx::Connection;
use connection::Local;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};
use writer::Writer;

/// Two more than the cores that the small machines have, so that a reader seldom waits.
const READERS: usize = 4;

pub(crate) struct Sqlite {
    readers: Vec<Mutex<Local>>,
    next: AtomicUsize,
    writer: Writer,
}

impl Sqlite {
    pub(crate) fn open(
        path: &Path,
        migrate: impl FnOnce(&mut dyn Connection) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut local = Local::open(path, true)?;
        writer::alone(&mut local, migrate)?;
        let readers = (0..READERS).map(|_| Local::open(path, false).map(Mutex::new));
        let readers = readers.collect::<Result<_, _>>()?;
        Ok(Self { readers, next: AtomicUsize::new(0), writer: Writer::start(local)? })
    }

    /// Runs inline: what a request reads lies in the page cache, and a thread hop would cost more
    /// than the read.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&mut dyn Connection) -> T) -> T {
        for reader in &self.readers {
            match reader.try_lock() {
                Ok(mut reader) => return read(&mut *reader),
                // A use case panicked. Readers have no transaction that it could have left open.
                Err(TryLockError::Poisoned(reader)) => return read(&mut *reader.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
        }
        let at = self.next.fetch_add(1, Ordering::Relaxed) % self.readers.len();
        let mut reader = self.readers[at].lock().unwrap_or_else(PoisonError::into_inner);
        read(&mut *reader)
    }

    pub(crate) async fn write(&self, job: Job) -> Result<(), Error> {
        self.writer.write(job).await
    }
}
