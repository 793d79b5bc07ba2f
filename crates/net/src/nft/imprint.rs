//! By what a table is known again in the kernel.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_lc_rs::digest;
use ipnet::IpNet;

use super::Table;
use super::encode::Transaction;
use super::statement::words;

/// What the kernel has to say of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Imprint {
    /// The name of an empty chain in the table that says which table it is. Not a comment: old versions of `nft` do not
    /// show those in JSON.
    pub(super) mark: String,
    /// All chains, with that one, each with its number of rules. Somebody who takes a rule out does not change the mark.
    pub(super) chains: BTreeMap<String, u32>,
}

impl Table {
    pub(super) fn imprint(&self) -> Result<Imprint, serde_json::Error> {
        let mark = self.mark()?;
        let rules = |rules: usize| u32::try_from(rules).unwrap_or(u32::MAX);
        let mut chains: BTreeMap<_, _> = self
            .chains
            .iter()
            .map(|chain| (chain.name.clone(), rules(chain.rules.iter().map(|rule| words(rule).len()).sum())))
            .collect();
        chains.insert(mark.clone(), 0);
        Ok(Imprint { mark, chains })
    }

    /// Rules are few, and what they say is what `nft` is told. Elements may be thousands and have one meaning only.
    fn mark(&self) -> Result<String, serde_json::Error> {
        let mut context = digest::Context::new(&digest::SHA256);
        let mut rules = Transaction::about(self);
        for chain in &self.chains {
            rules.add_chain(chain);
            rules.add_rules(chain);
        }
        text(&mut context, &rules.json()?);
        let counters = self.counters();
        context.update(&counters.len().to_be_bytes());
        for counter in counters {
            text(&mut context, counter);
        }
        for (name, set) in self.family_sets() {
            text(&mut context, &name);
            context.update(&set.elements.len().to_be_bytes());
            for (pair, counter) in set.elements {
                network(&mut context, pair.source());
                network(&mut context, pair.destination());
                text(&mut context, counter.unwrap_or_default());
            }
        }
        let hex: String =
            context.finish().as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Ok(format!("applied-{hex}"))
    }
}

/// The length in front keeps two texts from being taken for two others.
fn text(context: &mut digest::Context, text: &str) {
    context.update(&text.len().to_be_bytes());
    context.update(text.as_bytes());
}

fn network(context: &mut digest::Context, network: IpNet) {
    match network.addr() {
        IpAddr::V4(address) => context.update(&address.octets()),
        IpAddr::V6(address) => context.update(&address.octets()),
    }
    context.update(&[network.prefix_len()]);
}
