//! Desired state: a change that concerns what a node must run is counted on that node's row, and on
//! the placement of the router that it is about.

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
        self.ring();
        self.hold(Kind::Router, router_id)?;
        let router = [Datum::from(router_id)];
        let sql =
            "UPDATE placements SET revision = revision + 1 WHERE router_id = $1 AND node_id IS NOT NULL";
        if self.execute(sql, &router)? == 0 {
            return Ok(false);
        }
        let sql = "UPDATE nodes SET desired_rev = desired_rev + 1
            WHERE id = (SELECT node_id FROM placements WHERE router_id = $1)";
        Ok(self.execute(sql, &router)? > 0)
    }

    /// Counts a change of a node's own desired state.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn bump_node(&mut self, node_id: &str) -> Result<(), Error> {
        self.ring();
        let sql = "UPDATE nodes SET desired_rev = desired_rev + 1, rev = rev + 1 WHERE id = $1";
        self.execute(sql, &[Datum::from(node_id)])?;
        Ok(())
    }

    /// Rings the doorbell once the transaction is committed: there is something to place, or
    /// something new for a node.
    pub fn ring(&mut self) {
        self.has_rung = true;
    }
}
