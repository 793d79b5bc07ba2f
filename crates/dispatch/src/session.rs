//! One session of one agent.

use crate::Options;
use crate::bell::Bell;
use crate::told::Told;
use karez_control::{Control, Failure, Fenced, Lease};
use karez_engine::RouterId;
use karez_fabric::{ControlEnd, Desired, FromAgent, Held, Hello, ToAgent, Welcome};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::{sleep, timeout};

/// How long an agent may take to say who it is.
const HELLO: Duration = Duration::from_secs(10);

/// How many messages that wait are taken over in one go.
const BATCH: usize = 256;

pub(crate) struct Session {
    control: Control,
    options: Options,
    bell: Bell,
    told: Told,
}

/// Why a session is over.
#[derive(Debug, Error)]
enum Over {
    #[error("the agent is gone")]
    Gone,
    #[error("the node's id is no UUID")]
    Node,
    #[error("the agent did not say who it is")]
    Nameless,
    #[error("the agent was not heard of for the time of its lease")]
    Silent,
    #[error("the certificate is for {certified}, and the agent says that it is {said}")]
    Impostor { certified: String, said: String },
    #[error("{0}")]
    Fenced(#[from] Fenced),
    #[error("{0}")]
    Failure(#[from] Failure),
}

/// What the agent has of what it should run.
#[derive(Default)]
struct Known {
    /// The revision of the last desired state that was sent; none when the agent needs all.
    sent: Option<i64>,
    held: BTreeMap<RouterId, Held>,
}

impl Session {
    pub(crate) fn new(control: Control, options: Options, bell: Bell, told: Told) -> Self {
        Self { control, options, bell, told }
    }

    /// Serves the session to its end.
    pub(crate) async fn run(self, mut end: ControlEnd) {
        let hello = match greet(&mut end).await {
            Ok(hello) => hello,
            Err(why) => return tracing::warn!(%why, "a session was refused"),
        };
        let host = hello.host.clone();
        if hello.gives_way && self.control.is_attended(&host).await.unwrap_or(true) {
            let _ = send(&end, ToAgent::Replaced).await;
            return tracing::debug!(host, "an agent gives way to another one of its name");
        }
        let lease = match self.control.open_session(&hello, end.host.is_some(), self.options.lease).await {
            Ok(lease) => lease,
            Err(error) => return tracing::warn!(host, %error, "a session could not be begun"),
        };
        tracing::info!(host, epoch = lease.epoch, version = hello.version, "an agent has connected");
        let why = match self.serve(&mut end, &lease, hello).await {
            Ok(()) => Over::Gone,
            Err(why) => why,
        };
        if matches!(why, Over::Fenced(Fenced::Replaced)) {
            // It may be a stream that nobody listens to any more.
            let _ = end.outgoing.try_send(ToAgent::Replaced);
        }
        self.bell.forget(&lease);
        tracing::info!(host, epoch = lease.epoch, %why, "the session of an agent is over");
    }

    async fn serve(&self, end: &mut ControlEnd, lease: &Lease, hello: Hello) -> Result<(), Over> {
        let node = lease.node.parse().map_err(|_| Over::Node)?;
        let welcome = Welcome { node, epoch: lease.epoch, lease: self.options.lease, counts: true };
        send(end, ToAgent::Welcome(welcome)).await?;
        let mut known = Known::default();
        if self.told.is_from_here(&lease.node, hello.told_in) {
            known.sent = hello.applied;
            known.held = hello.held.iter().map(|held| (held.router, *held)).collect();
        }
        let mut standings = self.bell.standings();
        let mut renewals = self.bell.renewals();
        self.bring_up_to_date(end, lease, &mut known).await?;
        let mut taken = 0;
        let mut messages = Vec::with_capacity(BATCH);
        let silence = sleep(self.options.lease);
        tokio::pin!(silence);
        loop {
            tokio::select! {
                count = end.incoming.recv_many(&mut messages, BATCH) => {
                    if count == 0 {
                        return Ok(());
                    }
                    silence.set(sleep(self.options.lease));
                    self.bell.heard(lease);
                    taken += self.take_over(lease, std::mem::take(&mut messages)).await?;
                }
                _ = standings.changed() => {
                    let standing = standings.borrow_and_update().get(&lease.node).copied();
                    // A look that began before this session did has an older epoch.
                    if standing.is_some_and(|standing| standing.epoch > lease.epoch) {
                        return Err(Fenced::Replaced.into());
                    }
                    if standing.map(|standing| standing.revision) != known.sent {
                        self.bring_up_to_date(end, lease, &mut known).await?;
                    }
                }
                _ = renewals.changed() => {
                    let renewal = Arc::clone(&renewals.borrow_and_update());
                    if renewal.lost.contains(lease) {
                        return Err(Fenced::Replaced.into());
                    }
                    if renewal.renewed.contains(lease) {
                        send(end, ToAgent::Renewed { taken }).await?;
                    }
                }
                () = &mut silence => return Err(Over::Silent),
            }
        }
    }

    /// Sends what differs from what the agent has, when anything does. Any inequality counts, not
    /// only "less than": a database that was restored goes backwards.
    async fn bring_up_to_date(
        &self,
        end: &mut ControlEnd,
        lease: &Lease,
        known: &mut Known,
    ) -> Result<(), Over> {
        let held = known.sent.map(|_| known.held.values().copied().collect());
        let desired = self.control.desired(lease, held).await?;
        let is_empty = desired.routers.is_empty() && desired.gone.is_empty();
        if known.sent == Some(desired.revision) && is_empty {
            return Ok(());
        }
        known.note(&desired);
        self.told.note(lease);
        send(end, ToAgent::Desired(desired)).await
    }

    /// Returns how many reports about tunnels there were.
    async fn take_over(&self, lease: &Lease, messages: Vec<FromAgent>) -> Result<u64, Over> {
        let (mut tunnels, mut routers) = (Vec::new(), Vec::new());
        let (mut applied, mut found) = (None, None);
        for message in messages {
            match message {
                FromAgent::Tunnels(reports) => tunnels.extend(reports),
                FromAgent::Routers(reports) => routers.extend(reports),
                FromAgent::Applied { revision } => applied = Some(revision),
                FromAgent::Found(found_now) => found = Some(found_now),
                FromAgent::Heartbeat => {}
                FromAgent::Hello(_) => {
                    tracing::warn!(node = lease.node, "an agent said twice who it is");
                }
            }
        }
        let count = u64::try_from(tunnels.len()).unwrap_or(u64::MAX);
        // In this order the trouble of a router is seen by tunnels that are pending because of it.
        if !tunnels.is_empty() {
            self.control.report_tunnels(lease, tunnels).await?;
        }
        if !routers.is_empty() {
            self.control.report_routers(lease, routers).await?;
        }
        if let Some(revision) = applied {
            self.control.applied(lease, revision).await?;
        }
        if let Some(routers) = found {
            self.control.found(lease, routers).await?;
        }
        Ok(count)
    }
}

impl Known {
    fn note(&mut self, desired: &Desired) {
        if desired.is_whole {
            self.held.clear();
        }
        for gone in &desired.gone {
            self.held.remove(gone);
        }
        for plan in &desired.routers {
            let held = Held { router: plan.id, generation: plan.generation, revision: plan.revision };
            self.held.insert(plan.id, held);
        }
        self.sent = Some(desired.revision);
    }
}

async fn greet(end: &mut ControlEnd) -> Result<Hello, Over> {
    let first = timeout(HELLO, end.incoming.recv()).await.map_err(|_| Over::Nameless)?;
    let hello = match first {
        Some(FromAgent::Hello(hello)) => hello,
        Some(_) => return Err(Over::Nameless),
        None => return Err(Over::Gone),
    };
    match &end.host {
        Some(certified) if *certified != hello.host => {
            Err(Over::Impostor { certified: certified.clone(), said: hello.host })
        }
        Some(_) | None => Ok(hello),
    }
}

async fn send(end: &ControlEnd, message: ToAgent) -> Result<(), Over> {
    end.outgoing.send(message).await.map_err(|_| Over::Gone)
}
