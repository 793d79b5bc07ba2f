//! Why a use case did not happen.

use karez_model::{Fault, Reason};
use karez_store::Error;

/// The caller's fault, or the store's.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The request cannot be done as it is.
    #[error("{0}")]
    Fault(#[from] Fault),
    /// The store did not do it.
    #[error("{0}")]
    Store(Error),
}

impl Failure {
    /// A fault with its explanation.
    pub fn fault(reason: Reason, message: impl Into<String>) -> Self {
        Self::Fault(Fault::new(reason, message))
    }
}

impl From<Error> for Failure {
    /// A row that another request has removed or added in between is that request's doing, and the
    /// caller can try again.
    fn from(error: Error) -> Self {
        match error {
            Error::Unique(_) => Self::fault(Reason::Conflict, "An object that excludes this one exists"),
            Error::Reference(_) => Self::fault(
                Reason::Conflict,
                "Another request removed an object that this one needs, or began to use it; look again",
            ),
            Error::Stale => {
                Self::fault(Reason::Conflict, "Another request changed the object meanwhile; try again")
            }
            Error::Unavailable(_) | Error::Sealed(_) | Error::Bug(_) => Self::Store(error),
        }
    }
}
