//! In which sessions this process has told nodes what to run.
//!
//! Revisions say what differs only between two states of one history. A database that was restored begins another, and
//! may come to the same revisions with something else behind them. A server is started anew for that; so what an agent
//! has is compared by revisions when this process has told it so, and otherwise it is told everything.

use karez_control::Lease;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// For each node the epoch of the last session in which it was told. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<BTreeMap<String, i64>>>);

impl Told {
    /// The node is told in this session.
    pub(crate) fn note(&self, lease: &Lease) {
        self.epochs().insert(lease.node.clone(), lease.epoch);
    }

    /// Whether it was here that the node was last told, in a session of this epoch.
    pub(crate) fn is_from_here(&self, node: &str, epoch: Option<i64>) -> bool {
        epoch.is_some() && self.epochs().get(node).copied() == epoch
    }

    fn epochs(&self) -> MutexGuard<'_, BTreeMap<String, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
