//! One tunnel as the control plane is to see it: what the engine says, unless no packet can get out of the router.

use karez_engine::{
    Code, ConnectionId, Event, EventKind, Reason, RouterId, TunnelReport, TunnelState, TunnelStatus,
};
use std::collections::VecDeque;

/// How many events of a tunnel wait for the control plane, which keeps as many.
const EVENTS: usize = 100;

pub(super) struct Tunnel {
    pub router: RouterId,
    id: ConnectionId,
    /// What the engine said last.
    reported: Option<TunnelStatus>,
    /// What keeps packets from the peer, whatever the engine says.
    severed: Option<Reason>,
    /// When that came or went.
    severed_at: i64,
    /// The state that is shown, and since when.
    shown: Option<(TunnelState, i64)>,
    events: VecDeque<Waiting>,
}

/// An event that is not known to have been taken.
struct Waiting {
    event: Event,
    /// The number, in this session, of the report that it was in.
    report: Option<u64>,
}

impl Tunnel {
    pub(super) fn new(id: ConnectionId, router: RouterId) -> Self {
        Self {
            router,
            id,
            reported: None,
            severed: None,
            severed_at: 0,
            shown: None,
            events: VecDeque::new(),
        }
    }

    /// Takes over what the engine says.
    pub(super) fn report(&mut self, report: TunnelReport) {
        let (state, since) = (report.status.state, report.status.since);
        let is_repeated = self.reported.as_ref().is_some_and(|before| before.since == since);
        self.router = report.router;
        self.reported = Some(report.status);
        for event in report.events {
            self.happened(event);
        }
        match &mut self.shown {
            // It was down already before packets were kept from it.
            Some((TunnelState::Down, shown)) if state == TunnelState::Down && self.severed.is_some() => {
                *shown = since.min(*shown);
            }
            Some((shown, shown_since)) if *shown == state && !is_repeated => *shown_since = since,
            Some(_) | None => {}
        }
        self.show(match state {
            // The engine does not see what is severed.
            TunnelState::Up | TunnelState::Pending => since.max(self.severed_at),
            TunnelState::Down | TunnelState::Error => since,
        });
    }

    /// Takes over what keeps packets from the peer, if anything does, and returns whether that is new.
    pub(super) fn sever(&mut self, trouble: Option<&str>, should_be_up: bool, now: i64) -> bool {
        let trouble = trouble.map(|trouble| format!("Packets cannot get out of the router: {trouble}."));
        if self.severed.as_ref().map(|reason| &reason.message) == trouble.as_ref() {
            return false;
        }
        if self.severed.is_none() || trouble.is_none() {
            self.severed_at = now;
        }
        self.severed = trouble.as_ref().map(|trouble| Reason::new(Code::LocalError, trouble.clone()));
        let event =
            |code, message: &str| Event { at: now, kind: EventKind::State, code, message: message.into() };
        match trouble {
            Some(trouble) => self.happened(event(Some(Code::LocalError), &trouble)),
            None if should_be_up => self.happened(event(None, "packets get out of the router again")),
            None => {}
        }
        self.show(now);
        true
    }

    /// What to say of it in the report of this number; nothing as long as nothing is known.
    pub(super) fn tell(&mut self, number: u64) -> Option<TunnelReport> {
        let status = self.status()?;
        let untold = self.events.iter_mut().filter(|waiting| waiting.report.is_none());
        let events = untold.map(|waiting| {
            waiting.report = Some(number);
            waiting.event.clone()
        });
        Some(TunnelReport { router: self.router, events: events.collect(), status })
    }

    /// Who was told is not there any more.
    pub(super) fn tell_again(&mut self) {
        self.events.iter_mut().for_each(|waiting| waiting.report = None);
    }

    /// So many reports have been taken over.
    pub(super) fn taken(&mut self, reports: u64) {
        self.events.retain(|waiting| waiting.report.is_none_or(|number| number > reports));
    }

    fn happened(&mut self, event: Event) {
        self.events.push_back(Waiting { event, report: None });
        let surplus = self.events.len().saturating_sub(EVENTS);
        self.events.drain(..surplus);
    }

    fn status(&self) -> Option<TunnelStatus> {
        let (state, since) = self.shown.filter(|_| self.state().is_some())?;
        let reported = self.reported.clone().unwrap_or_else(|| self.unknown());
        let reason = self.severing().cloned().or(reported.reason);
        // Where it is severed its SAs are still there, and are shown: with them it goes on as soon as packets get out.
        Some(TunnelStatus { state, reason, since, ..reported })
    }

    /// The state to be shown, when anything is known.
    fn state(&self) -> Option<TunnelState> {
        let reported = self.reported.as_ref().map(|reported| reported.state);
        self.severing().map_or(reported, |_| Some(TunnelState::Down))
    }

    /// What keeps packets from the peer, where that matters.
    fn severing(&self) -> Option<&Reason> {
        self.severed.as_ref().filter(|_| self.is_concerned())
    }

    /// What is shown may be another state now, and then it is since this time.
    fn show(&mut self, at: i64) {
        let Some(state) = self.state().filter(|state| self.shown.is_none_or(|(shown, _)| shown != *state))
        else {
            return;
        };
        self.shown = Some((state, at));
        let Some(status) = self.status() else { return };
        let reason = status.reason.as_ref().map(|reason| reason.code.as_str());
        tracing::info!(connection = %self.id, router = %self.router, ?state, reason, "tunnel");
    }

    /// A tunnel that cannot work as it is configured, or that is switched off, is so in any case.
    fn is_concerned(&self) -> bool {
        let Some(reported) = &self.reported else { return true };
        let is_switched_off = reported.reason.as_ref().is_some_and(|reason| reason.code == Code::AdminDown);
        match reported.state {
            TunnelState::Up | TunnelState::Pending => true,
            TunnelState::Down => !is_switched_off,
            TunnelState::Error => false,
        }
    }

    /// Before the engine's first word.
    fn unknown(&self) -> TunnelStatus {
        TunnelStatus {
            id: self.id,
            state: TunnelState::Down,
            reason: None,
            since: self.severed_at,
            ike: None,
            children: Vec::new(),
            missing: Vec::new(),
        }
    }
}
