//! What leads from one table to another, so that a change costs what it changes and not what there is.

use std::collections::BTreeMap;

use super::encode::Transaction;
use super::table::FamilySet;
use super::{Count, Pair, Table};

impl Table {
    /// Makes this table out of `before`, which has this mark; none where that takes a replacement of the whole.
    ///
    /// A transaction that deletes and adds an element of the same key is not written: kernels before 6.9 may remove the
    /// wrong one of the two (CVE-2024-26924).
    pub(super) fn difference(&self, mark: &str, before: &Self, mark_before: &str) -> Option<Transaction> {
        if !self.has_chains_of(before) {
            return None;
        }
        let (sets, sets_before) = (self.family_sets(), before.family_sets());
        let (counters, counters_before) = (self.counters(), before.counters());
        let changed = || self.chains.iter().zip(&before.chains).filter(|(now, before)| now != before);
        let mut transaction = Transaction::about(self);
        for counter in counters.difference(&counters_before) {
            transaction.add_counter(counter, Count::default());
        }
        // What refers to something goes before it and comes after it.
        for (chain, _) in changed() {
            transaction.flush_chain(chain);
        }
        for (name, set_before) in &sets_before {
            match sets.get(name) {
                Some(set) => change_elements(&mut transaction, name, set, set_before)?,
                None => transaction.delete_set(name, set_before),
            }
        }
        for (name, set) in sets.iter().filter(|(name, _)| !sets_before.contains_key(*name)) {
            transaction.add_set(name, set);
        }
        for (chain, _) in changed() {
            transaction.add_rules(chain);
        }
        for counter in counters_before.difference(&counters) {
            transaction.delete_counter(counter);
        }
        transaction.delete_mark(mark_before);
        transaction.add_mark(mark);
        Some(transaction)
    }

    /// The order of chains at one hook is the order in which they came.
    fn has_chains_of(&self, other: &Self) -> bool {
        let headers = |table: &'_ Self| -> Vec<_> {
            let header = |chain: &super::Chain| (chain.name.clone(), chain.kind, chain.hook, chain.priority);
            table.chains.iter().map(header).collect()
        };
        self.name == other.name && headers(self) == headers(other)
    }
}

/// None where a pair would have to be counted under another counter than before.
fn change_elements(
    transaction: &mut Transaction,
    name: &str,
    set: &FamilySet<'_>,
    before: &FamilySet<'_>,
) -> Option<()> {
    if set == before {
        return Some(());
    }
    if set.is_counted != before.is_counted {
        return None;
    }
    let now: BTreeMap<Pair, _> = set.elements.iter().copied().collect();
    let mut earlier: BTreeMap<Pair, _> = before.elements.iter().copied().collect();
    let mut added = Vec::new();
    for (pair, counter) in now {
        match earlier.remove(&pair) {
            Some(counter_before) if counter_before == counter => {}
            Some(_) => return None,
            None => added.push((pair, counter)),
        }
    }
    let deleted: Vec<_> = earlier.into_keys().collect();
    if !deleted.is_empty() {
        transaction.delete_elements(name, &deleted);
    }
    if !added.is_empty() {
        transaction.add_elements(name, &added);
    }
    Some(())
}
