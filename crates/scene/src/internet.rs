//! The internet of a scene: a namespace with a bridge that clouds are joined to, and no way out of the machine.

mod nat;
mod segment;

use crate::{Error, Ground};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use karez_net::Netlink;
use std::net::{Ipv4Addr, Ipv6Addr};

pub use segment::{Prefix, Segment};

/// The internet of a scene. It routes between its segments; what has no other destination in it is answered as
/// unreachable, as on the real one.
#[derive(Clone, Debug)]
pub struct Internet {
    ground: Ground,
    netlink: Netlink,
    main: Segment,
    segments: u32,
}

impl Internet {
    /// Builds it with one segment: 200.200.128.0/24 and 2001:db8:200::/64.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn build(ground: &Ground) -> Result<Self, Error> {
        let netlink = ground.namespace("internet")?;
        forward(&netlink)?;
        let main = Segment::build(ground, &netlink, "inet0", &usual())?;
        Ok(Self { ground: ground.clone(), netlink, main, segments: 1 })
    }

    /// The segment that everything is joined to unless it is said otherwise.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.main
    }

    /// Another segment with these networks, routed to and from the others.
    ///
    /// # Errors
    ///
    /// Those of the kernel.
    pub fn another_segment(&mut self, networks: &[IpNet]) -> Result<Segment, Error> {
        let bridge = format!("inet{}", self.segments);
        self.segments += 1;
        Segment::build(&self.ground, &self.netlink, &bridge, &prefixes(networks)?)
    }

    /// A segment behind a box that hides everything in it behind one address of the internet (NAPT). Whoever is
    /// inside has to begin.
    ///
    /// # Errors
    ///
    /// Those of the kernel and of `nft`.
    pub fn behind_nat(&self, label: &str, outside: Ipv4Addr, inside: Ipv4Net) -> Result<Segment, Error> {
        nat::build(&self.ground, &self.main, label, outside, inside)
    }
}

fn usual() -> [Prefix; 2] {
    let (v4, v6) = (Ipv4Addr::new(200, 200, 128, 0), Ipv6Addr::new(0x2001, 0xdb8, 0x200, 0, 0, 0, 0, 0));
    let gateway = (Ipv4Addr::new(200, 200, 128, 1), Ipv6Addr::new(0x2001, 0xdb8, 0x200, 0, 0, 0, 0, 1));
    [
        Prefix { network: Ipv4Net::new_assert(v4, 24).into(), gateway: gateway.0.into() },
        Prefix { network: Ipv6Net::new_assert(v6, 64).into(), gateway: gateway.1.into() },
    ]
}

/// Networks whose first address is the gateway.
fn prefixes(networks: &[IpNet]) -> Result<Vec<Prefix>, Error> {
    let prefix = |network: &IpNet| {
        let too_small = || Error::Unexpected(format!("{network} has no room for a gateway"));
        Ok(Prefix { network: network.trunc(), gateway: network.hosts().next().ok_or_else(too_small)? })
    };
    networks.iter().map(prefix).collect()
}

/// Makes a namespace a router.
fn forward(netlink: &Netlink) -> Result<(), Error> {
    netlink.namespace().set_sysctl("net/ipv4/ip_forward", "1")?;
    // A kernel without IPv6 has nothing to forward of it.
    let _ = netlink.namespace().set_sysctl("net/ipv6/conf/all/forwarding", "1");
    Ok(())
}
