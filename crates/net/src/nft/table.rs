//! A table as a value.

use std::collections::{BTreeMap, BTreeSet};

use nftables::types::{NfChainType, NfHook};

use super::expression::Family;
use super::{CountedPairs, Pair, Pairs, Rule};

/// Well-known places of chains at a hook; lower numbers come first.
pub mod priority {
    /// Before connections are tracked.
    pub const RAW: i32 = -300;
    /// Where the kernel looks up to which connection a packet belongs.
    pub const CONNECTION_TRACKING: i32 = -200;
    /// The first place where NAT can be: what is exempted here is exempt from everybody's.
    pub const NAT_EXEMPTION: i32 = -190;
    /// Where destinations are translated, by iptables and most others.
    pub const DESTINATION_NAT: i32 = -100;
    /// Where packets are changed.
    pub const MANGLE: i32 = -150;
    /// Where packets are let through or not.
    pub const FILTER: i32 = 0;
    /// Where sources are translated, by iptables and most others.
    pub const SOURCE_NAT: i32 = 100;
}

/// A table of family `inet`: IPv4 and IPv6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    pub(super) name: String,
    sets: BTreeMap<String, Content>,
    pub(super) chains: Vec<Chain>,
}

/// What is in a set.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Pairs(Pairs),
    Counted(CountedPairs),
}

impl Table {
    /// An empty table. The name is the caller's own among all tables: letters, digits, `-` and `_`.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), sets: BTreeMap::new(), chains: Vec::new() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a set of pairs for rules to refer to. A set of the same name is replaced.
    pub fn add_pairs(&mut self, name: impl Into<String>, pairs: Pairs) -> PairSet {
        let name = name.into();
        let set = PairSet { name: name.clone(), v4: !pairs.v4().is_empty(), v6: !pairs.v6().is_empty() };
        self.sets.insert(name, Content::Pairs(pairs));
        set
    }

    /// Adds pairs with counters for rules to count by. A set of the same name is replaced.
    pub fn add_counters(&mut self, name: impl Into<String>, counted: CountedPairs) -> PairCounters {
        let name = name.into();
        let set = PairSet { name: name.clone(), v4: !counted.v4().is_empty(), v6: !counted.v6().is_empty() };
        self.sets.insert(name, Content::Counted(counted));
        PairCounters(set)
    }

    /// The pairs of a set that was added under this name.
    pub fn pairs(&self, name: &str) -> Option<&Pairs> {
        match self.sets.get(name)? {
            Content::Pairs(pairs) => Some(pairs),
            Content::Counted(_) => None,
        }
    }

    /// Adds a chain.
    pub fn add_chain(&mut self, chain: Chain) {
        self.chains.push(chain);
    }

    /// The names that its rules count under.
    pub(super) fn counters(&self) -> BTreeSet<&str> {
        let by_rule = self.chains.iter().flat_map(|chain| &chain.rules).filter_map(Rule::named_counter);
        let by_pair = self.sets.values().flat_map(|content| match content {
            Content::Pairs(_) => None,
            Content::Counted(counted) => Some(counted.counters()),
        });
        by_rule.chain(by_pair.flatten().map(String::as_str)).collect()
    }

    /// Its sets as they are in the kernel, by name: one for each family that there is something of.
    pub(super) fn family_sets(&self) -> BTreeMap<String, FamilySet<'_>> {
        let mut sets = BTreeMap::new();
        for (name, content) in &self.sets {
            for family in [Family::V4, Family::V6] {
                let set = FamilySet::new(family, content);
                if !set.elements.is_empty() {
                    sets.insert(set_name(name, family), set);
                }
            }
        }
        sets
    }
}

/// A set of pairs of one family, or a map from them to counters.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FamilySet<'a> {
    pub(super) family: Family,
    pub(super) is_counted: bool,
    /// In order. A pair is in there once.
    pub(super) elements: Vec<(Pair, Option<&'a str>)>,
}

impl<'a> FamilySet<'a> {
    fn new(family: Family, content: &'a Content) -> Self {
        let (is_counted, elements) = match (content, family) {
            (Content::Pairs(pairs), Family::V4) => (false, plain(pairs.v4())),
            (Content::Pairs(pairs), Family::V6) => (false, plain(pairs.v6())),
            (Content::Counted(counted), Family::V4) => (true, with_counters(counted.v4())),
            (Content::Counted(counted), Family::V6) => (true, with_counters(counted.v6())),
        };
        Self { family, is_counted, elements }
    }
}

fn plain<'a>(pairs: &[Pair]) -> Vec<(Pair, Option<&'a str>)> {
    pairs.iter().map(|pair| (*pair, None)).collect()
}

fn with_counters(pairs: &[(Pair, String)]) -> Vec<(Pair, Option<&str>)> {
    pairs.iter().map(|(pair, counter)| (*pair, Some(counter.as_str()))).collect()
}

/// A set holds addresses of one family, so that one of pairs is two.
pub(super) fn set_name(name: &str, family: Family) -> String {
    match family {
        Family::V4 => format!("{name}-4"),
        Family::V6 => format!("{name}-6"),
    }
}

/// A set of pairs in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairSet {
    name: String,
    v4: bool,
    v6: bool,
}

impl PairSet {
    /// The name of the family's set, if there is anything in it; an empty one is not in the table.
    pub(super) fn filled(&self, family: Family) -> Option<String> {
        let is_filled = match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        };
        is_filled.then(|| set_name(&self.name, family))
    }
}

/// Pairs with counters in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairCounters(pub(super) PairSet);

/// Where on its way through the machine a packet is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// As it comes in, before it is routed.
    Prerouting,
    /// It is for this machine.
    Input,
    /// It is for another one.
    Forward,
    /// It was made here.
    Output,
    /// As it leaves, after it was routed.
    Postrouting,
}

/// Rules that are gone through in order at one hook. Packets that no rule decides on pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    pub(super) name: String,
    pub(super) kind: NfChainType,
    pub(super) hook: NfHook,
    pub(super) priority: i32,
    pub(super) rules: Vec<Rule>,
}

impl Chain {
    /// A chain that every packet goes through.
    pub fn filter(name: impl Into<String>, hook: Hook, priority: i32) -> Self {
        Self::new(name, NfChainType::Filter, hook, priority)
    }

    /// A chain that the first packet of each connection goes through, to decide on the connection's translation.
    /// `priority` has to be above [`priority::CONNECTION_TRACKING`].
    pub fn nat(name: impl Into<String>, hook: Hook, priority: i32) -> Self {
        Self::new(name, NfChainType::NAT, hook, priority)
    }

    /// With one more rule, at the end.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// With more rules, at the end.
    #[must_use]
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.extend(rules);
        self
    }

    fn new(name: impl Into<String>, kind: NfChainType, hook: Hook, priority: i32) -> Self {
        let hook = match hook {
            Hook::Prerouting => NfHook::Prerouting,
            Hook::Input => NfHook::Input,
            Hook::Forward => NfHook::Forward,
            Hook::Output => NfHook::Output,
            Hook::Postrouting => NfHook::Postrouting,
        };
        Self { name: name.into(), kind, hook, priority, rules: Vec::new() }
    }
}
