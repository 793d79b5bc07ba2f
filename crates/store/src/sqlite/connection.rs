//! One connection to the SQLite file.

use crate::tx::{Connection, Dialect};
use crate::{Datum, Error, Row};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags, ToSql, params_from_iter};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

pub(super) struct Local {
    connection: rusqlite::Connection,
}

impl Local {
    pub(super) fn open(path: &Path, is_writer: bool) -> Result<Self, Error> {
        if is_writer {
            private(path)
                .map_err(|error| Error::Unavailable(format!("SQLite file {}: {error}", path.display())))?;
        }
        let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, is_writer);
        let open = || -> rusqlite::Result<rusqlite::Connection> {
            let connection = rusqlite::Connection::open_with_flags(path, flags)?;
            connection.set_prepared_statement_cache_capacity(256);
            connection.busy_timeout(Duration::from_secs(10))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "query_only", !is_writer)?;
            // Negative: in KiB. The file is small and the system caches it as well.
            connection.pragma_update(None, "cache_size", -2048)?;
            Ok(connection)
        };
        let connection =
            open().map_err(|error| Error::Unavailable(format!("SQLite file {}: {error}", path.display())))?;
        Ok(Self { connection })
    }

    /// Runs SQL that stands outside of use cases: transactions and savepoints.
    pub(super) fn command(&self, sql: &str) -> Result<(), Error> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map_err(failed)?;
        Ok(())
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }
}

impl Connection for Local {
    fn query(&mut self, sql: &str, params: &[Datum]) -> Result<Vec<Row>, Error> {
        let mut statement = self.connection.prepare_cached(&numbered(sql)).map_err(failed)?;
        let width = statement.column_count();
        let rows = statement.query_map(params_from_iter(params), |row| {
            (0..width).map(|at| row.get_ref(at).map(datum)).collect::<Result<_, _>>().map(Row)
        });
        rows.and_then(Iterator::collect).map_err(failed)
    }

    fn execute(&mut self, sql: &str, params: &[Datum]) -> Result<u64, Error> {
        let mut statement = self.connection.prepare_cached(&numbered(sql)).map_err(failed)?;
        let changed = statement.execute(params_from_iter(params)).map_err(failed)?;
        Ok(changed as u64)
    }

    fn batch(&mut self, sql: &str) -> Result<(), Error> {
        self.connection.execute_batch(sql).map_err(failed)
    }

    fn dialect(&self) -> Dialect {
        Dialect {
            for_update: "",
            for_key_share: "",
            exclude_writers: "",
            collate: "",
            bytes: " BLOB",
            checks: &[("PRAGMA integrity_check", "ok"), ("PRAGMA foreign_key_check", "")],
            now: "CAST(unixepoch('now', 'subsec') * 1000000 AS INTEGER)",
        }
    }
}

/// Makes the file, when it is not there, so that only its owner may read it. The journal takes over
/// its mode.
fn private(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path).map(drop)
}

/// `$1` is the first parameter in PostgreSQL, and a name in SQLite, which writes `?1`.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

fn datum(value: ValueRef<'_>) -> Datum {
    match value {
        ValueRef::Null => Datum::Null,
        ValueRef::Integer(value) => Datum::Int(value),
        #[allow(clippy::cast_possible_truncation)]
        ValueRef::Real(value) => Datum::Int(value as i64),
        ValueRef::Text(value) => Datum::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => Datum::Blob(value.to_vec()),
    }
}

impl ToSql for Datum {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

fn failed(error: rusqlite::Error) -> Error {
    let rusqlite::Error::SqliteFailure(failure, message) = &error else {
        return Error::Bug(error.to_string());
    };
    let message = message.clone().unwrap_or_else(|| failure.to_string());
    match failure.code {
        ErrorCode::ConstraintViolation => match failure.extended_code {
            rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY | rusqlite::ffi::SQLITE_CONSTRAINT_TRIGGER => {
                Error::Reference(message)
            }
            rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY => {
                Error::Unique(message)
            }
            _ => Error::Bug(message),
        },
        ErrorCode::DiskFull
        | ErrorCode::SystemIoFailure
        | ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::CannotOpen
        | ErrorCode::ReadOnly
        | ErrorCode::OutOfMemory
        | ErrorCode::PermissionDenied
        | ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase => Error::Unavailable(message),
        _ => Error::Bug(message),
    }
}
