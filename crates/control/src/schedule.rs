//! Which node runs which router.
//!
//! Only routers that have no node are placed. A router whose node is silent stays where it is: its
//! tunnels go on there without the control plane.

use crate::core::zone;
use crate::{Control, Failure};
use karez_model::{Kind, Object};
use karez_store::{Datum, Tx};

/// A node that may be given routers.
struct Candidate {
    id: String,
    is_managed: bool,
    zone: String,
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
        // Whom nobody can take is not locked at each look.
        let takeable = self.store.read(takeable).await?;
        if takeable.is_empty() {
            return Ok(0);
        }
        self.store
            .write(move |tx| {
                let mut nodes = candidates(tx)?;
                let mut placed = 0;
                for router in &takeable {
                    placed += usize::from(place(tx, router, &mut nodes)?);
                }
                Ok(placed)
            })
            .await
    }
}

fn takeable(tx: &mut Tx<'_>) -> Result<Vec<String>, Failure> {
    let nodes = candidates(tx)?;
    if nodes.is_empty() {
        return Ok(Vec::new());
    }
    let is_any_managed = nodes.iter().any(|node| node.is_managed);
    let among = if is_any_managed { "" } else { "AND id IN (SELECT router_id FROM found_routers)" };
    let sql = format!(
        "SELECT id FROM routers WHERE id NOT IN
            (SELECT router_id FROM placements WHERE node_id IS NOT NULL OR is_parked = 1) {among} ORDER BY id"
    );
    let mut takeable = Vec::new();
    for row in tx.query(&sql, &[])? {
        let id = row.text(0)?;
        let Some(router) = tx.get(Kind::Router, id)? else { continue };
        if choose(tx, &router, &nodes)?.is_some() {
            takeable.push(id.to_owned());
        }
    }
    Ok(takeable)
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
            zone: row.opt_text(2)?.unwrap_or(zone::DEFAULT).to_owned(),
            load: row.int(3)?,
        });
    }
    Ok(found)
}

fn place(tx: &mut Tx<'_>, id: &str, nodes: &mut [Candidate]) -> Result<bool, Failure> {
    let Some(router) = tx.lock(Kind::Router, id)? else { return Ok(false) };
    // Looked at again under the router's lock: another replica may have been faster.
    let sql =
        "SELECT router_id FROM placements WHERE router_id = $1 AND (node_id IS NOT NULL OR is_parked = 1)";
    if !tx.query(sql, &[Datum::from(id)])?.is_empty() {
        return Ok(false);
    }
    let Some(at) = choose(tx, &router, nodes)? else { return Ok(false) };
    assign(tx, id, &nodes[at].id)?;
    nodes[at].load += 1;
    Ok(true)
}

/// Which of the nodes takes a router, by its place among them.
fn choose(tx: &mut Tx<'_>, router: &Object, nodes: &[Candidate]) -> Result<Option<usize>, Failure> {
    let mut found_on = Vec::new();
    let sql = "SELECT node_id FROM found_routers WHERE router_id = $1";
    for row in tx.query(sql, &[Datum::from(router.id())])? {
        found_on.push(row.text(0)?.to_owned());
    }
    let hints: Vec<&str> = router.texts("availability_zone_hints").collect();
    let is_able = |node: &Candidate| {
        let is_there = if found_on.is_empty() { node.is_managed } else { found_on.contains(&node.id) };
        is_there && (hints.is_empty() || hints.contains(&node.zone.as_str()))
    };
    let able = nodes.iter().enumerate().filter(|(_, node)| is_able(node));
    Ok(able.min_by_key(|(_, node)| (node.load, node.id.as_str())).map(|(at, _)| at))
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
