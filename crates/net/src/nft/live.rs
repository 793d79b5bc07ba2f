//! Tables in the kernel: changed by `nft`, run inside the namespace, and asked about without it.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::process::{Command, Stdio};

use serde_json::json;

use super::encode::Transaction;
use super::imprint::Imprint;
use super::{Table, ask};
use crate::{Error, Namespace};

/// What a counter has counted since it is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes, from the IP header on.
    pub bytes: u64,
}

/// What had to be done for a table to be as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// What differs from the table that was there.
    Difference,
    /// The table was put into the place of whatever was there.
    Replacement,
}

impl Table {
    /// Makes the namespace have exactly this table under its name, in one transaction: no packet meets half of it, or
    /// none. Does nothing when this very table is there already. Counters that stay go on from where they are.
    ///
    /// # Errors
    ///
    /// [`Error::NoNft`]; [`Error::Nft`] with what `nft` said, when it refused; [`Error::Denied`], [`Error::System`].
    pub async fn ensure(&self, namespace: &Namespace) -> Result<bool, Error> {
        self.ensure_after(namespace, None).await.map(|change| change != Change::None)
    }

    /// As [`Table::ensure`], by no more than what differs from the table that was put there `before`, as long as that
    /// is still there and was not changed by somebody else.
    ///
    /// Somebody who changes chains or the number of their rules is noticed; who changes a rule in its place, or elements
    /// of sets, is not.
    ///
    /// # Errors
    ///
    /// As [`Table::ensure`].
    pub async fn ensure_after(&self, namespace: &Namespace, before: Option<&Self>) -> Result<Change, Error> {
        let operation = format!("apply table {}", self.name());
        let unwritten = |error: serde_json::Error| refused(namespace, &operation, &error.to_string());
        let imprint = self.imprint().map_err(unwritten)?;
        let name = self.name().to_owned();
        let unanswered =
            |error| Error::system(namespace, format!("ask for what is in table {}", self.name()), error);
        let chains = namespace.run_async(move || ask::chains(&name)).await?.map_err(unanswered)?;
        if chains == imprint.chains {
            return Ok(Change::None);
        }
        if let Some(before) = before {
            let imprint_before = before.imprint().map_err(unwritten)?;
            if chains == imprint_before.chains
                && self.change(namespace, &imprint, before, &imprint_before).await?
            {
                return Ok(Change::Difference);
            }
        }
        let name = self.name().to_owned();
        let counts = namespace.run_async(move || ask::counters(&name)).await?.map_err(unanswered)?;
        let replacement = self.replacement(&imprint.mark, &counts);
        run(namespace, &operation, &replacement).await?;
        Ok(Change::Replacement)
    }

    /// Whether it could be done.
    async fn change(
        &self,
        namespace: &Namespace,
        imprint: &Imprint,
        before: &Self,
        imprint_before: &Imprint,
    ) -> Result<bool, Error> {
        let Some(difference) = self.difference(&imprint.mark, before, &imprint_before.mark) else {
            return Ok(false);
        };
        match run(namespace, &format!("change table {}", self.name()), &difference).await {
            Ok(()) => Ok(true),
            Err(error @ Error::Nft { .. }) => {
                tracing::warn!(%error, "a table is not what it was made; it is replaced");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether the namespace has an `inet` table of this name.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn exists(namespace: &Namespace, table: &str) -> Result<bool, Error> {
    let wanted = table.to_owned();
    let found = namespace.run_async(move || ask::has_table(&wanted));
    found.await?.map_err(|error| Error::system(namespace, format!("look for table {table}"), error))
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
    nft(namespace, &format!("remove table {table}"), transaction).await?;
    Ok(true)
}

/// What the counters of the `inet` table of this name have counted; none where there is no such table.
///
/// # Errors
///
/// [`Error::Denied`], [`Error::System`].
pub async fn counters(namespace: &Namespace, table: &str) -> Result<BTreeMap<String, Count>, Error> {
    let name = table.to_owned();
    let counters = namespace.run_async(move || ask::counters(&name));
    counters
        .await?
        .map_err(|error| Error::system(namespace, format!("read the counters of table {table}"), error))
}

async fn run(namespace: &Namespace, operation: &str, transaction: &Transaction) -> Result<(), Error> {
    let json = transaction.json().map_err(|error| refused(namespace, operation, &error.to_string()))?;
    nft(namespace, operation, json).await
}

async fn nft(namespace: &Namespace, operation: &str, json: String) -> Result<(), Error> {
    let said = match namespace.run_async(move || apply(&json)).await? {
        Ok(said) => said,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::NoNft),
        Err(error) => return Err(Error::system(namespace, format!("run nft to {operation}"), error)),
    };
    match said {
        None => Ok(()),
        Some(said) if said.contains("Operation not permitted") => {
            Err(Error::Denied { namespace: namespace.to_string(), operation: operation.to_owned() })
        }
        Some(said) => Err(refused(namespace, operation, &said)),
    }
}

/// Has the program do a transaction. Returns what it says when it refuses, which it says on standard error.
fn apply(json: &str) -> io::Result<Option<String>> {
    let mut nft = Command::new("nft");
    nft.args(["-j", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = nft.spawn()?;
    // It reads all before it says anything. One that ends early says why.
    let given = process.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(json.as_bytes()));
    let output = process.wait_with_output()?;
    if output.status.success() {
        return given.map(|()| None);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Some(if said.trim().is_empty() { format!("nft ended with {}", output.status) } else { said }))
}

/// `nft` repeats what it was given; what went wrong is in the beginning.
fn refused(namespace: &Namespace, operation: &str, said: &str) -> Error {
    const ENOUGH: usize = 500;
    let reason = said.trim().chars().take(ENOUGH).collect();
    Error::Nft { namespace: namespace.to_string(), operation: operation.to_owned(), reason }
}
