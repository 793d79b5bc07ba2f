//! A store of its own for each test.

use karez_model::{Kind, Object};
use karez_store::{Error, Keyring, Options, Query, Store, Stored, Tx};
use karez_testing::{Database, StoreKind};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub struct Ground {
    pub store: Store,
    pub database: Database,
    pub kind: StoreKind,
    pub folder: TempDir,
    runtime: Runtime,
}

impl Ground {
    pub fn new(kind: StoreKind) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let database = Database::create(kind, folder.path()).expect("a database");
        let store = open(kind, &database, &folder).expect("a store");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { store, database, kind, folder, runtime }
    }

    /// The same database once more, as another process would open it.
    pub fn open_again(&self) -> Result<Store, Error> {
        open(self.kind, &self.database, &self.folder)
    }

    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    pub fn read<T: Send + 'static>(
        &self,
        use_case: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(self.store.read(use_case))
    }

    pub fn write<T: Send + 'static>(
        &self,
        use_case: impl FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.run(self.store.write(use_case))
    }

    /// Stores an object and returns it as it is now.
    pub fn insert(&self, object: &Object) -> Object {
        let object = object.clone();
        self.write(move |tx| tx.insert(object.clone())).expect("inserted")
    }

    pub fn get(&self, kind: Kind, id: &str) -> Option<Arc<Stored>> {
        let id = id.to_owned();
        self.read(move |tx| tx.get(kind, &id)).expect("read")
    }

    pub fn list(&self, query: &Query) -> Vec<Object> {
        let query = query.clone();
        let found = self.read(move |tx| tx.list(&query)).expect("read");
        found.iter().map(|stored| stored.object.clone()).collect()
    }
}

/// Runs use cases of several threads on one store.
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}

fn open(kind: StoreKind, database: &Database, folder: &TempDir) -> Result<Store, Error> {
    let keyring = Keyring::open(&folder.path().join("secret.key"))?;
    Store::open(match (kind, database) {
        (StoreKind::Sqlite, Database::Sqlite { file }) => Options::sqlite(file, keyring),
        _ => Options::postgres(&database.url(), keyring),
    })
}
