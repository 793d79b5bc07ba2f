//! What the daemon tells: events are a bell that says which tunnel to look at; lines of its log are reasons.

use super::Router;
use crate::blueprint::{is_ours, tunnel_of};
use crate::classify::{Finding, What};
use crate::clock::{SECOND, now};
use crate::explain;
use crate::tunnel::{ENOUGH, Tunnel};
use crate::vici::Message;
use karez_engine::{Code, ConnectionId, DpdAction, Reason, Standing, TunnelState};

/// The pause between a message and its first repetition, microseconds.
const FIRST_PAUSE: i64 = 2 * SECOND;

/// How far apart an event and its line in the log may come, microseconds.
const JUST: i64 = 2 * SECOND;

impl Router {
    /// Takes an event in.
    pub(super) fn hear(&mut self, name: &str, message: &Message) {
        if name == "log" {
            if let Some(finding) = self.classifier.read(message) {
                self.births.hear(&finding);
                self.learn(&finding);
            }
            return;
        }
        for (connection, _) in message.sections().filter(|(connection, _)| is_ours(connection)) {
            let users: Vec<ConnectionId> = self.users(connection).collect();
            if users.is_empty() {
                // Of a tunnel that is in no plan any more.
                self.look_at = 0;
            }
            self.touched.extend(users);
        }
    }

    fn learn(&mut self, finding: &Finding) {
        if matches!(finding.what, What::Established { .. }) {
            // An event of its own says so, too.
            return;
        }
        let now = now();
        let concerned = self.concerned(finding);
        let shares = |id: &ConnectionId| {
            let connection = finding.connection.as_deref().unwrap_or_default();
            self.tunnels.values().any(|tunnel| tunnel.plan.id != *id && tunnel.uses(connection))
        };
        let concerned: Vec<(ConnectionId, bool)> =
            concerned.into_iter().map(|id| (id, shares(&id))).collect();
        for (id, is_shared) in concerned {
            if let Some(tunnel) = self.tunnels.get_mut(&id) {
                learn(tunnel, finding, is_shared, now);
                self.touched.insert(id);
            }
        }
    }

    /// The tunnels that a finding is about: those that the daemon names, or, while it does not know yet which one a peer
    /// means, all with that peer that are not up.
    fn concerned(&self, finding: &Finding) -> Vec<ConnectionId> {
        let is_down = |tunnel: &&Tunnel| !tunnel.record.is_up();
        let ids = |tunnels: Vec<&Tunnel>| tunnels.iter().map(|tunnel| tunnel.plan.id).collect();
        let Some(connection) = &finding.connection else {
            let Some(peer) = finding.peer else { return Vec::new() };
            let with_peer =
                self.tunnels.values().filter(|tunnel| tunnel.peer == Some(peer) && tunnel.is_wanted());
            return ids(with_peer.filter(is_down).collect());
        };
        let users: Vec<&Tunnel> = self.tunnels.values().filter(|tunnel| tunnel.uses(connection)).collect();
        // What is said of one of several that share an IKE SA is not about those that are up.
        let is_meant = |tunnel: &&Tunnel| users.len() == 1 || is_down(tunnel);
        let asked = finding.child.as_deref().and_then(tunnel_of);
        let mut meant = users.clone();
        match &finding.what {
            What::Begun { .. } | What::Sent(_) | What::GivenUp | What::IkeDeleted | What::Replaced => {}
            // Whose it was shows at the next look, or has just shown.
            What::ChildDeleted => {
                let now = now();
                meant.retain(|tunnel| has_children(tunnel) || has_just_fallen(tunnel, now));
            }
            What::Selectors { wished: Some(wished) } => {
                meant.retain(|tunnel| is_meant(tunnel) && explain::is_near(&tunnel.plan, wished));
                if meant.is_empty() {
                    meant.extend(users.iter().copied().filter(is_down));
                }
            }
            _ => meant.retain(|tunnel| is_meant(tunnel) && asked.is_none_or(|id| tunnel.plan.id == id)),
        }
        ids(meant)
    }
}

fn learn(tunnel: &mut Tunnel, finding: &Finding, is_shared: bool, now: i64) {
    let peer = tunnel.peer.or(finding.peer);
    let status = tunnel.record.status();
    let (has_ike, is_up) = (status.ike.is_some(), tunnel.record.is_up());
    // An attempt from before it was left to the peer says nothing about a peer that has not begun.
    let begins = tunnel.standing == Standing::Begins;
    match &finding.what {
        What::Begun { by_peer } => {
            let who = peer.map_or_else(|| "the peer".to_owned(), |peer| peer.to_string());
            let message = if *by_peer { format!("{who} begins") } else { format!("beginning with {who}") };
            tunnel.record.attempt(message, now);
        }
        What::Sent(times) => {
            tunnel.record.retransmit(*times, now);
            tunnel.sent_again_at = now;
            match peer {
                Some(peer) if !has_ike && begins && *times >= ENOUGH => {
                    tunnel.record.failed(explain::unreachable(peer, *times), now);
                    // A host name may lead somewhere else by now.
                    tunnel.resolve_at = tunnel.resolve_at.map(|at| at.min(now));
                }
                _ => {}
            }
            if let Some(number) = finding.number.filter(|_| !is_up) {
                tunnel.silence.sent_again(number, *times);
            }
            if let Some(number) = finding.number.filter(|_| has_ike && *times == 2) {
                watch(tunnel, number, now);
            }
        }
        What::GivenUp if has_ike || has_just_fallen(tunnel, now) => {
            if let Some(reason) = explain::reason(&finding.what, &tunnel.plan, peer) {
                tunnel.record.failed(reason, now);
            }
            tunnel.lost_peer(finding.number, now);
        }
        What::GivenUp => {
            if let Some(peer) = peer.filter(|_| begins) {
                tunnel.record.failed(explain::unreachable(peer, 0), now);
            }
        }
        What::IkeDeleted | What::ChildDeleted if has_children(tunnel) => {
            let reason = explain::reason(&finding.what, &tunnel.plan, peer);
            tunnel.parting = reason.map(|reason| (reason, now + JUST));
        }
        What::Selectors { wished: None } if is_shared && was_deleted(tunnel) => {
            tunnel.record.failed(explain::not_any_more(&tunnel.plan, peer), now);
            tunnel.fall_back(now);
        }
        what => {
            if let Some(reason) = explain::reason(what, &tunnel.plan, peer) {
                let is_selectors = reason.code == Code::SelectorMismatch;
                note(tunnel, reason, is_up, now);
                if is_selectors && !is_up {
                    tunnel.fall_back(now);
                }
            }
        }
    }
}

fn has_children(tunnel: &Tunnel) -> bool {
    !tunnel.record.status().children.is_empty()
}

fn was_deleted(tunnel: &Tunnel) -> bool {
    tunnel.record.status().reason.as_ref().is_some_and(|reason| reason.code == Code::PeerDeleted)
}

/// The fall of an IKE SA may be seen before the line of the log that says why.
fn has_just_fallen(tunnel: &Tunnel, now: i64) -> bool {
    let status = tunnel.record.status();
    let is_unexplained = status
        .reason
        .as_ref()
        .is_none_or(|reason| matches!(reason.code, Code::Negotiating | Code::WaitingForPeer));
    status.state == TunnelState::Down && is_unexplained && now - status.since < JUST
}

/// A deletion of something that is gone already, such as an IKE SA without a child, says nothing about why.
fn note(tunnel: &mut Tunnel, reason: Reason, is_up: bool, now: i64) {
    let known = tunnel.record.status().reason.as_ref().map(|reason| reason.code);
    let says_more = !matches!(known, None | Some(Code::Negotiating | Code::WaitingForPeer));
    if reason.code == Code::PeerDeleted && !is_up && says_more {
        return;
    }
    tunnel.record.failed(reason, now);
}

/// The peer did not answer at once on this IKE SA: when it counts as dead, by the plan. It was asked after an interval of silence,
/// and one pause ago.
fn watch(tunnel: &mut Tunnel, number: u32, now: i64) {
    let (interval, timeout) =
        (i64::from(tunnel.plan.dpd.interval) * SECOND, i64::from(tunnel.plan.dpd.timeout) * SECOND);
    if tunnel.plan.dpd.action != DpdAction::Disabled && timeout > 0 {
        tunnel.dead_at.insert(number, (now - FIRST_PAUSE - interval + timeout).max(now + SECOND));
    }
}
