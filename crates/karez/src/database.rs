//! `karez db`: schema, checks, keys.

use crate::config::{Config, Database};
use crate::{Place, say};
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use karez_control::{Control, Settings};
use karez_identity::{Embedded, embedded};
use karez_model::policy::Policy;
use karez_model::{Kind, Type};
use karez_store::{Error, Keyring, Options, Query, Store};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;

/// Opens the store of a configuration, made when it is not there; its schema is up to date then.
pub(crate) fn open(config: &Config) -> Result<Store> {
    let keyring = Keyring::open(&config.key_file())?;
    Store::open(options(config, keyring)?).context("the store cannot be opened")
}

/// Why the database is away; none when it is there, or when something else is wrong.
pub(crate) fn away(config: &Config) -> Result<Option<String>> {
    let keyring = Keyring::open(&config.key_file())?;
    Ok(options(config, keyring)?.away())
}

/// Opens the store of an installation that is there: a mistyped path must not make a second one.
/// Waits for the database, on a thread that drives tasks.
fn existing(config: &Config) -> Result<Store> {
    if let Database::Sqlite(path) = config.database()?
        && !path.exists()
    {
        bail!("there is no database {}", path.display());
    }
    let keyring = Keyring::existing(&config.key_file())?;
    let options = options(config, keyring)?;
    tokio::task::block_in_place(|| Store::open(options)).context("the store cannot be opened")
}

fn options(config: &Config, keyring: Keyring) -> Result<Options> {
    Ok(match config.database()? {
        Database::Sqlite(path) => Options::sqlite(path, keyring),
        Database::Postgres(url) => Options::postgres(url, keyring),
    })
}

/// The use cases of an installation that is there, for commands that no caller sends.
pub(crate) fn control(config: &Config) -> Result<Control> {
    let policy = Policy::new([]).map_err(|why| anyhow!("built-in policy: {why}"))?;
    Ok(Control::new(existing(config)?, policy, Settings::default()))
}

pub(crate) fn migrate(config: &Config) -> Result<()> {
    open(config)?;
    say("The schema is up to date.")
}

/// Gives the administrator of the embedded identity a new password. In a state directory the client
/// files have it too.
pub(crate) async fn reset_admin(place: &Place) -> Result<()> {
    let config = place.read()?;
    let store = existing(&config)?;
    let password = Embedded::new(store, embedded::Options::default()).reset_admin().await?;
    say(&format!("The administrator is admin, his password {}", password.expose()))?;
    match place.directory()? {
        Some(directory) => directory.replace_password(&password),
        None => Ok(()),
    }
}

/// Reads every object, which opens every secret and parses every structure.
pub(crate) async fn check(config: &Config) -> Result<()> {
    let store = existing(config)?;
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

/// A part of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// Add a new key to the key file
    Add,
    /// Seal every secret with the newest key
    Reseal,
    /// Remove the old keys from the key file
    Retire,
}

/// Makes a new key, seals everything again, and only then removes the old ones: whenever this is
/// cut short, everything can still be opened, and running it again finishes the work.
pub(crate) async fn rotate_key(config: &Config, step: Option<Step>) -> Result<()> {
    let store = existing(config)?;
    let _alone = alone(config)?;
    let does = |one| step.is_none_or(|step| step == one);
    if does(Step::Add) {
        say(&format!("The new key is {:08x}.", store.keyring().add_key()?))?;
    }
    if does(Step::Reseal) {
        // A server that is running looks at the key file before it seals, and what it was writing
        // when the file changed is waited for.
        say(&format!("{} secret(s) were sealed with the newest key.", reseal_all(&store).await?))?;
    }
    if does(Step::Retire) {
        let late = reseal_all(&store).await?;
        if late > 0 {
            bail!(
                "{late} secret(s) were still sealed with an old key, and are no more: some server does not have the \
                 new key file yet; give it to all of them, then retire the old keys"
            );
        }
        say(&format!("{} old key(s) were removed.", store.keyring().retire_old_keys()?))?;
    }
    Ok(())
}

/// Two rotations at a time would each write the key file without the other's key.
fn alone(config: &Config) -> Result<File> {
    let path = config.key_file().with_extension("lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let file = file.with_context(|| format!("{} cannot be made", path.display()))?;
    file.try_lock().with_context(|| format!("another rotation is under way: it holds {}", path.display()))?;
    Ok(file)
}

async fn reseal_all(store: &Store) -> Result<u64> {
    let mut resealed = store.write(|tx| tx.reseal_values()).await?;
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
