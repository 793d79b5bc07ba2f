//! A gateway of the sort that the configuration names.

use super::{Attached, Gateway, GatewayError, Host, Made, Managed, Path, Severed};
use crate::{Guard, Watch};
use karez_engine::{ConnectionId, Datapath, Place, RouterId, RouterPlan};
use karez_fabric::Shape;
use std::collections::BTreeMap;

/// One of the sorts that there are.
#[derive(Debug)]
pub enum AnyGateway {
    /// See [`Managed`].
    Managed(Managed),
    /// See [`Attached`].
    Attached(Attached),
    /// See [`Host`].
    Host(Host),
}

impl AnyGateway {
    /// What the control plane is told of it.
    #[must_use]
    pub fn shape(&self) -> Shape {
        match self {
            Self::Managed(_) => Shape::Managed,
            Self::Attached(_) => Shape::Attached,
            Self::Host(_) => Shape::Host,
        }
    }

    /// As [`Gateway::apply`], and says whether anything had to be done.
    ///
    /// # Errors
    /// As [`Gateway::apply`].
    pub async fn make(
        &self,
        plan: &RouterPlan,
        guards: &[Guard],
        datapath: Datapath,
    ) -> Result<Made, GatewayError> {
        match self {
            Self::Managed(gateway) => gateway.make(plan, guards, datapath).await,
            Self::Attached(gateway) => gateway.make(plan, guards, datapath).await,
            Self::Host(gateway) => gateway.make(plan, guards, datapath).await,
        }
    }

    /// How many packets of each connection were thrown away because they would have gone or have come in clear.
    ///
    /// # Errors
    /// What the machine refused.
    pub async fn dropped(&self, router: RouterId) -> Result<BTreeMap<ConnectionId, u64>, GatewayError> {
        match self {
            Self::Managed(gateway) => gateway.dropped(router).await,
            Self::Attached(gateway) => gateway.dropped(router).await,
            Self::Host(gateway) => gateway.dropped(router).await,
        }
    }
}

impl Gateway for AnyGateway {
    async fn apply(
        &self,
        plan: &RouterPlan,
        guards: &[Guard],
        datapath: Datapath,
    ) -> Result<Place, GatewayError> {
        self.make(plan, guards, datapath).await.map(|made| made.place)
    }

    async fn remove(&self, router: RouterId) -> Result<(), GatewayError> {
        match self {
            Self::Managed(gateway) => gateway.remove(router).await,
            Self::Attached(gateway) => gateway.remove(router).await,
            Self::Host(gateway) => gateway.remove(router).await,
        }
    }

    async fn present(&self) -> Result<Vec<RouterId>, GatewayError> {
        match self {
            Self::Managed(gateway) => gateway.present().await,
            Self::Attached(gateway) => gateway.present().await,
            Self::Host(gateway) => gateway.present().await,
        }
    }

    async fn watch(&self, plan: &RouterPlan) -> Result<Watch, GatewayError> {
        match self {
            Self::Managed(gateway) => gateway.watch(plan).await,
            Self::Attached(gateway) => gateway.watch(plan).await,
            Self::Host(gateway) => gateway.watch(plan).await,
        }
    }

    async fn severed(&self, plan: &RouterPlan, paths: &[Path]) -> Result<Severed, GatewayError> {
        match self {
            Self::Managed(gateway) => gateway.severed(plan, paths).await,
            Self::Attached(gateway) => gateway.severed(plan, paths).await,
            Self::Host(gateway) => gateway.severed(plan, paths).await,
        }
    }

    async fn found(&self) -> Result<Vec<RouterId>, GatewayError> {
        match self {
            Self::Managed(gateway) => gateway.found().await,
            Self::Attached(gateway) => gateway.found().await,
            Self::Host(gateway) => gateway.found().await,
        }
    }
}
