//! A database for one test, and a way into it behind the back of what is tested.

mod template;

use crate::Cluster;
use anyhow::Context;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where objects are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A file in a directory.
    Sqlite,
    /// A database of its own on a PostgreSQL server.
    Postgresql,
}

/// One database, gone on drop.
pub enum Database {
    /// A file, which goes with the directory that it is in.
    Sqlite {
        /// Its path.
        file: PathBuf,
    },
    /// A database on a cluster.
    Postgresql {
        /// Its name, unique on the cluster.
        name: String,
        /// Where it is reached.
        url: String,
        /// Kept running as long as the database is needed.
        cluster: Arc<Cluster>,
    },
}

impl Database {
    /// A new database. The file of SQLite will be `karez.db` in `folder`; who opens it makes it.
    ///
    /// # Errors
    /// Names the Debian package when PostgreSQL is wanted and not installed.
    pub fn create(kind: StoreKind, folder: &Path) -> anyhow::Result<Self> {
        match kind {
            StoreKind::Sqlite => Ok(Self::Sqlite { file: folder.join("karez.db") }),
            StoreKind::Postgresql => Self::on(Cluster::shared()?),
        }
    }

    /// As [`Database::create`], but on PostgreSQL with what `migrate` makes of the empty database at this URL. That is
    /// done once for all tests of a program, and copied.
    ///
    /// # Errors
    /// As [`Database::create`], and those of `migrate`.
    pub fn migrated(
        kind: StoreKind,
        folder: &Path,
        migrate: impl FnOnce(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        if kind == StoreKind::Sqlite {
            return Self::create(kind, folder);
        }
        let cluster = Cluster::shared()?;
        match template::find_or_make(&cluster, migrate)? {
            Some(template) => Self::copy(cluster, &template),
            None => Self::on(cluster),
        }
    }

    /// A new database on a cluster.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub fn on(cluster: Arc<Cluster>) -> anyhow::Result<Self> {
        Self::copy(cluster, "template1")
    }

    fn copy(cluster: Arc<Cluster>, template: &str) -> anyhow::Result<Self> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        // On somebody else's cluster there may be leftovers of an earlier process of this id.
        let name = format!("karez_{}_{count}", std::process::id());
        let mut client = connect(&cluster.url)?;
        client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))?;
        let strategy = strategy(&mut client, &cluster)?;
        client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template} {strategy}"))?;
        let url = with_database(&cluster.url, &name)?;
        Ok(Self::Postgresql { name, url, cluster })
    }

    /// As a server's configuration names it.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite { file } => format!("sqlite:{}", file.display()),
            Self::Postgresql { url, .. } => url.clone(),
        }
    }

    /// Runs statements while a server runs too. A change of a row must also do `rev = rev + 1`: a
    /// server trusts what it remembers of a row as long as the revision is the same.
    ///
    /// # Errors
    /// The database's.
    pub fn execute(&self, sql: &str) -> anyhow::Result<()> {
        match self {
            Self::Sqlite { .. } => self.file()?.execute_batch(sql).with_context(|| sql.to_owned()),
            Self::Postgresql { url, .. } => connect(url)?.batch_execute(sql).with_context(|| sql.to_owned()),
        }
    }

    /// The single number that a query answers.
    ///
    /// # Errors
    /// The database's.
    pub fn number(&self, sql: &str) -> anyhow::Result<i64> {
        match self {
            Self::Sqlite { .. } => Ok(self.file()?.query_row(sql, (), |row| row.get(0))?),
            Self::Postgresql { url, .. } => Ok(connect(url)?.query_one(sql, &[])?.try_get(0)?),
        }
    }

    /// The texts that a query answers in its first column.
    ///
    /// # Errors
    /// The database's.
    pub fn texts(&self, sql: &str) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Sqlite { .. } => {
                let file = self.file()?;
                let mut query = file.prepare(sql)?;
                let rows = query.query_map((), |row| row.get(0))?;
                Ok(rows.collect::<Result<_, _>>()?)
            }
            Self::Postgresql { url, .. } => {
                connect(url)?.query(sql, &[])?.iter().map(|row| Ok(row.try_get(0)?)).collect()
            }
        }
    }

    fn file(&self) -> anyhow::Result<rusqlite::Connection> {
        let Self::Sqlite { file } = self else { anyhow::bail!("not a file") };
        let connection = rusqlite::Connection::open(file)?;
        connection.busy_timeout(Duration::from_secs(30))?;
        Ok(connection)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Self::Postgresql { name, cluster, .. } = self {
            // A cluster of our own vanishes anyway, and this takes some milliseconds; on somebody else's it is our best
            // effort.
            let _ = connect(&cluster.url)
                .map(|mut client| client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")));
        }
    }
}

/// How a database is copied. Where nothing waits for the disk, copying files takes two thirds of the time that it takes
/// to write everything to the log first. Before version 15 there is no choice.
fn strategy(client: &mut postgres::Client, cluster: &Cluster) -> anyhow::Result<&'static str> {
    let version: i32 =
        client.query_one("SELECT current_setting('server_version_num')::int", &[])?.try_get(0)?;
    Ok(if cluster.is_made_for_tests() && version >= 150_000 { "STRATEGY FILE_COPY" } else { "" })
}

fn connect(url: &str) -> anyhow::Result<postgres::Client> {
    postgres::Client::connect(url, postgres::NoTls)
        .with_context(|| format!("cannot reach PostgreSQL at {url}"))
}

/// `url` with another database.
fn with_database(url: &str, name: &str) -> anyhow::Result<String> {
    let (place, options) =
        url.split_once('?').map_or((url, String::new()), |(place, options)| (place, format!("?{options}")));
    let authority = place.find("://").context("KAREZ_TEST_POSTGRES_URL is not a URL")? + 3;
    let end = place[authority..].find('/').map_or(place.len(), |at| authority + at);
    Ok(format!("{}/{name}{options}", &place[..end]))
}
