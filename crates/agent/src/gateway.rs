//! What every sort of gateway can do, and the sorts that there are.

mod any;
mod around;
mod attached;
mod forwarding;
mod host;
mod lanes;
mod managed;
mod names;
mod observed;
mod rules;
mod severed;
mod tables;

pub use any::AnyGateway;
pub use attached::{Attached, AttachedOptions, NamespacePattern, NoNamespacePattern};
pub use host::{Host, HostOptions};
pub use managed::{Managed, ManagedOptions};
pub use severed::{Path, Severed, paths};

use crate::{Guard, Watch};
use karez_engine::{Datapath, Place, RouterId, RouterPlan};
use std::future::Future;
use thiserror::Error;
use tokio::task::spawn_blocking;

/// What a gateway could not do: which router, what was tried, what would mend it.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct GatewayError(pub String);

/// The router around the tunnels: interfaces and routes where it is ours, and in any case what must
/// hold for the traffic of tunnels.
pub trait Gateway: Send + Sync + 'static {
    /// Makes the router so, by difference: its interfaces where this sort of gateway makes them,
    /// forwarding, and for the traffic of each guard the exemption from NAT, the clamp of the MSS
    /// and the drop of what would go or come in clear. Nothing else is touched. Returns where the
    /// engine is to work. Doing it again is harmless and cheap.
    ///
    /// # Errors
    /// What the machine refused. Trying again later is right.
    fn apply(
        &self,
        plan: &RouterPlan,
        guards: &[Guard],
        datapath: Datapath,
    ) -> impl Future<Output = Result<Place, GatewayError>> + Send;

    /// Takes away everything that [`Gateway::apply`] has made for a router. Nothing happens when
    /// there is nothing.
    ///
    /// # Errors
    /// What the machine refused. Trying again later is right.
    fn remove(&self, router: RouterId) -> impl Future<Output = Result<(), GatewayError>> + Send;

    /// The routers that something of ours is there for, perhaps from before the agent was started.
    ///
    /// # Errors
    /// What the machine refused.
    fn present(&self) -> impl Future<Output = Result<Vec<RouterId>, GatewayError>> + Send;

    /// Listens from now on to what may make a router otherwise than it should be, by whomever: the links, addresses and
    /// routes where its tunnels end, what it is joined to, its namespace itself. What changes the plan may change that.
    ///
    /// # Errors
    /// What the machine refused.
    fn watch(&self, plan: &RouterPlan) -> impl Future<Output = Result<Watch, GatewayError>> + Send;

    /// Of these tunnels those that, as the router is now, no packet can leave or come in for, with what is missing. It
    /// is the complement of the error of [`Gateway::apply`], which may leave tunnels that are up as they are.
    ///
    /// # Errors
    /// When it cannot be told.
    fn severed(
        &self,
        plan: &RouterPlan,
        paths: &[Path],
    ) -> impl Future<Output = Result<Severed, GatewayError>> + Send;

    /// The routers that somebody else has made on this node and that can be used; none for
    /// gateways that make routers themselves. Sorted.
    ///
    /// # Errors
    /// What the machine refused.
    fn found(&self) -> impl Future<Output = Result<Vec<RouterId>, GatewayError>> + Send;
}

/// What became of making a router so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Where the engine is to work.
    pub place: Place,
    /// Whether anything had to be done for it.
    pub has_changed: bool,
}

/// Says which router it was.
fn of(router: RouterId) -> impl Fn(karez_net::Error) -> GatewayError {
    move |error| GatewayError(format!("router {router}: {error}"))
}

/// Work that waits for a lock of the file system.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, karez_net::Error> + Send + 'static,
) -> Result<T, karez_net::Error> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
