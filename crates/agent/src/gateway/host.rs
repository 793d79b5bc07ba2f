//! The machine itself as the one router, for a plain Linux gateway.
//!
//! Its links, addresses and routes are its operator's. Besides the table of rules, forwarding is switched on where
//! tunnels need it and it is off; the table remembers that, so that it is switched off again with the last tunnel,
//! by whichever agent then runs.

use super::around::{Around, Interest, Node};
use super::forwarding::Forwarding;
use super::observed::Observed;
use super::tables::Tables;
use super::{Gateway, GatewayError, Made, Path, Severed, lanes, of, rules, severed};
use crate::{Guard, Watch};
use karez_engine::{ConnectionId, Datapath, Place, RouterId, RouterPlan};
use karez_net::{Error, Namespace, Netlink, nft};
use std::collections::{BTreeMap, BTreeSet};

/// Which router the machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostOptions {
    /// The name, under `/run/netns`, of the namespace that is the node; none for the one that the agent runs in.
    pub node_namespace: Option<String>,
    /// The router.
    pub router_id: RouterId,
}

/// Uses the machine.
#[derive(Debug)]
pub struct Host {
    options: HostOptions,
    tables: Tables,
    around: Around,
}

impl Host {
    /// Nothing is done until there is a plan for the router.
    #[must_use]
    pub fn new(options: HostOptions) -> Self {
        Self { options, tables: Tables::default(), around: Around::default() }
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
        if plan.id != self.options.router_id {
            return Err(GatewayError(format!(
                "router {}: this node is router {} and can be no other",
                plan.id, self.options.router_id
            )));
        }
        let place = Place { namespace: self.options.node_namespace.clone() };
        let namespace = self.namespace().map_err(&failed)?;
        if guards.is_empty() {
            let has_changed = self.clear(&namespace).await.map_err(&failed)?;
            return Ok(Made { place, has_changed });
        }
        let netlink = Netlink::open(&namespace).await.map_err(&failed)?;
        let observed = Observed::look(&netlink, plan, guards).await.map_err(&failed)?;
        if let Some(address) = observed.missing.first() {
            return Err(GatewayError(format!(
                "router {}: its outer address {address} is on no link of this machine; give it to one, or give the \
                 router another external address",
                plan.id
            )));
        }
        let mut site = observed.site;
        site.switched_on = self.tables.switched_on(&namespace).await.map_err(&failed)?;
        let needed = if plan.gateway.is_up { Forwarding::needed(guards) } else { BTreeSet::new() };
        for version in &needed {
            if !version.is_on(&namespace).map_err(&failed)? {
                site.switched_on.insert(*version);
            }
        }
        let table = rules::table(guards, datapath, &site);
        let mut has_changed = self.tables.ensure(&namespace, plan.id, table).await.map_err(&failed)?;
        has_changed |= lanes::ensure(&netlink, plan, guards, datapath, &site).await.map_err(&failed)?;
        for version in needed {
            has_changed |= version.switch(&namespace, true).map_err(&failed)?;
        }
        Ok(Made { place, has_changed })
    }

    /// How many packets of each connection were thrown away because they would have gone or have come in clear.
    ///
    /// # Errors
    /// What the machine refused.
    pub async fn dropped(&self, router: RouterId) -> Result<BTreeMap<ConnectionId, u64>, GatewayError> {
        let namespace = self.namespace().map_err(of(router))?;
        self.tables.dropped(&namespace).await.map_err(of(router))
    }

    async fn clear(&self, namespace: &Namespace) -> Result<bool, Error> {
        let router = self.options.router_id;
        let mut has_changed = false;
        for version in self.tables.switched_on(namespace).await? {
            has_changed |= version.switch(namespace, false)?;
        }
        has_changed |= lanes::remove(&Netlink::open(namespace).await?).await?;
        Ok(self.tables.remove(namespace, router).await? || has_changed)
    }

    fn namespace(&self) -> Result<Namespace, Error> {
        match &self.options.node_namespace {
            Some(name) => Namespace::open(name),
            None => Namespace::current(),
        }
    }
}

impl Gateway for Host {
    async fn apply(
        &self,
        plan: &RouterPlan,
        guards: &[Guard],
        datapath: Datapath,
    ) -> Result<Place, GatewayError> {
        self.make(plan, guards, datapath).await.map(|made| made.place)
    }

    async fn remove(&self, router: RouterId) -> Result<(), GatewayError> {
        if router != self.options.router_id {
            return Ok(());
        }
        let namespace = self.namespace().map_err(of(router))?;
        self.clear(&namespace).await.map(drop).map_err(of(router))
    }

    async fn present(&self) -> Result<Vec<RouterId>, GatewayError> {
        let router = self.options.router_id;
        let namespace = self.namespace().map_err(of(router))?;
        let is_there = nft::exists(&namespace, rules::TABLE).await.map_err(of(router))?
            || lanes::exist(&namespace).await.map_err(of(router))?;
        Ok(is_there.then_some(router).into_iter().collect())
    }

    async fn watch(&self, plan: &RouterPlan) -> Result<Watch, GatewayError> {
        let interest = Interest { namespace: self.options.node_namespace.clone(), ..Interest::default() };
        self.around.watch(Node::None, interest, |_| async {}).await.map_err(of(plan.id))
    }

    async fn severed(&self, plan: &RouterPlan, paths: &[Path]) -> Result<Severed, GatewayError> {
        let namespace = match self.namespace() {
            Err(error @ Error::NoNamespace { .. }) => return Ok(severed::all(paths, &error.to_string())),
            other => other.map_err(of(plan.id))?,
        };
        let netlink = Netlink::open(&namespace).await.map_err(of(plan.id))?;
        severed::look(&netlink, "the machine", paths).await.map_err(of(plan.id))
    }

    async fn found(&self) -> Result<Vec<RouterId>, GatewayError> {
        Ok(vec![self.options.router_id])
    }
}
