//! Sessions of agents: who they are, what they should run, how far they are.
//!
//! Each session of a node has an epoch, and whatever is written for a session is written only while
//! its epoch is the node's. A stream that has been replaced can no longer write.

use crate::{Control, Failure, enrolment, plan};
use karez_engine::{RouterId, tidy};
use karez_fabric::{Desired, Held, Hello, HostName, NoHostName};
use karez_store::{Datum, Error, Tx};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;

/// How often a desired state is read until nothing has changed meanwhile.
const LOOKS: usize = 4;

/// The routers that are found on one node at most.
const FOUND: usize = 20_000;

/// What a session writes by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// The node's id.
    pub node: String,
    /// The session's epoch.
    pub epoch: i64,
}

/// Where a node stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The epoch of its last session.
    pub epoch: i64,
    /// The revision of what it should run.
    pub revision: i64,
}

/// Why something was not written for a session.
#[derive(Debug, thiserror::Error)]
pub enum Fenced {
    /// Another session of the node has begun since, or the node was removed.
    #[error("another session of this node has taken over")]
    Replaced,
    /// The node has a certificate, and was removed since.
    #[error("this node was removed; enrol it anew, with a new token")]
    Removed,
    /// No node can have this name.
    #[error("'{name}' is no name of a node: {why}")]
    Nameless {
        /// As it was given.
        name: String,
        /// What a name is.
        why: NoHostName,
    },
    /// The store did not do it.
    #[error("{0}")]
    Failure(#[from] Failure),
}

impl From<karez_store::Error> for Fenced {
    fn from(error: karez_store::Error) -> Self {
        Self::Failure(error.into())
    }
}

impl Control {
    /// Begins a session: the node is made when it is new, its epoch goes up, its lease begins. An
    /// agent that has come with a certificate must still be enrolled.
    ///
    /// # Errors
    /// [`Fenced::Removed`], or the store's.
    pub async fn open_session(
        &self,
        hello: &Hello,
        is_certified: bool,
        term: Duration,
    ) -> Result<Lease, Fenced> {
        // What others name a node by is never cut: two that agree in their beginnings are two.
        hello.host.parse::<HostName>().map_err(|why| Fenced::Nameless { name: hello.host.clone(), why })?;
        let mut hello = hello.clone();
        for text in [&mut hello.version, &mut hello.engine].into_iter().chain(&mut hello.zone) {
            tidy::clean(text, tidy::NAME);
        }
        let written = move |tx: &mut Tx<'_>| {
            if is_certified && !enrolment::is_enrolled(tx, &hello.host)? {
                return Err(Fenced::Removed);
            }
            let now = tx.now();
            let configurations = json!({
                "shape": hello.shape.as_str(), "engine": hello.engine, "version": hello.version,
                "session": hello.session.to_string(),
            });
            let sql = format!(
                "INSERT INTO nodes (id, host, agent_type, binary_name, topic, availability_zone, admin_state_up,
                    configurations, description, desired_rev, applied_rev, epoch, lease_until, created_at,
                    started_at, heartbeat_at, updated_at, rev, shape)
                VALUES ($1, $2, 'VPN Agent', 'karez-agent', 'vpn_agent', $3, 1, $4, NULL, 1, 0, 1,
                    {now_sql} + $5, $6, $6, $6, $6, 0, $7)
                ON CONFLICT (host) DO UPDATE SET availability_zone = excluded.availability_zone,
                    configurations = excluded.configurations, epoch = nodes.epoch + 1,
                    lease_until = excluded.lease_until, started_at = excluded.started_at,
                    heartbeat_at = excluded.heartbeat_at, updated_at = excluded.updated_at,
                    rev = nodes.rev + 1, shape = excluded.shape,
                    applied_rev = CASE WHEN CAST($8 AS BIGINT) = 1 THEN nodes.applied_rev ELSE 0 END
                RETURNING id, epoch",
                now_sql = tx.clock()
            );
            let params = [
                Datum::from(Uuid::new_v4().to_string()),
                Datum::from(hello.host.as_str()),
                Datum::from(hello.zone.clone()),
                Datum::from(configurations.to_string()),
                Datum::from(micros(term)),
                Datum::from(now),
                Datum::from(hello.shape.as_str()),
                // An agent that was started anew has not looked yet whether all is as it should be.
                Datum::from(hello.applied.is_some()),
            ];
            let row = tx.query_opt(&sql, &params)?;
            let row = row.ok_or_else(|| karez_store::Error::Bug("a node was not returned".into()))?;
            let lease = Lease { node: row.text(0)?.to_owned(), epoch: row.int(1)? };
            set_found(tx, &lease.node, &hello.found)?;
            tx.ring();
            Ok(lease)
        };
        self.store.write(written).await
    }

    /// Whether a living agent looks after the node of this name.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn is_attended(&self, host: &str) -> Result<bool, Failure> {
        let host = host.to_owned();
        self.store
            .read(move |tx| {
                let sql = format!("SELECT id FROM nodes WHERE host = $1 AND lease_until > {}", tx.clock());
                Ok(tx.query_opt(&sql, &[Datum::from(host.as_str())])?.is_some())
            })
            .await
    }

    /// Renews leases, all in one statement a handful of sessions, and returns those that are no
    /// longer the node's.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn renew(&self, leases: Vec<Lease>, term: Duration) -> Result<Vec<Lease>, Failure> {
        const AT_ONCE: usize = 200;
        self.store
            .write(move |tx| {
                let mut kept = BTreeSet::new();
                for chunk in leases.chunks(AT_ONCE) {
                    let mut params = vec![Datum::from(micros(term)), Datum::from(tx.now())];
                    let mut any = Vec::with_capacity(chunk.len());
                    for lease in chunk {
                        params.push(Datum::from(lease.node.as_str()));
                        params.push(Datum::from(lease.epoch));
                        any.push(format!("(id = ${} AND epoch = ${})", params.len() - 1, params.len()));
                    }
                    let sql = format!(
                        "UPDATE nodes SET lease_until = {} + $1, heartbeat_at = $2 WHERE {} RETURNING id, epoch",
                        tx.clock(),
                        any.join(" OR ")
                    );
                    for row in tx.query(&sql, &params)? {
                        kept.insert(Lease { node: row.text(0)?.to_owned(), epoch: row.int(1)? });
                    }
                }
                Ok(leases.iter().filter(|lease| !kept.contains(lease)).cloned().collect())
            })
            .await
    }

    /// Where the nodes stand, by their ids.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn standings(&self) -> Result<BTreeMap<String, Standing>, Failure> {
        self.store
            .read(|tx| {
                let rows = tx.query("SELECT id, epoch, desired_rev FROM nodes", &[])?;
                let pair = |row: &karez_store::Row| {
                    Ok((row.text(0)?.to_owned(), Standing { epoch: row.int(1)?, revision: row.int(2)? }))
                };
                rows.iter().map(pair).collect()
            })
            .await
    }

    /// How many nodes were heard within their lease.
    ///
    /// # Errors
    /// The store's.
    pub async fn living(&self) -> Result<i64, Failure> {
        self.store
            .read(|tx| {
                let sql = format!("SELECT COUNT(*) FROM nodes WHERE lease_until > {}", tx.clock());
                let row = tx.query_opt(&sql, &[])?;
                Ok(row.map_or(Ok(0), |row| row.int(0))?)
            })
            .await
    }

    /// What a node should run. With `held`, only the routers whose generation or revision differs
    /// from it, and those that should go.
    ///
    /// # Errors
    /// [`Fenced::Replaced`], or the store's.
    pub async fn desired(&self, lease: &Lease, held: Option<Vec<Held>>) -> Result<Desired, Fenced> {
        let lease = lease.clone();
        let held = held.map(|held| held.into_iter().map(|held| (held.router, held)).collect());
        let held: Option<BTreeMap<RouterId, Held>> = held;
        self.store
            .read(move |tx| {
                let mut revision = revision_of(tx, &lease)?;
                for _ in 1..LOOKS {
                    let desired = read_desired(tx, &lease.node, revision, held.as_ref())?;
                    let newest = revision_of(tx, &lease)?;
                    if newest == revision {
                        return Ok(desired);
                    }
                    revision = newest;
                }
                // Some of what is read now may be newer than the revision, and is then sent once more.
                Ok(read_desired(tx, &lease.node, revision, held.as_ref())?)
            })
            .await
    }

    /// The node has worked on a desired state.
    ///
    /// # Errors
    /// [`Fenced::Replaced`], or the store's.
    pub async fn applied(&self, lease: &Lease, revision: i64) -> Result<(), Fenced> {
        let lease = lease.clone();
        self.store
            .write(move |tx| {
                let sql = "UPDATE nodes SET applied_rev = $1 WHERE id = $2 AND epoch = $3";
                let params =
                    [Datum::from(revision), Datum::from(lease.node.as_str()), Datum::from(lease.epoch)];
                if tx.execute(sql, &params)? == 0 { Err(Fenced::Replaced) } else { Ok(()) }
            })
            .await
    }

    /// The routers that are found on a node.
    ///
    /// # Errors
    /// [`Fenced::Replaced`], or the store's.
    pub async fn found(&self, lease: &Lease, routers: Vec<RouterId>) -> Result<(), Fenced> {
        let lease = lease.clone();
        self.store
            .write(move |tx| {
                check(tx, &lease)?;
                set_found(tx, &lease.node, &routers)?;
                tx.ring();
                Ok(())
            })
            .await
    }
}

/// The revision of what the node should run, for its session.
///
/// # Errors
/// [`Fenced::Replaced`], or the store's.
pub(crate) fn revision_of(tx: &mut Tx<'_>, lease: &Lease) -> Result<i64, Fenced> {
    let sql = "SELECT desired_rev FROM nodes WHERE id = $1 AND epoch = $2";
    let params = [Datum::from(lease.node.as_str()), Datum::from(lease.epoch)];
    match tx.query_opt(sql, &params)? {
        Some(row) => Ok(row.int(0)?),
        None => Err(Fenced::Replaced),
    }
}

fn read_desired(
    tx: &mut Tx<'_>,
    node: &str,
    revision: i64,
    held: Option<&BTreeMap<RouterId, Held>>,
) -> Result<Desired, Failure> {
    let sql = "SELECT router_id, generation, revision FROM placements WHERE node_id = $1 ORDER BY router_id";
    let mut routers = Vec::new();
    let mut ids = BTreeSet::new();
    for row in tx.query(sql, &[Datum::from(node)])? {
        let Ok(router) = row.text(0)?.parse::<RouterId>() else { continue };
        let wanted = Held { router, generation: row.int(1)?, revision: row.int(2)? };
        ids.insert(router);
        if held.and_then(|held| held.get(&router)) != Some(&wanted) {
            match plan::of_router(tx, router, wanted.generation, wanted.revision) {
                Ok(plan) => routers.extend(plan),
                // The node keeps what it has of this one, and the others are not held up.
                Err(Failure::Store(error @ (Error::Sealed(_) | Error::Bug(_)))) => {
                    tracing::error!(%router, %error, "a router has no plan");
                }
                Err(error) => return Err(error),
            }
        }
    }
    let gone = held.into_iter().flat_map(BTreeMap::keys).filter(|id| !ids.contains(id)).copied().collect();
    Ok(Desired { revision, is_whole: held.is_none(), routers, gone })
}

/// Refuses what is written for a session that is no longer the node's. Called last in a transaction
/// that locks other objects: others lock a node's row after all else, too.
pub(crate) fn check(tx: &mut Tx<'_>, lease: &Lease) -> Result<(), Fenced> {
    let sql = "SELECT id FROM nodes WHERE id = $1 AND epoch = $2";
    let params = [Datum::from(lease.node.as_str()), Datum::from(lease.epoch)];
    if tx.query_for_update(sql, &params)?.is_empty() { Err(Fenced::Replaced) } else { Ok(()) }
}

/// Keeps which routers are found on a node, by what differs from before.
fn set_found(tx: &mut Tx<'_>, node: &str, routers: &[RouterId]) -> Result<(), karez_store::Error> {
    const IN_ONE: usize = 256;
    if routers.len() > FOUND {
        tracing::warn!(
            node,
            routers = routers.len(),
            most = FOUND,
            "too many routers on one node; some are passed over"
        );
    }
    let found: BTreeSet<String> = routers.iter().take(FOUND).map(ToString::to_string).collect();
    let rows = tx.query("SELECT router_id FROM found_routers WHERE node_id = $1", &[Datum::from(node)])?;
    let before = rows.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<BTreeSet<_>, _>>()?;
    let (gone, new): (Vec<&String>, Vec<&String>) =
        (before.difference(&found).collect(), found.difference(&before).collect());
    let listed = |ids: &[&String], entry: fn(usize) -> String| {
        (2..ids.len() + 2).map(entry).collect::<Vec<_>>().join(", ")
    };
    let params = |ids: &[&String]| {
        let ids = ids.iter().map(|id| Datum::from(id.as_str()));
        std::iter::once(Datum::from(node)).chain(ids).collect::<Vec<_>>()
    };
    for ids in gone.chunks(IN_ONE) {
        let ids_listed = listed(ids, |at| format!("${at}"));
        let sql = format!("DELETE FROM found_routers WHERE node_id = $1 AND router_id IN ({ids_listed})");
        tx.execute(&sql, &params(ids))?;
    }
    for ids in new.chunks(IN_ONE) {
        let rows = listed(ids, |at| format!("($1, ${at})"));
        let sql =
            format!("INSERT INTO found_routers (node_id, router_id) VALUES {rows} ON CONFLICT DO NOTHING");
        tx.execute(&sql, &params(ids))?;
    }
    Ok(())
}

fn micros(term: Duration) -> i64 {
    i64::try_from(term.as_micros()).unwrap_or(i64::MAX)
}
