//! Agents as operators see them, and which of them runs a router's VPN.

use crate::context::{Context, not_found};
use crate::{Control, Failure, enrolment, schedule};
use karez_model::parse::Updated;
use karez_model::{Caller, Kind, Reason, Value};
use karez_store::{Datum, Lane, Stored};
use std::sync::Arc;

/// Only agents of this type can be given routers.
const VPN_AGENT: &str = "VPN Agent";

/// The routers of an agent, or the agents of a router.
pub type AgentRouters = Vec<Arc<Stored>>;

impl Control {
    /// Changes what an operator can choose about an agent: whether it gets work, and its
    /// description.
    ///
    /// # Errors
    /// Policy, or [`Reason::AgentNotFound`].
    pub async fn update_agent(
        &self,
        caller: &Arc<Caller>,
        id: &str,
        updated: Updated,
    ) -> Result<Arc<Stored>, Failure> {
        self.check(caller, "update_agent")?;
        let (node, changed) = (id.to_owned(), id.to_owned());
        self.writing(caller, move |context| {
            context
                .tx
                .query_for_update("SELECT id FROM nodes WHERE id = $1", &[Datum::from(node.as_str())])?;
            let old = context.visible(Kind::Agent, &node)?;
            let changes = &updated.changes;
            let value = |name: &str| changes.get(old.resource(), name).unwrap_or(old.get(name)).clone();
            let is_up = matches!(value("admin_state_up"), Value::Bool(true));
            let description = match value("description") {
                Value::Text(text) => Some(text),
                _ => None,
            };
            let sql = "UPDATE nodes SET admin_state_up = $1, description = $2, updated_at = $3, rev = rev + 1
                WHERE id = $4";
            let now = context.tx.now();
            let params =
                [Datum::from(is_up), Datum::from(description), Datum::from(now), Datum::from(node.as_str())];
            context.tx.execute(sql, &params)?;
            Ok(())
        })
        .await?;
        self.show(caller, Kind::Agent, &changed).await
    }

    /// Forgets an agent that is gone. Its routers are without a node then.
    ///
    /// # Errors
    /// Policy, [`Reason::AgentNotFound`], or [`Reason::Conflict`] while one that needs no certificate is alive.
    pub async fn delete_agent(&self, caller: &Arc<Caller>, id: &str) -> Result<(), Failure> {
        self.check(caller, "delete_agent")?;
        let node = id.to_owned();
        self.writing(caller, move |context| {
            let id = [Datum::from(node.as_str())];
            context.tx.query_for_update("SELECT id FROM nodes WHERE id = $1", &id)?;
            let sql = "SELECT id FROM routers
                WHERE id IN (SELECT router_id FROM placements WHERE node_id = $1) ORDER BY id";
            context.tx.query_for_update(sql, &id)?;
            let agent = context.visible(Kind::Agent, &node)?;
            // A node that was enrolled cannot come back without a token: this is how it is thrown out.
            if agent.flag("alive") && !enrolment::is_enrolled(context.tx, agent.text("host"))? {
                let message = format!("The agent {node} is alive; stop it first, it would come back");
                return Err(Failure::fault(Reason::Conflict, message));
            }
            let sql = "UPDATE placements SET node_id = NULL, generation = generation + 1 WHERE node_id = $1";
            context.tx.execute(sql, &[Datum::from(node.as_str())])?;
            // Its certificate is neither taken nor renewed any more, and its session can no longer write.
            let sql = "DELETE FROM enrolled_hosts WHERE host = $1";
            context.tx.execute(sql, &[Datum::from(agent.text("host"))])?;
            context.tx.execute("DELETE FROM nodes WHERE id = $1", &[Datum::from(node.as_str())])?;
            context.tx.ring();
            Ok(())
        })
        .await
    }

    /// The routers whose VPN an agent runs.
    ///
    /// # Errors
    /// Policy, or [`Reason::AgentNotFound`].
    pub async fn agent_routers(&self, caller: &Arc<Caller>, id: &str) -> Result<AgentRouters, Failure> {
        self.check(caller, "get_vpn-routers")?;
        let node = id.to_owned();
        self.reading(caller, move |context| {
            context.visible(Kind::Agent, &node)?;
            let sql = "SELECT router_id FROM placements WHERE node_id = $1 ORDER BY router_id";
            let routers = context.column(sql, &[Datum::from(node.as_str())])?;
            routers.iter().map(|id| context.existing(Kind::Router, id)).collect()
        })
        .await
    }

    /// The agents that run a router's VPN: one or none.
    ///
    /// # Errors
    /// Policy.
    pub async fn router_agents(&self, caller: &Arc<Caller>, router: &str) -> Result<AgentRouters, Failure> {
        self.check(caller, "get_vpn-agents")?;
        let router = router.to_owned();
        self.reading(caller, move |context| {
            let nodes = placed_on(context, &router)?;
            nodes.iter().map(|id| context.existing(Kind::Agent, id)).collect()
        })
        .await
    }

    /// Has an agent run a router's VPN.
    ///
    /// # Errors
    /// Policy, [`Reason::RouterNotFound`], [`Reason::AgentNotFound`], [`Reason::InvalidVPNAgent`],
    /// or [`Reason::RouterHostedByVPNAgent`].
    pub async fn place_router(&self, caller: &Arc<Caller>, agent: &str, router: &str) -> Result<(), Failure> {
        self.check(caller, "create_vpn-router")?;
        let (node, router) = (agent.to_owned(), router.to_owned());
        self.writing(caller, move |context| {
            let Some(agent) = context.tx.get(Kind::Agent, &node)? else {
                return Err(not_found(Kind::Agent, &node));
            };
            if context.tx.lock(Kind::Router, &router)?.is_none() {
                return Err(not_found(Kind::Router, &router));
            }
            if !agent.text("agent_type").eq_ignore_ascii_case(VPN_AGENT) || !agent.flag("admin_state_up") {
                let message = format!("The agent {node} is not a VPN agent that may be given work");
                return Err(Failure::fault(Reason::InvalidVPNAgent, message));
            }
            match placed_on(context, &router)?.first() {
                Some(host) if *host == node => return Ok(()),
                Some(host) => {
                    let message =
                        format!("The router {router} is on the agent {host}; remove it from there first");
                    return Err(Failure::fault(Reason::RouterHostedByVPNAgent, message));
                }
                None => {}
            }
            schedule::assign(context.tx, &router, &node)
        })
        .await
    }

    /// Takes a router from an agent; nothing happens when it is not there. The scheduler leaves it
    /// alone until an operator gives it to an agent again.
    ///
    /// # Errors
    /// Policy, or [`Reason::AgentNotFound`].
    pub async fn displace_router(
        &self,
        caller: &Arc<Caller>,
        agent: &str,
        router: &str,
    ) -> Result<(), Failure> {
        self.check(caller, "delete_vpn-router")?;
        let (node, router) = (agent.to_owned(), router.to_owned());
        self.writing(caller, move |context| {
            context.visible(Kind::Agent, &node)?;
            context.tx.lock(Kind::Router, &router)?;
            let sql = "UPDATE placements SET node_id = NULL, generation = generation + 1, is_parked = 1
                WHERE router_id = $1 AND node_id = $2";
            if context.tx.execute(sql, &[Datum::from(router.as_str()), Datum::from(node.as_str())])? > 0 {
                context.tx.bump_node(&node)?;
            }
            Ok(())
        })
        .await
    }
}

fn placed_on(context: &mut Context<'_, '_>, router: &str) -> Result<Vec<String>, Failure> {
    context.column(
        "SELECT node_id FROM placements WHERE router_id = $1 AND node_id IS NOT NULL",
        &[Datum::from(router)],
    )
}

impl Control {
    /// The availability zones that agents name, sorted.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn agent_zones(&self) -> Result<Vec<String>, Failure> {
        let sql = "SELECT DISTINCT availability_zone FROM nodes
            WHERE availability_zone IS NOT NULL ORDER BY availability_zone";
        self.store
            .read(move |tx| {
                let rows = tx.query(sql, &[])?;
                Ok(rows.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?)
            })
            .await
    }

    /// How many objects of each kind there are, by status where the kind has one: for metrics.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn census(&self) -> Result<Vec<(&'static str, String, i64)>, Failure> {
        self.store
            .on(Lane::Long)
            .read(move |tx| {
                let mut census = Vec::new();
                for kind in Kind::ALL {
                    let resource = kind.resource();
                    let status = if resource.position("status").is_some() { "status" } else { "''" };
                    let sql =
                        format!("SELECT {status}, COUNT(*) FROM {} GROUP BY 1 ORDER BY 1", resource.table);
                    for row in tx.query(&sql, &[])? {
                        census.push((resource.member, row.text(0)?.to_owned(), row.int(1)?));
                    }
                }
                Ok(census)
            })
            .await
    }

    /// How many agents are alive, and how many are not: for metrics.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn attendance(&self) -> Result<(i64, i64), Failure> {
        self.store
            .read(|tx| {
                let row = tx.query_opt("SELECT COALESCE(SUM(alive), 0), COUNT(*) FROM agents", &[])?;
                let (alive, all) =
                    row.map_or(Ok((0, 0)), |row| Ok::<_, Failure>((row.int(0)?, row.int(1)?)))?;
                Ok((alive, all - alive))
            })
            .await
    }
}
