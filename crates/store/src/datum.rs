//! Values as databases have them: TEXT, BIGINT, BLOB and NULL, and nothing else.

use crate::Error;
use std::fmt;

/// One value of a row or a parameter.
#[derive(Clone, PartialEq, Eq)]
pub enum Datum {
    /// NULL.
    Null,
    /// BIGINT. Truths are 0 and 1, times are microseconds since 1970 UTC.
    Int(i64),
    /// TEXT.
    Text(String),
    /// BLOB, or BYTEA.
    Blob(Vec<u8>),
}

/// Shows the type only: parameters and rows do not belong into logs.
impl fmt::Debug for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Int(_) => "Int(..)",
            Self::Text(_) => "Text(..)",
            Self::Blob(_) => "Blob(..)",
        })
    }
}

impl From<i64> for Datum {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Datum {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<&str> for Datum {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Datum {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<Vec<u8>> for Datum {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Datum {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of an answer, by position of the columns in the SELECT.
#[derive(Clone)]
pub struct Row(pub Vec<Datum>);

impl Row {
    /// The number in a column.
    ///
    /// # Errors
    /// [`Error::Bug`] when there is none.
    pub fn int(&self, at: usize) -> Result<i64, Error> {
        match self.0.get(at) {
            Some(Datum::Int(value)) => Ok(*value),
            Some(Datum::Null | Datum::Text(_) | Datum::Blob(_)) | None => Err(unexpected(at, "a number")),
        }
    }

    /// The text in a column.
    ///
    /// # Errors
    /// [`Error::Bug`] when there is none.
    pub fn text(&self, at: usize) -> Result<&str, Error> {
        self.opt_text(at)?.ok_or_else(|| unexpected(at, "a text"))
    }

    /// The text in a column that may be NULL.
    ///
    /// # Errors
    /// [`Error::Bug`] when there is something else.
    pub fn opt_text(&self, at: usize) -> Result<Option<&str>, Error> {
        match self.0.get(at) {
            Some(Datum::Text(value)) => Ok(Some(value)),
            Some(Datum::Null) => Ok(None),
            Some(Datum::Int(_) | Datum::Blob(_)) | None => Err(unexpected(at, "a text")),
        }
    }

    /// The number in a column that may be NULL.
    ///
    /// # Errors
    /// [`Error::Bug`] when there is something else.
    pub fn opt_int(&self, at: usize) -> Result<Option<i64>, Error> {
        match self.0.get(at) {
            Some(Datum::Null) => Ok(None),
            Some(_) | None => self.int(at).map(Some),
        }
    }

    /// The bytes in a column.
    ///
    /// # Errors
    /// [`Error::Bug`] when there are none.
    pub fn blob(&self, at: usize) -> Result<&[u8], Error> {
        match self.0.get(at) {
            Some(Datum::Blob(value)) => Ok(value),
            Some(Datum::Null | Datum::Int(_) | Datum::Text(_)) | None => Err(unexpected(at, "bytes")),
        }
    }
}

fn unexpected(at: usize, what: &str) -> Error {
    Error::Bug(format!("column {at} of the answer is not {what}"))
}
