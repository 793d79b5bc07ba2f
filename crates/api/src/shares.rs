//! What one project may have of the server: so many requests at work at a time. Others of it wait, and only so many do.

use karez_control::Failure;
use karez_model::{Caller, Reason};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// For each request at work as many may wait.
const WAITING: usize = 16;

/// The shares of those who have requests here. Clones share them.
#[derive(Clone)]
pub(crate) struct Shares {
    most: usize,
    all: Arc<Mutex<HashMap<String, Arc<Project>>>>,
}

struct Project {
    permits: Arc<Semaphore>,
    /// Those at work and those who wait.
    here: AtomicUsize,
}

/// While it lives, a request is at work.
pub(crate) struct Share {
    // Dropped in this order.
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// One request among those of its project.
struct Place {
    shares: Shares,
    key: String,
    project: Arc<Project>,
}

impl Shares {
    /// `most` requests of a project at a time.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, all: Arc::default() }
    }

    /// Waits until one more request of the caller's project may work. Whoever has no project is one by himself.
    ///
    /// # Errors
    /// [`Reason::ServiceUnavailable`] when too many wait already.
    pub(crate) async fn of(&self, caller: &Caller) -> Result<Share, Failure> {
        let place = self.place(caller, self.most * (1 + WAITING)).ok_or_else(|| self.busy())?;
        self.enter(place).await
    }

    /// The same for the rest of an answer that has begun, which is never too much.
    pub(crate) async fn of_rest(&self, caller: &Caller) -> Result<Share, Failure> {
        let place = self.place(caller, usize::MAX).ok_or_else(|| self.busy())?;
        self.enter(place).await
    }

    async fn enter(&self, place: Place) -> Result<Share, Failure> {
        let permits = Arc::clone(&place.project.permits);
        let permit = permits.acquire_owned().await.map_err(|_| self.busy())?;
        Ok(Share { _permit: permit, _place: place })
    }

    fn place(&self, caller: &Caller, bound: usize) -> Option<Place> {
        let key = caller.project_id().unwrap_or(&caller.user_id);
        let mut all = self.all();
        let project = match all.get(key) {
            Some(project) => Arc::clone(project),
            None => {
                let permits = Arc::new(Semaphore::new(self.most));
                let project = Arc::new(Project { permits, here: AtomicUsize::new(0) });
                all.insert(key.to_owned(), Arc::clone(&project));
                project
            }
        };
        if project.here.load(Ordering::Acquire) >= bound {
            return None;
        }
        project.here.fetch_add(1, Ordering::AcqRel);
        Some(Place { shares: self.clone(), key: key.to_owned(), project })
    }

    fn busy(&self) -> Failure {
        let message = format!(
            "{} requests of this project are at work and {} more wait; try again in a moment",
            self.most,
            self.most * WAITING
        );
        Failure::fault(Reason::ServiceUnavailable, message)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Project>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    /// A project without requests is forgotten.
    fn drop(&mut self) {
        let mut all = self.shares.all();
        if self.project.here.fetch_sub(1, Ordering::AcqRel) == 1 {
            all.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use karez_model::Scope;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    fn of(project: &str) -> Caller {
        Caller {
            user_id: "user".into(),
            scope: Scope::Project(project.into()),
            domain_id: "default".into(),
            roles: Vec::new(),
        }
    }

    fn poll<T>(waiting: &mut Pin<Box<impl Future<Output = T>>>) -> Poll<T> {
        waiting.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    }

    fn is_at_work<T>(polled: &Poll<Result<T, Failure>>) -> bool {
        matches!(polled, Poll::Ready(Ok(_)))
    }

    #[test]
    fn one_project_waits_for_itself_and_for_no_other() {
        let shares = Shares::new(2);
        let (busy, other) = (of("busy"), of("other"));
        let mut at_work: Vec<_> = (0..2).map(|_| poll(&mut Box::pin(shares.of(&busy)))).collect();
        assert!(at_work.iter().all(is_at_work));
        let mut third = Box::pin(shares.of(&busy));
        assert!(poll(&mut third).is_pending());
        assert!(is_at_work(&poll(&mut Box::pin(shares.of(&other)))));
        at_work.pop();
        assert!(is_at_work(&poll(&mut third)));
    }

    #[test]
    fn too_many_are_told_to_come_again_and_the_rest_of_an_answer_is_not() {
        let shares = Shares::new(2);
        let busy = of("busy");
        let mut all: Vec<_> = (0..2 * (1 + WAITING)).map(|_| Box::pin(shares.of(&busy))).collect();
        let polled: Vec<_> = all.iter_mut().map(poll).collect();
        assert_eq!(polled.iter().filter(|polled| is_at_work(polled)).count(), 2);
        assert!(matches!(poll(&mut Box::pin(shares.of(&busy))), Poll::Ready(Err(_))));
        assert!(poll(&mut Box::pin(shares.of_rest(&busy))).is_pending());
        drop((all, polled));
        assert!(shares.all().is_empty(), "forgotten");
    }
}
