//! Sets of address pairs, in the form in which the kernel can take them.
//!
//! An element of a concatenated interval set is a rectangle, source networks one way and destination networks the
//! other. The kernel refuses elements that overlap, and two connections of a tenant may well do so:
//! `10.0.0.0/8 → 172.16.1.0/24` and `10.0.1.0/24 → 172.16.0.0/16`. So what is covered twice is cut off once.

mod rectangles;

use std::collections::BTreeSet;

use ipnet::IpNet;

use rectangles::Rectangles;

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

    /// The elements of both families.
    pub fn iter(&self) -> impl Iterator<Item = Pair> {
        self.v4.iter().chain(&self.v6).copied()
    }

    /// Those elements that are not in `before`. They cover at least what it does not.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let new = |now: &[Pair], before: &[Pair]| {
            let before: BTreeSet<_> = before.iter().collect();
            now.iter().filter(|pair| !before.contains(pair)).copied().collect()
        };
        Self { v4: new(&self.v4, &before.v4), v6: new(&self.v6, &before.v6) }
    }
}

impl FromIterator<Pair> for Pairs {
    fn from_iter<I: IntoIterator<Item = Pair>>(pairs: I) -> Self {
        let [v4, v6] = Rectangles::new(pairs.into_iter().map(|pair| (pair, ()))).without_overlap();
        let pairs = |elements: Vec<(Pair, ())>| elements.into_iter().map(|(pair, ())| pair).collect();
        Self { v4: pairs(v4), v6: pairs(v6) }
    }
}

/// Pairs, each with the counter that packets between them are counted under. Where several cover a packet, it is
/// counted for the one with the widest source, of those for the one with the widest destination, and of equal ones for
/// the one that was given first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CountedPairs {
    v4: Vec<(Pair, String)>,
    v6: Vec<(Pair, String)>,
    counters: BTreeSet<String>,
}

impl CountedPairs {
    pub(super) fn v4(&self) -> &[(Pair, String)] {
        &self.v4
    }

    pub(super) fn v6(&self) -> &[(Pair, String)] {
        &self.v6
    }

    /// All counters, also those that nothing is left to count for.
    pub(super) fn counters(&self) -> &BTreeSet<String> {
        &self.counters
    }
}

impl FromIterator<(Pair, String)> for CountedPairs {
    fn from_iter<I: IntoIterator<Item = (Pair, String)>>(pairs: I) -> Self {
        let pairs: Vec<_> = pairs.into_iter().collect();
        let counters = pairs.iter().map(|(_, counter)| counter.clone()).collect();
        let [v4, v6] = Rectangles::new(pairs).without_overlap();
        Self { v4, v6, counters }
    }
}

#[cfg(test)]
mod tests;
