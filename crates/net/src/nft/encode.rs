//! From a table, or from what differs between two, to the JSON that `nft` reads; the form is libnftables-json(5).

use std::collections::BTreeMap;

use nftables::expr::Expression;
use nftables::schema::{
    Chain as ChainObject, Element as ElementObject, FlushObject, NfCmd, NfListObject, Table as TableObject,
};
use nftables::types::{NfChainPolicy, NfFamily};
use serde::Serialize;
use serde_json::{Value, json};

use super::expression::{Family, Words, concatenation, network, text};
use super::statement::{Word, words};
use super::table::FamilySet;
use super::{Chain, Count, Pair, Table};

impl Table {
    /// Puts the table into the place of whatever has its name. Counters begin at these counts.
    pub(super) fn replacement(&self, mark: &str, counts: &BTreeMap<String, Count>) -> Transaction {
        let mut transaction = Transaction::about(self);
        // Deleting what is not there is an error, so it is added first.
        transaction.add(transaction.table());
        transaction.delete(transaction.table());
        transaction.add(transaction.table());
        for counter in self.counters() {
            transaction.add_counter(counter, counts.get(counter).copied().unwrap_or_default());
        }
        for (name, set) in self.family_sets() {
            transaction.add_set(&name, &set);
        }
        for chain in &self.chains {
            transaction.add_chain(chain);
            transaction.add_rules(chain);
        }
        transaction.add_mark(mark);
        transaction
    }
}

/// What `nft` is to do at once, to one table.
#[derive(Debug)]
pub(super) struct Transaction {
    table: String,
    commands: Vec<Command>,
}

type Element<'a> = (Pair, Option<&'a str>);

impl Transaction {
    pub(super) fn about(table: &Table) -> Self {
        Self { table: table.name().to_owned(), commands: Vec::new() }
    }

    /// For `nft -j -f -`.
    pub(super) fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Document { nftables: &self.commands })
    }

    pub(super) fn add_counter(&mut self, name: &str, Count { packets, bytes }: Count) {
        // The library's counter has 32 bits.
        let counter = json!({
            "family": NfFamily::INet, "table": self.table, "name": name, "packets": packets, "bytes": bytes,
        });
        self.commands.push(Command::Other(json!({ "add": { "counter": counter } })));
    }

    pub(super) fn delete_counter(&mut self, name: &str) {
        let counter = json!({ "family": NfFamily::INet, "table": self.table, "name": name });
        self.commands.push(Command::Other(json!({ "delete": { "counter": counter } })));
    }

    pub(super) fn add_set(&mut self, name: &str, set: &FamilySet<'_>) {
        let (family, kind) = (NfFamily::INet, [address_type(set.family); 2]);
        let mut object = json!({
            "family": family, "table": self.table, "name": name, "type": kind, "flags": ["interval"],
            "elem": elements(&set.elements),
        });
        if set.is_counted {
            // The library has no word for maps to counters.
            object["map"] = json!("counter");
        }
        self.commands.push(Command::Other(json!({ "add": { set_kind(set): object } })));
    }

    pub(super) fn delete_set(&mut self, name: &str, set: &FamilySet<'_>) {
        let object = json!({ "family": NfFamily::INet, "table": self.table, "name": name });
        self.commands.push(Command::Other(json!({ "delete": { set_kind(set): object } })));
    }

    pub(super) fn add_elements(&mut self, set: &str, added: &[Element<'_>]) {
        self.add(self.elements(set, elements(added)));
    }

    pub(super) fn delete_elements(&mut self, set: &str, deleted: &[Pair]) {
        self.delete(self.elements(set, deleted.iter().map(key).collect()));
    }

    pub(super) fn add_chain(&mut self, chain: &Chain) {
        self.add(NfListObject::Chain(ChainObject {
            _type: Some(chain.kind),
            hook: Some(chain.hook),
            prio: Some(chain.priority),
            policy: Some(NfChainPolicy::Accept),
            ..self.chain(&chain.name)
        }));
    }

    pub(super) fn flush_chain(&mut self, chain: &Chain) {
        let chain = self.chain(&chain.name);
        self.commands.push(Command::Typed(NfCmd::Flush(FlushObject::Chain(chain))));
    }

    pub(super) fn add_rules(&mut self, chain: &Chain) {
        for rule in &chain.rules {
            for expr in words(rule) {
                let (family, table) = (NfFamily::INet, self.table.clone());
                let rule = RuleObject { family, table, chain: chain.name.clone(), expr };
                self.commands.push(Command::Rule { add: RuleHolder { rule } });
            }
        }
    }

    pub(super) fn add_mark(&mut self, mark: &str) {
        self.add(NfListObject::Chain(self.chain(mark)));
    }

    pub(super) fn delete_mark(&mut self, mark: &str) {
        self.delete(NfListObject::Chain(self.chain(mark)));
    }

    fn add(&mut self, object: NfListObject<'static>) {
        self.commands.push(Command::Typed(NfCmd::Add(object)));
    }

    fn delete(&mut self, object: NfListObject<'static>) {
        self.commands.push(Command::Typed(NfCmd::Delete(object)));
    }

    fn table(&self) -> NfListObject<'static> {
        NfListObject::Table(TableObject {
            family: NfFamily::INet,
            name: self.table.clone().into(),
            handle: None,
        })
    }

    fn chain(&self, name: &str) -> ChainObject<'static> {
        let (family, table, name) = (NfFamily::INet, self.table.clone().into(), name.to_owned().into());
        ChainObject { family, table, name, ..ChainObject::default() }
    }

    fn elements(&self, set: &str, elements: Vec<Words>) -> NfListObject<'static> {
        let (family, table, name) = (NfFamily::INet, self.table.clone().into(), set.to_owned().into());
        NfListObject::Element(ElementObject { family, table, name, elem: elements.into() })
    }
}

fn set_kind(set: &FamilySet<'_>) -> &'static str {
    if set.is_counted { "map" } else { "set" }
}

fn address_type(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    }
}

fn elements(elements: &[Element<'_>]) -> Vec<Words> {
    let element = |(pair, counter): &Element<'_>| match counter {
        Some(counter) => Expression::List(vec![key(pair), text((*counter).to_owned())]),
        None => key(pair),
    };
    elements.iter().map(element).collect()
}

fn key(pair: &Pair) -> Words {
    concatenation([network(pair.source()), network(pair.destination())])
}

#[derive(Serialize)]
struct Document<'a> {
    nftables: &'a [Command],
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Command {
    Typed(NfCmd<'static>),
    Rule { add: RuleHolder },
    Other(Value),
}

#[derive(Debug, Serialize)]
struct RuleHolder {
    rule: RuleObject,
}

#[derive(Debug, Serialize)]
struct RuleObject {
    family: NfFamily,
    table: String,
    chain: String,
    expr: Vec<Word>,
}
