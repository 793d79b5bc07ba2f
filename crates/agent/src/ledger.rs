//! What is known of routers and tunnels, and what of it the control plane has not been told yet.
//!
//! The control plane may be away for long. Of each tunnel the newest status is kept, and of what has
//! happened meanwhile the last events; both are sent when it is back. Events are kept until it says that it has taken
//! them, if it is one that says so: a session may break with some on their way.

mod tunnel;

use crate::Severed;
use karez_engine::{ConnectionId, RouterId, RouterReport, TunnelReport};
use std::collections::{BTreeMap, BTreeSet};
use tunnel::Tunnel;

#[derive(Default)]
pub(crate) struct Ledger {
    tunnels: BTreeMap<ConnectionId, Tunnel>,
    routers: BTreeMap<RouterId, RouterReport>,
    untold_tunnels: BTreeSet<ConnectionId>,
    untold_routers: BTreeSet<RouterId>,
    /// How many reports about tunnels were handed over in this session.
    handed: u64,
    /// Whether events are forgotten once they are handed over in this session.
    forgets_told: bool,
}

impl Ledger {
    /// Takes over a report of the engine.
    pub(crate) fn tunnel(&mut self, report: TunnelReport) {
        let id = report.status.id;
        let tunnel = self.tunnels.entry(id).or_insert_with(|| Tunnel::new(id, report.router));
        tunnel.report(report);
        self.untold_tunnels.insert(id);
    }

    /// Takes over which tunnels of a router no packet can get through for, of those that should be up; the others are
    /// as the engine says.
    pub(crate) fn sever(
        &mut self,
        router: RouterId,
        severed: &Severed,
        should_be_up: &BTreeSet<ConnectionId>,
        now: i64,
    ) {
        for id in should_be_up.iter().filter(|id| severed.contains_key(id)) {
            self.tunnels.entry(*id).or_insert_with(|| Tunnel::new(*id, router));
        }
        for (id, tunnel) in self.tunnels.iter_mut().filter(|(_, tunnel)| tunnel.router == router) {
            let trouble = severed.get(id).filter(|_| should_be_up.contains(id));
            if tunnel.sever(trouble.map(String::as_str), should_be_up.contains(id), now) {
                self.untold_tunnels.insert(*id);
            }
        }
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

    /// A new session knows nothing, and may know of events that it was not heard to have taken.
    pub(crate) fn tell_all(&mut self) {
        (self.handed, self.forgets_told) = (0, false);
        self.tunnels.values_mut().for_each(Tunnel::tell_again);
        self.untold_tunnels = self.tunnels.keys().copied().collect();
        self.untold_routers = self.routers.keys().copied().collect();
    }

    /// The tunnels of a router are to be told of once more, with the events that are kept: what was said of them counts
    /// as taken, and may have been passed over.
    pub(crate) fn tell_again(&mut self, router: RouterId) {
        for (id, tunnel) in self.tunnels.iter_mut().filter(|(_, tunnel)| tunnel.router == router) {
            tunnel.tell_again();
            self.untold_tunnels.insert(*id);
        }
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

    /// Some of the tunnels that have not been told of, and what has happened to them, each with the generation of its
    /// router's plan. Those of routers without a plan are left out.
    pub(crate) fn take_tunnels(
        &mut self,
        most: usize,
        generation: impl Fn(RouterId) -> Option<i64>,
    ) -> Vec<(i64, TunnelReport)> {
        let mut reports = Vec::new();
        while reports.len() < most
            && let Some(id) = self.untold_tunnels.pop_first()
        {
            let Some(tunnel) = self.tunnels.get_mut(&id) else { continue };
            if let Some(generation) = generation(tunnel.router)
                && let Some(report) = tunnel.tell(self.handed + 1)
            {
                self.handed += 1;
                if self.forgets_told {
                    tunnel.taken(self.handed);
                }
                reports.push((generation, report));
            }
        }
        reports
    }

    /// In this session it will not be said what has been taken over: what is handed over is forgotten.
    pub(crate) fn forget_told(&mut self) {
        self.forgets_told = true;
        self.taken(self.handed);
    }

    /// So many reports about tunnels of this session have been taken over.
    pub(crate) fn taken(&mut self, reports: u64) {
        self.tunnels.values_mut().for_each(|tunnel| tunnel.taken(reports));
    }
}

#[cfg(test)]
mod tests;
