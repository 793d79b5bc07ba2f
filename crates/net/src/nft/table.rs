//! A table as a value.

use std::collections::{BTreeMap, BTreeSet};

use nftables::types::{NfChainType, NfHook};

use super::{Pairs, Rule};

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
    pub(super) sets: BTreeMap<String, Pairs>,
    pub(super) chains: Vec<Chain>,
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
        self.sets.insert(name, pairs);
        set
    }

    /// Adds a chain.
    pub fn add_chain(&mut self, chain: Chain) {
        self.chains.push(chain);
    }

    /// The names that its rules count under.
    pub(super) fn counters(&self) -> BTreeSet<&str> {
        self.chains.iter().flat_map(|chain| &chain.rules).filter_map(|rule| rule.counter.as_deref()).collect()
    }
}

/// A set of pairs in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairSet {
    pub(super) name: String,
    pub(super) v4: bool,
    pub(super) v6: bool,
}

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
