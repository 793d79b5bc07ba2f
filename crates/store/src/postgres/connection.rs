//! One connection to PostgreSQL.

use crate::tx::{Connection, Dialect};
use crate::{Datum, Error, Row};
use postgres::error::SqlState;
use postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use postgres::{Client, Config, NoTls, Statement};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::time::Duration;

pub(super) struct Remote {
    client: Client,
    statements: HashMap<String, Statement>,
    /// A statement has failed since the transaction began, so that nothing of it can be kept.
    has_failed: bool,
}

/// Reads the URL and sets the bounds that every connection has.
pub(super) fn configure(url: &str) -> Result<Config, Error> {
    let mut config: Config = url
        .parse()
        .map_err(|error| Error::Unavailable(format!("the database URL cannot be read: {error}")))?;
    config.connect_timeout(Duration::from_secs(3));
    config.tcp_user_timeout(Duration::from_secs(10));
    // Who only listens sends nothing that could go unanswered.
    config
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3);
    config.application_name("karez");
    let options = config.get_options().unwrap_or_default().to_owned();
    config.options(&format!(
        "{options} -c statement_timeout=20s -c lock_timeout=10s -c idle_in_transaction_session_timeout=30s"
    ));
    Ok(config)
}

/// Why there is no connection to be had now, when later there may be; none when there is one, or when it is something that
/// does not pass by itself, as with a wrong password.
pub(crate) fn away(url: &str) -> Option<String> {
    let error = configure(url).ok()?.connect(NoTls).err()?;
    let passes = [SqlState::CANNOT_CONNECT_NOW, SqlState::TOO_MANY_CONNECTIONS];
    error.code().is_none_or(|code| passes.contains(code)).then(|| explain(&error))
}

impl Remote {
    pub(super) fn connect(config: &Config) -> Result<Self, Error> {
        let client = config.connect(NoTls).map_err(|error| Error::Unavailable(explain(&error)))?;
        Ok(Self { client, statements: HashMap::new(), has_failed: false })
    }

    /// Begins a transaction.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        self.has_failed = false;
        self.command("BEGIN")
    }

    /// Commits the transaction. PostgreSQL gives one up at the first statement that fails, and then
    /// takes a COMMIT without a word and undoes everything; that must not pass for done.
    pub(super) fn commit(&mut self) -> Result<(), Error> {
        if self.has_failed {
            self.command("ROLLBACK")?;
            return Err(Error::Bug("a use case went on after a statement that failed".into()));
        }
        self.command("COMMIT")
    }

    /// Runs SQL that stands outside of use cases: transactions and locks.
    pub(super) fn command(&mut self, sql: &str) -> Result<(), Error> {
        self.client.batch_execute(sql).map_err(|error| failed(&error))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// SQL is prepared once a connection. What it says differs only where lists differ in length,
    /// so that there are few of them; should there be many, the connection begins afresh.
    fn statement(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        if self.statements.len() >= 512 {
            self.statements.clear();
        }
        let statement = self.client.prepare(sql).map_err(|error| failed(&error))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

impl Remote {
    fn select(&mut self, sql: &str, params: &[Datum]) -> Result<Vec<Row>, Error> {
        let statement = self.statement(sql)?;
        let rows = self.client.query(&statement, &borrowed(params)).map_err(|error| failed(&error))?;
        let row = |row: &postgres::Row| {
            let column = |at| row.try_get::<_, Option<Datum>>(at).map(|datum| datum.unwrap_or(Datum::Null));
            (0..row.len()).map(column).collect::<Result<_, _>>().map(Row)
        };
        rows.iter().map(row).collect::<Result<_, _>>().map_err(|error| failed(&error))
    }

    fn change(&mut self, sql: &str, params: &[Datum]) -> Result<u64, Error> {
        if params.is_empty() {
            self.command(sql)?;
            return Ok(0);
        }
        let statement = self.statement(sql)?;
        self.client.execute(&statement, &borrowed(params)).map_err(|error| failed(&error))
    }
}

impl Connection for Remote {
    fn query(&mut self, sql: &str, params: &[Datum]) -> Result<Vec<Row>, Error> {
        let rows = self.select(sql, params);
        self.has_failed |= rows.is_err();
        rows
    }

    fn execute(&mut self, sql: &str, params: &[Datum]) -> Result<u64, Error> {
        let changed = self.change(sql, params);
        self.has_failed |= changed.is_err();
        changed
    }

    fn batch(&mut self, sql: &str) -> Result<(), Error> {
        let done = self.command(sql);
        self.has_failed |= done.is_err();
        done
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            for_update: " FOR UPDATE",
            for_key_share: " FOR KEY SHARE",
            exclude_writers: " IN SHARE ROW EXCLUSIVE MODE",
            collate: " COLLATE \"C\"",
            bytes: " BYTEA",
            checks: &[],
            now: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)",
        }
    }
}

fn borrowed(params: &[Datum]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

impl ToSql for Datum {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
            Self::Int(value) => value.to_sql(ty, out),
            Self::Text(value) => value.to_sql(ty, out),
            Self::Blob(value) => value.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Datum {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(match *ty {
            Type::INT8 => Self::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Int(i64::from(i32::from_sql(ty, raw)?)),
            Type::BYTEA => Self::Blob(raw.to_vec()),
            _ => Self::Text(String::from_sql(ty, raw)?),
        })
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::INT8 | Type::INT4 | Type::BYTEA | Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN
        )
    }
}

pub(super) fn failed(error: &postgres::Error) -> Error {
    let message = explain(error);
    let Some(code) = error.code() else {
        return if error.is_closed() || error.source().is_some_and(|source| source.is::<std::io::Error>()) {
            Error::Unavailable(message)
        } else {
            Error::Bug(message)
        };
    };
    match code.clone() {
        SqlState::UNIQUE_VIOLATION => Error::Unique(message),
        SqlState::FOREIGN_KEY_VIOLATION | SqlState::RESTRICT_VIOLATION => Error::Reference(message),
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => Error::Stale,
        code if ["08", "25", "53", "55", "57", "58"].contains(&&code.code()[..2]) => {
            Error::Unavailable(message)
        }
        _ => Error::Bug(message),
    }
}

/// The error in words. What the server says may quote a row, so only its first line is used.
fn explain(error: &postgres::Error) -> String {
    match error.as_db_error() {
        Some(error) => error.message().to_owned(),
        None => match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}
