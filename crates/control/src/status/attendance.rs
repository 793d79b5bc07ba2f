//! Who looks after a router.

use crate::Failure;
use karez_engine::{Code, Reason};
use karez_store::{Datum, Tx};

/// The node that runs a router, and whether it is alive.
pub(super) struct Attendance {
    /// The node's host; none when no node runs the router.
    pub host: Option<String>,
    /// Whether its lease goes on.
    pub is_alive: bool,
}

impl Attendance {
    pub(super) fn of_router(tx: &mut Tx<'_>, router: &str) -> Result<Self, Failure> {
        let sql = format!(
            "SELECT n.host, CASE WHEN n.lease_until > {} THEN 1 ELSE 0 END FROM placements p
            JOIN nodes n ON n.id = p.node_id WHERE p.router_id = $1",
            tx.clock()
        );
        Ok(match tx.query_opt(&sql, &[Datum::from(router)])? {
            Some(row) => Self { host: Some(row.text(0)?.to_owned()), is_alive: row.int(1)? == 1 },
            None => Self { host: None, is_alive: false },
        })
    }

    /// Why nobody looks after the router. Tenants read it, so it does not name the node.
    pub(super) fn reason(&self) -> Option<Reason> {
        match (&self.host, self.is_alive) {
            (Some(_), true) => None,
            (Some(_), false) => Some(Reason::new(
                Code::AgentLost,
                "The agent that runs this router's VPN has not been heard of; the status is the last one that it \
                 reported. Tunnels that are up stay up without it",
            )),
            (None, _) => Some(Reason::new(
                Code::NoAgent,
                "No agent runs this router's VPN. An operator has to start one that may take it, or let one have the \
                 router: `openstack network agent list` shows those that there are",
            )),
        }
    }
}
