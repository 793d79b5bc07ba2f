//! The database of a server under test, and a way into it behind the server's back.

use super::postgresql::Cluster;
use anyhow::Context;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Where a server keeps its objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A file in the server's state directory.
    Sqlite,
    /// A database of its own on a PostgreSQL server.
    Postgresql,
}

/// One database, gone on drop.
pub enum Database {
    /// A file, which goes with the state directory that it is in.
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
    /// A new database; a file for SQLite is created by the server.
    pub fn create(kind: StoreKind, state: &std::path::Path) -> anyhow::Result<Self> {
        if kind == StoreKind::Sqlite {
            return Ok(Self::Sqlite { file: state.join("karez.db") });
        }
        let cluster = Cluster::shared()?;
        let name = format!("karez_{}", uuid::Uuid::new_v4().simple());
        connect(&cluster.url)?.batch_execute(&format!("CREATE DATABASE {name}"))?;
        let url = with_database(&cluster.url, &name)?;
        Ok(Self::Postgresql { name, url, cluster })
    }

    /// As the server's configuration names it.
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite { file } => format!("sqlite:{}", file.display()),
            Self::Postgresql { url, .. } => url.clone(),
        }
    }

    /// Runs statements while the server runs too. A change of a row must also do `rev = rev + 1`:
    /// the server trusts what it remembers of a row as long as the revision is the same.
    pub fn execute(&self, sql: &str) -> anyhow::Result<()> {
        match self {
            Self::Sqlite { .. } => self.file()?.execute_batch(sql).with_context(|| sql.to_owned()),
            Self::Postgresql { url, .. } => connect(url)?.batch_execute(sql).with_context(|| sql.to_owned()),
        }
    }

    /// The single number that a query answers.
    pub fn number(&self, sql: &str) -> anyhow::Result<i64> {
        match self {
            Self::Sqlite { .. } => Ok(self.file()?.query_row(sql, (), |row| row.get(0))?),
            Self::Postgresql { url, .. } => Ok(connect(url)?.query_one(sql, &[])?.try_get(0)?),
        }
    }

    /// The texts that a query answers in its first column.
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
            // A cluster of our own vanishes anyway; on somebody else's this is our best effort.
            let _ = connect(&cluster.url)
                .map(|mut client| client.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")));
        }
    }
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
