//! Peers that are given by a host name: resolved again and again, beside the task, in the agent's own namespace.

use super::Router;
use crate::clock::{SECOND, now};
use crate::explain;
use karez_engine::{ConnectionId, Peer};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::lookup_host;
use tokio::sync::Semaphore;

/// Until a name is looked up again after it was found, microseconds.
const FOUND: i64 = 60 * SECOND;

/// Until a name is looked up again after it was not found, microseconds.
const NOT_FOUND: i64 = 10 * SECOND;

/// Lookups of one router at a time, and of all of them: each waits on a thread until the system's resolver gives up.
const OF_ONE: usize = 4;
static OF_ALL: Semaphore = Semaphore::const_new(32);

/// The places of one router's lookups.
pub(super) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(OF_ONE))
}

/// What came of looking a host name up.
pub(super) struct Resolved {
    id: ConnectionId,
    host: String,
    outcome: io::Result<Vec<IpAddr>>,
}

impl Router {
    /// Begins to look up the names whose time has come.
    pub(super) fn resolve_due(&mut self, now: i64) {
        for (id, tunnel) in &mut self.tunnels {
            let Peer::Host(host) = &tunnel.plan.peer else { continue };
            if !tunnel.is_wanted() || tunnel.resolve_at.is_some_and(|at| now < at) {
                continue;
            }
            tunnel.resolve_at = Some(now + FOUND);
            let (id, host, results) = (*id, host.clone(), self.resolved.clone());
            let places = Arc::clone(&self.lookups);
            tokio::spawn(async move {
                let (Ok(_of_one), Ok(_of_all)) = (places.acquire().await, OF_ALL.acquire().await) else {
                    return;
                };
                let outcome = lookup_host((host.as_str(), 0)).await;
                let outcome = outcome.map(|found| found.map(|address| address.ip()).collect());
                // The task may have ended meanwhile.
                let _ = results.send(Resolved { id, host, outcome });
            });
        }
    }

    /// A name was looked up. An address that we use already stays as long as it is among those found.
    pub(super) async fn take_address(&mut self, resolved: Resolved) {
        let Some(tunnel) = self.tunnels.get_mut(&resolved.id) else { return };
        if tunnel.plan.peer != Peer::Host(resolved.host.clone()) {
            return;
        }
        let now = now();
        let is_usable = |address: &IpAddr| address.is_ipv4() == tunnel.plan.local.is_ipv4();
        let obstacle = |address: &IpAddr| self.setup.bounds.peer_obstacle(&tunnel.plan, *address);
        let found: Vec<IpAddr> = resolved.outcome.iter().flatten().copied().filter(is_usable).collect();
        let usable: Vec<IpAddr> =
            found.iter().copied().filter(|address| obstacle(address).is_none()).collect();
        let Some(first) = usable.first().copied() else {
            let obstacle = found.first().and_then(obstacle);
            tunnel.resolve_at = Some(now + NOT_FOUND);
            // As it would be with that address in the plan.
            if let Some(why) = obstacle {
                tunnel.peer = None;
                tunnel.blueprint = None;
                tunnel.record.failed(explain::no_peer(&resolved.host, &why), now);
                return;
            }
            if tunnel.peer.is_none() {
                let why = match &resolved.outcome {
                    Ok(_) => "it has no address of the same IP version as ours".to_owned(),
                    Err(error) => error.to_string(),
                };
                tunnel.record.failed(explain::not_resolved(&resolved.host, &why), now);
            }
            return;
        };
        if tunnel.peer.is_some_and(|peer| usable.contains(&peer)) {
            return;
        }
        tunnel.peer = Some(first);
        tunnel.blueprint = None;
        if self.ask_at.is_none()
            && let Err(error) = self.configure().await
        {
            self.doubt_daemon(&error).await;
        }
    }
}
