//! One router: what should be against what is.

use crate::gateway::paths;
use crate::{Gateway, Path, Severed, Watch, guards};
use karez_engine::{Bounds, Code, ConnectionId, Engine, Reason, RouterId, RouterPlan, TunnelStatus};
use std::collections::BTreeMap;
use std::future::pending;
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

/// What a router's task has to say.
pub(crate) enum Word {
    /// The tunnels of a router that no packet can get through for. It is said before the engine is asked for anything:
    /// where a daemon does not answer, that takes long.
    Severed(RouterId, Severed),
    Passed(Pass),
}

/// What became of one pass.
pub(crate) struct Pass {
    pub router: RouterId,
    /// Generation and revision of the plan that was worked on; none when the router was to go.
    pub plan: Option<(i64, i64)>,
    pub trouble: Option<Reason>,
    /// Whether it is to be told how the router is doing. Somebody else's change that has changed nothing about that is no
    /// reason.
    pub is_news: bool,
}

/// What all routers' tasks share.
pub(crate) struct Shop<E, G> {
    pub engine: E,
    pub gateway: G,
    /// What no tunnel may be.
    pub bounds: Bounds,
    /// How many routers are worked on at a time.
    pub hands: Semaphore,
    /// How often to look without being told.
    pub look: Duration,
    /// The longest pause after a failure.
    pub longest_pause: Duration,
    pub words: mpsc::Sender<Word>,
}

/// The shortest pause after a failure.
const PAUSE: Duration = Duration::from_millis(250);

/// How long changes around a router are let come before it is looked at: with it the passes that somebody else's changes
/// cause are bounded, as when a full routing table is loaded. A pass of ours is heard too, and causes one more. It is let
/// grow while the passes that changes cause fail.
const SETTLE: Duration = Duration::from_millis(250);

/// Works on one router until it is gone, as was wanted.
pub(crate) async fn work<E: Engine, G: Gateway>(
    shop: Arc<Shop<E, G>>,
    router: RouterId,
    mut wanted: watch::Receiver<Wanted>,
) {
    let (mut pause, mut settle) = (PAUSE, SETTLE);
    let mut last = (None, None);
    let mut is_disturbed = false;
    let mut surroundings = Surroundings::default();
    loop {
        let now = wanted.borrow_and_update().clone();
        // Listening comes before looking, so that nothing happens unseen between the two.
        surroundings.keep_up(&shop.gateway, now.plan.as_ref()).await;
        let trouble = shop.pass(router, &now, &mut surroundings).await;
        let was_disturbed = std::mem::take(&mut is_disturbed);
        let plan = now.plan.as_ref().map(|plan| (plan.generation, plan.revision));
        let is_news = !was_disturbed || last != (plan, trouble.clone());
        match &trouble {
            Some(reason) if is_news => {
                tracing::warn!(%router, reason = reason.message, "a router is not as it should be; trying again");
            }
            None if last.1.is_some() => tracing::info!(%router, "the router is as it should be again"),
            Some(_) | None => {}
        }
        last = (plan, trouble.clone());
        let is_done = plan.is_none() && trouble.is_none();
        let fails = trouble.is_some();
        let wait = if fails { pause } else { shop.look };
        pause = if fails { (pause * 2).min(shop.longest_pause) } else { PAUSE };
        settle = if fails && was_disturbed { (settle * 2).min(shop.longest_pause) } else { SETTLE };
        let pass = Word::Passed(Pass { router, plan, trouble, is_news });
        if shop.words.send(pass).await.is_err() || is_done {
            return;
        }
        let woken = tokio::select! {
            woken = timeout(wait, wanted.changed()) => woken,
            () = surroundings.disturbed() => {
                is_disturbed = true;
                match timeout(SETTLE, wanted.changed()).await {
                    Err(_) if settle > SETTLE => {
                        let rest = timeout(settle - SETTLE, wanted.changed());
                        shop.look_on(&now, &mut surroundings, rest).await
                    }
                    woken => woken,
                }
            }
        };
        if let Ok(Err(_)) = woken {
            return;
        }
        // Changes come in bursts: a status with each child, a plan with each edit.
        sleep(Duration::ZERO).await;
    }
}

/// What is listened to around a router.
#[derive(Default)]
struct Surroundings {
    watch: Option<Watch>,
    /// The plan that it was begun for.
    plan: Option<Arc<RouterPlan>>,
    /// Whether something was heard that no pass has looked at.
    is_disturbed: bool,
}

impl Surroundings {
    /// Listens to what this plan is about, and passes over what was heard up to now. Without a plan nothing is listened
    /// to: it would keep alive the namespace that is to go.
    async fn keep_up<G: Gateway>(&mut self, gateway: &G, plan: Option<&Arc<RouterPlan>>) {
        let Some(plan) = plan else { return *self = Self::default() };
        self.is_disturbed = false;
        let is_same = self.plan.as_ref().is_some_and(|before| Arc::ptr_eq(before, plan));
        let goes_on = self.watch.as_mut().is_some_and(Watch::catch_up);
        if is_same && goes_on {
            return;
        }
        self.watch = None;
        self.plan = Some(Arc::clone(plan));
        match gateway.watch(plan).await {
            Ok(watch) => self.watch = Some(watch),
            Err(error) => {
                tracing::warn!(router = %plan.id, %error, "changes around a router are not heard; it is looked at all the same");
            }
        }
    }

    /// Waits until something may have changed.
    async fn changed(&mut self) {
        match &mut self.watch {
            Some(watch) => {
                if !watch.changed().await {
                    self.watch = None;
                }
                self.is_disturbed = true;
            }
            None => pending().await,
        }
    }

    /// Waits until something may have changed since the last pass began.
    async fn disturbed(&mut self) {
        if !self.is_disturbed {
            self.changed().await;
        }
    }
}

impl<E: Engine, G: Gateway> Shop<E, G> {
    /// What is wrong, if anything is.
    async fn pass(
        &self,
        router: RouterId,
        wanted: &Wanted,
        surroundings: &mut Surroundings,
    ) -> Option<Reason> {
        // Closed only when the process ends.
        let _hand = self.hands.acquire().await.ok();
        let Some(plan) = &wanted.plan else { return self.remove(router).await.err() };
        let guards = guards(plan, &self.bounds, |id| wanted.statuses.get(&id));
        // The guards come first: from then on nothing goes in clear.
        let made = self.gateway.apply(plan, &guards, self.engine.datapath()).await;
        let rest = async {
            match made {
                Err(error) => Err(trouble(error)),
                Ok(_) if plan.tunnels.is_empty() => self.engine.remove(router).await.map_err(trouble),
                Ok(place) => self.engine.apply(router, &place, &plan.tunnels).await.map_err(trouble),
            }
        };
        self.look_on(wanted, surroundings, rest).await.err()
    }

    /// Waits for what may take long. Which tunnels no packet can get through for is told before, and each time that
    /// something around the router changes meanwhile.
    async fn look_on<T>(
        &self,
        wanted: &Wanted,
        surroundings: &mut Surroundings,
        work: impl Future<Output = T>,
    ) -> T {
        let Some(plan) = &wanted.plan else { return work.await };
        let paths = paths(plan, &self.bounds, |id| wanted.statuses.get(&id));
        self.tell_severed(plan, &paths).await;
        let look = async {
            loop {
                surroundings.changed().await;
                sleep(SETTLE).await;
                self.tell_severed(plan, &paths).await;
            }
        };
        tokio::select! {
            done = work => done,
            never = look => never,
        }
    }

    async fn tell_severed(&self, plan: &RouterPlan, paths: &[Path]) {
        let severed = match paths {
            [] => Ok(Severed::new()),
            paths => self.gateway.severed(plan, paths).await,
        };
        match severed {
            // Nobody listens when the agent is at its end.
            Ok(severed) => drop(self.words.send(Word::Severed(plan.id, severed)).await),
            Err(error) => tracing::warn!(%error, "it cannot be told whether packets get out of a router"),
        }
    }

    async fn remove(&self, router: RouterId) -> Result<(), Reason> {
        self.engine.remove(router).await.map_err(trouble)?;
        self.gateway.remove(router).await.map_err(trouble)
    }
}

fn trouble(error: impl std::fmt::Display) -> Reason {
    Reason::new(Code::LocalError, format!("The router cannot be made as it should be: {error}."))
}
