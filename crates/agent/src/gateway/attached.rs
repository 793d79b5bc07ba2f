//! Routers that somebody else makes, such as Neutron's, touched only for what tunnels need.
//!
//! In such a namespace there is a table of rules of ours and, where a process encrypts, lanes to its device, and nothing
//! else: links, addresses, routes and settings are its maker's. What they have to be for tunnels is checked and, when it is not so, said.

use super::around::{Around, Interest, Node};
use super::forwarding::Forwarding;
use super::observed::Observed;
use super::tables::Tables;
use super::{Gateway, GatewayError, Made, Path, Severed, blocking, lanes, names, of, rules, severed};
use crate::{Guard, Watch};
use karez_engine::{ConnectionId, Datapath, Place, RouterId, RouterPlan, TunnelPlan};
use karez_net::{Error, Namespace, Netlink, nft};
use std::collections::BTreeMap;
use std::str::FromStr;
use thiserror::Error;

/// Where routers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedOptions {
    /// The names of their namespaces.
    pub pattern: NamespacePattern,
}

/// The names of namespaces of routers, with `{router_id}` where the id is: `qrouter-{router_id}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespacePattern {
    before: String,
    after: String,
}

/// What cannot be a pattern of names of namespaces.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no pattern for names of namespaces; write {{router_id}} once where the router's id is, and no '/'"
)]
pub struct NoNamespacePattern(String);

const ID: &str = "{router_id}";

impl FromStr for NamespacePattern {
    type Err = NoNamespacePattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(ID) {
            Some((before, after)) if !after.contains(ID) && !text.contains(['/', '\0']) => {
                Ok(Self { before: before.to_owned(), after: after.to_owned() })
            }
            _ => Err(NoNamespacePattern(text.to_owned())),
        }
    }
}

impl NamespacePattern {
    /// The namespace of a router.
    #[must_use]
    pub fn namespace(&self, router: RouterId) -> String {
        format!("{}{router}{}", self.before, self.after)
    }

    fn router(&self, namespace: &str) -> Option<RouterId> {
        names::id(namespace.strip_prefix(&self.before)?.strip_suffix(&self.after)?)
    }
}

/// Uses routers.
#[derive(Debug)]
pub struct Attached {
    options: AttachedOptions,
    tables: Tables,
    around: Around,
}

impl Attached {
    /// Nothing is done until a router is to be used.
    #[must_use]
    pub fn new(options: AttachedOptions) -> Self {
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
        let name = self.options.pattern.namespace(plan.id);
        let place = Place { namespace: Some(name.clone()) };
        let namespace = match Namespace::open(&name) {
            Err(Error::NoNamespace { .. }) if guards.is_empty() => {
                return Ok(Made { place, has_changed: false });
            }
            Err(Error::NoNamespace { .. }) => return Err(no_namespace(plan.id, &name)),
            other => other.map_err(&failed)?,
        };
        let mut site = rules::Site::default();
        let netlink = Netlink::open(&namespace).await.map_err(&failed)?;
        if !guards.is_empty() {
            let observed = Observed::look(&netlink, plan, guards).await.map_err(&failed)?;
            if let Some(address) = observed.missing.first() {
                return Err(GatewayError(format!(
                    "router {}: its outer address {address} is on no link in namespace {name}; of a highly available \
                     router this is the standby instance, else whoever makes the router is not done with it",
                    plan.id
                )));
            }
            check_forwarding(plan, guards, &namespace)?;
            site = observed.site;
        }
        let table = rules::table(guards, datapath, &site);
        let mut has_changed = self.tables.ensure(&namespace, plan.id, table).await.map_err(&failed)?;
        has_changed |= lanes::ensure(&netlink, plan, guards, datapath, &site).await.map_err(&failed)?;
        Ok(Made { place, has_changed })
    }

    /// How many packets of each connection were thrown away because they would have gone or have come in clear.
    ///
    /// # Errors
    /// What the machine refused.
    pub async fn dropped(&self, router: RouterId) -> Result<BTreeMap<ConnectionId, u64>, GatewayError> {
        let namespace = Namespace::open(&self.options.pattern.namespace(router)).map_err(of(router))?;
        self.tables.dropped(&namespace).await.map_err(of(router))
    }

    /// The routers whose namespaces are there.
    async fn routers(&self) -> Result<Vec<RouterId>, GatewayError> {
        let names = blocking(Namespace::list).await.map_err(|error| GatewayError(error.to_string()))?;
        let mut routers: Vec<_> = names.iter().filter_map(|name| self.options.pattern.router(name)).collect();
        routers.sort_unstable();
        Ok(routers)
    }
}

impl Gateway for Attached {
    async fn apply(
        &self,
        plan: &RouterPlan,
        guards: &[Guard],
        datapath: Datapath,
    ) -> Result<Place, GatewayError> {
        self.make(plan, guards, datapath).await.map(|made| made.place)
    }

    async fn remove(&self, router: RouterId) -> Result<(), GatewayError> {
        match Namespace::open(&self.options.pattern.namespace(router)) {
            Ok(namespace) => {
                let netlink = Netlink::open(&namespace).await.map_err(of(router))?;
                lanes::remove(&netlink).await.map_err(of(router))?;
                self.tables.remove(&namespace, router).await.map(drop).map_err(of(router))
            }
            Err(Error::NoNamespace { .. }) => {
                self.tables.forget(router);
                Ok(())
            }
            Err(error) => Err(of(router)(error)),
        }
    }

    async fn present(&self) -> Result<Vec<RouterId>, GatewayError> {
        let mut present = Vec::new();
        for router in self.routers().await? {
            let namespace = match Namespace::open(&self.options.pattern.namespace(router)) {
                Err(Error::NoNamespace { .. }) => continue,
                other => other.map_err(of(router))?,
            };
            let has_table = nft::exists(&namespace, rules::TABLE).await.map_err(of(router))?;
            if has_table || lanes::exist(&namespace).await.map_err(of(router))? {
                present.push(router);
            }
        }
        Ok(present)
    }

    async fn watch(&self, plan: &RouterPlan) -> Result<Watch, GatewayError> {
        let namespace = Some(self.options.pattern.namespace(plan.id));
        let interest = Interest { namespace, ..Interest::default() };
        self.around.watch(Node::None, interest, |_| async {}).await.map_err(of(plan.id))
    }

    async fn severed(&self, plan: &RouterPlan, paths: &[Path]) -> Result<Severed, GatewayError> {
        let name = self.options.pattern.namespace(plan.id);
        let namespace = match Namespace::open(&name) {
            Err(Error::NoNamespace { .. }) => {
                return Ok(severed::all(paths, &format!("there is no namespace {name} on this node")));
            }
            other => other.map_err(of(plan.id))?,
        };
        let netlink = Netlink::open(&namespace).await.map_err(of(plan.id))?;
        let mut severed =
            severed::look(&netlink, &format!("namespace {name}"), paths).await.map_err(of(plan.id))?;
        for (tunnel, trouble) in unforwarded(plan, &namespace).map_err(of(plan.id))? {
            severed.entry(tunnel).or_insert(trouble);
        }
        Ok(severed)
    }

    async fn found(&self) -> Result<Vec<RouterId>, GatewayError> {
        self.routers().await
    }
}

fn no_namespace(router: RouterId, name: &str) -> GatewayError {
    GatewayError(format!(
        "router {router}: there is no namespace {name} on this node; the router is elsewhere, or whoever makes it has \
         not done so yet"
    ))
}

fn check_forwarding(plan: &RouterPlan, guards: &[Guard], namespace: &Namespace) -> Result<(), GatewayError> {
    if !plan.gateway.is_up {
        return Ok(());
    }
    for version in Forwarding::needed(guards) {
        if !version.is_on(namespace).map_err(of(plan.id))? {
            return Err(GatewayError(format!("router {}: {}", plan.id, off(version, namespace))));
        }
    }
    Ok(())
}

/// The tunnels that no packet gets through for between their networks, since the router forwards none.
fn unforwarded(plan: &RouterPlan, namespace: &Namespace) -> Result<Severed, Error> {
    let mut severed = Severed::new();
    for version in Forwarding::ALL {
        // A tunnel between the gateways themselves needs no forwarding.
        let is_needed = |tunnel: &&TunnelPlan| {
            let mut nets = tunnel.local_subnets.iter();
            tunnel.is_up && nets.any(|net| Forwarding::of(net) == version && *net != tunnel.local.into())
        };
        let mut tunnels = plan.tunnels.iter().filter(is_needed).peekable();
        if tunnels.peek().is_some() && !version.is_on(namespace)? {
            severed.extend(tunnels.map(|tunnel| (tunnel.id, off(version, namespace))));
        }
    }
    Ok(severed)
}

fn off(version: Forwarding, namespace: &Namespace) -> String {
    format!(
        "forwarding of {version} is off in namespace {namespace}; whoever makes the router has to switch it on, since \
         its settings are not ours"
    )
}
