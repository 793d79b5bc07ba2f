//! What is known of routers and tunnels, and what of it the control plane has not been told yet.
//!
//! The control plane may be away for long. Of each tunnel the newest status is kept, and of what has
//! happened meanwhile the last events; both are sent when it is back.

use karez_engine::{ConnectionId, Event, RouterId, RouterReport, TunnelReport, TunnelStatus};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many events of a tunnel wait for the control plane.
const EVENTS: usize = 100;

#[derive(Default)]
pub(crate) struct Ledger {
    tunnels: BTreeMap<ConnectionId, Tunnel>,
    routers: BTreeMap<RouterId, RouterReport>,
    untold_tunnels: BTreeSet<ConnectionId>,
    untold_routers: BTreeSet<RouterId>,
}

struct Tunnel {
    router: RouterId,
    status: TunnelStatus,
    events: VecDeque<Event>,
}

impl Ledger {
    /// Takes over a report of the engine.
    pub(crate) fn tunnel(&mut self, report: TunnelReport) {
        let id = report.status.id;
        let before = self.tunnels.get(&id).map(|tunnel| tunnel.status.state);
        if before != Some(report.status.state) {
            let reason = report.status.reason.as_ref().map(|reason| reason.code.as_str());
            tracing::info!(connection = %id, router = %report.router, state = ?report.status.state, reason, "tunnel");
        }
        let tunnel = self.tunnels.entry(id).or_insert_with(|| Tunnel {
            router: report.router,
            status: report.status.clone(),
            events: VecDeque::new(),
        });
        tunnel.router = report.router;
        tunnel.status = report.status;
        tunnel.events.extend(report.events);
        let surplus = tunnel.events.len().saturating_sub(EVENTS);
        tunnel.events.drain(..surplus);
        self.untold_tunnels.insert(id);
    }

    /// Takes over how a router is doing. It is told even when nothing has changed: a service whose
    /// administrative state was changed has its status from it.
    pub(crate) fn router(&mut self, report: RouterReport) {
        self.untold_routers.insert(report.router);
        self.routers.insert(report.router, report);
    }

    /// The tunnels of a router are now these; others are forgotten.
    pub(crate) fn keep(&mut self, router: RouterId, tunnels: &BTreeSet<ConnectionId>) {
        self.tunnels.retain(|id, tunnel| tunnel.router != router || tunnels.contains(id));
        let known = &self.tunnels;
        self.untold_tunnels.retain(|id| known.contains_key(id));
    }

    /// A router is gone, with its tunnels.
    pub(crate) fn forget(&mut self, router: RouterId) {
        self.keep(router, &BTreeSet::new());
        self.routers.remove(&router);
        self.untold_routers.remove(&router);
    }

    /// A new session knows nothing.
    pub(crate) fn tell_all(&mut self) {
        self.untold_tunnels = self.tunnels.keys().copied().collect();
        self.untold_routers = self.routers.keys().copied().collect();
    }

    /// The tunnels of a router are to be told of once more.
    pub(crate) fn tell_again(&mut self, router: RouterId) {
        let own = self.tunnels.iter().filter(|(_, tunnel)| tunnel.router == router);
        self.untold_tunnels.extend(own.map(|(id, _)| *id));
    }

    /// Whether there is something to tell.
    pub(crate) fn has_news(&self) -> bool {
        !self.untold_tunnels.is_empty() || !self.untold_routers.is_empty()
    }

    /// The routers that have not been told of.
    pub(crate) fn take_routers(&mut self) -> Vec<RouterReport> {
        let untold = std::mem::take(&mut self.untold_routers);
        untold.iter().filter_map(|id| self.routers.get(id).cloned()).collect()
    }

    /// Some of the tunnels that have not been told of, and what has happened to them.
    pub(crate) fn take_tunnels(&mut self, most: usize) -> Vec<TunnelReport> {
        let mut reports = Vec::new();
        while reports.len() < most
            && let Some(id) = self.untold_tunnels.pop_first()
        {
            if let Some(tunnel) = self.tunnels.get_mut(&id) {
                let events = std::mem::take(&mut tunnel.events).into();
                reports.push(TunnelReport { router: tunnel.router, status: tunnel.status.clone(), events });
            }
        }
        reports
    }
}
