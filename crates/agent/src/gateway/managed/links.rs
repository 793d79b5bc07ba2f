//! The links of one router: pairs from its namespace to bridges of its node.

use crate::gateway::around::is_abandoned;
use crate::gateway::names;
use ipnet::IpNet;
use karez_engine::{External, Floating, Internal};
use karez_net::{Error, Link, LinkKind, LinkSettings, Mac, Netlink, VethEnd, ensure_veth};
use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use tokio::sync::Mutex;

/// The first octet of the node's ends: no address of one station is higher (IEEE 802, locally administered).
const HIGHEST: u8 = 0xfe;

/// Where the ends of pairs are.
pub(super) struct Links<'a> {
    pub node: &'a Netlink,
    pub router: &'a Netlink,
    /// Held while ports come to or go from bridges of ours.
    pub bridges: &'a Mutex<()>,
}

impl Links<'_> {
    /// The interface to an internal network, and the network's bridge.
    pub(super) async fn internal(&self, wanted: &Internal) -> Result<bool, Error> {
        let (inside, bridge) = (names::internal(wanted.port), names::bridge(wanted.network));
        let settings = LinkSettings::up().mtu(wanted.mtu);
        let mut has_changed = {
            let _bridges = self.bridges.lock().await;
            let made = self.node.ensure_bridge(&bridge, &settings.clone().alias(names::MAKER)).await?;
            let quieted = self.quieten(&bridge)?;
            let joined = self.join(&inside, &wanted.mac, wanted.mtu, settings.bridge(&bridge)).await?;
            made || quieted || joined
        };
        has_changed |=
            self.router.ensure_addresses(&inside, &wanted.addresses.iter().copied().collect()).await?;
        self.announce(&inside, has_changed).await
    }

    /// The interface to the external network, whose bridge has to be there.
    pub(super) async fn external(
        &self,
        wanted: &External,
        bridge: &str,
        floating: &[Floating],
    ) -> Result<bool, Error> {
        let inside = names::external(wanted.port);
        let found = self.node.link(bridge).await?.filter(|link| link.kind == LinkKind::Bridge);
        let Some(found) = found else { return Err(self.no_bridge(wanted, bridge)) };
        // A port with a smaller MTU than its bridge makes that of the bridge smaller.
        let settings = LinkSettings::up().mtu(wanted.mtu.max(found.mtu)).bridge(bridge);
        let mut has_changed = self.join(&inside, &wanted.mac, wanted.mtu, settings).await?;
        let floating = floating.iter().map(|floating| IpNet::from(floating.external));
        let addresses = wanted.addresses.iter().copied().chain(floating).collect();
        has_changed |= self.router.ensure_addresses(&inside, &addresses).await?;
        self.announce(&inside, has_changed).await
    }

    /// Removes the router's interfaces but these.
    pub(super) async fn keep(&self, wanted: &BTreeSet<String>) -> Result<bool, Error> {
        let links = self.router.links().await?;
        let is_ours = |name: &&str| names::outside(name).is_some() && !wanted.contains(*name);
        let surplus: Vec<_> = links.iter().map(|link| link.name.as_str()).filter(is_ours).collect();
        if surplus.is_empty() {
            return Ok(false);
        }
        let _bridges = self.bridges.lock().await;
        for name in surplus {
            self.router.remove_link(name).await?;
        }
        remove_bridges(self.node).await?;
        Ok(true)
    }

    /// Removes all of them.
    pub(super) async fn clear(&self) -> Result<(), Error> {
        self.keep(&BTreeSet::new()).await.map(drop)
    }

    async fn join(&self, inside: &str, mac: &str, mtu: u32, outside: LinkSettings) -> Result<bool, Error> {
        let mac: Mac = mac.parse().map_err(|error| self.failed(format!("make link {inside}"), error))?;
        let name = names::outside(inside).unwrap_or_default();
        // A bridge takes the lowest address of its ports for its own; the operator's shall keep what it has.
        let [_, rest @ ..] = mac.octets();
        let [a, b, c, d, e] = rest;
        let outside = outside.mac(Mac::from([HIGHEST, a, b, c, d, e])).alias(names::MAKER);
        let inside =
            VethEnd { netlink: self.router, name: inside, settings: LinkSettings::up().mtu(mtu).mac(mac) };
        let outside = VethEnd { netlink: self.node, name: &name, settings: outside };
        let joined = ensure_veth(&inside, &outside).await?;
        Ok(self.quieten(&name)? || joined)
    }

    /// The node itself is no host of the networks whose bridges it has: tenants must not reach it through them.
    fn quieten(&self, link: &str) -> Result<bool, Error> {
        let mut has_changed = false;
        for (family, setting, value) in [("ipv6", "disable_ipv6", "1"), ("ipv4", "arp_ignore", "8")] {
            let path = format!("net/{family}/conf/{link}/{setting}");
            has_changed |= match self.node.namespace().set_sysctl(&path, value) {
                // A kernel without IPv6.
                Err(Error::System { source, .. }) if source.kind() == ErrorKind::NotFound => false,
                other => other?,
            };
        }
        Ok(has_changed)
    }

    /// An address that was elsewhere is remembered there with another hardware address.
    async fn announce(&self, link: &str, has_changed: bool) -> Result<bool, Error> {
        if has_changed {
            self.router.announce(link).await?;
        }
        Ok(has_changed)
    }

    fn no_bridge(&self, wanted: &External, bridge: &str) -> Error {
        let why = format!(
            "there is no bridge {bridge}; make it, with the uplink as a port, or name another one for network {} in \
             the agent's configuration",
            wanted.network
        );
        Error::System {
            namespace: self.node.namespace().to_string(),
            operation: format!("join the router to external network {}", wanted.network),
            source: io::Error::new(ErrorKind::NotFound, why),
        }
    }

    fn failed(&self, operation: String, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        let namespace = self.router.namespace().to_string();
        Error::System { namespace, operation, source: io::Error::other(error) }
    }
}

/// Removes the bridges of ours that nothing is plugged into any more: a host may stay longer than the router.
pub(super) async fn sweep(node: &Netlink, bridges: &Mutex<()>) {
    let _bridges = bridges.lock().await;
    if let Err(error) = remove_bridges(node).await {
        tracing::warn!(%error, "bridges without ports cannot be removed");
    }
}

/// Takes over bridges that an agent has made which wrote on nothing that it was the maker. Its ends of pairs tell them:
/// nothing is written on those either. Once that is done, what somebody else has made is left alone.
pub(super) async fn adopt(node: &Netlink, bridges: &Mutex<()>) -> Result<(), Error> {
    let _bridges = bridges.lock().await;
    let mark = LinkSettings::default().alias(names::MAKER);
    let links = node.links().await?;
    let is_unmarked = |link: &&Link, prefix| link.name.starts_with(prefix) && link.alias.is_none();
    let ports = links.iter().filter(|link| link.kind == LinkKind::Veth);
    for port in ports.filter(|link| is_unmarked(link, names::INTERNAL_OUTSIDE)) {
        let bridge =
            links.iter().find(|link| link.kind == LinkKind::Bridge && Some(link.index) == port.master);
        if let Some(bridge) = bridge.filter(|link| is_unmarked(link, names::BRIDGE)) {
            node.ensure_link(&bridge.name, &mark).await?;
        }
        node.ensure_link(&port.name, &mark).await?;
    }
    Ok(())
}

/// Called with the lock held. One that will not go keeps nothing else from being done.
async fn remove_bridges(node: &Netlink) -> Result<(), Error> {
    let links = node.links().await?;
    for bridge in links.iter().filter(|link| is_abandoned(link, &links)) {
        if let Err(error) = node.remove_link(&bridge.name).await {
            tracing::warn!(%error, "a bridge without ports cannot be removed");
        }
    }
    Ok(())
}

/// What on the node keeps packets from the router's external interface, if anything does.
pub(super) async fn outside(
    node: &Netlink,
    external: &External,
    bridge: &str,
) -> Result<Option<String>, Error> {
    let found = node.link(bridge).await?.filter(|link| link.kind == LinkKind::Bridge);
    let Some(found) = found else { return Ok(Some(format!("the bridge {bridge} is not there"))) };
    if !found.up {
        return Ok(Some(format!("the bridge {bridge} is down")));
    }
    let name = names::outside(&names::external(external.port)).unwrap_or_default();
    Ok(match node.link(&name).await? {
        None => Some(format!("the link {name} is not there")),
        Some(link) if !link.up => Some(format!("the link {name} is down")),
        Some(link) if link.master != Some(found.index) => {
            Some(format!("the link {name} is no port of the bridge {bridge}"))
        }
        Some(_) => None,
    })
}
