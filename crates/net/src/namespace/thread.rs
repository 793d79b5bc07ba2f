//! Threads that enter a namespace, do one thing there and end.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use super::Namespace;
use crate::Error;

impl Namespace {
    /// Does `work` on a thread inside this namespace and waits for it. What `work` opens (a socket, a process) belongs
    /// to the namespace; the calling thread stays where it is. A panic in `work` goes on in the caller.
    ///
    /// # Errors
    ///
    /// [`Error::Denied`] or [`Error::System`] when there is no thread to be had or the namespace cannot be entered.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
        fresh(self.name(), || self.enter().map(|()| work()))?
    }

    /// As [`Namespace::run`], without blocking the calling task. When the future is dropped, `work` goes on to its end.
    ///
    /// # Errors
    ///
    /// As [`Namespace::run`].
    pub async fn run_async<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, receiver) = oneshot::channel();
        let namespace = self.clone();
        let job = move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| namespace.enter().map(|()| work())));
            // Nobody waits any more when the future was dropped.
            let _ = sender.send(outcome);
        };
        builder().spawn(job).map_err(|source| self.no_thread(source))?;
        match receiver.await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => Err(self.no_thread(std::io::Error::other("it ended without an answer"))),
        }
    }

    /// Moves the calling thread into the namespace, for good.
    fn enter(&self) -> Result<(), Error> {
        setns(self, CloneFlags::CLONE_NEWNET).map_err(|errno| Error::system(self, "enter it", errno))
    }

    fn no_thread(&self, source: std::io::Error) -> Error {
        Error::system(self, "start a thread", source)
    }
}

/// Does `work` on a thread that nothing else will run on.
pub(super) fn fresh<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = builder()
            .spawn_scoped(scope, work)
            .map_err(|source| Error::system(namespace, "start a thread", source))?;
        match thread.join() {
            Ok(result) => Ok(result),
            Err(panic) => resume_unwind(panic),
        }
    })
}

fn builder() -> thread::Builder {
    thread::Builder::new().name("karez-netns".to_owned())
}
