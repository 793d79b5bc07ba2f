//! Where a service under test keeps its data: a SQLite file of its own, or, when
//! `KAREZ_TEST_POSTGRES_URL` names a server, a database of its own there.

use karez_store::{Keyring, Options, Store};
use std::thread;
use tempfile::TempDir;

pub(super) struct Place {
    pub directory: TempDir,
    database: Option<Database>,
}

struct Database {
    server: String,
    name: String,
}

impl Place {
    pub(super) fn new() -> Self {
        let server = std::env::var("KAREZ_TEST_POSTGRES_URL").ok();
        let database = server.map(|server| {
            let name = format!("karez_identity_{}", uuid::Uuid::new_v4().simple());
            run(&server, format!("CREATE DATABASE {name}"));
            Database { server, name }
        });
        Self { directory: tempfile::tempdir().unwrap(), database }
    }

    pub(super) fn open(&self) -> Store {
        let keyring = Keyring::open(&self.directory.path().join("secret.key")).unwrap();
        let options = match &self.database {
            None => Options::sqlite(self.directory.path().join("karez.db"), keyring),
            Some(Database { server, name }) => {
                let (server, _) = server.rsplit_once('/').unwrap();
                Options::postgres(&format!("{server}/{name}"), keyring)
            }
        };
        thread::spawn(|| Store::open(options)).join().unwrap().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(Database { server, name }) = &self.database {
            run(server, format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

/// The client blocks, which a thread of the runtime must not.
fn run(server: &str, sql: String) {
    let server = server.to_owned();
    let task =
        move || postgres::Client::connect(&server, postgres::NoTls).unwrap().batch_execute(&sql).unwrap();
    thread::spawn(task).join().unwrap();
}
