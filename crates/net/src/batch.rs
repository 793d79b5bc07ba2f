//! Many small changes in a row, of which one that fails must not keep the others from being made.

use crate::Error;

/// What became of the changes so far.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    changed: bool,
    failure: Option<Error>,
}

impl Batch {
    /// The outcome of one more: whether it changed anything. Of several failures the first is told and the others are
    /// logged.
    pub(crate) fn add(&mut self, outcome: Result<bool, Error>) {
        match outcome {
            Ok(changed) => self.changed |= changed,
            Err(error) if self.failure.is_none() => self.failure = Some(error),
            Err(error) => tracing::warn!(%error, "one more change failed"),
        }
    }

    /// Whether anything changed, if nothing failed.
    pub(crate) fn end(self) -> Result<bool, Error> {
        self.failure.map_or(Ok(self.changed), Err)
    }
}
