//! The agent as a whole: sessions, and one task a router.

use crate::clock::now;
use crate::ledger::Ledger;
use crate::router::{Pass, Shop, Wanted, Word, work};
use crate::{Gateway, Severed};
use karez_engine::{
    Bounds, ConnectionId, Engine, RouterId, RouterPlan, RouterReport, TunnelReport, TunnelStatus,
};
use karez_fabric::{AgentEnd, Desired, Dial, FromAgent, Held, Hello, Shape, ToAgent};
use karez_tasks::keep_up;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

/// What an agent is and how it goes about its work.
#[derive(Clone, Debug)]
pub struct Options {
    /// The node's name, unique in a deployment.
    pub host: String,
    /// Its availability zone.
    pub zone: Option<String>,
    /// What sort of gateways it has.
    pub shape: Shape,
    /// The name of its engine.
    pub engine: String,
    /// What no tunnel may be; the engine has to be told the same.
    pub bounds: Bounds,
    /// How often each router is looked at without a reason.
    pub look: Duration,
    /// The longest pause after a router could not be made so.
    pub longest_pause: Duration,
    /// How many routers are worked on at a time.
    pub hands: usize,
}

/// How often the node is searched for routers that others have made.
const SEARCH: Duration = Duration::from_secs(2);

/// How often an agent with nothing to say is heard. A third of the shortest lease that is sensible.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// How many tunnels go into one message.
const BATCH: usize = 100;

/// The agent.
pub struct Agent<E, G> {
    options: Options,
    shop: Arc<Shop<E, G>>,
    words: mpsc::Receiver<Word>,
    reports: mpsc::Receiver<TunnelReport>,
    routers: BTreeMap<RouterId, Router>,
    ledger: Ledger,
    found: Vec<RouterId>,
    applied: Applied,
    standing: Standing,
}

/// How the agent stands with the control plane.
#[derive(Default)]
struct Standing {
    /// The epoch of the session, once the control plane has said it.
    epoch: Option<i64>,
    /// The epoch of the session in which it was last told what to run.
    told_in: Option<i64>,
    /// Whether another agent of this name has taken over.
    is_replaced: bool,
}

/// A router with its task.
struct Router {
    plan: Option<Arc<RouterPlan>>,
    statuses: Arc<BTreeMap<ConnectionId, TunnelStatus>>,
    /// Whether this plan was worked on.
    is_tried: bool,
    wanted: watch::Sender<Wanted>,
}

/// How far the agent is with a desired state.
#[derive(Default)]
struct Applied {
    /// The last revision that was worked on whole.
    revision: Option<i64>,
    /// The one that is worked on, with the routers that have not been tried yet.
    pending: Option<(i64, BTreeSet<RouterId>)>,
    /// Whether the control plane has been told.
    is_told: bool,
}

impl<E: Engine, G: Gateway> Agent<E, G> {
    /// An agent with its engine and gateways. `reports` is where the engine reports to.
    #[must_use]
    pub fn new(options: Options, engine: E, gateway: G, reports: mpsc::Receiver<TunnelReport>) -> Self {
        let (sender, words) = mpsc::channel(64);
        let shop = Shop {
            engine,
            gateway,
            bounds: options.bounds.clone(),
            hands: Semaphore::new(options.hands.max(1)),
            look: options.look,
            longest_pause: options.longest_pause,
            words: sender,
        };
        Self {
            options,
            shop: Arc::new(shop),
            words,
            reports,
            routers: BTreeMap::new(),
            ledger: Ledger::default(),
            found: Vec::new(),
            applied: Applied::default(),
            standing: Standing::default(),
        }
    }

    /// Runs until told to stop. What runs on the node goes on: another agent will take it over.
    pub async fn run(mut self, dial: impl Dial + 'static, mut stop: watch::Receiver<bool>) {
        let mut line = Line::new(dial);
        let mut session: Option<AgentEnd> = None;
        let mut search = interval(SEARCH);
        let mut heartbeat = interval(HEARTBEAT);
        search.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.search(None).await;
        loop {
            if session.as_ref().is_some_and(|end| end.outgoing.is_closed()) {
                self.hear_out(&mut session).await;
            }
            let has_session = session.is_some();
            let (incoming, outgoing) = match &mut session {
                Some(end) => (Some(&mut end.incoming), Some(end.outgoing.clone())),
                None => (None, None),
            };
            tokio::select! {
                () = stopped(&mut stop) => return,
                Some(end) = line.dial(), if !has_session => session = self.begin(end).await,
                message = receive(incoming) => match message {
                    Some(message) => self.take(message).await,
                    None => self.hear_out(&mut session).await,
                },
                Some(report) = self.reports.recv() => self.note(report),
                Some(word) = self.words.recv() => match word {
                    Word::Severed(router, severed) => self.severed(router, &severed),
                    Word::Passed(pass) => self.passed(pass),
                },
                sent = tell(outgoing.as_ref(), &mut self.ledger, &mut self.applied, &self.routers) => {
                    if !sent {
                        self.hear_out(&mut session).await;
                    }
                }
                _ = heartbeat.tick(), if has_session => {
                    say(session.as_ref(), FromAgent::Heartbeat);
                }
                _ = search.tick() => self.search(session.as_ref()).await,
            }
        }
    }

    /// The session is over. What was said before counts: it may be why.
    async fn hear_out(&mut self, session: &mut Option<AgentEnd>) {
        let Some(mut end) = session.take() else { return };
        while let Ok(message) = end.incoming.try_recv() {
            self.take(message).await;
        }
        if !self.standing.is_replaced {
            tracing::warn!("the control plane is away; what runs here goes on");
        }
    }

    async fn begin(&mut self, end: AgentEnd) -> Option<AgentEnd> {
        let held = |(id, router): (&RouterId, &Router)| {
            let plan = router.plan.as_ref()?;
            Some(Held { router: *id, generation: plan.generation, revision: plan.revision })
        };
        let hello = Hello {
            host: self.options.host.clone(),
            session: Uuid::new_v4(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            engine: self.options.engine.clone(),
            zone: self.options.zone.clone(),
            shape: self.options.shape,
            found: self.found.clone(),
            applied: self.applied.newest(),
            held: self.routers.iter().filter_map(held).collect(),
            gives_way: self.standing.is_replaced,
            told_in: self.standing.told_in,
        };
        self.ledger.tell_all();
        self.applied.is_told = false;
        say(Some(&end), FromAgent::Hello(hello));
        Some(end)
    }

    async fn take(&mut self, message: ToAgent) {
        match message {
            ToAgent::Welcome(welcome) => {
                tracing::info!(node = %welcome.node, epoch = welcome.epoch, "the control plane knows this node");
                self.standing.epoch = Some(welcome.epoch);
                self.standing.is_replaced = false;
                if !welcome.counts {
                    self.ledger.forget_told();
                }
            }
            ToAgent::Renewed { taken } => self.ledger.taken(taken),
            ToAgent::Replaced => self.give_way(),
            ToAgent::Desired(desired) => {
                self.standing.told_in = self.standing.epoch;
                self.desire(desired).await;
            }
        }
    }

    /// From now on it takes a session only when nobody else has one: two that take it from each other by turns would
    /// both be of no use.
    fn give_way(&mut self) {
        if !self.standing.is_replaced {
            tracing::error!(
                host = self.options.host,
                "another agent has taken over by this name; this one is not told anything until that one is gone. \
                 Each machine needs a name of its own"
            );
        }
        self.standing.is_replaced = true;
    }

    async fn desire(&mut self, desired: Desired) {
        let mut untried: BTreeSet<RouterId> = BTreeSet::new();
        if desired.is_whole {
            let wanted: BTreeSet<RouterId> = desired.routers.iter().map(|plan| plan.id).collect();
            for id in self.left_over().await.difference(&wanted) {
                self.want(*id, None);
                untried.insert(*id);
            }
        }
        for id in desired.gone {
            if self.routers.contains_key(&id) {
                self.want(id, None);
                untried.insert(id);
            }
        }
        for plan in desired.routers {
            // A new session may repeat what is known; its router is looked at when it is due.
            if self.routers.get(&plan.id).is_some_and(|router| router.has_tried(&plan)) {
                continue;
            }
            let id = plan.id;
            self.want(id, Some(Arc::new(plan)));
            untried.insert(id);
        }
        self.applied.begin(desired.revision, untried);
    }

    /// Everything of ours on this node: known, or from before this agent was started.
    async fn left_over(&self) -> BTreeSet<RouterId> {
        let mut found: BTreeSet<RouterId> = self.routers.keys().copied().collect();
        match self.shop.engine.present().await {
            Ok(present) => found.extend(present),
            Err(error) => tracing::warn!(%error, "what the engine runs here cannot be listed"),
        }
        match self.shop.gateway.present().await {
            Ok(present) => found.extend(present),
            Err(error) => tracing::warn!(%error, "the gateways here cannot be listed"),
        }
        found
    }

    fn want(&mut self, id: RouterId, plan: Option<Arc<RouterPlan>>) {
        let tunnels = plan.iter().flat_map(|plan| &plan.tunnels).map(|tunnel| tunnel.id).collect();
        self.ledger.keep(id, &tunnels);
        let Some(router) = self.routers.get_mut(&id) else {
            let (wanted, receiver) = watch::channel(Wanted { plan: plan.clone(), ..Wanted::default() });
            let shop = Arc::clone(&self.shop);
            tokio::spawn(keep_up("router", move || work(Arc::clone(&shop), id, receiver.clone())));
            self.routers.insert(id, Router { plan, statuses: Arc::default(), is_tried: false, wanted });
            return;
        };
        Arc::make_mut(&mut router.statuses).retain(|id, _| tunnels.contains(id));
        let generation = |plan: &Option<Arc<RouterPlan>>| plan.as_ref().map(|plan| plan.generation);
        if generation(&router.plan) != generation(&plan) {
            // What was said about another generation was passed over, and the engine has nothing new to say.
            self.ledger.tell_again(id);
        }
        router.plan = plan;
        router.is_tried = false;
        router.publish();
    }

    fn note(&mut self, report: TunnelReport) {
        let Some(router) = self.routers.get_mut(&report.router) else { return };
        let is_planned = |plan: &Arc<RouterPlan>| plan.tunnels.iter().any(|one| one.id == report.status.id);
        if !router.plan.as_ref().is_some_and(is_planned) {
            return;
        }
        router.note(&report.status);
        self.ledger.tunnel(report);
    }

    fn severed(&mut self, router: RouterId, severed: &Severed) {
        let Some(plan) = self.routers.get(&router).and_then(|router| router.plan.as_ref()) else { return };
        let should_be_up = plan.tunnels.iter().filter(|tunnel| tunnel.is_up).map(|tunnel| tunnel.id);
        self.ledger.sever(router, severed, &should_be_up.collect(), now());
    }

    fn passed(&mut self, pass: Pass) {
        let Some(router) = self.routers.get(&pass.router) else { return };
        let newest = router.plan.as_ref().map(|plan| (plan.generation, plan.revision));
        match pass.plan {
            Some((generation, _)) if pass.is_news => {
                let report = RouterReport { router: pass.router, generation, trouble: pass.trouble };
                self.ledger.router(report);
            }
            Some(_) => {}
            None if pass.trouble.is_none() && newest.is_none() => {
                self.routers.remove(&pass.router);
                self.ledger.forget(pass.router);
            }
            None if pass.trouble.is_none() => {
                // It was wanted again while it went: its task is over, and it needs another.
                let plan = router.plan.clone();
                self.routers.remove(&pass.router);
                self.want(pass.router, plan);
                return;
            }
            None => {}
        }
        if pass.plan == newest {
            if let Some(router) = self.routers.get_mut(&pass.router) {
                router.is_tried = true;
            }
            self.applied.tried(pass.router);
        }
    }

    async fn search(&mut self, session: Option<&AgentEnd>) {
        match self.shop.gateway.found().await {
            // What cannot be said now is found again at the next search.
            Ok(found) if found != self.found => {
                if say(session, FromAgent::Found(found.clone())) {
                    self.found = found;
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "routers on this node cannot be looked for"),
        }
    }
}

impl Router {
    fn has_tried(&self, plan: &RouterPlan) -> bool {
        self.is_tried && self.plan.as_deref() == Some(plan)
    }

    /// The task needs to know what was negotiated, for the MSS; counters are no news to it.
    fn note(&mut self, status: &TunnelStatus) {
        let children = |status: &TunnelStatus| {
            status.children.iter().map(|child| child.is_encapsulated).collect::<Vec<_>>()
        };
        let known = self.statuses.get(&status.id).map(children);
        if known != Some(children(status)) {
            Arc::make_mut(&mut self.statuses).insert(status.id, status.clone());
            self.publish();
        }
    }

    fn publish(&self) {
        let wanted = Wanted { plan: self.plan.clone(), statuses: Arc::clone(&self.statuses) };
        self.wanted.send_replace(wanted);
    }
}

impl Applied {
    fn begin(&mut self, revision: i64, untried: BTreeSet<RouterId>) {
        // What an earlier desired state has left untried is part of this one.
        let earlier = self.pending.take().map(|(_, untried)| untried).unwrap_or_default();
        self.pending = Some((revision, untried.union(&earlier).copied().collect()));
        self.finish();
    }

    fn tried(&mut self, router: RouterId) {
        if let Some((_, untried)) = &mut self.pending {
            untried.remove(&router);
            self.finish();
        }
    }

    fn finish(&mut self) {
        if let Some((revision, untried)) = &self.pending
            && untried.is_empty()
        {
            self.revision = Some(*revision);
            self.pending = None;
            self.is_told = false;
        }
    }

    /// The revision of the newest desired state that the agent has, tried or not.
    fn newest(&self) -> Option<i64> {
        self.pending.as_ref().map(|(revision, _)| *revision).or(self.revision)
    }
}

/// Dials on a task of its own, so that an attempt is not begun anew each time that something else
/// happens.
struct Line {
    ask: mpsc::Sender<()>,
    ends: mpsc::Receiver<AgentEnd>,
    is_asked: bool,
}

impl Line {
    fn new(mut dial: impl Dial + 'static) -> Self {
        let (ask, mut asked) = mpsc::channel(1);
        let (sender, ends) = mpsc::channel(1);
        tokio::spawn(async move {
            while asked.recv().await.is_some() {
                let end = tokio::select! {
                    end = dial.dial() => end,
                    () = sender.closed() => return,
                };
                if sender.send(end).await.is_err() {
                    return;
                }
            }
        });
        Self { ask, ends, is_asked: false }
    }

    /// The next session. Can be given up and called again; none when the task has ended.
    async fn dial(&mut self) -> Option<AgentEnd> {
        if !self.is_asked {
            self.ask.send(()).await.ok()?;
            self.is_asked = true;
        }
        let end = self.ends.recv().await;
        self.is_asked = false;
        end
    }
}

/// Done when told to stop, or when nobody is left to tell.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Waits for ever when there is no session.
async fn receive(incoming: Option<&mut mpsc::Receiver<ToAgent>>) -> Option<ToAgent> {
    match incoming {
        Some(incoming) => incoming.recv().await,
        None => std::future::pending().await,
    }
}

/// Tells what there is to tell, as soon as there is room. False when the session is over. Waits for
/// ever when there is nothing to tell or nobody to tell it to.
async fn tell(
    outgoing: Option<&mpsc::Sender<FromAgent>>,
    ledger: &mut Ledger,
    applied: &mut Applied,
    routers: &BTreeMap<RouterId, Router>,
) -> bool {
    let Some(outgoing) = outgoing else { return std::future::pending().await };
    let told = applied.revision.filter(|_| !applied.is_told);
    if !ledger.has_news() && told.is_none() {
        return std::future::pending().await;
    }
    let Ok(permit) = outgoing.reserve().await else { return false };
    let news = ledger.take_routers();
    if !news.is_empty() {
        permit.send(FromAgent::Routers(news));
        return true;
    }
    let generation = |router| Some(routers.get(&router)?.plan.as_ref()?.generation);
    let news = ledger.take_tunnels(BATCH, generation);
    if !news.is_empty() {
        permit.send(FromAgent::Tunnels(news));
    } else if let Some(revision) = told {
        applied.is_told = true;
        permit.send(FromAgent::Applied { revision });
    }
    true
}

/// Says something, unless nobody listens any more. False when there is no room: what waits there
/// shows that the agent is alive, and a control plane that does not listen must not hold it up.
fn say(session: Option<&AgentEnd>, message: FromAgent) -> bool {
    let Some(end) = session else { return true };
    !matches!(end.outgoing.try_send(message), Err(TrySendError::Full(_)))
}
