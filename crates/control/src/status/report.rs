//! Takes over what agents report.

use super::{Status, settle};
use crate::node::{self, Fenced, Lease};
use crate::{Control, Failure};
use karez_engine::{Code, ConnectionId, Event, Reason, RouterId, RouterReport, TunnelReport};
use karez_model::Kind;
use karez_store::{Datum, Error, Query, Row, Tx};
use std::collections::BTreeSet;

/// How many events of a connection are kept.
const EVENTS: i64 = karez_engine::tidy::EVENTS as i64;

/// How many reports are taken over in one transaction: others write in between.
const AT_ONCE: usize = 64;

impl Control {
    /// Takes over the statuses of tunnels. Each comes with the generation of the plan that it is
    /// about. What is about a router that the node does not have in that generation, or about a
    /// connection that is gone, is passed over before anybody is kept from writing. All within bounds ([`karez_engine::tidy`]).
    ///
    /// # Errors
    /// [`Fenced::Replaced`], or the store's.
    pub async fn report_tunnels(
        &self,
        lease: &Lease,
        reports: Vec<(i64, TunnelReport)>,
    ) -> Result<(), Fenced> {
        let reports = self.concerning(lease, reports).await?;
        for reports in reports.chunks(AT_ONCE) {
            self.take_over_or_pass(lease, reports.to_vec()).await?;
        }
        Ok(())
    }

    /// Those about connections that the node has, in one order, so that two sessions do not wait for each other.
    async fn concerning(
        &self,
        lease: &Lease,
        reports: Vec<(i64, TunnelReport)>,
    ) -> Result<Vec<(i64, TunnelReport)>, Fenced> {
        let of = lease.clone();
        let placed = self.store.read(move |tx| {
            node::revision_of(tx, &of)?;
            let sql = "SELECT c.id, p.router_id, p.generation FROM placements p
                JOIN vpnservices v ON v.router_id = p.router_id
                JOIN ipsec_site_connections c ON c.vpnservice_id = v.id WHERE p.node_id = $1";
            let rows = tx.query(sql, &[Datum::from(of.node.as_str())])?;
            let key = |row: &Row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned(), row.int(2)?));
            let placed = rows.iter().map(key).collect::<Result<BTreeSet<_>, Error>>()?;
            Ok::<_, Fenced>((tx.now(), placed))
        });
        let (now, placed) = placed.await?;
        let all = reports.len();
        let is_placed = |(generation, report): &(i64, TunnelReport)| {
            placed.contains(&(report.status.id.to_string(), report.router.to_string(), *generation))
        };
        let mut reports: Vec<(i64, TunnelReport)> = reports.into_iter().filter(is_placed).collect();
        if reports.len() < all {
            let (node, passed) = (&lease.node, all - reports.len());
            tracing::debug!(node, passed, "reports about what the node does not have");
        }
        reports.iter_mut().for_each(|(_, report)| *report = report.clone().tidy(now));
        reports.sort_by_key(|(_, report)| report.status.id);
        Ok(reports)
    }

    async fn take_over_or_pass(
        &self,
        lease: &Lease,
        reports: Vec<(i64, TunnelReport)>,
    ) -> Result<(), Fenced> {
        let all = self.take_over(lease, reports.clone()).await;
        let Err(Fenced::Failure(Failure::Store(Error::Bug(_)))) = all else { return all };
        // One of them cannot be taken over. The others must not be held up, for ever, by it.
        for report in reports {
            let id = report.1.status.id;
            match self.take_over(lease, vec![report]).await {
                Err(Fenced::Failure(Failure::Store(error @ Error::Bug(_)))) => {
                    tracing::error!(connection = %id, %error, "a report cannot be taken over");
                }
                taken => taken?,
            }
        }
        Ok(())
    }

    async fn take_over(&self, lease: &Lease, reports: Vec<(i64, TunnelReport)>) -> Result<(), Fenced> {
        let lease = lease.clone();
        self.store
            .write(move |tx| {
                for (generation, report) in &reports {
                    if is_on(tx, &report.status.id, report.router)?
                        && is_placed(tx, &lease, &report.router.to_string(), *generation)?
                    {
                        take_over(tx, &lease, report)?;
                    }
                }
                node::check(tx, &lease)
            })
            .await
    }

    /// Takes over how routers as a whole are doing, which is what their services' statuses are made
    /// of. A router that cannot be made leaves its connections nothing to come up on.
    ///
    /// # Errors
    /// [`Fenced::Replaced`], or the store's.
    pub async fn report_routers(&self, lease: &Lease, reports: Vec<RouterReport>) -> Result<(), Fenced> {
        let of = lease.clone();
        let placed = self.store.read(move |tx| {
            node::revision_of(tx, &of)?;
            let sql = "SELECT router_id, generation FROM placements WHERE node_id = $1";
            let rows = tx.query(sql, &[Datum::from(of.node.as_str())])?;
            let key = |row: &Row| Ok((row.text(0)?.to_owned(), row.int(1)?));
            Ok::<_, Fenced>(rows.iter().map(key).collect::<Result<BTreeSet<_>, Error>>()?)
        });
        let placed = placed.await?;
        let is_placed =
            |report: &RouterReport| placed.contains(&(report.router.to_string(), report.generation));
        let mut reports: Vec<RouterReport> =
            reports.into_iter().filter(is_placed).map(RouterReport::tidy).collect();
        reports.sort_by_key(|report| report.router);
        for reports in reports.chunks(AT_ONCE) {
            self.take_over_routers(lease, reports.to_vec()).await?;
        }
        Ok(())
    }

    async fn take_over_routers(&self, lease: &Lease, reports: Vec<RouterReport>) -> Result<(), Fenced> {
        let lease = lease.clone();
        self.store
            .write(move |tx| {
                for report in &reports {
                    let router = report.router.to_string();
                    // It may have gone elsewhere since.
                    if is_placed(tx, &lease, &router, report.generation)? {
                        settle_router(tx, &router, report.trouble.as_ref())?;
                    }
                }
                node::check(tx, &lease)
            })
            .await
    }
}

fn is_placed(tx: &mut Tx<'_>, lease: &Lease, router: &str, generation: i64) -> Result<bool, Error> {
    let sql = "SELECT router_id FROM placements WHERE router_id = $1 AND node_id = $2 AND generation = $3";
    let params = [Datum::from(router), Datum::from(lease.node.as_str()), Datum::from(generation)];
    Ok(!tx.query(sql, &params)?.is_empty())
}

/// Whether the connection is the router's: a node speaks for its own routers only.
fn is_on(tx: &mut Tx<'_>, connection: &ConnectionId, router: RouterId) -> Result<bool, Error> {
    let id = connection.to_string();
    let Some(connection) = tx.get(Kind::IpsecSiteConnection, &id)? else { return Ok(false) };
    let service = tx.get(Kind::VpnService, connection.text("vpnservice_id"))?;
    Ok(service.is_some_and(|service| service.text("router_id") == router.to_string()))
}

fn take_over(tx: &mut Tx<'_>, lease: &Lease, report: &TunnelReport) -> Result<(), Failure> {
    let id = report.status.id.to_string();
    let mut exists = false;
    settle(tx, Kind::IpsecSiteConnection, &id, |connection| {
        exists = true;
        let status = Status::of_tunnel(report.status.state, Status::of(connection));
        Some((status, report.status.reason.clone()))
    })?;
    if !exists {
        return Ok(());
    }
    let status = serde_json::to_string(&report.status)
        .map_err(|error| Error::Bug(format!("the status of {id} cannot be written: {error}")))?;
    let sql = "INSERT INTO connection_states (connection_id, node_id, status, reported_at)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT (connection_id) DO UPDATE SET node_id = excluded.node_id, status = excluded.status,
            reported_at = excluded.reported_at";
    let now = tx.now();
    let params = [id.as_str().into(), Datum::from(lease.node.as_str()), status.into(), Datum::from(now)];
    tx.execute(sql, &params)?;
    keep_events(tx, &id, &report.events)
}

/// An agent sends again what it does not know to have been taken. To the microsecond and the letter nothing happens
/// twice, so what is there already is known by that; the agent keeps no more events than are kept here.
fn keep_events(tx: &mut Tx<'_>, id: &str, events: &[Event]) -> Result<(), Failure> {
    if events.is_empty() {
        return Ok(());
    }
    let sql = "SELECT sequence, event FROM connection_events WHERE connection_id = $1 ORDER BY sequence";
    let rows = tx.query(sql, &[Datum::from(id)])?;
    let mut sequence = rows.last().map_or(Ok(0), |row| row.int(0))?;
    let known = rows.iter().map(|row| row.text(1)).collect::<Result<BTreeSet<&str>, _>>()?;
    for event in events {
        let event = serde_json::to_string(event)
            .map_err(|error| Error::Bug(format!("an event of {id} cannot be written: {error}")))?;
        if known.contains(event.as_str()) {
            continue;
        }
        sequence += 1;
        let sql = "INSERT INTO connection_events (connection_id, sequence, event) VALUES ($1, $2, $3)";
        tx.execute(sql, &[Datum::from(id), Datum::from(sequence), Datum::from(event)])?;
    }
    let sql = "DELETE FROM connection_events WHERE connection_id = $1 AND sequence <= $2";
    tx.execute(sql, &[Datum::from(id), Datum::from(sequence - EVENTS)])?;
    Ok(())
}

fn settle_router(tx: &mut Tx<'_>, router: &str, trouble: Option<&Reason>) -> Result<(), Failure> {
    let Some(owner) = tx.get(Kind::Router, router)? else { return Ok(()) };
    let is_router_up = owner.flag("admin_state_up");
    for service in tx.list(&Query::all(Kind::VpnService).with("router_id", router))? {
        if let Some(trouble) = trouble {
            let connections = Query::all(Kind::IpsecSiteConnection).with("vpnservice_id", service.id());
            for connection in tx.list(&connections)? {
                settle(tx, Kind::IpsecSiteConnection, connection.id(), |connection| {
                    // Those that this was said of before are told what is the matter now.
                    let is_known = connection.text("status_reason") == trouble.code.as_str();
                    let is_concerned = match Status::of(connection) {
                        Status::PendingCreate => true,
                        Status::Error => is_known,
                        Status::Active | Status::Down => false,
                    };
                    is_concerned.then(|| (Status::Error, Some(trouble.clone())))
                })?;
            }
        }
        settle(tx, Kind::VpnService, service.id(), |service| {
            Some(match trouble {
                Some(trouble) => (Status::Error, Some(trouble.clone())),
                None if is_router_up && service.flag("admin_state_up") => (Status::Active, None),
                None => {
                    let whose = if is_router_up { "service" } else { "router" };
                    let message = format!("The administrative state of the {whose} is down");
                    (Status::Down, Some(Reason::new(Code::AdminDown, message)))
                }
            })
        })?;
    }
    Ok(())
}
