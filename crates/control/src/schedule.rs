//! Which node runs which router.
//!
//! Only routers that have no node are placed. A router whose node is silent stays where it is: its
//! tunnels go on there without the control plane.

use crate::{Control, Failure};
use karez_model::Kind;
use karez_store::{Datum, Tx};

/// A node that may be given routers.
struct Candidate {
    id: String,
    is_managed: bool,
    zone: Option<String>,
    load: i64,
}

impl Control {
    /// Places the routers that have no node and are not kept off by an operator, each on the node
    /// with the fewest routers. A node that makes routers itself can take any; the others take those
    /// that are found on them. Returns how many were placed.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn schedule(&self) -> Result<usize, Failure> {
        const UNPLACED: &str = "SELECT id FROM routers WHERE id NOT IN
            (SELECT router_id FROM placements WHERE node_id IS NOT NULL OR is_parked = 1) ORDER BY id";
        let is_any = self.store.read(|tx| Ok::<_, Failure>(!tx.query(UNPLACED, &[])?.is_empty())).await?;
        if !is_any {
            return Ok(0);
        }
        self.store
            .write(|tx| {
                let mut nodes = candidates(tx)?;
                if nodes.is_empty() {
                    return Ok(0);
                }
                let mut placed = 0;
                for row in tx.query(UNPLACED, &[])? {
                    placed += usize::from(place(tx, row.text(0)?, &mut nodes)?);
                }
                Ok(placed)
            })
            .await
    }
}

fn candidates(tx: &mut Tx<'_>) -> Result<Vec<Candidate>, Failure> {
    let sql = format!(
        "SELECT id, shape, availability_zone,
            (SELECT COUNT(*) FROM placements WHERE placements.node_id = nodes.id) AS load
        FROM nodes WHERE admin_state_up = 1 AND agent_type = 'VPN Agent' AND lease_until > {} ORDER BY id",
        tx.clock()
    );
    let mut found = Vec::new();
    for row in tx.query(&sql, &[])? {
        found.push(Candidate {
            id: row.text(0)?.to_owned(),
            is_managed: row.text(1)? == "managed",
            zone: row.opt_text(2)?.map(str::to_owned),
            load: row.int(3)?,
        });
    }
    Ok(found)
}

fn place(tx: &mut Tx<'_>, router_id: &str, nodes: &mut [Candidate]) -> Result<bool, Failure> {
    let Some(router) = tx.lock(Kind::Router, router_id)? else { return Ok(false) };
    let id = [Datum::from(router_id)];
    // Looked at again under the router's lock: another replica may have been faster.
    let sql =
        "SELECT router_id FROM placements WHERE router_id = $1 AND (node_id IS NOT NULL OR is_parked = 1)";
    if !tx.query(sql, &id)?.is_empty() {
        return Ok(false);
    }
    let mut found_on = Vec::new();
    for row in tx.query("SELECT node_id FROM found_routers WHERE router_id = $1", &id)? {
        found_on.push(row.text(0)?.to_owned());
    }
    let hints: Vec<&str> = router.texts("availability_zone_hints").collect();
    let is_in_zone = |node: &&mut Candidate| {
        hints.is_empty() || node.zone.as_deref().is_some_and(|zone| hints.contains(&zone))
    };
    let is_able = |node: &&mut Candidate| {
        if found_on.is_empty() { node.is_managed } else { found_on.contains(&node.id) }
    };
    let able = nodes.iter_mut().filter(is_in_zone).filter(is_able);
    let Some(node) = able.min_by(|a, b| (a.load, &a.id).cmp(&(b.load, &b.id))) else { return Ok(false) };
    assign(tx, router_id, &node.id)?;
    node.load += 1;
    Ok(true)
}

/// Gives a router to a node. The caller holds the router's lock.
pub(crate) fn assign(tx: &mut Tx<'_>, router_id: &str, node_id: &str) -> Result<(), Failure> {
    let sql = "INSERT INTO placements (router_id, node_id, generation, revision, is_parked)
        VALUES ($1, $2, 1, 1, 0)
        ON CONFLICT (router_id) DO UPDATE
        SET node_id = excluded.node_id, generation = placements.generation + 1,
            revision = placements.revision + 1, is_parked = 0";
    tx.execute(sql, &[Datum::from(router_id), Datum::from(node_id)])?;
    tx.bump_node(node_id)?;
    Ok(())
}
