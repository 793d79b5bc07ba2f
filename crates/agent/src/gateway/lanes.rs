//! Which packets enter tunnels: those that a router forwards from a local subnet of a connection to a network of its peer,
//! and no others. Where a process encrypts, lanes lead them to its device ([`karez_net::lane`]). Where the kernel does,
//! its policies say so themselves; beside them others let pass what is connected, and stop what no tunnel takes
//! ([`karez_net::policy`]).

use super::rules::Site;
use crate::Guard;
use ipnet::IpNet;
use karez_engine::{Datapath, RouterPlan};
use karez_net::lane::{self, Entry, Lane};
use karez_net::policy::{self, Policy};
use karez_net::{Error, LinkKind, Namespace, Netlink};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the names of the engine's devices begin with.
pub(super) const DEVICE: &str = "ipsec";

/// Where charon puts its routes, with an address of our subnet as their source, and no packet is led.
const DAEMONS_TABLE: u32 = 220;

/// A link of a router that local subnets may be behind, with the router's addresses on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Inside {
    pub link: String,
    pub addresses: BTreeSet<IpNet>,
    /// Networks behind others on that link.
    pub behind: BTreeSet<IpNet>,
}

/// Makes them so. Without guards there are none.
pub(super) async fn ensure(
    netlink: &Netlink,
    plan: &RouterPlan,
    guards: &[Guard],
    datapath: Datapath,
    site: &Site,
) -> Result<bool, Error> {
    let wanted = lanes(plan, guards, site);
    match datapath {
        Datapath::Userspace => {
            let held = held(netlink, &wanted, site).await?;
            let has_changed = lane::hold(netlink.namespace(), held, DAEMONS_TABLE).await?;
            let device = if wanted.is_empty() { None } else { device(netlink).await? };
            let has_led = lane::ensure(netlink.namespace(), wanted, device).await?;
            // Left from when the kernel encrypted.
            Ok(policy::ensure(netlink.namespace(), BTreeSet::new()).await? || has_led || has_changed)
        }
        Datapath::Kernel => {
            let has_changed = policy::ensure(netlink.namespace(), policies(&wanted)).await?;
            Ok(remove_lanes(netlink).await? || has_changed)
        }
    }
}

/// Takes them all away.
pub(super) async fn remove(netlink: &Netlink) -> Result<bool, Error> {
    let has_changed = remove_lanes(netlink).await?;
    Ok(policy::ensure(netlink.namespace(), BTreeSet::new()).await? || has_changed)
}

/// Whether there is anything of them.
pub(super) async fn exist(namespace: &Namespace) -> Result<bool, Error> {
    Ok(lane::exists(namespace).await? || policy::exists(namespace).await?)
}

async fn remove_lanes(netlink: &Netlink) -> Result<bool, Error> {
    let has_changed = lane::hold(netlink.namespace(), BTreeSet::new(), DAEMONS_TABLE).await?;
    Ok(lane::ensure(netlink.namespace(), Vec::new(), None).await? || has_changed)
}

/// The same for a kernel that encrypts.
fn policies(lanes: &[Lane]) -> BTreeSet<Policy> {
    let of = |lane: &Lane| {
        let local = lane.from;
        let pass = lane.kept.iter().map(move |other| Policy::Pass { local, other: *other });
        let protect = lane.to.difference(&lane.kept).map(move |peer| Policy::Protect { local, peer: *peer });
        pass.chain(protect).collect::<Vec<_>>()
    };
    lanes.iter().flat_map(of).collect()
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
    let mut lanes: BTreeMap<IpNet, Lane> = BTreeMap::new();
    for guard in guards {
        for local in &guard.local {
            let is_alike = |peer: &&IpNet| peer.addr().is_ipv4() == local.addr().is_ipv4();
            let from = local.trunc();
            let lane = lanes.entry(from).or_insert_with(|| Lane {
                from,
                entries: entries(&from, &site.inside, &outer),
                to: BTreeSet::new(),
                kept: BTreeSet::new(),
            });
            lane.to.extend(guard.peer.iter().filter(is_alike).map(IpNet::trunc));
            lane.kept.extend(guard.but.iter().filter(is_alike));
        }
    }
    for lane in lanes.values_mut() {
        let is_within = |net: &&IpNet| lane.to.iter().any(|to| to.contains(*net));
        lane.kept.extend(site.connected.iter().filter(is_within));
    }
    lanes.into_values().collect()
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
