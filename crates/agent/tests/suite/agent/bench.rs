//! An agent on the bench: everything around it is made up.

use futures_util::stream;
use karez_agent::{Agent, Gateway, GatewayError, Guard, Options, Path, Severed, Watch};
use karez_engine::{
    Bounds, ChildPlan, ConnectionId, Datapath, Dpd, DpdAction, Engine, EngineError, GatewayPlan, Identity,
    IkePlan, IkeVersion, Initiator, IpsecMode, IpsecProtocol, Peer, Place, RouterId, RouterPlan,
    RouterReport, ServiceId, TunnelPlan, TunnelReport, TunnelState, TunnelStatus,
};
use karez_fabric::{AgentEnd, ControlEnd, Desired, Dial, FromAgent, Hello, Shape, ToAgent, Welcome, pair};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use uuid::Uuid;

/// The agent at work, and all that it talks to.
pub struct Bench {
    pub node: Arc<Node>,
    /// Where the engine reports to.
    pub reports: mpsc::Sender<TunnelReport>,
    dials: mpsc::Sender<AgentEnd>,
    /// Dropped last of all: it ends the agent.
    _stop: watch::Sender<bool>,
}

impl Bench {
    pub fn new() -> Self {
        let node = Arc::new(Node::default());
        let (reports, incoming) = mpsc::channel(64);
        let (dials, ends) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(false);
        let agent = Agent::new(options(), AtWork(Arc::clone(&node)), AtWork(Arc::clone(&node)), incoming);
        tokio::spawn(agent.run(Line(ends), stopped));
        Self { node, reports, dials, _stop: stop }
    }

    /// The control plane answers the next dial.
    pub async fn session(&self) -> (Control, Hello) {
        let (agent, control) = pair(None);
        self.dials.send(agent).await.expect("an agent that dials");
        let mut control = Control(control);
        let FromAgent::Hello(hello) = control.next().await else { panic!("not a hello") };
        (control, hello)
    }

    pub async fn report(&self, router: RouterId, status: TunnelStatus) {
        let report = TunnelReport { router, status, events: Vec::new() };
        self.reports.send(report).await.expect("an agent that listens");
    }
}

/// The control plane's end of a session.
pub struct Control(ControlEnd);

impl Control {
    pub async fn send(&self, desired: Desired) {
        self.0.outgoing.send(ToAgent::Desired(desired)).await.expect("a session");
    }

    pub async fn whole(&self, revision: i64, routers: &[RouterPlan]) {
        self.send(Desired { revision, is_whole: true, routers: routers.to_vec(), gone: Vec::new() }).await;
    }

    pub async fn difference(&self, revision: i64, routers: &[RouterPlan], gone: &[RouterId]) {
        self.send(Desired { revision, is_whole: false, routers: routers.to_vec(), gone: gone.to_vec() })
            .await;
    }

    /// The answer to the hello, of a control plane that says later what it has taken over, or of one that does not.
    pub async fn welcome(&self, counts: bool) {
        let welcome = Welcome { node: Uuid::new_v4(), epoch: 1, lease: Duration::from_secs(15), counts };
        self.0.outgoing.send(ToAgent::Welcome(welcome)).await.expect("a session");
    }

    /// So many reports about tunnels have been taken over.
    pub async fn renew(&self, taken: u64) {
        self.0.outgoing.send(ToAgent::Renewed { taken }).await.expect("a session");
    }

    /// What the agent says next about tunnels.
    pub async fn tunnels(&mut self) -> Vec<(i64, TunnelReport)> {
        loop {
            if let FromAgent::Tunnels(told) = self.next().await {
                return told;
            }
        }
    }

    /// What the agent says next, besides that all is well. Waits for an hour.
    pub async fn next(&mut self) -> FromAgent {
        loop {
            let message = timeout(Duration::from_secs(3600), self.0.incoming.recv()).await;
            match message.expect("the agent to say something").expect("a session") {
                FromAgent::Heartbeat => {}
                message => return message,
            }
        }
    }

    /// Whether it says nothing for a while but that all is well.
    pub async fn is_silent_for(&mut self, time: Duration) -> bool {
        timeout(time, self.next()).await.is_err()
    }

    /// All that it says until it has worked on this revision: of each router the last word.
    pub async fn applied(&mut self, revision: i64) -> BTreeMap<RouterId, RouterReport> {
        let mut told = BTreeMap::new();
        loop {
            match self.next().await {
                FromAgent::Routers(reports) => {
                    told.extend(reports.into_iter().map(|report| (report.router, report)));
                }
                FromAgent::Applied { revision: applied } if applied == revision => return told,
                FromAgent::Applied { revision } => panic!("revision {revision}"),
                FromAgent::Hello(_) | FromAgent::Tunnels(_) | FromAgent::Found(_) | FromAgent::Heartbeat => {}
            }
        }
    }
}

struct Line(mpsc::Receiver<AgentEnd>);

impl Dial for Line {
    async fn dial(&mut self) -> AgentEnd {
        match self.0.recv().await {
            Some(end) => end,
            None => std::future::pending().await,
        }
    }
}

/// What the agent did to its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A gateway was made so, with these guards.
    Gateway(RouterId, i64, Vec<Option<u16>>),
    /// Tunnels were made so.
    Engine(RouterId, usize),
    GatewayRemoved(RouterId),
    EngineRemoved(RouterId),
}

/// An engine and a gateway that write down what they are told.
pub struct Node {
    deeds: Mutex<Vec<Deed>>,
    present: Mutex<BTreeSet<RouterId>>,
    pub found: Mutex<Vec<RouterId>>,
    /// Routers whose gateway cannot be made.
    pub failing: Mutex<BTreeSet<RouterId>>,
    /// What keeps the packets of each tunnel that is severed.
    pub severed: Mutex<Severed>,
    /// Goes up with each change that is heard around routers.
    pub changes: watch::Sender<u64>,
    /// Whether each pass is heard as a change of somebody's.
    pub is_restless: AtomicBool,
    /// How long the engine takes for a router.
    pub delay: Mutex<Duration>,
    /// One permit is needed for each removal of a gateway.
    pub removals: Semaphore,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            deeds: Mutex::default(),
            present: Mutex::default(),
            found: Mutex::default(),
            failing: Mutex::default(),
            severed: Mutex::default(),
            changes: watch::Sender::default(),
            is_restless: AtomicBool::default(),
            delay: Mutex::default(),
            removals: Semaphore::new(Semaphore::MAX_PERMITS),
        }
    }
}

impl Node {
    /// What was done since this was asked last.
    pub fn deeds(&self) -> Vec<Deed> {
        std::mem::take(&mut *self.deeds.lock().unwrap())
    }

    /// The gateways that were made since this was asked last.
    pub fn made(&self) -> Vec<RouterId> {
        let made = |deed| match deed {
            Deed::Gateway(router, ..) => Some(router),
            Deed::Engine(..) | Deed::GatewayRemoved(_) | Deed::EngineRemoved(_) => None,
        };
        self.deeds().into_iter().filter_map(made).collect()
    }

    /// Something around routers changes.
    pub fn change(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Something is there from before.
    pub fn leave(&self, router: RouterId) {
        self.present.lock().unwrap().insert(router);
    }

    pub fn present(&self) -> Vec<RouterId> {
        self.present.lock().unwrap().iter().copied().collect()
    }

    fn write(&self, deed: Deed) {
        self.deeds.lock().unwrap().push(deed);
    }
}

/// The agent's share of the node.
struct AtWork(Arc<Node>);

impl Engine for AtWork {
    fn datapath(&self) -> Datapath {
        Datapath::Userspace
    }

    async fn apply(&self, router: RouterId, _: &Place, tunnels: &[TunnelPlan]) -> Result<(), EngineError> {
        let delay = *self.0.delay.lock().unwrap();
        tokio::time::sleep(delay).await;
        self.0.write(Deed::Engine(router, tunnels.len()));
        Ok(())
    }

    async fn remove(&self, router: RouterId) -> Result<(), EngineError> {
        self.0.write(Deed::EngineRemoved(router));
        Ok(())
    }

    async fn present(&self) -> Result<Vec<RouterId>, EngineError> {
        Ok(Vec::new())
    }
}

impl Gateway for AtWork {
    async fn apply(&self, plan: &RouterPlan, guards: &[Guard], _: Datapath) -> Result<Place, GatewayError> {
        let mss = guards.iter().map(|guard| guard.mss).collect();
        self.0.write(Deed::Gateway(plan.id, plan.revision, mss));
        if self.0.is_restless.load(Ordering::Relaxed) {
            self.0.change();
        }
        if self.0.failing.lock().unwrap().contains(&plan.id) {
            return Err(GatewayError("the machine is out of order".to_owned()));
        }
        self.0.leave(plan.id);
        Ok(Place { namespace: None })
    }

    async fn remove(&self, router: RouterId) -> Result<(), GatewayError> {
        self.0.removals.acquire().await.expect("it is never closed").forget();
        self.0.write(Deed::GatewayRemoved(router));
        self.0.present.lock().unwrap().remove(&router);
        Ok(())
    }

    async fn present(&self) -> Result<Vec<RouterId>, GatewayError> {
        Ok(self.0.present())
    }

    async fn watch(&self, _: &RouterPlan) -> Result<Watch, GatewayError> {
        let changes = self.0.changes.subscribe();
        Ok(Watch::new(stream::unfold(changes, async |mut changes| {
            changes.changed().await.ok()?;
            Some(((), changes))
        })))
    }

    async fn severed(&self, _: &RouterPlan, paths: &[Path]) -> Result<Severed, GatewayError> {
        let severed = self.0.severed.lock().unwrap();
        let of = |path: &Path| Some((path.connection, severed.get(&path.connection)?.clone()));
        Ok(paths.iter().filter_map(of).collect())
    }

    async fn found(&self) -> Result<Vec<RouterId>, GatewayError> {
        Ok(self.0.found.lock().unwrap().clone())
    }
}

fn options() -> Options {
    Options {
        bounds: Bounds::default(),
        host: "node".to_owned(),
        zone: None,
        shape: Shape::Managed,
        engine: "made up".to_owned(),
        look: LOOK,
        longest_pause: LONGEST_PAUSE,
        hands: 4,
    }
}

/// How often the agent looks at a router without being told. Longer than any test but those about it.
pub const LOOK: Duration = Duration::from_secs(600);

pub const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long something takes by the paused clock.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    #[allow(clippy::disallowed_methods, reason = "the clock is the test's own")]
    let before = tokio::time::Instant::now();
    let result = work.await;
    (result, before.elapsed())
}

/// A router with as many tunnels.
pub fn router(tunnels: usize) -> RouterPlan {
    RouterPlan {
        id: RouterId(Uuid::new_v4()),
        generation: 1,
        revision: 1,
        gateway: GatewayPlan { is_up: true, ..GatewayPlan::default() },
        services: Vec::new(),
        tunnels: (0..tunnels).map(|_| tunnel()).collect(),
    }
}

/// The same with a higher revision.
pub fn edited(plan: &RouterPlan) -> RouterPlan {
    RouterPlan { revision: plan.revision + 1, ..plan.clone() }
}

pub fn status(id: ConnectionId, state: TunnelState) -> TunnelStatus {
    TunnelStatus { id, state, reason: None, since: 0, ike: None, children: Vec::new(), missing: Vec::new() }
}

fn tunnel() -> TunnelPlan {
    let local = "192.0.2.1".parse().expect("an address");
    let encryption = "aes-128".parse().expect("an algorithm");
    let integrity = "sha256".parse().expect("an algorithm");
    let group = "group14".parse().expect("a group");
    TunnelPlan {
        id: ConnectionId(Uuid::new_v4()),
        service: ServiceId(Uuid::new_v4()),
        is_up: true,
        local,
        peer: Peer::Address("192.0.2.2".parse().expect("an address")),
        local_id: Identity::Address(local),
        peer_id: Identity::Address(local),
        psk: karez_model::Secret::new("secret".to_owned()),
        initiator: Initiator::BiDirectional,
        ike: IkePlan { version: IkeVersion::V2, encryption, integrity, group, lifetime: 3600 },
        child: ChildPlan {
            protocol: IpsecProtocol::Esp,
            mode: IpsecMode::Tunnel,
            encryption,
            integrity,
            group,
            lifetime: 3600,
        },
        dpd: Dpd { action: DpdAction::Hold, interval: 30, timeout: 120 },
        mtu: 1500,
        local_subnets: vec!["10.0.1.0/24".parse().expect("a network")],
        peer_subnets: vec!["20.0.0.0/24".parse().expect("a network")],
    }
}
