//! Where a service under test keeps its data: a SQLite file of its own, or, when
//! `KAREZ_TEST_STORE` is `postgresql`, a database of its own there. CI runs the suite on both.

use karez_store::{Keyring, Options, Store};
use karez_testing::{Database, StoreKind};
use std::thread;
use tempfile::TempDir;

pub(super) struct Place {
    pub directory: TempDir,
    database: Option<Database>,
}

impl Place {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let wanted = std::env::var("KAREZ_TEST_STORE").unwrap_or_default();
        let kind = if wanted == "postgresql" { StoreKind::Postgresql } else { StoreKind::Sqlite };
        let folder = directory.path().to_owned();
        let database = aside(move || {
            let migrate = |url: &str| {
                let keyring = Keyring::open(&folder.join("template.key"))?;
                Store::open(Options::postgres(url, keyring))?;
                Ok(())
            };
            Database::migrated(kind, &folder, migrate).unwrap()
        });
        Self { directory, database: Some(database) }
    }

    pub(super) fn open(&self) -> Store {
        let keyring = Keyring::open(&self.directory.path().join("secret.key")).unwrap();
        let url = self.database.as_ref().unwrap().url();
        let options = match url.strip_prefix("sqlite:") {
            Some(path) => Options::sqlite(path, keyring),
            None => Options::postgres(&url, keyring),
        };
        aside(|| Store::open(options).unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let database = self.database.take();
        aside(move || drop(database));
    }
}

/// The database's client blocks, which a thread of the runtime must not.
fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(work).join().unwrap()
}
