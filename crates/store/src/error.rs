//! What can go wrong below a use case.

/// An error of the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The database is away, full or too busy. Nothing of the call is kept, or, when the
    /// connection was lost while committing, it is not known whether it is.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A row with this key exists. Holds what the database says, for the log.
    #[error("the row would break a unique key: {0}")]
    Unique(String),
    /// A row refers to one that does not exist, or is referred to.
    #[error("the row would break a reference: {0}")]
    Reference(String),
    /// Another transaction changed the row in between.
    #[error("the row was changed by somebody else meanwhile")]
    Stale,
    /// A sealed secret cannot be opened with the keys at hand.
    #[error("a secret cannot be opened: {0}")]
    Sealed(String),
    /// A bug: SQL that the database does not take, a column of another type.
    #[error("internal error: {0}")]
    Bug(String),
}

impl Error {
    /// Whether running the transaction again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Stale => true,
            Self::Unavailable(_) | Self::Unique(_) | Self::Reference(_) | Self::Sealed(_) | Self::Bug(_) => {
                false
            }
        }
    }
}
