//! Desired state: a change that concerns what a node must run is counted on that node's row.

use crate::{Datum, Error, Tx};
use karez_model::Kind;

impl Tx<'_> {
    /// Counts a change that concerns a router: the node that runs it has a new desired state.
    /// The lock on the node's row makes revisions visible in the order of the commits. The router
    /// is held, so that it is not moved at the same time: the node that it moved to would count
    /// the move and never this change. True when a node runs the router.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn bump_router(&mut self, router_id: &str) -> Result<bool, Error> {
        self.hold(Kind::Router, router_id)?;
        let sql = "UPDATE nodes SET desired_rev = desired_rev + 1
            WHERE id = (SELECT node_id FROM placements WHERE router_id = $1)";
        Ok(self.execute(sql, &[Datum::from(router_id)])? > 0)
    }

    /// Counts a change of a node's own desired state.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn bump_node(&mut self, node_id: &str) -> Result<(), Error> {
        let sql = "UPDATE nodes SET desired_rev = desired_rev + 1, rev = rev + 1 WHERE id = $1";
        self.execute(sql, &[Datum::from(node_id)])?;
        Ok(())
    }
}
