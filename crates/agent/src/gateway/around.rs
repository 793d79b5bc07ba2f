//! What is around routers, observed for all of them at once: the node's links, and which namespaces there are.
//!
//! Links are heard of. That somebody deletes a namespace is not: its links live on with the daemon and our own sockets
//! in it, so the kernel has nothing to say. The names are looked at a few times a second instead.

use super::rules::TABLE;
use super::{blocking, names};
use futures_util::stream;
use karez_engine::RouterPlan;
use karez_net::{Error, Events, Link, LinkKind, Namespace, Netlink};
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::watch::Watch;
use karez_tasks::keep_up;

/// How often it is looked which namespaces there are.
const TICK: Duration = Duration::from_millis(400);

/// How long changes of links are let come before all links are read: a router is several, and a node has many.
const SETTLE: Duration = Duration::from_millis(100);

/// What is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    links: Arc<BTreeMap<String, Port>>,
    /// The numbers of namespaces by their names.
    namespaces: BTreeMap<String, u64>,
}

/// What matters of a link of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Port {
    index: u32,
    is_up: bool,
    master: Option<u32>,
}

/// Where to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// The node's links are nobody's concern.
    None,
    /// The namespace that the agent runs in.
    Current,
    /// The namespace of this name.
    Named(String),
}

/// The observer of one gateway; it begins with the first router that is watched.
#[derive(Debug, Default)]
pub(super) struct Around(OnceCell<watch::Receiver<Arc<Seen>>>);

/// What one router has of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Interest {
    /// The namespace that the router is in; none for the agent's own.
    pub namespace: Option<String>,
    /// Links of the node.
    pub links: BTreeSet<String>,
}

impl Interest {
    /// What a router that is made here has on its node: its ends of pairs, and the bridges that they are ports of.
    pub(super) fn of(plan: &RouterPlan, external_bridge: Option<&str>) -> Self {
        let gateway = &plan.gateway;
        let internal = gateway.internal.iter();
        let inside = internal.clone().map(|internal| names::internal(internal.port));
        let inside = inside.chain(gateway.external.iter().map(|external| names::external(external.port)));
        let links = inside.filter_map(|inside| names::outside(&inside));
        let links = links.chain(internal.map(|internal| names::bridge(internal.network)));
        Self {
            namespace: Some(names::namespace(plan.id)),
            links: links.chain(external_bridge.map(str::to_owned)).collect(),
        }
    }
}

impl Around {
    /// Listens for one router: to the namespace that it is in, and to what it has around it. `on_empty` is called when
    /// a bridge of ours on the node has no port.
    ///
    /// # Errors
    /// When the node or the router's namespace cannot be entered.
    pub(super) async fn watch<F>(
        &self,
        node: Node,
        interest: Interest,
        on_empty: impl Fn(Netlink) -> F + Send + Sync + 'static,
    ) -> Result<Watch, Error>
    where
        F: Future<Output = ()> + Send,
    {
        let begin = async || {
            let mut observer = Observer::new(node);
            observer.look(Due::Names, &on_empty).await?;
            let (sender, receiver) = watch::channel(Arc::new(observer.seen.clone()));
            let node = observer.node.clone();
            let mut first = Some(observer);
            tokio::spawn(async move {
                let begin = || {
                    let observer = first.take().unwrap_or_else(|| Observer::new(node.clone()));
                    observer.run(&sender, &on_empty)
                };
                keep_up("around", begin).await;
            });
            Ok::<_, Error>(receiver)
        };
        let mut around = self.0.get_or_try_init(begin).await?.clone();
        let opened = match &interest.namespace {
            Some(name) => Namespace::open(name),
            None => Namespace::current(),
        };
        let (inside, number) = match opened {
            Ok(namespace) => {
                let inside = Events::with_table(&namespace, TABLE).await?;
                (Some(inside), Some(namespace.number()?))
            }
            Err(Error::NoNamespace { .. }) => (None, None),
            Err(error) => return Err(error),
        };
        let seen = Arc::clone(&around.borrow_and_update());
        let ports = interest.ports(&seen);
        let seen_number = interest.number(&seen);
        let listener = Listener { inside, number, seen_number, around, interest, ports };
        Ok(Watch::new(stream::unfold(listener, |mut listener| async move {
            listener.changed().await.then_some(((), listener))
        })))
    }
}

/// Hears what concerns one router.
struct Listener {
    inside: Option<Events>,
    /// The number of the namespace that is listened to.
    number: Option<u64>,
    /// The number that was last seen around, which comes later: of a namespace that is being made it is another one.
    seen_number: Option<u64>,
    around: watch::Receiver<Arc<Seen>>,
    interest: Interest,
    ports: Vec<Option<Port>>,
}

impl Listener {
    /// Waits for a change. False when the router's namespace is another one now, or the kernel says no more.
    async fn changed(&mut self) -> bool {
        loop {
            let inside = async {
                match &mut self.inside {
                    Some(events) => events.next().await.is_some(),
                    None => pending().await,
                }
            };
            tokio::select! {
                goes_on = inside => return goes_on,
                goes_on = self.around.changed() => {
                    if goes_on.is_err() {
                        return false;
                    }
                }
            }
            let seen = Arc::clone(&self.around.borrow_and_update());
            let seen_number = self.interest.number(&seen);
            if seen_number != self.seen_number {
                self.seen_number = seen_number;
                if seen_number != self.number {
                    return false;
                }
            }
            let ports = self.interest.ports(&seen);
            if ports != self.ports {
                self.ports = ports;
                return true;
            }
        }
    }
}

impl Interest {
    /// The number of its namespace as it was seen.
    fn number(&self, seen: &Seen) -> Option<u64> {
        self.namespace.as_ref().and_then(|name| seen.namespaces.get(name).copied())
    }

    fn ports(&self, seen: &Seen) -> Vec<Option<Port>> {
        self.links.iter().map(|name| seen.links.get(name).copied()).collect()
    }
}

/// Looks for all.
struct Observer {
    node: Node,
    /// The number of the namespace that is listened to.
    node_number: Option<u64>,
    events: Option<Events>,
    seen: Seen,
}

/// What to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// Which namespaces there are, and with them whether the node is still the one that is listened to.
    Names,
    /// The node's links.
    Links,
}

impl Observer {
    fn new(node: Node) -> Self {
        Self { node, node_number: None, events: None, seen: Seen::default() }
    }

    async fn run<F: Future<Output = ()>>(
        mut self,
        sender: &watch::Sender<Arc<Seen>>,
        on_empty: &impl Fn(Netlink) -> F,
    ) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let heard = async {
                match &mut self.events {
                    Some(events) => events.next().await,
                    None => pending().await,
                }
            };
            let due = tokio::select! {
                () = sender.closed() => return,
                _ = tick.tick() => Due::Names,
                heard = heard => match heard {
                    // A node may have a full routing table that is never still.
                    Some(changed) if !changed.links => continue,
                    Some(_) => Due::Links,
                    None => {
                        self.events = None;
                        Due::Links
                    }
                },
            };
            if due == Due::Links {
                sleep(SETTLE).await;
            }
            if let Err(error) = self.look(due, on_empty).await {
                // What was there may be another now; routers are looked at from time to time all the same.
                tracing::debug!(%error, "changes on the node cannot be seen; trying again");
                self.events = None;
                continue;
            }
            sender.send_if_modified(|known| {
                let is_other = **known != self.seen;
                if is_other {
                    *known = Arc::new(self.seen.clone());
                }
                is_other
            });
        }
    }

    async fn look<F: Future<Output = ()>>(
        &mut self,
        due: Due,
        on_empty: &impl Fn(Netlink) -> F,
    ) -> Result<(), Error> {
        if due == Due::Names {
            self.seen.namespaces = blocking(Namespace::numbers).await?;
        }
        let number = match &self.node {
            Node::None => return Ok(()),
            Node::Current => self.node_number,
            Node::Named(name) => self.seen.namespaces.get(name).copied(),
        };
        let is_heard = self.events.is_some() && self.node_number == number;
        if is_heard && due == Due::Names {
            return Ok(());
        }
        let namespace = self.namespace()?;
        if !is_heard {
            self.events = Some(Events::open(&namespace).await?);
            self.node_number = Some(namespace.number()?);
        }
        let netlink = Netlink::open(&namespace).await?;
        let links = netlink.links().await?;
        if has_empty_bridge(&links) {
            on_empty(netlink).await;
        }
        self.seen.links = Arc::new(links.into_iter().map(port).collect());
        Ok(())
    }

    fn namespace(&self) -> Result<Namespace, Error> {
        match &self.node {
            Node::Named(name) => Namespace::open(name),
            Node::Current | Node::None => Namespace::current(),
        }
    }
}

fn port(link: Link) -> (String, Port) {
    (link.name, Port { index: link.index, is_up: link.up, master: link.master })
}

fn has_empty_bridge(links: &[Link]) -> bool {
    links.iter().any(|link| is_abandoned(link, links))
}

/// Whether it is a bridge that we have made for an internal network and that nothing is plugged into any more.
pub(super) fn is_abandoned(bridge: &Link, links: &[Link]) -> bool {
    bridge.kind == LinkKind::Bridge
        && bridge.name.starts_with(names::BRIDGE)
        && bridge.alias.as_deref() == Some(names::MAKER)
        && !links.iter().any(|link| link.master == Some(bridge.index))
}
