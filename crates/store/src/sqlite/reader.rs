//! The threads that read.

use super::connection::Local;
use crate::Error;
use crate::store::{Queued, caught};
use crate::workers::Serve;

/// Answers what asks. Readers have no transaction that a use case could leave open.
pub(super) fn serving(mut local: Local) -> Serve<Queued> {
    Box::new(move |arrivals| {
        while let Some(mut queued) = arrivals.take() {
            if queued.is_given_up() {
                continue;
            }
            let done = caught(|| Ok::<_, Error>((queued.job)(&mut local))).map(drop);
            queued.answer(done);
        }
    })
}
