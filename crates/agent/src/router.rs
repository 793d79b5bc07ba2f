//! One router: what should be against what is.

use crate::{Gateway, guards};
use karez_engine::{Code, ConnectionId, Engine, Reason, RouterId, RouterPlan, TunnelStatus};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};

/// What a router's task works from. Both change at any time.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    /// The plan; none when the router is to go.
    pub plan: Option<Arc<RouterPlan>>,
    /// What is known of its tunnels.
    pub statuses: Arc<BTreeMap<ConnectionId, TunnelStatus>>,
}

/// What became of one pass.
pub(crate) struct Pass {
    pub router: RouterId,
    /// Generation and revision of the plan that was worked on; none when the router was to go.
    pub plan: Option<(i64, i64)>,
    pub trouble: Option<Reason>,
}

/// What all routers' tasks share.
pub(crate) struct Shop<E, G> {
    pub engine: E,
    pub gateway: G,
    /// How many routers are worked on at a time.
    pub hands: Semaphore,
    /// How often to look without being told.
    pub look: Duration,
    /// The longest pause after a failure.
    pub longest_pause: Duration,
    pub passes: mpsc::Sender<Pass>,
}

/// The shortest pause after a failure.
const PAUSE: Duration = Duration::from_millis(250);

/// Works on one router until it is gone, as was wanted.
pub(crate) async fn work<E: Engine, G: Gateway>(
    shop: Arc<Shop<E, G>>,
    router: RouterId,
    mut wanted: watch::Receiver<Wanted>,
) {
    let mut pause = PAUSE;
    let mut is_troubled = false;
    loop {
        let now = wanted.borrow_and_update().clone();
        let trouble = shop.pass(router, &now).await.err();
        match &trouble {
            Some(reason) => {
                tracing::warn!(%router, reason = reason.message, "a router is not as it should be; trying again");
            }
            None if is_troubled => tracing::info!(%router, "the router is as it should be again"),
            None => {}
        }
        is_troubled = trouble.is_some();
        let plan = now.plan.as_ref().map(|plan| (plan.generation, plan.revision));
        let is_done = plan.is_none() && trouble.is_none();
        let wait = if trouble.is_some() { pause } else { shop.look };
        pause = if trouble.is_some() { (pause * 2).min(shop.longest_pause) } else { PAUSE };
        if shop.passes.send(Pass { router, plan, trouble }).await.is_err() || is_done {
            return;
        }
        if let Ok(Err(_)) = timeout(wait, wanted.changed()).await {
            return;
        }
        // Changes come in bursts: a status with each child, a plan with each edit.
        sleep(Duration::ZERO).await;
    }
}

impl<E: Engine, G: Gateway> Shop<E, G> {
    async fn pass(&self, router: RouterId, wanted: &Wanted) -> Result<(), Reason> {
        // Closed only when the process ends.
        let _hand = self.hands.acquire().await.ok();
        let Some(plan) = &wanted.plan else {
            self.engine.remove(router).await.map_err(trouble)?;
            return self.gateway.remove(router).await.map_err(trouble);
        };
        let guards = guards(plan, |id| wanted.statuses.get(&id));
        // The guards come first: from then on nothing goes in clear.
        let place = self.gateway.apply(plan, &guards, self.engine.datapath()).await.map_err(trouble)?;
        if plan.tunnels.is_empty() {
            return self.engine.remove(router).await.map_err(trouble);
        }
        self.engine.apply(router, &place, &plan.tunnels).await.map_err(trouble)
    }
}

fn trouble(error: impl std::fmt::Display) -> Reason {
    Reason::new(Code::LocalError, error.to_string())
}
