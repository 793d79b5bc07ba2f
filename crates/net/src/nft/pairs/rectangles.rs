//! Cutting off what is covered twice.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::Pair;

/// Pairs, each with whose it is; by source and then by destination.
#[derive(Debug)]
pub(super) struct Rectangles<T> {
    v4: BySource<T>,
    v6: BySource<T>,
}

type BySource<T> = Prefixes<ByDestination<T>>;
type ByDestination<T> = Prefixes<T>;

impl<T: Clone> Rectangles<T> {
    /// Of two equal pairs the first stays.
    pub(super) fn new(pairs: impl IntoIterator<Item = (Pair, T)>) -> Self {
        let mut rectangles = Self { v4: Prefixes::new(), v6: Prefixes::new() };
        for (pair, whose) in pairs {
            let family = if pair.source.addr().is_ipv4() { &mut rectangles.v4 } else { &mut rectangles.v6 };
            let destinations = family.or_insert_with(Prefix::from(pair.source), Prefixes::new);
            destinations.or_insert_with(Prefix::from(pair.destination), || whose);
        }
        rectangles
    }

    /// The same coverage by elements that do not overlap, of IPv4 and of IPv6, in order. What several cover belongs to
    /// the one with the widest source, and of those to the one with the widest destination.
    pub(super) fn without_overlap(self) -> [Vec<(Pair, T)>; 2] {
        [without_overlap(self.v4, Prefix::to_v4), without_overlap(self.v6, Prefix::to_v6)]
    }
}

/// Two rectangles overlap only where one's source holds the other's. So from each source's destinations those are cut
/// that a wider source already has; what remains is disjoint, and covers the same.
fn without_overlap<T: Clone>(rectangles: BySource<T>, network: fn(Prefix) -> IpNet) -> Vec<(Pair, T)> {
    let mut by_width: Vec<_> = rectangles.by_prefix.into_iter().collect();
    by_width.sort_by_key(|(source, _)| source.length);
    let mut kept = BySource::new();
    for (source, destinations) in by_width {
        let wider: Vec<_> = kept.wider_than(source).collect();
        let mut remaining = ByDestination::new();
        for (destination, whose) in destinations.by_prefix {
            // In this order a wider destination comes before the narrower ones in it.
            if remaining.wider_than(destination).next().is_none() {
                cut(destination, &whose, &wider, &mut remaining);
            }
        }
        kept.or_insert_with(source, || remaining);
    }
    let pair = |source, destination| Pair { source: network(source), destination: network(destination) };
    let pairs = kept.by_prefix.into_iter().flat_map(|(source, destinations)| {
        destinations.by_prefix.into_iter().map(move |(destination, whose)| (pair(source, destination), whose))
    });
    pairs.collect()
}

/// Puts into `remaining` what of `prefix` none of `holes` covers, halving it where a hole lies within.
fn cut<T: Clone>(prefix: Prefix, whose: &T, holes: &[&ByDestination<T>], remaining: &mut ByDestination<T>) {
    if holes.iter().any(|hole| hole.covers(prefix)) {
        return;
    }
    if !holes.iter().any(|hole| hole.has_within(prefix)) {
        // It may be there as a piece of a wider destination, whose it then is.
        remaining.or_insert_with(prefix, || whose.clone());
        return;
    }
    for half in prefix.halves() {
        cut(half, whose, holes, remaining);
    }
}

/// Something for each of some networks.
#[derive(Debug)]
struct Prefixes<T> {
    by_prefix: BTreeMap<Prefix, T>,
    /// Which lengths there are, a bit for each below 128. They are few, and no other has to be looked for.
    lengths: u128,
}

impl<T> Prefixes<T> {
    fn new() -> Self {
        Self { by_prefix: BTreeMap::new(), lengths: 0 }
    }

    fn or_insert_with(&mut self, prefix: Prefix, value: impl FnOnce() -> T) -> &mut T {
        self.lengths |= 1_u128.checked_shl(prefix.length.into()).unwrap_or(0);
        self.by_prefix.entry(prefix).or_insert_with(value)
    }

    /// What there is for the networks that this one lies in, without itself.
    fn wider_than(&self, prefix: Prefix) -> impl Iterator<Item = &T> {
        let lengths = (0..prefix.length).filter(|length| self.lengths >> length & 1 == 1);
        lengths.filter_map(move |length| self.by_prefix.get(&prefix.shortened(length)))
    }

    fn covers(&self, prefix: Prefix) -> bool {
        self.by_prefix.contains_key(&prefix) || self.wider_than(prefix).next().is_some()
    }

    fn has_within(&self, prefix: Prefix) -> bool {
        self.by_prefix.range(prefix..=prefix.last_within()).next().is_some()
    }
}

/// The leading bits that the addresses of a network share; IPv4 in the upper 32. A network sorts before those in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Prefix {
    bits: u128,
    length: u8,
}

impl Prefix {
    /// The network of this length that this one lies in.
    fn shortened(self, length: u8) -> Self {
        Self { bits: self.bits & mask(length), length }
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
