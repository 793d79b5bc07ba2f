//! Looking at the daemon's SAs, and doing what the tunnels then say is to be done.

use super::Router;
use super::configure::{end, tolerate};
use crate::blueprint::{Child, is_ours, tunnel_of};
use crate::clock::{SECOND, now};
use crate::daemon;
use crate::explain;
use crate::observed::{ChildPhase, ObservedChild, ObservedIke, Phase};
use crate::tunnel::duplicates::replaced_whole;
use crate::tunnel::{Step, Tunnel};
use crate::vici::{Message, Session, ViciError};
use karez_engine::{Code, ConnectionId, DpdAction, Reason, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Up to so many tunnels are asked for by name; for more, one look at everything costs less.
const FEW: usize = 4;

/// An answer that is still awaited was sent again within this time, microseconds: charon's longest pause and some.
const STILL_SENDING: i64 = 20 * SECOND;

/// What is to be done, and for which tunnel.
type Steps = Vec<(Option<ConnectionId>, Step)>;

impl Router {
    /// Looks at the SAs of the tunnels that something happened to, or at all when their time has come.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub(super) async fn look_and_act(&mut self) -> Result<(), ViciError> {
        let is_whole = now() >= self.look_at || self.touched.len() > FEW;
        if self.touched.is_empty() && !is_whole {
            return Ok(());
        }
        let mut names = BTreeSet::new();
        if is_whole {
            self.touched = self.tunnels.keys().copied().collect();
        } else {
            for id in &self.touched {
                let Some(tunnel) = self.tunnels.get(id) else { continue };
                names.extend(tunnel.known.iter().cloned());
                names.extend(tunnel.blueprint.iter().map(|blueprint| blueprint.connection.clone()));
            }
        }
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        if is_whole {
            daemon::bound_log(&self.setup);
        }
        let mut sas = if is_whole {
            all(&mut daemon.session).await?
        } else {
            named(&mut daemon.session, &names).await?
        };
        if is_whole {
            self.look_at = now() + self.counters;
            self.births.look(&sas);
        }
        self.heard_at = now();
        for sa in &mut sas {
            sa.up_before = self.births.up_before(sa.number).cloned();
        }
        let mut reload = false;
        let (mut by_tunnel, mut steps) = self.attribute(&sas);
        let mut lost_peers = Vec::new();
        for id in std::mem::take(&mut self.touched) {
            let Some(tunnel) = self.tunnels.get_mut(&id) else { continue };
            let seen = by_tunnel.remove(&id).unwrap_or_default();
            // What it shared before its plan was changed is not its own any more once it has nothing in there.
            let is_own =
                |sa: &&ObservedIke| !sa.is_shared || !sa.children.is_empty() || tunnel.uses(&sa.connection);
            let own: Vec<&ObservedIke> = seen.iter().filter(is_own).collect();
            let now = now();
            tunnel.known = own.iter().map(|sa| sa.connection.clone()).collect();
            tunnel.observe(&own, now);
            let dead = dead(tunnel, &own, now);
            if !dead.is_empty() {
                steps.extend(dead.iter().map(|number| (Some(id), Step::DropIke(*number))));
                lost_peers.extend(peer_to_restart(tunnel));
            }
            let alive: Vec<&ObservedIke> =
                own.iter().copied().filter(|sa| !dead.contains(&sa.number)).collect();
            steps.extend(tunnel.decide(&alive, now).into_iter().map(|step| (Some(id), step)));
            tunnel.pass_overlap(now);
            let has = |child: &Child| {
                let loaded = tunnel.blueprint.as_ref().and_then(|own| self.loaded.get(&own.connection));
                loaded.is_some_and(|names| names.contains(&child.name))
            };
            reload |= tunnel.loaded().is_some_and(|mut children| children.any(|child| !has(child)));
        }
        if !lost_peers.is_empty()
            && !is_whole
            && let Some(daemon) = &mut self.daemon
        {
            // Those asked for by name are not all that a peer has.
            sas = all(&mut daemon.session).await?;
        }
        for peer in lost_peers {
            let others = sas.iter().filter(|sa| sa.peer == Some(peer) && sa.phase == Phase::Established);
            steps.extend(others.map(|sa| (None, Step::EndIke(sa.number))));
        }
        if reload {
            // What is begun next may be a child that the daemon has not yet.
            self.configure().await?;
            // What was loaded anew begins from the beginning.
            steps.retain(|(id, step)| {
                !matches!(step, Step::Begin { .. }) || id.is_none_or(|id| !self.touched.contains(&id))
            });
        }
        self.act(steps).await
    }

    /// Which tunnel has what of these SAs, and what of them is nobody's: of tunnels that were taken away while nobody
    /// looked.
    fn attribute(&self, sas: &[ObservedIke]) -> (BTreeMap<ConnectionId, Vec<ObservedIke>>, Steps) {
        let mut by_tunnel: BTreeMap<ConnectionId, Vec<ObservedIke>> = BTreeMap::new();
        let mut steps = Vec::new();
        let replaced = replaced_whole(sas);
        for sa in sas.iter().filter(|sa| is_ours(&sa.connection)) {
            let carried = sa.children.iter().filter_map(|child| tunnel_of(&child.name));
            let planned = carried.filter(|id| self.tunnels.contains_key(id));
            let owners: BTreeSet<ConnectionId> = self.users(&sa.connection).chain(planned).collect();
            if owners.is_empty() && sa.can_be_ended() {
                steps.push((None, Step::EndIke(sa.number)));
                continue;
            }
            let is_orphan = |child: &&ObservedChild| {
                child.phase == ChildPhase::Installed
                    && tunnel_of(&child.name).is_some_and(|id| !self.tunnels.contains_key(&id))
            };
            steps.extend(
                sa.children.iter().filter(is_orphan).map(|child| (None, Step::EndChild(child.number))),
            );
            let is_attempt = sa.phase == Phase::Connecting && sa.is_initiator;
            let needs = |id: &ConnectionId| {
                self.tunnels.get(id).is_some_and(|tunnel| {
                    // An attempt of ours is of use to none that waits for its peer.
                    tunnel.uses(&sa.connection) && !(is_attempt && tunnel.standing == Standing::Waits)
                })
            };
            for id in &owners {
                let is_shared = owners.iter().any(|other| other != id && needs(other));
                let mut seen = sa.seen_by(*id, is_shared);
                seen.carries_others &= !replaced.contains(&sa.number);
                by_tunnel.entry(*id).or_default().push(seen);
            }
        }
        (by_tunnel, steps)
    }

    async fn act(&mut self, steps: Steps) -> Result<(), ViciError> {
        let Some(daemon) = &mut self.daemon else { return Ok(()) };
        let session = &mut daemon.session;
        for (id, step) in steps {
            match step {
                Step::EndIke(number) => {
                    tolerate(session.request("terminate", &end("ike-id", &number.to_string())).await)?;
                }
                Step::DropIke(number) => {
                    let what = end("ike-id", &number.to_string()).text("force", "yes");
                    tolerate(session.request("terminate", &what).await)?;
                }
                Step::EndChild(number) => {
                    tolerate(session.request("terminate", &end("child-id", &number.to_string())).await)?;
                }
                Step::Begin { child } => {
                    let Some(tunnel) = id.and_then(|id| self.tunnels.get_mut(&id)) else { continue };
                    let Some(blueprint) = &tunnel.blueprint else { continue };
                    let what = Message::new()
                        .text("ike", &blueprint.connection)
                        .text("child", &child)
                        .text("timeout", "-1")
                        .text("init-limits", "no");
                    if let Err(ViciError::Refused { why, .. }) =
                        keep_refusal(session.request("initiate", &what).await)?
                    {
                        let message = format!("The IKE daemon could not begin: {why}.");
                        tunnel.record.failed(Reason::new(Code::LocalError, message), now());
                    }
                }
            }
        }
        Ok(())
    }
}

/// The IKE SAs whose peer counts as dead by the plan's own timeout. charon's patience is the same for all connections of
/// a daemon; so when it has to send something again, a time is set, and when that comes and it still sends, we end it.
/// Each IKE SA has a time of its own: of two with one peer, one may be known there and the other not.
fn dead(tunnel: &mut Tunnel, sas: &[&ObservedIke], now: i64) -> Vec<u32> {
    let due: BTreeSet<u32> =
        tunnel.dead_at.iter().filter(|(_, at)| now >= **at).map(|(number, _)| *number).collect();
    tunnel.dead_at.retain(|_, at| now < *at);
    let is_sending = now - tunnel.sent_again_at < STILL_SENDING;
    let is_silent = |sa: &&&ObservedIke| {
        sa.phase == Phase::Established && !sa.tasks.is_empty() && due.contains(&sa.number)
    };
    let silent: Vec<u32> = sas.iter().filter(is_silent).filter(|_| is_sending).map(|sa| sa.number).collect();
    if silent.is_empty() {
        return silent;
    }
    tunnel.record.failed(explain::dead(&tunnel.plan, tunnel.peer), now);
    tunnel.lost_peer(silent.first().copied(), now);
    silent
}

fn peer_to_restart(tunnel: &Tunnel) -> Option<IpAddr> {
    tunnel.peer.filter(|_| tunnel.plan.dpd.action == DpdAction::RestartByPeer)
}

async fn all(session: &mut Session) -> Result<Vec<ObservedIke>, ViciError> {
    let events = session.stream("list-sas", "list-sa", &Message::new()).await?;
    let now = now();
    Ok(events.iter().filter_map(|event| ObservedIke::read(event, now)).collect())
}

async fn named(session: &mut Session, names: &BTreeSet<String>) -> Result<Vec<ObservedIke>, ViciError> {
    let mut sas = Vec::new();
    for name in names {
        let events = session.stream("list-sas", "list-sa", &Message::new().text("ike", name)).await?;
        let now = now();
        sas.extend(events.iter().filter_map(|event| ObservedIke::read(event, now)));
    }
    Ok(sas)
}

/// Refusals are for the caller to look at; everything else is the daemon's end.
fn keep_refusal(outcome: Result<Message, ViciError>) -> Result<Result<Message, ViciError>, ViciError> {
    match outcome {
        Ok(_) | Err(ViciError::Refused { .. }) => Ok(outcome),
        Err(error) => Err(error),
    }
}
