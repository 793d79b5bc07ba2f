//! Looks what has changed, for all sessions at once.

use crate::Options;
use karez_control::{Control, Failure, Lease};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

/// The revisions of the nodes and the leases of the sessions here. Clones share them.
#[derive(Clone)]
pub(crate) struct Bell {
    control: Control,
    options: Options,
    revisions: watch::Sender<Arc<BTreeMap<String, i64>>>,
    leases: Arc<Mutex<BTreeSet<Lease>>>,
    lost: watch::Sender<Arc<BTreeSet<Lease>>>,
}

impl Bell {
    pub(crate) fn new(control: Control, options: Options) -> Self {
        Self {
            control,
            options,
            revisions: watch::Sender::new(Arc::default()),
            leases: Arc::default(),
            lost: watch::Sender::new(Arc::default()),
        }
    }

    /// The desired revisions of all nodes as last looked at.
    pub(crate) fn revisions(&self) -> watch::Receiver<Arc<BTreeMap<String, i64>>> {
        self.revisions.subscribe()
    }

    /// The leases that could not be renewed because they are no longer the node's.
    pub(crate) fn lost(&self) -> watch::Receiver<Arc<BTreeSet<Lease>>> {
        self.lost.subscribe()
    }

    /// The agent of a session was heard: its lease is renewed with the next batch.
    pub(crate) fn heard(&self, lease: &Lease) {
        self.leases().insert(lease.clone());
    }

    /// A session is over.
    pub(crate) fn forget(&self, lease: &Lease) {
        self.leases().remove(lease);
    }

    /// Looks at each ring and each tick; renews leases each third of their time.
    pub(crate) async fn run(self) {
        let mut doorbell = self.control.store().doorbell();
        let mut look = interval(self.options.look);
        let mut renewal = interval(self.options.lease / 3);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                rung = doorbell.changed() => match rung {
                    Ok(()) => self.look().await,
                    Err(_) => return,
                },
                _ = look.tick() => self.look_around().await,
                _ = renewal.tick() => self.renew().await,
            };
            if let Err(error) = done {
                tracing::warn!(%error, "the state of the nodes cannot be looked at; trying again");
            }
        }
    }

    async fn look(&self) -> Result<(), Failure> {
        match self.control.schedule().await? {
            0 => {}
            placed => tracing::info!(placed, "routers were given to nodes"),
        }
        let revisions = self.control.desired_revisions().await?;
        self.revisions.send_if_modified(|known| {
            let is_other = **known != revisions;
            if is_other {
                *known = Arc::new(revisions);
            }
            is_other
        });
        Ok(())
    }

    async fn look_around(&self) -> Result<(), Failure> {
        self.look().await?;
        match self.control.mark_unattended().await? {
            0 => {}
            marked => tracing::warn!(marked, "services and connections are without a living agent"),
        }
        Ok(())
    }

    /// Who was not heard since the last time is not renewed.
    async fn renew(&self) -> Result<(), Failure> {
        let heard = std::mem::take(&mut *self.leases());
        if heard.is_empty() {
            return Ok(());
        }
        let lost = self.control.renew(heard.into_iter().collect(), self.options.lease).await?;
        if !lost.is_empty() {
            self.lost.send_replace(Arc::new(lost.into_iter().collect()));
        }
        Ok(())
    }

    fn leases(&self) -> std::sync::MutexGuard<'_, BTreeSet<Lease>> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
