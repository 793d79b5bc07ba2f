//! Rules: which packets, and what becomes of them. A rule is written once for both address families.

use std::net::IpAddr;

use super::{PairCounters, PairSet};

/// What happens to the packets that meet all of the conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub(super) conditions: Vec<Condition>,
    pub(super) counter: Option<Counter>,
    pub(super) action: Action,
}

impl Rule {
    /// Packets that meet all of `conditions` (any packet, when there are none) undergo `action`.
    pub fn new(conditions: impl IntoIterator<Item = Condition>, action: Action) -> Self {
        Self { conditions: conditions.into_iter().collect(), counter: None, action }
    }

    /// Counts those packets under this name. Rules of a table may share a name, and then add up.
    #[must_use]
    pub fn counted(self, counter: impl Into<String>) -> Self {
        Self { counter: Some(Counter::Named(counter.into())), ..self }
    }

    /// Counts those packets under the counter of the pair that they go between. The rule is about packets from a
    /// pair's source to its destination only.
    #[must_use]
    pub fn counted_between(self, counters: &PairCounters) -> Self {
        Self { counter: Some(Counter::Between(counters.clone())), ..self }
    }

    /// As [`Rule::counted_between`], of packets from a pair's destination to its source.
    #[must_use]
    pub fn counted_between_reversed(self, counters: &PairCounters) -> Self {
        Self { counter: Some(Counter::BetweenReversed(counters.clone())), ..self }
    }

    /// The counter that does not depend on the packet.
    pub(super) fn named_counter(&self) -> Option<&str> {
        match self.counter.as_ref()? {
            Counter::Named(name) => Some(name),
            Counter::Between(_) | Counter::BetweenReversed(_) => None,
        }
    }

    /// Whether it has to be written for each address family.
    pub(super) fn of_family(&self) -> bool {
        let counter = self.counter.as_ref().is_some_and(Counter::of_family);
        counter || self.action.of_family() || self.conditions.iter().any(Condition::of_family)
    }
}

/// What a rule counts under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Counter {
    Named(String),
    Between(PairCounters),
    BetweenReversed(PairCounters),
}

impl Counter {
    fn of_family(&self) -> bool {
        match self {
            Self::Named(_) => false,
            Self::Between(_) | Self::BetweenReversed(_) => true,
        }
    }
}

/// Something that is true of a packet or not.
///
/// Names of links may end in `*`, which stands for any rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// From a pair's source to its destination.
    Between(PairSet),
    /// From a pair's destination to its source.
    BetweenReversed(PairSet),
    /// Not from the source to the destination of any pair.
    NotBetween(PairSet),
    /// Not from the destination to the source of any pair.
    NotBetweenReversed(PairSet),
    /// Came in through this link.
    CameFrom(String),
    /// Came in through another link than this, or was made here.
    NotCameFrom(String),
    /// Leaves through this link.
    LeavesThrough(String),
    /// Leaves through another link than this.
    NotLeavesThrough(String),
    /// Whether the kernel's IPsec took it out of a protected packet (`meta ipsec`).
    CameProtected(bool),
    /// Whether the kernel's IPsec will put it into a protected packet (`rt ipsec`); known when it is routed.
    LeavesProtected(bool),
    /// Of this protocol above IP, by number: 6 is TCP, 17 UDP, 50 ESP.
    Protocol(u8),
    /// Of another protocol above IP.
    NotProtocol(u8),
    /// Over UDP from this port.
    UdpSourcePort(u16),
    /// Over UDP to this port.
    UdpDestinationPort(u16),
    /// How IPv6 finds its neighbours (RFC 4861): solicitations, advertisements and redirects.
    NeighbourDiscovery,
    /// Carries this mark.
    Mark(u32),
    /// Asks for or confirms the opening of a TCP connection.
    TcpSyn,
    /// Announces TCP segments larger than this, in bytes.
    MssAbove(u16),
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// No more rules of this chain; other chains at the same hook still follow.
    Accept,
    /// Thrown away, without a word to its sender.
    Drop,
    /// Gets the address of the link that it leaves through for its source. In chains of [`super::Chain::nat`].
    Masquerade,
    /// Gets this address for its source. In chains of [`super::Chain::nat`].
    SourceNat(IpAddr),
    /// Gets this address for its destination. In chains of [`super::Chain::nat`] at the hook `prerouting`.
    DestinationNat(IpAddr),
    /// Keeps its source, whatever NAT chains of higher priority number say. In chains of [`super::Chain::nat`].
    KeepSource,
    /// Is not tracked as part of a connection, so that nothing can translate it; not even in connections that are
    /// translated already. Rules that go by the state of connections see it as `untracked`. Only in chains before
    /// [`super::priority::CONNECTION_TRACKING`], at the hooks that a packet meets first.
    NoTrack,
    /// Announces TCP segments of this size, in bytes. The kernel lowers the number only, never raises it.
    SetMss(u16),
    /// Carries this mark from here on.
    SetMark(u32),
    /// Nothing, besides being counted.
    Nothing,
}

impl Condition {
    fn of_family(&self) -> bool {
        match self {
            Self::Between(_)
            | Self::BetweenReversed(_)
            | Self::NotBetween(_)
            | Self::NotBetweenReversed(_) => true,
            Self::CameFrom(_)
            | Self::NotCameFrom(_)
            | Self::LeavesThrough(_)
            | Self::NotLeavesThrough(_)
            | Self::CameProtected(_)
            | Self::LeavesProtected(_)
            | Self::Protocol(_)
            | Self::NotProtocol(_)
            | Self::UdpSourcePort(_)
            | Self::UdpDestinationPort(_)
            | Self::NeighbourDiscovery
            | Self::Mark(_)
            | Self::TcpSyn
            | Self::MssAbove(_) => false,
        }
    }
}

impl Action {
    fn of_family(&self) -> bool {
        match self {
            Self::SourceNat(_) | Self::DestinationNat(_) | Self::KeepSource => true,
            Self::Accept
            | Self::Drop
            | Self::Masquerade
            | Self::NoTrack
            | Self::SetMss(_)
            | Self::SetMark(_)
            | Self::Nothing => false,
        }
    }
}
