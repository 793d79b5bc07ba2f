//! `karez db`: schema, checks, keys.

use crate::config::{Config, Database};
use crate::say;
use anyhow::{Context, Result, bail};
use karez_model::{Kind, Type};
use karez_store::{Error, Keyring, Options, Query, Store};

/// Opens the store of a configuration; its schema is up to date then.
pub(crate) fn open(config: &Config) -> Result<Store> {
    let keyring = Keyring::open(&config.key_file())?;
    let options = match config.database()? {
        Database::Sqlite(path) => Options::sqlite(path, keyring),
        Database::Postgres(url) => Options::postgres(url, keyring),
    };
    Store::open(options).context("the store cannot be opened")
}

/// Like [`open`], on a thread that drives tasks: opening waits for the database.
fn open_here(config: &Config) -> Result<Store> {
    tokio::task::block_in_place(|| open(config))
}

pub(crate) fn migrate(config: &Config) -> Result<()> {
    open(config)?;
    say("The schema is up to date.")
}

/// Reads every object, which opens every secret and parses every structure.
pub(crate) async fn check(config: &Config) -> Result<()> {
    let store = open_here(config)?;
    let mut faults = 0;
    for kind in Kind::ALL.iter().copied() {
        let result = store.read(move |tx| tx.list(&Query::all(kind)).map(|objects| objects.len())).await;
        match result {
            Ok(count) => say(&format!("{:<24} {count:>8}", kind.resource().collection))?,
            Err(error @ (Error::Sealed(_) | Error::Bug(_))) => {
                faults += 1;
                say(&format!("{:<24} {error}", kind.resource().collection))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let broken = store.read(|tx| tx.integrity()).await?;
    for line in &broken {
        say(line)?;
    }
    match faults + broken.len() {
        0 => say("The database is sound."),
        count => bail!("{count} fault(s) found in the database"),
    }
}

/// Makes a new key, seals everything again, and only then removes the old ones: whenever this is
/// cut short, everything can still be opened, and running it again finishes the work.
pub(crate) async fn rotate_key(config: &Config) -> Result<()> {
    let store = open_here(config)?;
    let id = store.keyring().add_key()?;
    say(&format!("The new key is {id:08x}."))?;
    let mut resealed = 0;
    // A server that is running looks at the key file before it seals, and what it was writing when
    // the file changed is waited for. The second round has nothing to do, and shows it.
    for _ in 0..2 {
        resealed += reseal_all(&store).await?;
    }
    let retired = store.keyring().retire_old_keys()?;
    say(&format!("{resealed} secret(s) are sealed with it, {retired} old key(s) are removed."))
}

async fn reseal_all(store: &Store) -> Result<u64> {
    let mut resealed = 0;
    for kind in Kind::ALL.iter().copied().filter(|kind| has_secret(*kind)) {
        let mut after = String::new();
        loop {
            let from = after.clone();
            let (last, done) = store.write(move |tx| tx.reseal(kind, &from)).await?;
            resealed += done.resealed;
            if !done.is_more {
                break;
            }
            after = last;
        }
    }
    Ok(resealed)
}

fn has_secret(kind: Kind) -> bool {
    kind.resource().attributes.iter().any(|attribute| matches!(attribute.ty, Type::Secret(..)))
}
