//! Sets of address pairs, in the form in which the kernel can take them.
//!
//! An element of a concatenated interval set is a rectangle, source networks one way and destination networks the
//! other. The kernel refuses elements that overlap, and two connections of a tenant may well do so:
//! `10.0.0.0/8 → 172.16.1.0/24` and `10.0.1.0/24 → 172.16.0.0/16`. So what is covered twice is cut off once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A source network and a destination network of one address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    source: IpNet,
    destination: IpNet,
}

impl Pair {
    /// None when one is IPv4 and the other IPv6: no packet is from the one to the other. Host bits are dropped.
    pub fn new(source: IpNet, destination: IpNet) -> Option<Self> {
        let alike = source.addr().is_ipv4() == destination.addr().is_ipv4();
        alike.then(|| Self { source: source.trunc(), destination: destination.trunc() })
    }

    /// Where packets come from.
    pub fn source(&self) -> IpNet {
        self.source
    }

    /// Where packets go.
    pub fn destination(&self) -> IpNet {
        self.destination
    }
}

/// Any number of pairs; it covers what they cover, with elements that do not overlap. Equal coverage given in another
/// order is equal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairs {
    v4: Vec<Pair>,
    v6: Vec<Pair>,
}

impl Pairs {
    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// The IPv4 elements, in order.
    pub fn v4(&self) -> &[Pair] {
        &self.v4
    }

    /// The IPv6 elements, in order.
    pub fn v6(&self) -> &[Pair] {
        &self.v6
    }
}

impl FromIterator<Pair> for Pairs {
    fn from_iter<I: IntoIterator<Item = Pair>>(pairs: I) -> Self {
        let (mut v4, mut v6) = (Rectangles::new(), Rectangles::new());
        for pair in pairs {
            let rectangles = if pair.source.addr().is_ipv4() { &mut v4 } else { &mut v6 };
            rectangles.entry(Prefix::from(pair.source)).or_default().insert(Prefix::from(pair.destination));
        }
        Self { v4: without_overlap(v4, Prefix::to_v4), v6: without_overlap(v6, Prefix::to_v6) }
    }
}

/// Destinations by source.
type Rectangles = BTreeMap<Prefix, BTreeSet<Prefix>>;

/// Two rectangles overlap only where one's source holds the other's. So from each source's destinations those are cut
/// that a wider source already has; what remains is disjoint, and covers the same.
fn without_overlap(rectangles: Rectangles, network: fn(Prefix) -> IpNet) -> Vec<Pair> {
    let mut by_width: Vec<_> = rectangles.into_iter().collect();
    by_width.sort_by_key(|(source, _)| source.length);
    let mut kept = Rectangles::new();
    for (source, destinations) in by_width {
        let wider: Vec<_> = source.wider().filter_map(|wider| kept.get(&wider)).collect();
        let mut remaining = BTreeSet::new();
        for destination in destinations {
            // In this order a wider destination comes before the narrower ones in it.
            if !destination.wider().any(|wider| remaining.contains(&wider)) {
                cut(destination, &wider, &mut remaining);
            }
        }
        kept.insert(source, remaining);
    }
    let pairs = kept.into_iter().flat_map(|(source, destinations)| {
        destinations.into_iter().map(move |destination| (network(source), network(destination)))
    });
    pairs.map(|(source, destination)| Pair { source, destination }).collect()
}

/// Puts into `remaining` what of `prefix` none of `holes` covers, halving it where a hole lies within.
fn cut(prefix: Prefix, holes: &[&BTreeSet<Prefix>], remaining: &mut BTreeSet<Prefix>) {
    let covered = |hole: &&BTreeSet<Prefix>| {
        hole.contains(&prefix) || prefix.wider().any(|wider| hole.contains(&wider))
    };
    if holes.iter().any(covered) {
        return;
    }
    if !holes.iter().any(|hole| hole.range(prefix..=prefix.last_within()).next().is_some()) {
        remaining.insert(prefix);
        return;
    }
    for half in prefix.halves() {
        cut(half, holes, remaining);
    }
}

/// The leading bits that the addresses of a network share; IPv4 in the upper 32. A network sorts before those in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prefix {
    bits: u128,
    length: u8,
}

impl Prefix {
    /// The networks that this one lies in, the widest first, without itself.
    fn wider(self) -> impl Iterator<Item = Self> {
        (0..self.length).map(move |length| Self { bits: self.bits & mask(length), length })
    }

    /// The last of the networks within this one, in their order.
    fn last_within(self) -> Self {
        Self { bits: self.bits | !mask(self.length), length: 128 }
    }

    /// Only for networks of more than one address.
    fn halves(self) -> [Self; 2] {
        let length = self.length + 1;
        let upper = !mask(self.length) & mask(length);
        [Self { bits: self.bits, length }, Self { bits: self.bits | upper, length }]
    }

    fn to_v4(self) -> IpNet {
        let address = Ipv4Addr::from_bits((self.bits >> 96) as u32);
        IpNet::V4(Ipv4Net::new_assert(address, self.length))
    }

    fn to_v6(self) -> IpNet {
        IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from_bits(self.bits), self.length))
    }
}

impl From<IpNet> for Prefix {
    fn from(net: IpNet) -> Self {
        let bits = match net {
            IpNet::V4(net) => u128::from(net.network().to_bits()) << 96,
            IpNet::V6(net) => net.network().to_bits(),
        };
        Self { bits, length: net.prefix_len() }
    }
}

/// As many leading ones.
fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
