//! The task of one router: it owns the daemon and the tunnels, takes orders, hears what the daemon tells, and closes
//! the difference between plan and daemon.
//!
//! Whatever wakes it (an order, an event, a deadline), it then does the same: look at the SAs of the tunnels that
//! something happened to, feed their records, do what they say is to be done, and report what has changed.

mod configure;
mod hear;
mod inspect;
mod look;
mod resolve;
pub(crate) mod rivals;

use crate::Options;
use crate::births::Births;
use crate::blueprint::Key;
use crate::classify::Classifier;
use crate::clock::{SECOND, now, until};
use crate::daemon::{self, Daemon, DaemonError, Setup};
use crate::explain;
use crate::presence::Missing;
use crate::tunnel::Tunnel;
use crate::vici::{Message, Notice, ViciError};
use karez_engine::{
    Code, ConnectionId, Datapath, EngineError, Place, Reason, RouterId, TunnelPlan, TunnelReport,
};
use karez_tasks::keep_up;
use resolve::Resolved;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

/// Notices that are taken in before something is done about them.
const BATCH: usize = 256;

/// The task looks around at least this often, microseconds.
const ROUND: i64 = 60 * SECOND;

/// The longest pause before a daemon that has died is started again, microseconds.
const LONGEST_PAUSE: i64 = 30 * SECOND;

/// How long peers have to confirm that a tunnel is taken down.
const FAREWELL: Duration = Duration::from_secs(2);

/// A daemon that has not answered for so long is ended, microseconds: where the kernel encrypts, its tunnels work until
/// then.
const fn given_up(datapath: Datapath) -> i64 {
    match datapath {
        Datapath::Kernel => 180 * SECOND,
        Datapath::Userspace => 30 * SECOND,
    }
}

/// A daemon that nothing was asked of for so long is asked whether it is there, microseconds.
const SILENCE: i64 = 5 * SECOND;

/// A daemon that has run for so long did not die of its start, microseconds.
const LIVED: i64 = 60 * SECOND;

/// What a router's task is told.
pub(crate) enum Order {
    /// This is the plan.
    Apply { place: Place, tunnels: Vec<TunnelPlan>, answer: oneshot::Sender<Result<(), EngineError>> },
    /// The router is no longer ours.
    Remove { answer: oneshot::Sender<Result<(), EngineError>> },
}

/// Begins the task. It ends when the sender is dropped, leaving the daemon to itself, or after [`Order::Remove`].
pub(crate) fn begin(
    id: RouterId,
    setup: Setup,
    options: Options,
    reports: mpsc::Sender<TunnelReport>,
) -> mpsc::UnboundedSender<Order> {
    let (orders, mut received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (received, last) = (Mutex::new(&mut received), Last::default());
        // One that panicked has its plan again, and finds its daemon.
        let begin = || async {
            let (resolved, resolutions) = mpsc::unbounded_channel();
            let router = Router::new(id, &setup, &options, reports.clone(), resolved, Arc::clone(&last));
            router.run(*received.lock().await, resolutions).await;
        };
        keep_up("tunnels", begin).await;
    });
    orders
}

/// The last plan that was given, with its place.
type Last = Arc<std::sync::Mutex<Option<(Place, Vec<TunnelPlan>)>>>;

struct Router {
    id: RouterId,
    setup: Setup,
    /// Microseconds.
    grace: i64,
    /// Microseconds between two readings of counters.
    counters: i64,
    key: Option<Key>,
    place: Option<Place>,
    /// The outer addresses that tunnels have had since this task began.
    ours: BTreeSet<IpAddr>,
    daemon: Option<Daemon>,
    /// When the daemon, which has died, is to be started again.
    start_at: Option<i64>,
    /// Since when a daemon whose process goes on has not answered.
    unheard_since: Option<i64>,
    /// When it is asked again. Until then it is told nothing.
    ask_at: Option<i64>,
    /// When it answered last.
    heard_at: i64,
    /// When the daemon was started or adopted.
    started_at: i64,
    /// How often it has died soon after its start.
    deaths: u32,
    tunnels: BTreeMap<ConnectionId, Tunnel>,
    /// The connections that the daemon has, each with the names of its children.
    loaded: BTreeMap<String, BTreeSet<String>>,
    /// The names of the keys that the daemon has.
    secrets: BTreeSet<String>,
    classifier: Classifier,
    births: Births,
    /// Tunnels that something happened to since the last look.
    touched: BTreeSet<ConnectionId>,
    /// When all SAs are looked at.
    look_at: i64,
    /// When it is looked whether what the daemon has made around it is still there.
    inspect_at: i64,
    /// What of that was missing the last time.
    missing: Missing,
    resolved: mpsc::UnboundedSender<Resolved>,
    /// For lookups of names to be under way.
    lookups: Arc<Semaphore>,
    outbox: VecDeque<TunnelReport>,
    reports: mpsc::Sender<TunnelReport>,
    /// Outlives this, should it panic.
    last: Last,
}

/// What wakes the task.
enum Wake {
    Order(Option<Order>),
    Notice(Notice),
    Resolved(Resolved),
    Reported,
    Time,
}

impl Router {
    fn new(
        id: RouterId,
        setup: &Setup,
        options: &Options,
        reports: mpsc::Sender<TunnelReport>,
        resolved: mpsc::UnboundedSender<Resolved>,
        last: Last,
    ) -> Self {
        let grace = i64::try_from(options.grace.as_micros()).unwrap_or(i64::MAX);
        let counters = i64::try_from(options.counters.as_micros()).unwrap_or(i64::MAX).max(SECOND / 10);
        Self {
            id,
            setup: setup.clone(),
            grace,
            counters,
            key: None,
            place: None,
            ours: BTreeSet::new(),
            daemon: None,
            start_at: None,
            unheard_since: None,
            ask_at: None,
            heard_at: 0,
            started_at: 0,
            deaths: 0,
            tunnels: BTreeMap::new(),
            loaded: BTreeMap::new(),
            secrets: BTreeSet::new(),
            classifier: Classifier::default(),
            births: Births::default(),
            touched: BTreeSet::new(),
            look_at: i64::MAX,
            inspect_at: i64::MAX,
            missing: Missing::default(),
            resolved,
            lookups: resolve::places(),
            outbox: VecDeque::new(),
            reports,
            last,
        }
    }

    async fn run(
        mut self,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        mut resolutions: mpsc::UnboundedReceiver<Resolved>,
    ) {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((place, tunnels)) = last {
            if let Err(error) = self.apply(place, tunnels).await {
                tracing::warn!(router = %self.id, %error, "a router's plan cannot be taken up again; trying again");
            }
            self.settle().await;
        }
        loop {
            match self.wait(orders, &mut resolutions).await {
                Wake::Order(None) => return,
                Wake::Order(Some(Order::Apply { place, tunnels, answer })) => {
                    *self.last.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some((place.clone(), tunnels.clone()));
                    let _ = answer.send(self.apply(place, tunnels).await);
                }
                Wake::Order(Some(Order::Remove { answer })) => {
                    let outcome = self.remove().await;
                    let is_done = outcome.is_ok();
                    let _ = answer.send(outcome);
                    if is_done {
                        return;
                    }
                }
                Wake::Notice(notice) => self.hear_all(notice).await,
                Wake::Resolved(resolved) => self.take_address(resolved).await,
                Wake::Reported => continue,
                Wake::Time => {}
            }
            self.settle().await;
        }
    }

    /// Waits for the next thing to do. Reports go out meanwhile, as fast as they are taken.
    async fn wait(
        &mut self,
        orders: &mut mpsc::UnboundedReceiver<Order>,
        resolutions: &mut mpsc::UnboundedReceiver<Resolved>,
    ) -> Wake {
        let pause = until(self.deadline(), now());
        let has_mail = !self.outbox.is_empty();
        let has_daemon = self.daemon.is_some() && self.ask_at.is_none();
        let notices = async {
            match &mut self.daemon {
                Some(daemon) => daemon.notices.recv().await.unwrap_or(Notice::Gone),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            order = orders.recv() => Wake::Order(order),
            notice = notices, if has_daemon => Wake::Notice(notice),
            Some(resolved) = resolutions.recv() => Wake::Resolved(resolved),
            permit = self.reports.reserve(), if has_mail => {
                match (permit, self.outbox.pop_front()) {
                    (Ok(permit), Some(report)) => permit.send(report),
                    // Nobody listens any more.
                    (Err(_), _) => self.outbox.clear(),
                    (Ok(_), None) => {}
                }
                Wake::Reported
            }
            () = tokio::time::sleep(pause) => Wake::Time,
        }
    }

    fn deadline(&self) -> i64 {
        if let Some(at) = self.ask_at {
            // Nothing else can be done before.
            return at;
        }
        let has_daemon = self.daemon.is_some();
        let tunnels = self.tunnels.values().filter_map(|tunnel| tunnel.deadline(has_daemon)).min();
        let look = has_daemon.then_some(self.look_at.min(self.inspect_at).min(self.heard_at + SILENCE));
        [tunnels, look, self.start_at].into_iter().flatten().min().unwrap_or(i64::MAX).min(now() + ROUND)
    }

    /// After whatever has happened: is there a daemon, what are its SAs, what is to be done, what is to be told.
    async fn settle(&mut self) {
        let now = now();
        if self.start_at.is_some_and(|at| now >= at) {
            self.start_again().await;
        }
        self.resolve_due(now);
        for (id, tunnel) in &mut self.tunnels {
            if tunnel.deadline(self.daemon.is_some()).is_some_and(|at| now >= at) {
                self.touched.insert(*id);
                tunnel.record.tick(now);
            }
        }
        if self.daemon.is_some() {
            self.inspect().await;
        }
        if self.daemon.is_some() && self.ask_at.is_none_or(|at| now >= at) {
            match self.attend().await {
                Ok(()) => self.unheard_since = None,
                Err(error) => self.doubt_daemon(&error).await,
            }
        }
        for tunnel in self.tunnels.values_mut() {
            if let Some((status, events)) = tunnel.record.take() {
                self.outbox.push_back(TunnelReport { router: self.id, status, events });
            }
        }
    }

    /// Takes in this notice and those that wait behind it.
    async fn hear_all(&mut self, first: Notice) {
        let mut notice = first;
        let mut left = BATCH;
        loop {
            match notice {
                Notice::Event(name, message) => self.hear(&name, &message),
                Notice::Gone => {
                    return self.doubt_daemon(&io::Error::from(io::ErrorKind::UnexpectedEof).into()).await;
                }
            }
            left -= 1;
            let waiting = self.daemon.as_mut().filter(|_| left > 0).map(|daemon| daemon.notices.try_recv());
            let Some(Ok(next)) = waiting else { return };
            notice = next;
        }
    }

    async fn attend(&mut self) -> Result<(), ViciError> {
        if self.ask_at.take().is_some() {
            self.ask_again().await?;
        }
        self.look_and_act().await?;
        if let Some(daemon) = self.daemon.as_mut().filter(|_| now() >= self.heard_at + SILENCE) {
            daemon.session.request("version", &Message::new()).await?;
            self.heard_at = now();
        }
        Ok(())
    }

    /// The daemon did not answer. While its process lives, the kernel goes on with its tunnels, and it is asked again for
    /// some time. Where the daemon itself encrypts, one that does nothing at all, or does not answer twice in a row, is
    /// stuck and passes nothing.
    async fn doubt_daemon(&mut self, error: &ViciError) {
        let Some(daemon) = &mut self.daemon else { return };
        let (has_ended, process) = (daemon.has_ended().await, daemon.number());
        let now = now();
        let is_first = self.unheard_since.is_none();
        self.unheard_since.get_or_insert(now);
        if has_ended || self.is_given_up() {
            return self.lose_daemon(&format!("the IKE daemon has died ({error})")).await;
        }
        tracing::warn!(router = %self.id, process, %error, "the daemon does not answer; it is asked again");
        let is_stuck = match error {
            ViciError::Late { is_idle, .. } => *is_idle || !is_first,
            _ => false,
        };
        let is_stuck = is_stuck && self.setup.datapath == Datapath::Userspace;
        for tunnel in self.tunnels.values_mut() {
            if is_first {
                tunnel
                    .record
                    .engine(format!("the IKE daemon does not answer ({error}); asking it again"), now);
            }
            if is_stuck && tunnel.is_wanted() {
                tunnel.record.failed(Reason::new(Code::LocalError, "The IKE daemon does not answer."), now);
                tunnel.parting = None;
                tunnel.observe(&[], now);
            }
        }
        self.ask_at = Some(now + SECOND);
    }

    fn is_given_up(&self) -> bool {
        self.unheard_since.is_some_and(|since| now() - since > given_up(self.setup.datapath))
    }

    /// The daemon has died, or does not do as it is told, as `why` says: it is ended for good and started again after a
    /// pause.
    async fn lose_daemon(&mut self, why: &str) {
        let Some(daemon) = self.daemon.take() else { return };
        tracing::warn!(router = %self.id, process = daemon.number(), why, "the daemon is lost");
        daemon.stop().await;
        (self.unheard_since, self.ask_at) = (None, None);
        self.loaded.clear();
        self.secrets.clear();
        let now = now();
        for tunnel in self.tunnels.values_mut() {
            tunnel.record.engine(format!("{why}; starting it again"), now);
            tunnel.parting = None;
            tunnel.forget_cut();
            // That it was left to a peer is forgotten as by a daemon that starts.
            tunnel.is_left_to_peer = false;
            if tunnel.is_wanted() {
                tunnel.record.failed(explain::lost(why), now);
            }
            tunnel.observe(&[], now);
        }
        if now - self.started_at > LIVED {
            self.deaths = 0;
        }
        self.start_later(now);
    }

    async fn start_again(&mut self) {
        let daemon = self.ensure_daemon().await;
        if let Err(error) = self.welcome(daemon) {
            tracing::warn!(router = %self.id, %error, "the daemon cannot be started");
            return;
        }
        if let Err(error) = self.configure().await {
            self.doubt_daemon(&error).await;
        }
    }

    fn start_later(&mut self, now: i64) {
        let pause = if self.deaths == 0 { 0 } else { (SECOND << self.deaths.min(5)).min(LONGEST_PAUSE) };
        self.deaths = self.deaths.saturating_add(1);
        self.start_at = Some(now + pause);
    }

    /// Tells the peers, ends the daemon, removes the files.
    async fn remove(&mut self) -> Result<(), EngineError> {
        self.tunnels.clear();
        if self.daemon.is_some() {
            // The peers have a moment to confirm; charon tells those that have not once more as it ends.
            let _ = tokio::time::timeout(FAREWELL, self.end_all()).await;
        }
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
        (self.unheard_since, self.ask_at) = (None, None);
        self.loaded.clear();
        self.secrets.clear();
        daemon::erase(&self.setup).await.map_err(|error| self.failed(&error))
    }

    /// The tunnels that use a connection of the daemon, or have used it and may have SAs of it.
    fn users<'a>(&'a self, connection: &'a str) -> impl Iterator<Item = ConnectionId> + 'a {
        let is_user = move |tunnel: &&Tunnel| tunnel.uses(connection) || tunnel.known.contains(connection);
        self.tunnels.values().filter(is_user).map(|tunnel| tunnel.plan.id)
    }

    fn failed(&self, error: &DaemonError) -> EngineError {
        EngineError::Daemon { router: self.id, why: error.to_string() }
    }

    fn broken(&self, error: &ViciError) -> EngineError {
        EngineError::Daemon { router: self.id, why: error.to_string() }
    }
}
