//! Looks what has changed, for all sessions at once.

use crate::Options;
use karez_control::{Control, Failure, Lease, Standing};
use karez_tasks::keep_up;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Where the nodes stand and the leases of the sessions here. Clones share them.
#[derive(Clone)]
pub(crate) struct Bell {
    control: Control,
    options: Options,
    standings: watch::Sender<Arc<BTreeMap<String, Standing>>>,
    heard: Arc<Mutex<BTreeSet<Lease>>>,
    renewal: watch::Sender<Arc<Renewal>>,
    /// Leases could not be renewed since this was last asked.
    has_failed: Arc<AtomicBool>,
}

/// What came out of the last renewal.
#[derive(Default)]
pub(crate) struct Renewal {
    /// The leases that go on from now.
    pub renewed: BTreeSet<Lease>,
    /// Those that are no longer the node's.
    pub lost: BTreeSet<Lease>,
}

impl Bell {
    pub(crate) fn new(control: Control, options: Options) -> Self {
        Self {
            control,
            options,
            standings: watch::Sender::new(Arc::default()),
            heard: Arc::default(),
            renewal: watch::Sender::new(Arc::default()),
            has_failed: Arc::default(),
        }
    }

    /// Where all nodes stood when last looked at.
    pub(crate) fn standings(&self) -> watch::Receiver<Arc<BTreeMap<String, Standing>>> {
        self.standings.subscribe()
    }

    /// What comes out of renewals.
    pub(crate) fn renewals(&self) -> watch::Receiver<Arc<Renewal>> {
        self.renewal.subscribe()
    }

    /// The agent of a session was heard: its lease is renewed with the next batch.
    pub(crate) fn heard(&self, lease: &Lease) {
        self.leases().insert(lease.clone());
    }

    /// A session is over.
    pub(crate) fn forget(&self, lease: &Lease) {
        self.leases().remove(lease);
    }

    /// Looks at each ring and each tick, and renews leases each third of their time: side by side,
    /// so that however much there is to do no lease ends for it.
    pub(crate) async fn run(self) {
        tokio::join!(
            keep_up("look", || self.looking()),
            keep_up("mark", || self.marking()),
            keep_up("renew", || self.renewing())
        );
    }

    async fn looking(&self) {
        let mut doorbell = self.control.store().doorbell();
        let mut look = ticks(self.options.look);
        loop {
            tokio::select! {
                rung = doorbell.changed() => if rung.is_err() { return },
                _ = look.tick() => {}
            }
            self.look().await;
        }
    }

    /// At the start, and after leases could not be renewed, agents have one lease's time to be heard
    /// again before they count as lost.
    async fn marking(&self) {
        let mut look = ticks(self.options.look);
        let mut quiet = self.options.lease;
        loop {
            look.tick().await;
            if self.has_failed.swap(false, Ordering::AcqRel) {
                quiet = self.options.lease;
            }
            self.mark_unattended(quiet.is_zero()).await;
            quiet = quiet.saturating_sub(self.options.look);
        }
    }

    async fn renewing(&self) {
        let mut renewal = ticks(self.options.lease / 3);
        loop {
            renewal.tick().await;
            self.renew().await;
        }
    }

    async fn look(&self) {
        match self.control.schedule().await {
            Ok(0) => {}
            Ok(placed) => tracing::info!(placed, "routers were given to nodes"),
            Err(error) => complain(&error, "routers cannot be given to nodes"),
        }
        let standings = match self.control.standings().await {
            Ok(standings) => standings,
            Err(error) => return complain(&error, "the state of the nodes cannot be looked at"),
        };
        self.standings.send_if_modified(|known| {
            let is_other = **known != standings;
            if is_other {
                *known = Arc::new(standings);
            }
            is_other
        });
    }

    async fn mark_unattended(&self, knows_lost: bool) {
        match self.control.mark_unattended(knows_lost).await {
            Ok(0) => {}
            Ok(marked) => tracing::warn!(marked, "services and connections are without a living agent"),
            Err(error) => complain(&error, "what is without a living agent cannot be marked"),
        }
    }

    /// Who was not heard since the last time is not renewed.
    async fn renew(&self) {
        let heard = std::mem::take(&mut *self.leases());
        if heard.is_empty() {
            return;
        }
        let lost = match self.control.renew(heard.iter().cloned().collect(), self.options.lease).await {
            Ok(lost) => BTreeSet::from_iter(lost),
            Err(error) => {
                self.has_failed.store(true, Ordering::Release);
                // They were heard all the same.
                self.leases().extend(heard);
                return complain(&error, "leases cannot be renewed");
            }
        };
        let renewed = heard.difference(&lost).cloned().collect();
        self.renewal.send_replace(Arc::new(Renewal { renewed, lost }));
    }

    fn leases(&self) -> std::sync::MutexGuard<'_, BTreeSet<Lease>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ticks(period: Duration) -> Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// What could not be done now is tried again at the next tick.
fn complain(error: &Failure, what: &str) {
    tracing::warn!(%error, "{what}; trying again");
}
