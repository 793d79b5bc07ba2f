//! Tables in the kernel: replaced, looked at and removed by `nft`, run inside the namespace.

use std::collections::BTreeMap;

use nftables::helper::{
    DEFAULT_ARGS, DEFAULT_NFT, NftablesError, apply_ruleset_raw, get_current_ruleset_raw,
};
use serde::Deserialize;
use serde_json::json;

use super::Table;
use super::ask::has_chain;
use crate::{Error, Namespace};

/// What a counter has counted since its table was last replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes, from the IP header on.
    pub bytes: u64,
}

impl Table {
    /// Makes the namespace have exactly this table under its name, in one transaction: no packet meets half of it, or
    /// none. Does nothing, and leaves counters alone, when this very table is there already.
    ///
    /// # Errors
    ///
    /// [`Error::NoNft`]; [`Error::Nft`] with what `nft` said, when it refused; [`Error::Denied`], [`Error::System`].
    pub async fn ensure(&self, namespace: &Namespace) -> Result<bool, Error> {
        let operation = format!("apply table {}", self.name());
        let transaction =
            self.transaction().map_err(|error| refused(namespace, &operation, &error.to_string()))?;
        let table = self.name().to_owned();
        let changed = namespace.run_async(move || {
            // Where the kernel gives no answer, `nft` says why.
            if has_chain(&table, &transaction.mark).unwrap_or(false) {
                return Ok(false);
            }
            apply_ruleset_raw(&transaction.json, DEFAULT_NFT, DEFAULT_ARGS).map(|_| true)
        });
        changed.await?.map_err(|error| failed(namespace, &operation, error))
    }
}

/// Whether the namespace has an `inet` table of this name.
///
/// # Errors
///
/// As [`Table::ensure`].
pub async fn exists(namespace: &Namespace, table: &str) -> Result<bool, Error> {
    let wanted = table.to_owned();
    let found =
        namespace.run_async(move || list(&["tables", "inet"]).and_then(|text| has_table(&text, &wanted)));
    found.await?.map_err(|error| failed(namespace, &format!("look for table {table}"), error))
}

/// Removes the `inet` table of this name with all that is in it; `false` when there was none.
///
/// # Errors
///
/// As [`Table::ensure`].
pub async fn remove(namespace: &Namespace, table: &str) -> Result<bool, Error> {
    if !exists(namespace, table).await? {
        return Ok(false);
    }
    // Added first, so that it is no error when somebody else was quicker.
    let object = json!({ "table": { "family": "inet", "name": table } });
    let transaction = json!({ "nftables": [{ "add": object }, { "delete": object }] }).to_string();
    let removed = namespace.run_async(move || apply_ruleset_raw(&transaction, DEFAULT_NFT, DEFAULT_ARGS));
    removed.await?.map_err(|error| failed(namespace, &format!("remove table {table}"), error))?;
    Ok(true)
}

/// What the counters of the `inet` table of this name have counted. They begin anew when the table is replaced.
///
/// # Errors
///
/// As [`Table::ensure`]; [`Error::Nft`] if there is no such table.
pub async fn counters(namespace: &Namespace, table: &str) -> Result<BTreeMap<String, Count>, Error> {
    let name = table.to_owned();
    let text = namespace.run_async(move || {
        let text = list(&["counters", "table", "inet", &name])?;
        parse_counters(&text).map_err(NftablesError::NftInvalidJson)
    });
    text.await?.map_err(|error| failed(namespace, &format!("read the counters of table {table}"), error))
}

fn list(what: &[&str]) -> Result<String, NftablesError> {
    // "-t": elements of sets are many, and not asked for.
    let arguments = ["-t", "list"].iter().chain(what);
    get_current_ruleset_raw(DEFAULT_NFT, arguments)
}

fn has_table(text: &str, name: &str) -> Result<bool, NftablesError> {
    let listing: Listing = serde_json::from_str(text).map_err(NftablesError::NftInvalidJson)?;
    Ok(listing.nftables.iter().filter_map(|object| object.table.as_ref()).any(|table| table.name == name))
}

fn parse_counters(text: &str) -> Result<BTreeMap<String, Count>, serde_json::Error> {
    let listing: Listing = serde_json::from_str(text)?;
    let counters = listing.nftables.into_iter().filter_map(|object| object.counter);
    Ok(counters.map(|counter| (counter.name, counter.count)).collect())
}

/// What is read of a listing. Not the library's types: theirs cannot hold a counter beyond 32 bits.
#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    table: Option<ListedTable>,
    counter: Option<ListedCounter>,
}

#[derive(Deserialize)]
struct ListedTable {
    name: String,
}

#[derive(Deserialize)]
struct ListedCounter {
    name: String,
    #[serde(flatten)]
    count: Count,
}

fn failed(namespace: &Namespace, operation: &str, error: NftablesError) -> Error {
    match error {
        NftablesError::NftExecution { inner, .. } if inner.kind() == std::io::ErrorKind::NotFound => {
            Error::NoNft
        }
        NftablesError::NftExecution { inner, .. } => {
            Error::system(namespace, format!("run nft to {operation}"), inner)
        }
        NftablesError::NftFailed { stderr, .. } if stderr.contains("Operation not permitted") => {
            Error::Denied { namespace: namespace.to_string(), operation: operation.to_owned() }
        }
        NftablesError::NftFailed { stderr, .. } => refused(namespace, operation, &stderr),
        other @ (NftablesError::NftOutputEncoding { .. } | NftablesError::NftInvalidJson(_)) => {
            refused(namespace, operation, &other.to_string())
        }
    }
}

/// `nft` repeats what it was given; what went wrong is in the beginning.
fn refused(namespace: &Namespace, operation: &str, said: &str) -> Error {
    const ENOUGH: usize = 500;
    let reason = said.trim().chars().take(ENOUGH).collect();
    Error::Nft { namespace: namespace.to_string(), operation: operation.to_owned(), reason }
}
