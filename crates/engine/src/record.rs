//! The record of one tunnel: what an engine sees goes in, with the time; the status and the events that follow from
//! it come out.
//!
//! It is pure: no clock, no I/O, and nothing of any one engine. What is installed comes in whole each time
//! ([`Record::observe`]), so that a missed notice is mended by the next look. Why something fails comes in as it is
//! learned ([`Record::failed`]). The state follows from what is installed and from the plan, never from a reason.
//!
//! Times are microseconds since 1970 UTC.

mod changes;
mod reasons;

#[cfg(test)]
mod tests;

use crate::{ChildSa, Code, ConnectionId, Event, EventKind, IkeSa, Reason, TunnelState, TunnelStatus};
use ipnet::IpNet;
use reasons::Reasons;

/// How long a tunnel that was up counts as up when a plan wants nothing of what it had, microseconds: as a rule what is
/// wanted now is there by then.
const CHANGE: i64 = 1_000_000;

/// How long a new tunnel that the peer has refused may still be pending, microseconds, when the peer does not say what it
/// wants.
const PATIENCE: i64 = 2_000_000;

/// How long after a child SA was installed others may still be on the way, microseconds: pairs of subnets that were not
/// talked about yet are not refused.
const SETTLING: i64 = 2_000_000;

/// The pairs of subnets that a sentence names.
const NAMED: usize = 8;

/// What the plan wants of a tunnel.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// It should be up, and we begin.
    Begins,
    /// It should be up, and the peer begins.
    Waits,
    /// It should not be.
    AdminDown,
    /// It cannot be as it is planned; the reason says what could.
    Impossible(Reason),
}

/// The history of one tunnel, as far as its status depends on it.
#[derive(Clone, Debug)]
pub struct Record {
    status: TunnelStatus,
    standing: Standing,
    /// The pairs of subnets that should be covered.
    wanted: Vec<(IpNet, IpNet)>,
    /// Until when a tunnel that was never up is pending rather than down.
    grace_until: Option<i64>,
    /// Until when a tunnel that was up is so although nothing of what is wanted now is installed.
    changing_until: Option<i64>,
    /// Until when pairs of subnets that are not covered count as negotiated.
    settling_until: Option<i64>,
    reasons: Reasons,
    events: Vec<Event>,
    /// Whether the status has changed since it was last taken.
    is_changed: bool,
}

impl Record {
    /// A tunnel that was not known before. For `grace` microseconds it may be pending.
    #[must_use]
    pub fn new(
        id: ConnectionId,
        standing: Standing,
        wanted: Vec<(IpNet, IpNet)>,
        grace: i64,
        now: i64,
    ) -> Self {
        let status = TunnelStatus {
            id,
            state: TunnelState::Pending,
            reason: None,
            since: now,
            ike: None,
            children: Vec::new(),
            missing: Vec::new(),
        };
        let mut record = Self {
            status,
            standing,
            wanted,
            grace_until: Some(now.saturating_add(grace)),
            changing_until: None,
            settling_until: None,
            reasons: Reasons::default(),
            events: Vec::new(),
            is_changed: true,
        };
        record.event(now, EventKind::Configured, None, "the tunnel is new here");
        record.settle(now);
        record
    }

    /// The plan has changed, as `message` says. What was learned about the old one is forgotten, and what is not up
    /// may be pending again for `grace` microseconds.
    pub fn configure(
        &mut self,
        standing: Standing,
        wanted: Vec<(IpNet, IpNet)>,
        message: impl Into<String>,
        grace: i64,
        now: i64,
    ) {
        let was_up = self.is_up();
        self.standing = standing;
        self.wanted = wanted;
        self.reasons = Reasons::default();
        self.changing_until = match self.changing_until {
            _ if self.is_up() => None,
            None if was_up => Some(now.saturating_add(CHANGE)),
            still => still,
        };
        if self.status.children.is_empty() {
            self.grace_until = Some(now.saturating_add(grace));
        }
        self.event(now, EventKind::Configured, None, message);
        self.settle(now);
    }

    /// What is installed now, whole. `ike` is the IKE SA that carries the tunnel, if there is one.
    pub fn observe(&mut self, ike: Option<IkeSa>, mut children: Vec<ChildSa>, now: i64) {
        let mut ike = ike;
        changes::steady(&self.status, ike.as_mut(), &mut children);
        children
            .sort_by(|one, other| (one.installed_at, &one.spi_in).cmp(&(other.installed_at, &other.spi_in)));
        if self.status.ike == ike && self.status.children == children {
            return;
        }
        let was_up = self.is_up();
        for (kind, message) in changes::between(&self.status, ike.as_ref(), &children) {
            self.event(now, kind, None, message);
        }
        self.is_changed = true;
        self.status.ike = ike;
        self.status.children = children;
        if self.uncovered().len() < self.status.missing.len() {
            self.settling_until = Some(now.saturating_add(SETTLING));
        }
        if self.is_up() {
            if !was_up {
                self.reasons = Reasons::default();
                self.grace_until = None;
            }
            self.changing_until = None;
        } else {
            self.reasons.forget_old(now);
        }
        self.settle(now);
    }

    /// A negotiation was begun.
    pub fn attempt(&mut self, message: impl Into<String>, now: i64) {
        let message = message.into();
        if let Some(message) = self.reasons.worth_an_event(None, &message, now) {
            self.event(now, EventKind::Attempt, None, message);
        }
    }

    /// A message was sent for the `sent`-th time and nothing was heard.
    pub fn retransmit(&mut self, sent: u32, now: i64) {
        if sent.is_power_of_two() {
            self.event(now, EventKind::Retransmit, None, format!("sent {sent} times, nothing heard"));
        }
    }

    /// Something has failed, or the peer refused. The same again is counted, not told again each time.
    pub fn failed(&mut self, reason: Reason, now: i64) {
        let kind = match reason.code {
            Code::PeerDeleted => EventKind::ChildDown,
            Code::PeerLost => EventKind::IkeDown,
            _ => EventKind::Refused,
        };
        if let Some(message) = self.reasons.worth_an_event(Some(reason.code), &reason.message, now) {
            self.event(now, kind, Some(reason.code), message);
        }
        if reasons::is_definite(reason.code) {
            // A refusal that does not say what the peer wants may be of one that is still to get its part of the plan.
            let until = reasons::is_bare_refusal(&reason).then(|| now.saturating_add(PATIENCE));
            self.grace_until = self.grace_until.and_then(|grace| Some(grace.min(until?)));
            self.changing_until = self.changing_until.filter(|_| until.is_some());
        }
        self.reasons.learn(reason, now);
        self.settle(now);
    }

    /// What was wrong on our own machine is so no more.
    pub fn mended(&mut self, now: i64) {
        self.reasons.forget(Code::LocalError);
        self.settle(now);
    }

    /// The IKE daemon was started, adopted or lost, as `message` says.
    pub fn engine(&mut self, message: impl Into<String>, now: i64) {
        self.event(now, EventKind::Engine, None, message);
    }

    /// Time has passed: see [`Record::deadline`].
    pub fn tick(&mut self, now: i64) {
        self.settle(now);
    }

    /// When time alone changes the status.
    #[must_use]
    pub fn deadline(&self) -> Option<i64> {
        match self.status.state {
            TunnelState::Pending => self.grace_until,
            _ => [self.changing_until, self.settling_until].into_iter().flatten().min(),
        }
    }

    /// Whether packets between subnets that are wanted can pass, all or some.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.serving().next().is_some()
    }

    /// The status as it is.
    #[must_use]
    pub const fn status(&self) -> &TunnelStatus {
        &self.status
    }

    /// The status and what has happened since the last time, if there is anything new.
    pub fn take(&mut self) -> Option<(TunnelStatus, Vec<Event>)> {
        if !std::mem::take(&mut self.is_changed) && self.events.is_empty() {
            return None;
        }
        Some((self.status.clone(), std::mem::take(&mut self.events)))
    }

    /// Draws the state and its reason from what is known.
    fn settle(&mut self, now: i64) {
        self.status.missing = match &self.standing {
            Standing::Begins | Standing::Waits => self.uncovered(),
            Standing::AdminDown | Standing::Impossible(_) => Vec::new(),
        };
        if self.grace_until.is_some_and(|until| now >= until) {
            self.grace_until = None;
        }
        if self.changing_until.is_some_and(|until| now >= until) {
            self.changing_until = None;
        }
        if self.settling_until.is_some_and(|until| now >= until || self.status.missing.is_empty()) {
            self.settling_until = None;
        }
        let (state, reason) = self.conclude();
        if state != self.status.state {
            self.status.since = self.since(state, now);
            let code = reason.as_ref().map(|reason| reason.code);
            let why = reason.as_ref().map(|reason| format!(": {}", reason.message)).unwrap_or_default();
            self.event(now, EventKind::State, code, format!("{}{why}", said(state)));
        }
        self.is_changed |= state != self.status.state || reason != self.status.reason;
        self.status.state = state;
        self.status.reason = reason;
    }

    fn conclude(&self) -> (TunnelState, Option<Reason>) {
        let waits = match &self.standing {
            Standing::AdminDown => {
                let message = "The connection, its service or its router is administratively down.";
                return (TunnelState::Down, Some(Reason::new(Code::AdminDown, message)));
            }
            Standing::Impossible(reason) => return (TunnelState::Error, Some(reason.clone())),
            Standing::Begins => false,
            Standing::Waits => true,
        };
        if self.is_up() {
            return (TunnelState::Up, self.narrowed());
        }
        if self.changing_until.is_some() && !self.status.children.is_empty() {
            let message = "The subnets were changed, and the new ones are negotiated.";
            return (TunnelState::Up, Some(Reason::new(Code::Negotiating, message)));
        }
        let state = if self.grace_until.is_some() { TunnelState::Pending } else { TunnelState::Down };
        let reason = self.reasons.best().cloned().unwrap_or_else(|| {
            if waits {
                Reason::new(
                    Code::WaitingForPeer,
                    "It is for the peer to begin; nothing was heard from it yet.",
                )
            } else {
                Reason::new(Code::Negotiating, "An attempt is under way.")
            }
        });
        (state, Some(reason))
    }

    fn narrowed(&self) -> Option<Reason> {
        if self.status.missing.is_empty() {
            return None;
        }
        if let Some(reason) = self.reasons.best().filter(|reason| reason.code == Code::LocalError) {
            return Some(reason.clone());
        }
        let (missing, wanted) = (self.status.missing.len(), self.wanted.len());
        let why = self.reasons.best();
        if self.settling_until.is_some() && why.is_none_or(|why| !reasons::is_definite(why.code)) {
            let message = format!(
                "The tunnel is up for {} of {wanted} pairs of subnets, and the others are negotiated.",
                wanted - missing
            );
            return Some(Reason::new(Code::Negotiating, message));
        }
        let named = self.status.missing.iter().take(NAMED);
        let pairs: Vec<String> = named.map(|(local, peer)| format!("{local} === {peer}")).collect();
        let others = match missing.saturating_sub(NAMED) {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let message = format!(
            "The tunnel is up, but the peer has not agreed to {}{others}. Add these subnets on the peer's side.",
            pairs.join(", ")
        );
        let mut reason = Reason::new(Code::Narrowed, message).with("missing", pairs);
        if let Some(why) = why {
            reason = reason.with("why", why.message.clone());
        }
        Some(reason)
    }

    /// The wanted pairs that no child SA covers.
    fn uncovered(&self) -> Vec<(IpNet, IpNet)> {
        let covers = |child: &ChildSa, (local, peer): &(IpNet, IpNet)| {
            child.local_subnets.iter().any(|net| net.contains(local))
                && child.peer_subnets.iter().any(|net| net.contains(peer))
        };
        let is_missing =
            |pair: &&(IpNet, IpNet)| !self.status.children.iter().any(|child| covers(child, pair));
        self.wanted.iter().filter(is_missing).copied().collect()
    }

    /// The child SAs that pass something of what is wanted.
    fn serving(&self) -> impl Iterator<Item = &ChildSa> {
        let meets = |nets: &[IpNet], wanted: &IpNet| {
            nets.iter().any(|net| net.contains(wanted) || wanted.contains(net))
        };
        self.status.children.iter().filter(move |child| {
            self.wanted
                .iter()
                .any(|(local, peer)| meets(&child.local_subnets, local) && meets(&child.peer_subnets, peer))
        })
    }

    /// A tunnel that is found up has been so since its oldest child SA was installed.
    fn since(&self, state: TunnelState, now: i64) -> i64 {
        let installed = self.serving().map(|child| child.installed_at).min();
        match (state, installed) {
            (TunnelState::Up, Some(at)) => at.min(now),
            _ => now,
        }
    }

    fn event(&mut self, at: i64, kind: EventKind, code: Option<Code>, message: impl Into<String>) {
        self.events.push(Event { at, kind, code, message: message.into() });
    }
}

const fn said(state: TunnelState) -> &'static str {
    match state {
        TunnelState::Pending => "pending",
        TunnelState::Up => "up",
        TunnelState::Down => "down",
        TunnelState::Error => "error",
    }
}
