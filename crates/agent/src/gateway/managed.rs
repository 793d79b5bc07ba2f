//! Routers that Karez makes: a namespace each, with its links, addresses, routes and rules.
//!
//! ```text
//!             node's namespace                        karez-<router>
//!  external bridge ── kx-<port> ─────────────────── qg-<port>
//!  kbr-<network> ──── kr-<port> ─────────────────── qr-<port>
//! ```
//!
//! The external bridge is the operator's and has to be there; bridges of internal networks are made unless they are
//! there, and those that were made go with their last port.

mod links;
mod owner;
mod settings;
mod site;

use super::around::{Around, Interest, Node};
use super::rules;
use super::tables::Tables;
use super::{Gateway, GatewayError, Made, Path, Severed, blocking, lanes, names, of, severed};
use crate::{Guard, Watch};
use karez_engine::{ConnectionId, Datapath, External, Place, RouterId, RouterPlan};
use karez_net::{Error, Namespace, Netlink};
use links::Links;
use owner::Owner;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use uuid::Uuid;

/// Where routers are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedOptions {
    /// The name, under `/run/netns`, of the namespace that is the node; none for the one that the agent runs in.
    pub node_namespace: Option<String>,
    /// The bridge, in the node's namespace, that external networks are on. The operator has made it.
    pub external_bridge: String,
    /// Bridges of those external networks, by id, that are on another.
    pub external_bridges: BTreeMap<Uuid, String>,
}

/// Makes routers.
#[derive(Debug)]
pub struct Managed {
    options: ManagedOptions,
    tables: Tables,
    /// Held while ports come to or go from bridges of ours, so that no bridge goes while a port comes.
    bridges: Arc<Mutex<()>>,
    around: Around,
}

impl Managed {
    /// Nothing is done until a router is to be made.
    #[must_use]
    pub fn new(options: ManagedOptions) -> Self {
        Self { options, tables: Tables::default(), bridges: Arc::default(), around: Around::default() }
    }

    /// The name of the namespace that a router is in.
    #[must_use]
    pub fn namespace(router: RouterId) -> String {
        names::namespace(router)
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
        let failed = of(plan.id);
        let node = self.node().await.map_err(&failed)?;
        let name = names::namespace(plan.id);
        let router = opened(&name).await.map_err(&failed)?;
        let mut has_changed = Owner::of(&node)?.claim(plan.id, &router).await?;
        // What follows is in an order in which at no time anything goes in clear that should not.
        let site = site::site(plan);
        let table = rules::table(guards, datapath, &site);
        has_changed |= self.tables.ensure(router.namespace(), plan.id, table).await.map_err(&failed)?;
        has_changed |= lanes::ensure(&router, plan, guards, datapath, &site).await.map_err(&failed)?;
        has_changed |= settings::ensure(router.namespace(), plan.gateway.is_up).map_err(&failed)?;
        has_changed |= router.ensure_loopback().await.map_err(&failed)?;
        has_changed |= self.link(&node, &router, plan).await?;
        has_changed |= router.ensure_routes(&site::routes(&plan.gateway)).await.map_err(&failed)?;
        Ok(Made { place: Place { namespace: Some(name) }, has_changed })
    }

    /// How many packets of each connection were thrown away because they would have gone or have come in clear.
    ///
    /// # Errors
    /// What the machine refused.
    pub async fn dropped(&self, router: RouterId) -> Result<BTreeMap<ConnectionId, u64>, GatewayError> {
        let namespace = Namespace::open(&names::namespace(router)).map_err(of(router))?;
        self.tables.dropped(&namespace).await.map_err(of(router))
    }

    /// Links with their addresses; what is no longer wanted goes first, since an address may have moved.
    async fn link(&self, node: &Netlink, router: &Netlink, plan: &RouterPlan) -> Result<bool, GatewayError> {
        let failed = of(plan.id);
        let gateway = &plan.gateway;
        let links = Links { node, router, bridges: &self.bridges };
        let internal = gateway.internal.iter().map(|internal| names::internal(internal.port));
        let external = gateway.external.iter().map(|external| names::external(external.port));
        let mut has_changed = links.keep(&internal.chain(external).collect()).await.map_err(&failed)?;
        for internal in &gateway.internal {
            has_changed |= links.internal(internal).await.map_err(&failed)?;
        }
        if let Some(external) = &gateway.external {
            let bridge = self.external_bridge(external);
            has_changed |= links.external(external, bridge, &gateway.floating).await.map_err(&failed)?;
        }
        Ok(has_changed)
    }

    fn external_bridge(&self, external: &External) -> &str {
        self.options.external_bridges.get(&external.network).unwrap_or(&self.options.external_bridge)
    }

    async fn node(&self) -> Result<Netlink, Error> {
        let namespace = match &self.options.node_namespace {
            Some(name) => Namespace::open(name)?,
            None => Namespace::current()?,
        };
        Netlink::open(&namespace).await
    }
}

impl Gateway for Managed {
    async fn apply(
        &self,
        plan: &RouterPlan,
        guards: &[Guard],
        datapath: Datapath,
    ) -> Result<Place, GatewayError> {
        self.make(plan, guards, datapath).await.map(|made| made.place)
    }

    async fn remove(&self, router: RouterId) -> Result<(), GatewayError> {
        let failed = of(router);
        let node = self.node().await.map_err(&failed)?;
        let name = names::namespace(router);
        match Namespace::open(&name) {
            Ok(namespace) => {
                let inside = Netlink::open(&namespace).await.map_err(&failed)?;
                if !Owner::of(&node)?.may_remove(&inside).await.map_err(&failed)? {
                    return Ok(());
                }
                // A process may still live in there, and keep alive what is not removed one by one.
                let links = Links { node: &node, router: &inside, bridges: &self.bridges };
                links.clear().await.map_err(&failed)?;
                lanes::remove(&inside).await.map_err(&failed)?;
                blocking(move || Namespace::delete(&name)).await.map_err(&failed)?;
            }
            Err(Error::NoNamespace { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
        self.tables.forget(router);
        Ok(())
    }

    async fn present(&self) -> Result<Vec<RouterId>, GatewayError> {
        let failed = |error: Error| GatewayError(error.to_string());
        let node = self.node().await.map_err(failed)?;
        let owner = Owner::of(&node)?;
        if let Err(error) = links::adopt(&node, &self.bridges).await {
            tracing::warn!(%error, "bridges of an earlier agent may stay when they have no ports any more");
        }
        // Hosts may have left them while no agent ran.
        links::sweep(&node, &self.bridges).await;
        let names = blocking(Namespace::list).await.map_err(failed)?;
        let mut present = Vec::new();
        for name in names {
            let Some(router) = names::router(&name) else { continue };
            match owner.has(&name).await {
                Ok(true) => present.push(router),
                Ok(false) | Err(Error::NoNamespace { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(present)
    }

    async fn watch(&self, plan: &RouterPlan) -> Result<Watch, GatewayError> {
        let node = match &self.options.node_namespace {
            Some(name) => Node::Named(name.clone()),
            None => Node::Current,
        };
        let external = plan.gateway.external.as_ref().map(|external| self.external_bridge(external));
        let bridges = Arc::clone(&self.bridges);
        let sweep = move |node| {
            let bridges = Arc::clone(&bridges);
            async move { links::sweep(&node, &bridges).await }
        };
        self.around.watch(node, Interest::of(plan, external), sweep).await.map_err(of(plan.id))
    }

    async fn severed(&self, plan: &RouterPlan, paths: &[Path]) -> Result<Severed, GatewayError> {
        if let Some(external) = &plan.gateway.external {
            let node = self.node().await.map_err(of(plan.id))?;
            let outside = links::outside(&node, external, self.external_bridge(external)).await;
            if let Some(trouble) = outside.map_err(of(plan.id))? {
                return Ok(severed::all(paths, &trouble));
            }
        }
        let name = names::namespace(plan.id);
        let namespace = match Namespace::open(&name) {
            Err(error @ Error::NoNamespace { .. }) => return Ok(severed::all(paths, &error.to_string())),
            other => other.map_err(of(plan.id))?,
        };
        let netlink = Netlink::open(&namespace).await.map_err(of(plan.id))?;
        severed::look(&netlink, &format!("namespace {name}"), paths).await.map_err(of(plan.id))
    }

    async fn found(&self) -> Result<Vec<RouterId>, GatewayError> {
        Ok(Vec::new())
    }
}

async fn opened(name: &str) -> Result<Netlink, Error> {
    let owned = name.to_owned();
    let namespace = blocking(move || Namespace::create(&owned)).await?;
    Netlink::open(&namespace).await
}
