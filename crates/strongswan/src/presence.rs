//! Whether what a running daemon has put into its namespace is still there. Somebody else may take it away, as with
//! `ip link del ipsec0` or `ip xfrm state flush`; the daemon does not notice, and counts its tunnels as up.

use crate::leftover;
use ipnet::IpNet;
use karez_engine::{ChildSa, Datapath};
use karez_net::{Error, Forward, LOOPBACK, Link, Namespace, Netlink, lane};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What the daemon's TUN device must be called: the rules that keep packets from going in clear know it by that.
const TUN: &str = "ipsec";

/// What is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What the daemon makes at its start alone, in words. Without it no tunnel works.
    pub(crate) base: Option<String>,
    /// What keeps packets from child SAs.
    pub(crate) cut: Cut,
}

/// What keeps packets from child SAs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cut {
    /// By our subnets and one of the peer's, so that it is known of a child SA that takes the place of another.
    nets: BTreeMap<(Vec<IpNet>, IpNet), Obstacle>,
    /// By the inbound SPI.
    spis: BTreeMap<String, Obstacle>,
}

/// Why packets do not get to a child SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    pub(crate) why: String,
    /// Whether the daemon's own part is gone: with another child SA it makes it again.
    pub(crate) is_daemons: bool,
}

impl Missing {
    /// What is missing in both.
    pub(crate) fn still(mut self, before: &Self) -> Self {
        self.base.take_if(|_| before.base.is_none());
        self.cut.nets.retain(|net, _| before.cut.nets.contains_key(net));
        self.cut.spis.retain(|spi, _| before.cut.spis.contains_key(spi));
        self
    }
}

impl Cut {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What of it concerns none of these child SAs: what takes the place of one that has gone shows whether it is better.
    pub(crate) fn awaited(mut self, children: &[ChildSa]) -> Self {
        self.nets.retain(|net, _| !children.iter().any(|child| covers(child, net)));
        self.spis.clear();
        self
    }

    /// Both.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.nets.extend(other.nets);
        self.spis.extend(other.spis);
        self
    }

    /// What of it concerns these child SAs, if it is in one of the others too.
    pub(crate) fn of(&self, children: &[ChildSa], others: [&Self; 2]) -> Self {
        let mut own = self.clone();
        own.nets.retain(|net, _| {
            let is_known = others.iter().any(|other| other.nets.contains_key(net));
            is_known && children.iter().any(|child| covers(child, net))
        });
        own.spis.retain(|spi, _| {
            let is_known = others.iter().any(|other| other.spis.contains_key(spi));
            is_known && children.iter().any(|child| child.spi_in == *spi)
        });
        own
    }

    /// What keeps packets from this child SA, or from a part of it.
    pub(crate) fn obstacles(&self, child: &ChildSa) -> impl Iterator<Item = &Obstacle> {
        let nets = child.peer_subnets.iter().map(|net| (child.local_subnets.clone(), *net));
        let by_net = nets.filter_map(|net| self.nets.get(&net));
        by_net.chain(self.spis.get(&child.spi_in))
    }

    /// The part of a child SA that packets get to; none when that is nothing.
    pub(crate) fn rest(&self, mut child: ChildSa) -> Option<ChildSa> {
        if self.spis.contains_key(&child.spi_in) {
            return None;
        }
        let local = child.local_subnets.clone();
        let had_any = !child.peer_subnets.is_empty();
        child.peer_subnets.retain(|net| !self.nets.contains_key(&(local.clone(), *net)));
        (!had_any || !child.peer_subnets.is_empty()).then_some(child)
    }

    /// Why, in the words of the first.
    pub(crate) fn first(&self) -> Option<&Obstacle> {
        self.nets.values().chain(self.spis.values()).next()
    }
}

fn covers(child: &ChildSa, (local, peer): &(Vec<IpNet>, IpNet)) -> bool {
    child.local_subnets == *local && child.peer_subnets.contains(peer)
}

/// Leads packets to the device of a daemon that encrypts itself; see [`karez_net::lane`]. Nothing happens while it has
/// none.
///
/// # Errors
/// The kernel's.
pub(crate) async fn lead(namespace: &Namespace, process: i32) -> Result<(), Error> {
    let netlink = Netlink::open(namespace).await?;
    // One from before had a rule that took in everybody's packets. It does not miss it.
    netlink.remove_rules_for_all(leftover::TABLE.into(), leftover::TABLE.into()).await?;
    let Some(name) = device(process).filter(|name| name.starts_with(TUN)) else { return Ok(()) };
    match netlink.link(&name).await? {
        Some(link) if link.up => lane::lead(namespace, link.index).await.map(drop),
        Some(_) | None => Ok(()),
    }
}

/// Looks for what these child SAs of a daemon need around it.
///
/// # Errors
/// When it cannot be told.
pub(crate) async fn look(
    namespace: &Namespace,
    datapath: Datapath,
    process: i32,
    children: &[ChildSa],
) -> Result<Missing, Error> {
    match datapath {
        Datapath::Userspace => in_routes(namespace, process, children).await,
        Datapath::Kernel => in_kernel(namespace, children).await,
    }
}

/// The daemon's TUN device, and where packets go that come in as those of a tunnel do.
async fn in_routes(namespace: &Namespace, process: i32, children: &[ChildSa]) -> Result<Missing, Error> {
    let lacks = |base: String| Ok(Missing { base: Some(base), ..Missing::default() });
    let name = match device(process) {
        // It has just ended, or the kernel does not say.
        None => return Err(failed(namespace, io::ErrorKind::NotFound.into())),
        Some(name) if name.is_empty() => return lacks("its TUN device is gone".to_owned()),
        Some(name) if !name.starts_with(TUN) => {
            return lacks(format!("its TUN device was given the name {name}"));
        }
        Some(name) => name,
    };
    let netlink = Netlink::open(namespace).await?;
    let links = netlink.links().await?;
    let index = match links.iter().find(|link| link.name == name) {
        Some(link) if link.up => link.index,
        Some(_) => return lacks(format!("its TUN device {name} is down")),
        None => return lacks(format!("its TUN device {name} is in another namespace")),
    };
    let own: BTreeSet<IpNet> = netlink.holders().await?.into_keys().map(IpNet::from).collect();
    let lanes = lane::lead(namespace, index).await?;
    let mut road = Road { netlink, links, own, known: BTreeMap::new() };
    let mut past: BTreeMap<(Vec<IpNet>, IpNet), String> = BTreeMap::new();
    for child in children {
        for net in &child.peer_subnets {
            for local in &child.local_subnets {
                let Some(why) = road.past(&lanes, index, local, net).await? else { continue };
                past.insert((child.local_subnets.clone(), *net), why);
            }
        }
    }
    let obstacle = |way: String| Obstacle {
        why: format!("{way}, and should go by the tunnel's device {name}"),
        // It has no part in it.
        is_daemons: false,
    };
    let nets = past.into_iter().map(|(key, way)| (key, obstacle(way))).collect();
    Ok(Missing { base: None, cut: Cut { nets, ..Cut::default() } })
}

/// Where packets go, with what was asked of the kernel before.
struct Road {
    netlink: Netlink,
    links: Vec<Link>,
    own: BTreeSet<IpNet>,
    known: BTreeMap<(String, IpAddr, IpAddr), Forward>,
}

impl Road {
    /// Where packets from one network to another go that should go by the device of this number; none if they do, or if it
    /// cannot be told.
    async fn past(
        &mut self,
        lanes: &[lane::Found],
        device: u32,
        local: &IpNet,
        peer: &IpNet,
    ) -> Result<Option<String>, Error> {
        let Some(questions) = questions(lanes, local, peer) else {
            return Ok(Some(format!("packets from {local} to {peer} are led nowhere")));
        };
        for (link, from, to) in questions {
            let Forward::By(outlet) = self.ask(link, from, to).await? else { continue };
            // An address of the router's own among the peer's says nothing about the others.
            if outlet == Some(device) || outlet == Some(LOOPBACK) {
                continue;
            }
            let by = outlet.and_then(|outlet| self.links.iter().find(|link| link.index == outlet));
            let way = by.map_or_else(|| "nowhere".to_owned(), |link| format!("by {}", link.name));
            return Ok(Some(format!("packets to {peer} go {way}")));
        }
        Ok(None)
    }

    async fn ask(&mut self, link: &str, from: IpNet, to: IpAddr) -> Result<Forward, Error> {
        let from = if link == lane::OWN {
            // Only from such an address does it send anything itself.
            self.own.iter().map(IpNet::addr).find(|own| from.contains(own))
        } else {
            // From an address of its own nothing comes in.
            inside(&from, &self.own)
        };
        let Some(from) = from else { return Ok(Forward::Unknown) };
        let key = (link.to_owned(), from, to);
        if let Some(forward) = self.known.get(&key) {
            return Ok(*forward);
        }
        let number = self.links.iter().find(|found| found.name == link && found.up).map(|link| link.index);
        let forward = match number {
            _ if link == lane::OWN => Forward::By(self.netlink.outlet(Some(from), to).await?),
            Some(number) => self.netlink.forward(number, from, to).await?,
            None => Forward::Unknown,
        };
        self.known.insert(key, forward);
        Ok(forward)
    }
}

/// What to ask about packets from one network to another: the links that they come in through, from where, and an address
/// that they go to. None if no lane is for them.
fn questions<'a>(
    lanes: &'a [lane::Found],
    local: &IpNet,
    peer: &IpNet,
) -> Option<Vec<(&'a str, IpNet, IpAddr)>> {
    let overlaps = |entry: &lane::Entry| entry.from.contains(local) || local.contains(&entry.from);
    let mut is_kept = false;
    let mut questions = None;
    for lane in lanes.iter().filter(|lane| lane.entries.iter().any(overlaps)) {
        is_kept |= lane.kept.iter().any(|kept| kept.contains(peer));
        if !lane.to.keys().any(|to| to.contains(peer)) {
            continue;
        }
        let questions: &mut Vec<_> = questions.get_or_insert_default();
        let Some(to) = inside(peer, &lane.kept) else { continue };
        for entry in lane.entries.iter().filter(|entry| overlaps(entry)) {
            let from = if entry.from.prefix_len() > local.prefix_len() { entry.from } else { *local };
            questions.push((entry.link.as_str(), from, to));
        }
    }
    questions.or_else(|| is_kept.then(Vec::new))
}

/// The name of the TUN device that a process has open: empty when the device is gone, none when it has none open.
fn device(process: i32) -> Option<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).ok()?;
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let names =
        |text: String| Some(text.lines().find_map(|line| line.strip_prefix("iff:"))?.trim().to_owned());
    texts.filter_map(names).max()
}

/// An address in a network that packets go to as to others of it, and not in one of these.
fn inside(net: &IpNet, but: &BTreeSet<IpNet>) -> Option<IpAddr> {
    let first: IpAddr = match net {
        // No packet goes to 0.0.0.0/8, and none to what is not global unicast.
        IpNet::V4(net) if net.prefix_len() < 8 && net.addr().octets()[0] == 0 => {
            Ipv4Addr::new(1, 0, 0, 1).into()
        }
        IpNet::V6(net) if net.prefix_len() < 3 && net.contains(&GLOBAL) => GLOBAL.into(),
        // The network's own address is nobody's, if it has more than two.
        IpNet::V4(net) if net.prefix_len() < 31 => after(net.network().into(), 1)?,
        IpNet::V6(net) if net.prefix_len() < 127 => after(net.network().into(), 1)?,
        IpNet::V4(net) => net.network().into(),
        IpNet::V6(net) => net.network().into(),
    };
    let mut candidate = first;
    for _ in 0..=but.len() {
        let Some(over) = but.iter().find(|other| other.contains(&candidate)) else {
            return net.contains(&candidate).then_some(candidate);
        };
        candidate = after(over.broadcast(), 1)?;
    }
    None
}

/// The first address of all that are global unicast (RFC 4291, section 2.4), but one.
const GLOBAL: Ipv6Addr = Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1);

fn after(address: IpAddr, more: usize) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from(u32::from(address).checked_add(u32::try_from(more).ok()?)?).into()
        }
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).checked_add(more as u128)?).into(),
    })
}

/// The kernel's associations and policies.
async fn in_kernel(namespace: &Namespace, children: &[ChildSa]) -> Result<Missing, Error> {
    if children.is_empty() {
        return Ok(Missing::default());
    }
    let found = namespace.run_async(leftover::installed).await?;
    let found = found.map_err(|source| failed(namespace, source))?;
    let mut missing = Missing::default();
    for child in children {
        let spis = [&child.spi_in, &child.spi_out].map(|spi| u32::from_str_radix(spi, 16).unwrap_or(0));
        let has_policies = || {
            let locals = child.local_subnets.iter();
            let mut pairs =
                locals.flat_map(|local| child.peer_subnets.iter().map(move |peer| (*local, *peer)));
            pairs.all(|(local, peer)| {
                found.has_policy(&local, &peer, leftover::OUT)
                    && found.has_policy(&peer, &local, leftover::IN)
            })
        };
        let why = if !spis.iter().all(|spi| found.spis.contains(spi)) {
            "its security associations are gone from the kernel"
        } else if !has_policies() {
            "its policies are gone from the kernel"
        } else {
            continue;
        };
        let obstacle = Obstacle { why: why.to_owned(), is_daemons: true };
        missing.cut.spis.insert(child.spi_in.clone(), obstacle);
    }
    Ok(missing)
}

fn failed(namespace: &Namespace, source: io::Error) -> Error {
    Error::System {
        namespace: namespace.to_string(),
        operation: "find what the IKE daemon has made".to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
