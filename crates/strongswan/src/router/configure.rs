//! The plan, and what the daemon is told of it.

use super::{Router, rivals};
use crate::births::Births;
use crate::blueprint::{Blueprint, fixed_address, tunnel_of};
use crate::classify::Classifier;
use crate::clock::now;
use crate::daemon::{self, Daemon, DaemonError};
use crate::explain;
use crate::presence::{self, Missing};
use crate::support::obstacle;
use crate::tunnel::{self, Tunnel};
use crate::vici::{Message, Session, ViciError};
use karez_engine::{Code, ConnectionId, Datapath, EngineError, Place, Reason, Standing, TunnelPlan};
use std::collections::{BTreeMap, BTreeSet};

impl Router {
    /// Takes over a plan. Afterwards the daemon has it.
    pub(super) async fn apply(&mut self, place: Place, tunnels: Vec<TunnelPlan>) -> Result<(), EngineError> {
        let ours = self.ours.union(&tunnels.iter().map(|plan| plan.local).collect()).copied().collect();
        if self.place.as_ref() != Some(&place) || self.ours != ours {
            daemon::remember(&self.setup, &place, &ours).map_err(|error| self.failed(&error))?;
        }
        (self.place, self.ours) = (Some(place), ours);
        if self.key.is_none() {
            self.key = Some(daemon::digest_key(&self.setup).map_err(|error| self.failed(&error))?);
        }
        let is_needed = tunnels.iter().any(|plan| plan.is_up);
        // First the daemon: what it can do decides what can be planned.
        let daemon = if is_needed { self.ensure_daemon().await } else { self.rest().await };
        self.take_plan(tunnels);
        self.inspect_soon();
        if let Err(error) = self.welcome(daemon) {
            let now = now();
            let reason = Reason::new(Code::LocalError, format!("There is no IKE daemon: {error}."));
            for tunnel in self.tunnels.values_mut().filter(|tunnel| tunnel.is_wanted()) {
                tunnel.record.failed(reason.clone(), now);
            }
            return Err(self.failed(&error));
        }
        if self.ask_at.is_some() {
            let why = "the IKE daemon does not answer; it gets the plan once it does".to_owned();
            return Err(EngineError::Daemon { router: self.id, why });
        }
        if let Err(error) = self.configure().await {
            self.doubt_daemon(&error).await;
            return Err(self.broken(&error));
        }
        Ok(())
    }

    /// Sees to it that a daemon runs in the right place: the one that is there, one from before this agent, or a new one.
    /// Says how it came by one that it did not have. The daemon's configuration is not touched: see
    /// [`Router::configure`].
    pub(super) async fn ensure_daemon(&mut self) -> Result<Option<&'static str>, DaemonError> {
        let Some(place) = self.place.clone() else { return Ok(None) };
        if let Some(daemon) = &self.daemon {
            if daemon.is_in(&place)? {
                return Ok(None);
            }
            self.lose_daemon("the IKE daemon's network namespace is another now").await;
        }
        self.start_at = None;
        let message = match self.acquire(&place).await {
            Ok(message) => message,
            Err(error) => {
                let now = now();
                if matches!(error, DaemonError::Vici(ViciError::Late { .. })) {
                    self.unheard_since.get_or_insert(now);
                }
                self.start_later(now);
                return Err(error);
            }
        };
        (self.unheard_since, self.ask_at) = (None, None);
        self.started_at = now();
        self.look_at = self.started_at;
        self.inspect_soon();
        Ok(Some(message))
    }

    /// Tells the tunnels how the daemon came.
    pub(super) fn welcome(
        &mut self,
        daemon: Result<Option<&'static str>, DaemonError>,
    ) -> Result<(), DaemonError> {
        if let Some(message) = daemon? {
            for tunnel in self.tunnels.values_mut() {
                tunnel.record.engine(message, self.started_at);
                tunnel.record.mended(self.started_at);
            }
        }
        Ok(())
    }

    /// A daemon, and what it has.
    async fn acquire(&mut self, place: &Place) -> Result<&'static str, DaemonError> {
        let (mut daemon, message) = self.adopt_or_start(place).await?;
        self.loaded = connections(&mut daemon.session).await?;
        self.secrets = secrets(&mut daemon.session).await?;
        // Another one counts from the beginning.
        self.births = Births::default();
        self.classifier = Classifier::default();
        self.missing = Missing::default();
        if self.setup.datapath == Datapath::Userspace {
            let namespace = daemon::namespace(place)?;
            // Before any tunnel is up.
            if let Err(error) = presence::lead(&namespace, daemon.number()).await {
                tracing::warn!(router = %self.id, %error, "packets are not led to tunnels; trying again");
            }
        }
        self.daemon = Some(daemon);
        Ok(message)
    }

    /// Asks a daemon that has not answered anew, and what it has.
    ///
    /// # Errors
    /// When it does not answer now either.
    pub(super) async fn ask_again(&mut self) -> Result<(), ViciError> {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        daemon.attach_again(&self.setup).await?;
        self.loaded = connections(&mut daemon.session).await?;
        self.secrets = secrets(&mut daemon.session).await?;
        self.births = Births::default();
        self.look_at = 0;
        let now = now();
        self.tunnels.values_mut().for_each(|tunnel| tunnel.record.mended(now));
        self.configure().await
    }

    async fn adopt_or_start(&self, place: &Place) -> Result<(Daemon, &'static str), DaemonError> {
        match Daemon::adopt(&self.setup, place, self.is_given_up()).await? {
            Some(daemon) => Ok((daemon, "the IKE daemon that runs was adopted")),
            None => Ok((Daemon::start(&self.setup, place, &self.ours).await?, "the IKE daemon was started")),
        }
    }

    /// No tunnel should be up, so no daemon has to run.
    async fn rest(&mut self) -> Result<Option<&'static str>, DaemonError> {
        self.start_at = None;
        if self.daemon.is_none()
            && let Some(place) = &self.place
        {
            self.daemon = Daemon::adopt(&self.setup, place, true).await?;
        }
        if self.daemon.is_some() {
            let _ = tokio::time::timeout(super::FAREWELL, self.end_all()).await;
        }
        if let Some(daemon) = self.daemon.take() {
            daemon.stop().await;
        }
        (self.unheard_since, self.ask_at) = (None, None);
        if let Some(place) = &self.place {
            daemon::sweep(place, &self.ours).await?;
        }
        self.loaded.clear();
        self.secrets.clear();
        let now = now();
        for tunnel in self.tunnels.values_mut() {
            tunnel.observe(&[], now);
        }
        Ok(None)
    }

    fn take_plan(&mut self, plans: Vec<TunnelPlan>) {
        let now = now();
        let standings = self.standings(&plans);
        let ids: BTreeSet<ConnectionId> = plans.iter().map(|plan| plan.id).collect();
        self.tunnels.retain(|id, _| ids.contains(id));
        for (plan, standing) in plans.into_iter().zip(standings) {
            let id = plan.id;
            let tunnel = match self.tunnels.remove(&id) {
                Some(tunnel) if tunnel.plan == plan && tunnel.standing == standing => tunnel,
                Some(mut tunnel) => {
                    tunnel.change(plan, standing, self.grace, now);
                    self.touched.insert(id);
                    tunnel
                }
                None => {
                    self.touched.insert(id);
                    Tunnel::new(plan, standing, self.grace, now)
                }
            };
            self.tunnels.insert(id, tunnel);
        }
        for tunnel in self.tunnels.values_mut() {
            tunnel.peer = tunnel.peer.or_else(|| fixed_address(&tunnel.plan.peer));
        }
        self.resolve_due(now);
    }

    /// What is wanted of each tunnel, and whether it can be had.
    fn standings(&self, plans: &[TunnelPlan]) -> Vec<Standing> {
        let conflicts = rivals::conflicts(plans, |plan| self.has(plan));
        let algorithms = self.daemon.as_ref().map(|daemon| &daemon.algorithms);
        let impossible = |plan: &TunnelPlan| {
            let obstacle =
                algorithms.and_then(|known| obstacle(plan, &self.setup.bounds, known, self.setup.datapath));
            obstacle.or_else(|| conflicts.get(&plan.id).map(|other| explain::conflict(*other)))
        };
        let impossible: BTreeMap<ConnectionId, Reason> =
            plans.iter().filter_map(|plan| Some((plan.id, impossible(plan)?))).collect();
        let possible = plans.iter().filter(|plan| plan.is_up && !impossible.contains_key(&plan.id));
        let doubles = rivals::doubles(possible.clone(), |plan| self.carries(plan));
        let possible = possible.filter(|plan| !doubles.contains_key(&plan.id));
        let mut possible: Vec<&TunnelPlan> = possible.collect();
        possible.sort_by_cached_key(|plan| (!self.carries(plan), plan.id));
        let ends = |plan: &TunnelPlan| (plan.local, plan.peer.clone());
        let pairs = |plan: &TunnelPlan| plan.local_subnets.len() * plan.peer_subnets.len();
        let crowded = rivals::crowded(possible.iter().map(|plan| (plan.id, ends(plan), pairs(plan))));
        let standing = |plan: &TunnelPlan| {
            if !plan.is_up {
                return Standing::AdminDown;
            }
            let double = || doubles.get(&plan.id).map(|(other, pair)| explain::double(*other, pair));
            let crowded = || crowded.contains(&plan.id).then(|| explain::crowded(rivals::TOGETHER));
            match impossible.get(&plan.id).cloned().or_else(double).or_else(crowded) {
                Some(reason) => Standing::Impossible(reason),
                None => tunnel::standing(plan),
            }
        };
        plans.iter().map(standing).collect()
    }

    /// Whether a tunnel is the one that has its pairs of subnets: by the plan before this one, or, for an agent that has
    /// only begun, by what the daemon has.
    fn carries(&self, plan: &TunnelPlan) -> bool {
        if let Some(tunnel) = self.tunnels.get(&plan.id) {
            let is_same = tunnel.plan.local_subnets == plan.local_subnets
                && tunnel.plan.peer_subnets == plan.peer_subnets;
            return tunnel.is_wanted() && is_same;
        }
        self.loaded.values().flatten().any(|child| tunnel_of(child) == Some(plan.id))
    }

    /// Whether a tunnel works already, as far as its identities and its key go: by the plan before this one, or, for an
    /// agent that has only begun, by what the daemon has.
    fn has(&self, plan: &TunnelPlan) -> bool {
        if let Some(tunnel) = self.tunnels.get(&plan.id) {
            let is_same = |before: &TunnelPlan| {
                before.psk == plan.psk && before.local_id == plan.local_id && before.peer_id == plan.peer_id
            };
            return tunnel.is_wanted() && is_same(&tunnel.plan);
        }
        let (Some(key), Some(peer)) = (&self.key, fixed_address(&plan.peer)) else { return false };
        let blueprint = Blueprint::draw(plan, peer, key);
        let has_child =
            |children: &BTreeSet<String>| children.iter().any(|child| tunnel_of(child) == Some(plan.id));
        self.loaded.get(&blueprint.connection).is_some_and(has_child)
    }

    /// Loads into the daemon what it has not, and takes from it what is in no plan.
    ///
    /// # Errors
    /// When the daemon does not answer. What it refuses of one tunnel is that tunnel's trouble.
    pub(super) async fn configure(&mut self) -> Result<(), ViciError> {
        let (Some(daemon), Some(key)) = (&mut self.daemon, &self.key) else { return Ok(()) };
        let session = &mut daemon.session;
        let now = now();
        // Which tunnels share which connection, and with which children.
        let mut wanted: BTreeMap<String, Vec<ConnectionId>> = BTreeMap::new();
        for (id, tunnel) in &mut self.tunnels {
            let Some(peer) = tunnel.peer.filter(|_| tunnel.is_wanted()) else { continue };
            let blueprint = tunnel.blueprint.get_or_insert_with(|| Blueprint::draw(&tunnel.plan, peer, key));
            let has = self.loaded.get(&blueprint.connection);
            if has.is_some_and(|has| blueprint.pairs().iter().all(|pair| has.contains(&pair.name))) {
                // A daemon that was adopted shows that it had come to this.
                tunnel.by_pairs = blueprint.whole().is_some();
            }
            wanted.entry(blueprint.connection.clone()).or_default().push(*id);
        }
        for (connection, members) in &wanted {
            let drawn = || members.iter().filter_map(|id| self.tunnels.get(id));
            let children = || drawn().filter_map(Tunnel::loaded).flatten();
            let names: BTreeSet<String> = children().map(|child| child.name.clone()).collect();
            let has = self.loaded.get(connection);
            if has == Some(&names) && self.secrets.contains(connection) {
                continue;
            }
            let Some(blueprint) = drawn().find_map(|tunnel| tunnel.blueprint.as_ref()) else { continue };
            let outcome = load(session, blueprint, &blueprint.load(children())).await;
            // Only those that the change is about have something to do.
            let is_new = |tunnel: &Tunnel| {
                let lacks = |name: &str| has.is_none_or(|has| !has.contains(name));
                tunnel.loaded().is_some_and(|mut children| children.any(|child| lacks(&child.name)))
            };
            let changed: Vec<ConnectionId> =
                drawn().filter(|tunnel| is_new(tunnel)).map(|tunnel| tunnel.plan.id).collect();
            let is_gone = |name: &String| tunnel_of(name).is_some_and(|id| !self.tunnels.contains_key(&id));
            let has_gone = has.is_some_and(|has| has.iter().any(is_gone));
            match outcome {
                Err(ViciError::Refused { why, .. }) => {
                    for id in changed {
                        if let Some(tunnel) = self.tunnels.get_mut(&id) {
                            refuse(tunnel, &why, now);
                        }
                    }
                    continue;
                }
                outcome => outcome?,
            }
            if has_gone {
                self.look_at = 0;
            }
            self.secrets.insert(connection.clone());
            self.loaded.insert(connection.clone(), names);
            for id in changed {
                if let Some(tunnel) = self.tunnels.get_mut(&id) {
                    tunnel.reloaded(now);
                    self.touched.insert(id);
                }
            }
        }
        self.unload(&wanted).await
    }

    async fn unload(&mut self, wanted: &BTreeMap<String, Vec<ConnectionId>>) -> Result<(), ViciError> {
        let unused: Vec<(String, Vec<ConnectionId>)> = self
            .loaded
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .map(|name| (name.clone(), self.users(name).collect()))
            .collect();
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let session = &mut daemon.session;
        let old: Vec<String> =
            self.secrets.iter().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        for name in old {
            tolerate(session.request("unload-shared", &Message::new().text("id", &name)).await)?;
            self.secrets.remove(&name);
        }
        for (name, users) in unused {
            tolerate(session.request("unload-conn", &Message::new().text("name", &name)).await)?;
            self.loaded.remove(&name);
            if users.is_empty() {
                self.look_at = 0;
            }
            self.touched.extend(users);
        }
        Ok(())
    }

    /// Ends all IKE SAs and waits until they are gone.
    pub(super) async fn end_all(&mut self) -> Result<(), ViciError> {
        let names: Vec<String> = self.loaded.keys().cloned().collect();
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let session = &mut daemon.session;
        for name in &names {
            tolerate(session.request("unload-conn", &Message::new().text("name", name)).await)?;
        }
        loop {
            let sas = session.stream("list-sas", "list-sa", &Message::new()).await?;
            let sas: Vec<_> = sas.iter().filter_map(|sa| crate::observed::ObservedIke::read(sa, 0)).collect();
            if sas.is_empty() {
                return Ok(());
            }
            for sa in sas.iter().filter(|sa| sa.can_be_ended()) {
                tolerate(session.request("terminate", &end("ike-id", &sa.number.to_string())).await)?;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// Ends what `key` and `name` say, without waiting for it.
pub(super) fn end(key: &str, name: &str) -> Message {
    Message::new().text(key, name).text("timeout", "-1")
}

/// What is not there any more need not be taken away.
pub(super) fn tolerate(outcome: Result<Message, ViciError>) -> Result<(), ViciError> {
    match outcome {
        Ok(_) | Err(ViciError::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn load(session: &mut Session, blueprint: &Blueprint, connection: &Message) -> Result<(), ViciError> {
    session.request("load-shared", blueprint.load_secret()).await?;
    session.request("load-conn", connection).await?;
    Ok(())
}

fn refuse(tunnel: &mut Tunnel, why: &str, now: i64) {
    let reason =
        Reason::new(Code::LocalError, format!("The IKE daemon does not take this configuration: {why}."));
    tunnel.record.failed(reason, now);
}

async fn connections(session: &mut Session) -> Result<BTreeMap<String, BTreeSet<String>>, ViciError> {
    let events = session.stream("list-conns", "list-conn", &Message::new()).await?;
    let mut connections = BTreeMap::new();
    for (name, connection) in events.iter().flat_map(Message::sections) {
        let children = connection
            .below("children")
            .map(|children| children.sections().map(|(child, _)| child.to_owned()).collect());
        connections.insert(name.to_owned(), children.unwrap_or_default());
    }
    Ok(connections)
}

async fn secrets(session: &mut Session) -> Result<BTreeSet<String>, ViciError> {
    let answer = session.request("get-shared", &Message::new()).await?;
    Ok(answer.items("keys").into_iter().map(str::to_owned).collect())
}
