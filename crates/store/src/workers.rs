//! Threads that serve lanes for as long as their owner lives.

use crate::Error;
use crate::lanes::{Lane, Lanes};
use std::sync::Arc;
use std::thread::{JoinHandle, current};

/// What a thread does: takes work until there is no more.
pub(crate) type Serve<T> = Box<dyn FnMut(&Arrivals<T>) + Send>;

/// Where a thread gets its work.
pub(crate) struct Arrivals<T> {
    lanes: Arc<Lanes<T>>,
    thread: usize,
}

impl<T> Arrivals<T> {
    /// Waits for work. Nothing when the owner has gone and all is done.
    pub(crate) fn take(&self) -> Option<T> {
        self.lanes.take(self.thread)
    }

    /// Work that is there already.
    pub(crate) fn try_take(&self) -> Option<T> {
        self.lanes.try_take(self.thread)
    }
}

/// When it is dropped the threads end once what has arrived is done.
pub(crate) struct Workers<T> {
    lanes: Arc<Lanes<T>>,
    threads: Vec<JoinHandle<()>>,
}

impl<T: Send + 'static> Workers<T> {
    /// A thread for each entry, which serves those lanes.
    pub(crate) fn start(name: &str, serving: Vec<(&'static [Lane], Serve<T>)>) -> Result<Self, Error> {
        let lanes = Arc::new(Lanes::new(serving.iter().map(|(serves, _)| *serves).collect()));
        let mut workers = Self { lanes, threads: Vec::with_capacity(serving.len()) };
        for (thread, (_, mut serve)) in serving.into_iter().enumerate() {
            let arrivals = Arrivals { lanes: Arc::clone(&workers.lanes), thread };
            let spawned = std::thread::Builder::new().name(format!("{name}-{thread}"));
            let spawned = spawned.spawn(move || serve(&arrivals));
            let spawned = spawned
                .map_err(|error| Error::Unavailable(format!("no thread for the database: {error}")))?;
            workers.threads.push(spawned);
        }
        Ok(workers)
    }

    /// Returns the work when the threads have been told to end.
    pub(crate) fn put(&self, lane: Lane, work: T) -> Result<(), T> {
        self.lanes.put(lane, work)
    }
}

impl<T> Workers<T> {
    /// Takes no more work, and waits until what has arrived is done and the threads have ended.
    pub(crate) fn end(&mut self) {
        self.lanes.close();
        // A job that holds the last of the store would wait for itself.
        let others = self.threads.drain(..).filter(|thread| thread.thread().id() != current().id());
        for thread in others {
            // They catch what panics in a job.
            let _ = thread.join();
        }
    }
}

impl<T> Drop for Workers<T> {
    fn drop(&mut self) {
        self.lanes.close();
    }
}
