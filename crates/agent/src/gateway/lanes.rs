//! Which packets enter tunnels where a process encrypts: those that a router forwards from a local subnet of a connection
//! to a network of its peer, and no others. See [`karez_net::lane`] for how that is done.

use super::rules::Site;
use crate::Guard;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use karez_engine::{Datapath, RouterPlan};
use karez_net::lane::{self, Entry, Lane};
use karez_net::{Error, LinkKind, Netlink};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the names of the engine's devices begin with.
pub(super) const DEVICE: &str = "ipsec";

/// Where charon puts its routes, with an address of our subnet as their source, and no packet is led.
const DAEMONS_TABLE: u32 = 220;

/// What nobody is asked for through a tunnel, however wide the peer's network is: loopback, the link's own, multicast.
const NEVER: [IpNet; 7] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)),
];

/// A link of a router that local subnets may be behind, with the router's addresses on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    pub link: String,
    pub addresses: BTreeSet<IpNet>,
    /// Networks behind others on that link.
    pub behind: BTreeSet<IpNet>,
}

/// Makes them so. Without guards, or where the kernel encrypts, there are none.
pub(super) async fn ensure(
    netlink: &Netlink,
    plan: &RouterPlan,
    guards: &[Guard],
    datapath: Datapath,
    site: &Site,
) -> Result<bool, Error> {
    let wanted = match datapath {
        Datapath::Userspace => lanes(plan, guards, site),
        Datapath::Kernel => Vec::new(),
    };
    let held = match datapath {
        Datapath::Userspace => held(netlink, &wanted, site).await?,
        Datapath::Kernel => BTreeSet::new(),
    };
    let has_changed = lane::hold(netlink.namespace(), held, DAEMONS_TABLE).await?;
    let device = if wanted.is_empty() { None } else { device(netlink).await? };
    Ok(lane::ensure(netlink.namespace(), wanted, device).await? || has_changed)
}

/// Takes them all away.
pub(super) async fn remove(netlink: &Netlink) -> Result<bool, Error> {
    let has_changed = lane::hold(netlink.namespace(), BTreeSet::new(), DAEMONS_TABLE).await?;
    Ok(lane::ensure(netlink.namespace(), Vec::new(), None).await? || has_changed)
}

/// charon that encrypts itself takes no tunnel for a subnet in which it sees no address of the router's own, and most
/// subnets behind others have none. One is held for each such subnet: the first of its network, which is of no host's, as far
/// as there are others.
async fn held(netlink: &Netlink, lanes: &[Lane], site: &Site) -> Result<BTreeSet<IpAddr>, Error> {
    let held = lane::held(netlink.namespace()).await?;
    let own = netlink.holders().await?;
    // And those that links of ours are about to have.
    let planned = || site.inside.iter().flat_map(|one| &one.addresses).map(IpNet::addr);
    let own = || own.keys().filter(|address| !held.contains(address)).copied().chain(planned());
    let localhost: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let has_one = |net: &IpNet| own().chain(localhost).any(|address| net.contains(&address));
    Ok(lanes.iter().map(|lane| lane.from).filter(|net| !has_one(net)).map(|net| net.network()).collect())
}

/// The engine's device. It leads packets there itself as soon as it has one; of two, it knows which is its own.
async fn device(netlink: &Netlink) -> Result<Option<u32>, Error> {
    let links = netlink.links().await?;
    let mut devices = links.iter().filter(|link| link.name.starts_with(DEVICE) && link.up);
    let first = devices.next().map(|link| link.index);
    Ok(first.filter(|_| devices.next().is_none()))
}

fn lanes(plan: &RouterPlan, guards: &[Guard], site: &Site) -> Vec<Lane> {
    let outer: BTreeSet<IpAddr> = plan.tunnels.iter().map(|tunnel| tunnel.local).collect();
    let mut peers: BTreeMap<IpNet, BTreeSet<IpNet>> = BTreeMap::new();
    for guard in guards {
        for local in &guard.local {
            let is_alike = |peer: &&IpNet| peer.addr().is_ipv4() == local.addr().is_ipv4();
            let nets = guard.peer.iter().filter(is_alike).map(IpNet::trunc);
            peers.entry(local.trunc()).or_default().extend(nets);
        }
    }
    let lane = |(from, to): (IpNet, BTreeSet<IpNet>)| {
        let kept = site.connected.iter().chain(&NEVER);
        let kept = kept.filter(|net| to.iter().any(|to| to.contains(*net))).copied().collect();
        Lane { from, entries: entries(&from, &site.inside, &outer), to, kept }
    };
    peers.into_iter().map(lane).collect()
}

/// By which links packets from a local subnet come in. The router's own addresses among them count for what it answers
/// itself. An outer address does not: IKE and what is encrypted leave from there.
fn entries(local: &IpNet, inside: &[Inside], outer: &BTreeSet<IpAddr>) -> BTreeSet<Entry> {
    let overlaps = |net: &IpNet| net.contains(local) || local.contains(&net.trunc());
    let on = |one: &&Inside| one.addresses.iter().any(overlaps);
    let behind = |one: &&Inside| one.behind.iter().any(overlaps);
    let mut links: Vec<&Inside> = inside.iter().filter(on).collect();
    if links.is_empty() {
        links = inside.iter().filter(behind).collect();
    }
    if links.is_empty() {
        links = inside.iter().collect();
    }
    let addresses = inside.iter().flat_map(|one| &one.addresses).map(IpNet::addr);
    let own = addresses.filter(|address| local.contains(address) && !outer.contains(address));
    let own = own.map(|address| Entry { link: lane::OWN.to_owned(), from: address.into() });
    let forwarded = links.into_iter().filter(|one| one.link != lane::OWN);
    let forwarded = forwarded.map(|one| Entry { link: one.link.clone(), from: *local });
    forwarded.chain(own).collect()
}

/// Whether local subnets may be behind this link.
pub(super) fn may_be_inside(link: &karez_net::Link) -> bool {
    link.master.is_none() && !link.name.starts_with(DEVICE) && !matches!(link.kind, LinkKind::Tun)
}

#[cfg(test)]
mod tests;
