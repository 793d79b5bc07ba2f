//! Statuses, and what an agent's report does to them.

use crate::{Control, Failure};
use karez_model::{Kind, Object};
use karez_store::Tx;

/// The status of a VPN service or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing is known yet.
    PendingCreate,
    /// It works.
    Active,
    /// It does not work.
    Down,
    /// It cannot work as it is.
    Error,
}

impl Status {
    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingCreate => "PENDING_CREATE",
            Self::Active => "ACTIVE",
            Self::Down => "DOWN",
            Self::Error => "ERROR",
        }
    }
}

/// What a node says about a connection.
#[derive(Clone, Debug)]
pub struct ConnectionReport {
    /// The connection's id.
    pub id: String,
    /// Its status.
    pub status: Status,
    /// Whether the node has worked on what was pending. A pending status stays until then.
    pub has_settled: bool,
}

/// What a node says about a service and its connections.
#[derive(Clone, Debug)]
pub struct ServiceReport {
    /// The service's id.
    pub id: String,
    /// Its status.
    pub status: Status,
    /// As [`ConnectionReport::has_settled`].
    pub has_settled: bool,
    /// Its connections.
    pub connections: Vec<ConnectionReport>,
}

impl Control {
    /// Takes over what a node reports. Ids that are not known any more are passed over.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn report(&self, reports: Vec<ServiceReport>) -> Result<(), Failure> {
        self.store
            .write(move |tx| {
                for report in &reports {
                    settle(tx, Kind::VpnService, &report.id, report.status, report.has_settled)?;
                    for connection in &report.connections {
                        let kind = Kind::IpsecSiteConnection;
                        settle(tx, kind, &connection.id, connection.status, connection.has_settled)?;
                    }
                }
                Ok(())
            })
            .await
    }
}

fn settle(tx: &mut Tx<'_>, kind: Kind, id: &str, status: Status, has_settled: bool) -> Result<(), Failure> {
    let Some(stored) = tx.lock(kind, id)? else { return Ok(()) };
    let old = stored.text("status");
    let waits = old.starts_with("PENDING_") && !has_settled;
    if waits || old == status.as_str() {
        return Ok(());
    }
    let mut object: Object = stored.object.clone();
    object.set("status", status.as_str());
    tx.update(object)?;
    Ok(())
}
