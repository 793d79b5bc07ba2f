//! Whether what a running daemon has put into its namespace is still there. Somebody else may take it away, as with
//! `ip route flush table 220` or `ip xfrm state flush`; the daemon does not notice, and counts its tunnels as up.

use crate::leftover;
use ipnet::IpNet;
use karez_engine::{ChildSa, Datapath};
use karez_net::{Error, Namespace, Netlink};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kernel's number of the loopback, in each namespace: `LOOPBACK_IFINDEX`.
const LOOPBACK: u32 = 1;

/// What the daemon's TUN device must be called: the rules that keep packets from going in clear know it by that.
const TUN: &str = "ipsec";

/// What is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What the daemon makes at its start alone, in words. Without it no tunnel works.
    pub(crate) base: Option<String>,
    /// The child SAs, by their inbound SPIs, that packets do not get to, each with why.
    pub(crate) children: BTreeMap<String, String>,
}

impl Missing {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What is missing in both.
    pub(crate) fn still(self, before: &Self) -> Self {
        let base = self.base.filter(|_| before.base.is_some());
        let is_old = |spi: &String| before.children.contains_key(spi);
        Self { base, children: self.children.into_iter().filter(|(spi, _)| is_old(spi)).collect() }
    }
}

/// Looks for what a daemon has made for these child SAs.
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

/// The daemon's TUN device, its rule, and its routes.
async fn in_routes(namespace: &Namespace, process: i32, children: &[ChildSa]) -> Result<Missing, Error> {
    let lacks = |base: String| Ok(Missing { base: Some(base), ..Missing::default() });
    let name = match device(process) {
        // It has just ended, or its device cannot be told.
        None => return Ok(Missing::default()),
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
    let mut missing = Missing::default();
    let mut known = BTreeMap::new();
    let mut has_rule = BTreeMap::new();
    for child in children {
        for net in &child.peer_subnets {
            let to = inside(net);
            let outlet = match known.get(&to) {
                Some(outlet) => *outlet,
                None => *known.entry(to).or_insert(netlink.outlet(to).await?),
            };
            // An address of the router's own among the peer's says nothing about the others.
            if [Some(index), Some(LOOPBACK)].contains(&outlet) {
                continue;
            }
            if *has_rule
                .entry(to.is_ipv4())
                .or_insert(netlink.has_rule_into(leftover::TABLE.into(), to).await?)
            {
                let by = outlet.and_then(|outlet| links.iter().find(|link| link.index == outlet));
                let way = by.map_or_else(|| "nowhere".to_owned(), |link| format!("by {}", link.name));
                let why = format!("packets to {net} go {way}, and should go by the tunnel's device {name}");
                missing.children.insert(child.spi_in.clone(), why);
                break;
            }
            return lacks(format!("the routing rule that leads to its table {} is gone", leftover::TABLE));
        }
    }
    Ok(missing)
}

/// The name of the TUN device that a process has open: empty when the device is gone, none when it has none open.
fn device(process: i32) -> Option<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fdinfo")).ok()?;
    let texts = entries.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
    let names =
        |text: String| Some(text.lines().find_map(|line| line.strip_prefix("iff:"))?.trim().to_owned());
    texts.filter_map(names).max()
}

/// An address in a network that packets go to as to others of it.
fn inside(net: &IpNet) -> IpAddr {
    match net {
        // No packet goes to 0.0.0.0/8.
        IpNet::V4(net) if net.addr().octets()[0] == 0 && net.prefix_len() < 8 => {
            Ipv4Addr::new(1, 0, 0, 1).into()
        }
        IpNet::V6(net) if net.prefix_len() < 3 => Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1).into(),
        // The network's own address is nobody's, if it has any others.
        IpNet::V4(net) if net.prefix_len() < 31 => Ipv4Addr::from(u32::from(net.network()) + 1).into(),
        IpNet::V6(net) if net.prefix_len() < 127 => Ipv6Addr::from(u128::from(net.network()) + 1).into(),
        _ => net.network(),
    }
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
                found.policies.contains(&(local, peer, leftover::OUT))
                    && found.policies.contains(&(peer, local, leftover::IN))
            })
        };
        let why = if !spis.iter().all(|spi| found.spis.contains(spi)) {
            "its security associations are gone from the kernel"
        } else if !has_policies() {
            "its policies are gone from the kernel"
        } else {
            continue;
        };
        missing.children.insert(child.spi_in.clone(), why.to_owned());
    }
    Ok(missing)
}

fn failed(namespace: &Namespace, source: io::Error) -> Error {
    Error::System { namespace: namespace.to_string(), operation: "list what IPsec has".to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::{Missing, inside};

    #[test]
    fn an_address_is_asked_for_that_packets_can_go_to() {
        let cases = [
            ("20.20.20.0/24", "20.20.20.1"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.6/31", "192.0.2.6"),
            ("0.0.0.0/0", "1.0.0.1"),
            ("::/0", "2000::1"),
            ("fd02::/64", "fd02::1"),
            ("fd02::7/128", "fd02::7"),
        ];
        for (net, address) in cases {
            assert_eq!(inside(&net.parse().unwrap()).to_string(), address, "{net}");
        }
    }

    #[test]
    fn what_is_missing_only_once_may_be_about_to_change() {
        let missing = |spis: &[&str], base: Option<&str>| Missing {
            base: base.map(str::to_owned),
            children: spis.iter().map(|spi| ((*spi).to_owned(), String::new())).collect(),
        };
        let still = missing(&["b", "c"], Some("gone")).still(&missing(&["a", "b"], None));
        assert_eq!(still, missing(&["b"], None));
    }
}
