//! From a table to the JSON that `nft` reads; the form is libnftables-json(5).

use aws_lc_rs::digest;
use nftables::schema::{
    Chain as ChainObject, Counter as CounterObject, NfCmd, NfListObject, Set as SetObject, SetFlag, SetType,
    SetTypeValue, Table as TableObject,
};
use nftables::types::{NfChainPolicy, NfFamily};
use serde::Serialize;

use super::expression::{Family, concatenation, network, set_name};
use super::statement::{Word, words};
use super::{Pair, Table};

/// One transaction that puts the table into the place of whatever has its name.
pub(super) struct Transaction {
    /// For `nft -j -f -`.
    pub(super) json: String,
    /// The name of an empty chain in the table that says which transaction made it. Not a comment: old versions of
    /// `nft` do not show those in JSON.
    pub(super) mark: String,
}

impl Table {
    pub(super) fn transaction(&self) -> Result<Transaction, serde_json::Error> {
        let content = self.content();
        // What is applied stands and falls with the text, so its hash is its identity.
        let digest = digest::digest(&digest::SHA256, &serde_json::to_vec(&content)?);
        let hex: String = digest.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let mark = format!("applied-{hex}");
        // Deleting what is not there is an error, so it is added first.
        let table = || NfListObject::Table(object(self));
        let mut commands = vec![
            Command::Typed(NfCmd::Add(table())),
            Command::Typed(NfCmd::Delete(table())),
            Command::Typed(NfCmd::Add(table())),
        ];
        commands.extend(content);
        let mark_chain = ChainObject { name: mark.clone().into(), ..self.chain_object() };
        commands.push(Command::Typed(NfCmd::Add(NfListObject::Chain(mark_chain))));
        let json = serde_json::to_string(&Document { nftables: commands })?;
        Ok(Transaction { json, mark })
    }

    fn content(&self) -> Vec<Command> {
        let add = |object| Command::Typed(NfCmd::Add(object));
        let mut commands = Vec::new();
        for counter in self.counters() {
            commands.push(add(NfListObject::Counter(self.counter_object(counter))));
        }
        for (name, pairs) in &self.sets {
            for (family, elements) in [(Family::V4, pairs.v4()), (Family::V6, pairs.v6())] {
                if !elements.is_empty() {
                    commands.push(add(NfListObject::Set(Box::new(self.set_object(name, family, elements)))));
                }
            }
        }
        for chain in &self.chains {
            let object = ChainObject {
                name: chain.name.clone().into(),
                _type: Some(chain.kind),
                hook: Some(chain.hook),
                prio: Some(chain.priority),
                policy: Some(NfChainPolicy::Accept),
                ..self.chain_object()
            };
            commands.push(add(NfListObject::Chain(object)));
            for rule in &chain.rules {
                for expr in words(rule) {
                    let (family, table) = (NfFamily::INet, self.name.clone());
                    let rule = RuleObject { family, table, chain: chain.name.clone(), expr };
                    commands.push(Command::Rule { add: RuleHolder { rule } });
                }
            }
        }
        commands
    }

    fn chain_object(&self) -> ChainObject<'static> {
        ChainObject { family: NfFamily::INet, table: self.name.clone().into(), ..ChainObject::default() }
    }

    fn counter_object(&self, name: &str) -> CounterObject<'static> {
        let (family, table) = (NfFamily::INet, self.name.clone().into());
        CounterObject {
            family,
            table,
            name: name.to_owned().into(),
            handle: None,
            packets: None,
            bytes: None,
        }
    }

    fn set_object(&self, name: &str, family: Family, elements: &[Pair]) -> SetObject<'static> {
        let address = match family {
            Family::V4 => SetType::Ipv4Addr,
            Family::V6 => SetType::Ipv6Addr,
        };
        let element = |pair: &Pair| concatenation([network(pair.source()), network(pair.destination())]);
        SetObject {
            family: NfFamily::INet,
            table: self.name.clone().into(),
            name: set_name(name, family).into(),
            set_type: SetTypeValue::Concatenated(vec![address, address].into()),
            flags: Some([SetFlag::Interval].into()),
            elem: Some(elements.iter().map(element).collect()),
            ..SetObject::default()
        }
    }
}

fn object(table: &Table) -> TableObject<'static> {
    TableObject { family: NfFamily::INet, name: table.name.clone().into(), handle: None }
}

#[derive(Serialize)]
struct Document {
    nftables: Vec<Command>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Command {
    Typed(NfCmd<'static>),
    Rule { add: RuleHolder },
}

#[derive(Serialize)]
struct RuleHolder {
    rule: RuleObject,
}

#[derive(Serialize)]
struct RuleObject {
    family: NfFamily,
    table: String,
    chain: String,
    expr: Vec<Word>,
}
