//! What every engine can do.

use crate::{RouterId, TunnelPlan};
use std::future::Future;
use thiserror::Error;

/// Who encrypts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datapath {
    /// The kernel: packets leave through IPsec policies.
    Kernel,
    /// A process: packets leave through a TUN device whose name begins with `ipsec`.
    Userspace,
}

/// Where a router's tunnels are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name of its network namespace, as under `/run/netns`; none for the one that the agent
    /// runs in.
    pub namespace: Option<String>,
}

/// What an engine could not do.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The machine lacks something: a package, a right, a kernel feature.
    #[error("{0}")]
    Machine(String),
    /// The IKE daemon does not do as it is told.
    #[error("the IKE daemon of router {router}: {why}")]
    Daemon {
        /// The router.
        router: RouterId,
        /// What happened.
        why: String,
    },
}

/// Makes the tunnels of routers so, by difference.
///
/// An engine reports by a channel that it is given when it is made: a [`crate::TunnelReport`] at each
/// change of a tunnel's status, at once, and from time to time when only counters have changed.
pub trait Engine: Send + Sync + 'static {
    /// Who encrypts on this machine.
    fn datapath(&self) -> Datapath;

    /// Makes the tunnels of a router so: what is new is added, what has changed is changed with the
    /// least disturbance, what is not in the plan is ended; all else is left alone. Returns once the
    /// daemon has the plan; tunnels come up later. Doing it again is harmless. A plan that the engine
    /// cannot do is no error: the tunnel is reported as such.
    ///
    /// # Errors
    /// The machine's or the daemon's. Trying again later is right.
    fn apply(
        &self,
        router: RouterId,
        place: &Place,
        tunnels: &[TunnelPlan],
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Ends a router: tells the peers, stops the daemon, removes its files. Nothing happens when
    /// there is none.
    ///
    /// # Errors
    /// The machine's or the daemon's. Trying again later is right.
    fn remove(&self, router: RouterId) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// The routers that this engine has something of on this machine, perhaps from before the agent
    /// was started.
    ///
    /// # Errors
    /// The machine's.
    fn present(&self) -> impl Future<Output = Result<Vec<RouterId>, EngineError>> + Send;
}
