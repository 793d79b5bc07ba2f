//! Address translation of a router of ours, for what is not between the selectors of a tunnel.

use ipnet::IpNet;
use karez_engine::Floating;
use karez_net::nft::{Action, Chain, Condition, Hook, Pair, PairSet, Rule, Table, priority};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who inside spoke to a floating address carries this until the packet has left: the answer has to come back through
/// the router.
const HAIRPIN: u32 = 0x4b61_0001;

/// What is translated how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Nat {
    /// The link to the outside.
    pub link: String,
    /// The source of what leaves there; none when it keeps its own.
    pub source: Option<IpAddr>,
    /// The router's address outside, of IPv4.
    pub own: Option<IpAddr>,
    /// Addresses that stand one to one for others.
    pub floating: Vec<Floating>,
}

impl Nat {
    /// None when there is nothing to translate.
    pub(in crate::gateway) fn new(
        link: String,
        own: Option<IpAddr>,
        has_snat: bool,
        floating: &[Floating],
    ) -> Option<Self> {
        let source = own.filter(|_| has_snat);
        let floating = floating.to_vec();
        (source.is_some() || !floating.is_empty()).then_some(Self { link, source, own, floating })
    }

    pub(super) fn add(&self, table: &mut Table, selected: &PairSet) {
        let leaves =
            || [Condition::LeavesThrough(self.link.clone()), Condition::NotBetween(selected.clone())];
        let mut marks = Vec::new();
        let mut destinations = Vec::new();
        let mut sources = Vec::new();
        for (number, floating) in self.floating.iter().enumerate() {
            let set = table.add_pairs(
                format!("floating-{number}-in"),
                Pair::new(everywhere(floating.external), floating.external.into()).into_iter().collect(),
            );
            let inside = [Condition::NotCameFrom(self.link.clone()), Condition::Between(set.clone())];
            marks.push(Rule::new(inside, Action::SetMark(HAIRPIN)));
            destinations
                .push(Rule::new([Condition::Between(set)], Action::DestinationNat(floating.internal)));
            let set = table.add_pairs(
                format!("floating-{number}-out"),
                Pair::new(floating.internal.into(), everywhere(floating.internal)).into_iter().collect(),
            );
            let conditions = leaves().into_iter().chain([Condition::Between(set)]);
            sources.push(Rule::new(conditions, Action::SourceNat(floating.external)));
        }
        if let Some(own) = self.own.filter(|_| !self.floating.is_empty()) {
            let inside = [Condition::NotLeavesThrough(self.link.clone()), Condition::Mark(HAIRPIN)];
            sources.push(Rule::new(inside, Action::SourceNat(own)));
        }
        sources.extend(self.source.map(|source| Rule::new(leaves(), Action::SourceNat(source))));
        if !self.floating.is_empty() {
            table.add_chain(Chain::filter("hairpin", Hook::Prerouting, priority::MANGLE).rules(marks));
            let chain = Chain::nat("destinations", Hook::Prerouting, priority::DESTINATION_NAT);
            table.add_chain(chain.rules(destinations));
        }
        let chain = Chain::nat("sources", Hook::Postrouting, priority::SOURCE_NAT);
        table.add_chain(chain.rules(sources));
    }
}

/// All addresses of this one's family.
pub(super) fn everywhere(like: IpAddr) -> IpNet {
    let unspecified = match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    IpNet::new_assert(unspecified, 0)
}
