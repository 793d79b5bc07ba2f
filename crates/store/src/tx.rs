//! A transaction, as use cases see it.

use crate::cache::Cache;
use crate::{Datum, Error, Keyring, Row};
use std::sync::Arc;

/// A connection of one of the databases, inside a transaction or not.
pub(crate) trait Connection {
    /// Runs SQL with the parameters `$1`, `$2`, … and returns the rows.
    fn query(&mut self, sql: &str, params: &[Datum]) -> Result<Vec<Row>, Error>;

    /// Runs SQL and returns how many rows it changed.
    fn execute(&mut self, sql: &str, params: &[Datum]) -> Result<u64, Error>;

    /// Runs several statements without parameters.
    fn batch(&mut self, sql: &str) -> Result<(), Error>;

    /// The words that differ between the databases.
    fn dialect(&self) -> Dialect;
}

/// Where the databases differ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// Added to a SELECT so that the row stays as it is until the transaction ends. SQLite has
    /// one writer at a time and needs nothing.
    pub for_update: &'static str,
    /// Added to LOCK TABLE so that nobody else writes to it until the transaction ends, and who has
    /// written to it is waited for. Nothing where there is one writer at a time.
    pub exclude_writers: &'static str,
    /// Added to a SELECT so that others may do the same and may not do the above.
    pub for_key_share: &'static str,
    /// Added to a text column so that it sorts by code points on both.
    pub collate: &'static str,
    /// The type of bytes.
    pub bytes: &'static str,
    /// Statements that look for damage, with what they say when there is none.
    pub checks: &'static [(&'static str, &'static str)],
    /// The database's clock in microseconds since 1970 UTC.
    pub now: &'static str,
}

impl Dialect {
    /// A statement of a migration in this dialect.
    pub(crate) fn translate(self, sql: &str) -> String {
        sql.replace(" BLOB", self.bytes).replace("{now}", self.now)
    }
}

/// What all transactions of a store share.
pub(crate) struct Shared {
    pub keyring: Keyring,
    pub cache: Cache,
}

/// A transaction. See [`crate::Store::read`] and [`crate::Store::write`].
pub struct Tx<'a> {
    pub(crate) connection: &'a mut dyn Connection,
    pub(crate) shared: &'a Arc<Shared>,
    /// Only what is committed may be put into the cache.
    pub(crate) is_write: bool,
    pub(crate) now: i64,
    /// A statement failed in a way that running the transaction again may mend.
    pub(crate) is_stale: bool,
    /// Something was changed that the doorbell is to be rung for.
    pub(crate) has_rung: bool,
}

impl Tx<'_> {
    /// The time of this transaction, in microseconds since 1970 UTC.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.now
    }

    /// The database's own clock as an SQL expression, in microseconds since 1970 UTC. Leases go by
    /// it: the clocks of replicas may differ.
    #[must_use]
    pub fn clock(&self) -> &'static str {
        self.connection.dialect().now
    }

    /// Runs SQL with the parameters `$1`, `$2`, … and returns the rows.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn query(&mut self, sql: &str, params: &[Datum]) -> Result<Vec<Row>, Error> {
        let result = self.connection.query(sql, params);
        self.note(result)
    }

    /// The first row of [`Tx::query`].
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn query_opt(&mut self, sql: &str, params: &[Datum]) -> Result<Option<Row>, Error> {
        Ok(self.query(sql, params)?.into_iter().next())
    }

    /// Runs SQL and returns how many rows it changed.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn execute(&mut self, sql: &str, params: &[Datum]) -> Result<u64, Error> {
        let result = self.connection.execute(sql, params);
        self.note(result)
    }

    /// Reads rows and keeps them, on PostgreSQL, from being changed by others until the
    /// transaction ends. `sql` is a SELECT without a locking clause.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn query_for_update(&mut self, sql: &str, params: &[Datum]) -> Result<Vec<Row>, Error> {
        let clause = if self.is_write { self.connection.dialect().for_update } else { "" };
        if clause.is_empty() {
            self.query(sql, params)
        } else {
            self.query(&format!("{sql}{clause}"), params)
        }
    }

    pub(crate) fn note<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.is_stale |= error.is_transient();
        }
        result
    }
}
