//! From a rule to the statements that nftables has for it.

use std::net::IpAddr;

use nftables::expr::{Expression, MetaKey};
use nftables::stmt::{Accept, Counter as NamedCounter, Drop, Mangle, NAT, NATFamily, Operator, Statement};
use serde::Serialize;
use serde_json::{Value, json};

use super::expression::{
    Family, address, compare, concatenation, is, is_not, meta, payload, segment_size, text,
};
use super::rule::Counter;
use super::{Action, Condition, PairSet, Rule};

/// From a pair's source to its destination, and back.
const THERE: [&str; 2] = ["saddr", "daddr"];
const BACK: [&str; 2] = ["daddr", "saddr"];

/// A statement, in the library's types where it has one that works.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Word {
    Typed(Box<Statement<'static>>),
    Other(Value),
}

/// What a rule is in the table: one rule, or one for each family that it can be about.
pub(super) fn words(rule: &Rule) -> Vec<Vec<Word>> {
    if !rule.of_family() {
        return words_for(rule, None).into_iter().collect();
    }
    [Family::V4, Family::V6].into_iter().filter_map(|family| words_for(rule, Some(family))).collect()
}

/// None where the rule has nothing to say about the family.
fn words_for(rule: &Rule, family: Option<Family>) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    if let Some(family) = family {
        let name = match family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        words.push(is(meta(MetaKey::Nfproto), text(name)).into());
    }
    let conditions = rule.conditions.iter().map(|condition| encode_condition(condition, family));
    let counter = rule.counter.iter().map(|counter| encode_counter(counter, family));
    let action = std::iter::once(encode_action(rule.action, family));
    for encoded in conditions.chain(counter).chain(action) {
        match encoded {
            Encoded::Word(word) => words.push(word),
            Encoded::Empty => {}
            Encoded::Impossible => return None,
        }
    }
    Some(words)
}

/// A condition or an action, for packets of one family.
enum Encoded {
    Word(Word),
    /// A condition that is always met; an action that is none.
    Empty,
    /// A condition that is never met; an action that there is not.
    Impossible,
}

impl From<Statement<'static>> for Word {
    fn from(statement: Statement<'static>) -> Self {
        Self::Typed(Box::new(statement))
    }
}

impl From<Statement<'static>> for Encoded {
    fn from(statement: Statement<'static>) -> Self {
        Self::Word(statement.into())
    }
}

fn encode_condition(condition: &Condition, family: Option<Family>) -> Encoded {
    let number = |number: u32| Expression::Number(number);
    let statement = match condition {
        Condition::Between(set) => return between(set, family, THERE),
        Condition::BetweenReversed(set) => return between(set, family, BACK),
        Condition::NotBetween(set) => return not_between(set, family, THERE),
        Condition::NotBetweenReversed(set) => return not_between(set, family, BACK),
        Condition::CameFrom(link) => is(meta(MetaKey::Iifname), text(link)),
        Condition::NotCameFrom(link) => is_not(meta(MetaKey::Iifname), text(link)),
        Condition::LeavesThrough(link) => is(meta(MetaKey::Oifname), text(link)),
        Condition::NotLeavesThrough(link) => is_not(meta(MetaKey::Oifname), text(link)),
        Condition::CameProtected(protected) => is(meta(MetaKey::Secpath), Expression::Boolean(*protected)),
        Condition::LeavesProtected(protected) => {
            return Encoded::Word(route_protected(*protected));
        }
        Condition::Protocol(protocol) => is(meta(MetaKey::L4proto), number(u32::from(*protocol))),
        Condition::NotProtocol(protocol) => is_not(meta(MetaKey::L4proto), number(u32::from(*protocol))),
        Condition::UdpSourcePort(port) => is(payload("udp", "sport"), number(u32::from(*port))),
        Condition::UdpDestinationPort(port) => is(payload("udp", "dport"), number(u32::from(*port))),
        Condition::NeighbourDiscovery => return Encoded::Word(neighbour_discovery()),
        Condition::Mark(mark) => is(meta(MetaKey::Mark), number(*mark)),
        Condition::TcpSyn => compare(payload("tcp", "flags"), Operator::IN, text("syn")),
        // The library writes its LT as ">"; a test on the wire would notice if that changed.
        Condition::MssAbove(mss) => compare(segment_size(), Operator::LT, number(u32::from(*mss))),
    };
    statement.into()
}

fn encode_counter(counter: &Counter, family: Option<Family>) -> Encoded {
    let (counters, fields) = match counter {
        Counter::Named(name) => return Statement::Counter(NamedCounter::Named(name.clone().into())).into(),
        Counter::Between(counters) => (counters, THERE),
        Counter::BetweenReversed(counters) => (counters, BACK),
    };
    match filled(&counters.0, family) {
        Some((family, set)) => {
            // The library has no word for a counter that is looked up.
            let map = json!({ "key": direction(family, fields), "data": set });
            Encoded::Word(Word::Other(json!({ "counter": { "map": map } })))
        }
        None => Encoded::Impossible,
    }
}

fn encode_action(action: Action, family: Option<Family>) -> Encoded {
    let set = |key, value| Statement::Mangle(Mangle { key, value });
    let is_of = |address: IpAddr| family == Some(if address.is_ipv4() { Family::V4 } else { Family::V6 });
    let statement = match (action, family) {
        (Action::Accept, _) => Statement::Accept(Some(Accept {})),
        (Action::Drop, _) => Statement::Drop(Some(Drop {})),
        (Action::Masquerade, _) => Statement::Masquerade(None),
        (Action::SourceNat(source), Some(family)) if is_of(source) => {
            Statement::SNAT(Some(translation(family, text(source.to_string()))))
        }
        (Action::DestinationNat(destination), Some(family)) if is_of(destination) => {
            Statement::DNAT(Some(translation(family, text(destination.to_string()))))
        }
        (Action::KeepSource, Some(family)) => {
            Statement::SNAT(Some(translation(family, address(family, "saddr"))))
        }
        (Action::SourceNat(_) | Action::DestinationNat(_) | Action::KeepSource, _) => {
            return Encoded::Impossible;
        }
        // The library writes it as a string, which `nft` does not read.
        (Action::NoTrack, _) => return Encoded::Word(Word::Other(json!({ "notrack": null }))),
        (Action::SetMss(mss), _) => set(segment_size(), Expression::Number(u32::from(mss))),
        (Action::SetMark(mark), _) => set(meta(MetaKey::Mark), Expression::Number(mark)),
        (Action::Nothing, _) => return Encoded::Empty,
    };
    statement.into()
}

/// In no pair of an empty set is anything.
fn between(set: &PairSet, family: Option<Family>, fields: [&'static str; 2]) -> Encoded {
    match filled(set, family) {
        Some((family, set)) => is(direction(family, fields), set).into(),
        None => Encoded::Impossible,
    }
}

fn not_between(set: &PairSet, family: Option<Family>, fields: [&'static str; 2]) -> Encoded {
    match filled(set, family) {
        Some((family, set)) => is_not(direction(family, fields), set).into(),
        None => Encoded::Empty,
    }
}

/// The set of the family's pairs, if there are any.
fn filled(set: &PairSet, family: Option<Family>) -> Option<(Family, Expression<'static>)> {
    let family = family?;
    Some((family, text(format!("@{}", set.filled(family)?))))
}

fn direction(family: Family, fields: [&'static str; 2]) -> Expression<'static> {
    concatenation(fields.map(|field| address(family, field)))
}

fn translation(family: Family, addr: Expression<'static>) -> NAT<'static> {
    let family = match family {
        Family::V4 => NATFamily::IP,
        Family::V6 => NATFamily::IP6,
    };
    NAT { addr: Some(addr), family: Some(family), port: None, flags: None }
}

/// RFC 4861, section 4: types 133 to 137.
fn neighbour_discovery() -> Word {
    let kind = json!({ "payload": { "protocol": "icmpv6", "field": "type" } });
    Word::Other(json!({ "match": { "op": "==", "left": kind, "right": { "range": [133, 137] } } }))
}

/// `rt ipsec exists`, which the library has no word for.
fn route_protected(protected: bool) -> Word {
    Word::Other(json!({ "match": { "op": "==", "left": { "rt": { "key": "ipsec" } }, "right": protected } }))
}
