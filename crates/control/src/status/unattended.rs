//! Connections and services that no living agent speaks for: they say so.

use super::attendance::Attendance;
use super::{Status, settle};
use crate::{Control, Failure, plan};
use karez_engine::{Code, Reason};
use karez_model::{Kind, Object};
use karez_store::{Datum, Tx};

/// How many objects are marked in one transaction.
const AT_ONCE: usize = 200;

impl Control {
    /// Marks connections and services whose router is on no node, or on one whose lease has ended,
    /// and connections that no agent is told of because they have no plan. The status of those whose
    /// agent is silent is left as it was: their tunnels may well be up. What an agent reports later
    /// takes the mark away. Without `knows_lost`, agents that are silent are not held against anybody:
    /// it may be this side that was away. Returns how many were marked.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn mark_unattended(&self, knows_lost: bool) -> Result<usize, Failure> {
        let suspects = self.store.read(move |tx| suspects(tx, knows_lost)).await?;
        let mut marked = 0;
        for chunk in suspects.chunks(AT_ONCE) {
            let chunk = chunk.to_vec();
            marked += self
                .store
                .write(move |tx| {
                    let mut marked = 0;
                    for (kind, id) in &chunk {
                        marked += usize::from(mark(tx, *kind, id, knows_lost)?);
                    }
                    Ok::<_, Failure>(marked)
                })
                .await?;
        }
        Ok(marked)
    }
}

/// Looked at again under the lock of the object: an agent may have come and reported since, and would
/// not say the same again.
fn mark(tx: &mut Tx<'_>, kind: Kind, id: &str, knows_lost: bool) -> Result<bool, Failure> {
    let Some(stored) = tx.lock(kind, id)? else { return Ok(false) };
    let service_id = if kind == Kind::VpnService { id } else { stored.text("vpnservice_id") };
    let Some(service) = tx.get(Kind::VpnService, service_id)? else { return Ok(false) };
    let unattended = Attendance::of_router(tx, service.text("router_id"))?.reason();
    let is_connection = kind == Kind::IpsecSiteConnection;
    let reason = unattended.or_else(|| plan::obstacle(&service, &stored).filter(|_| is_connection));
    let reason = reason.filter(|reason| knows_lost || reason.code != Code::AgentLost);
    let Some(reason) = reason else { return Ok(false) };
    // As in the query: what says so already is left as it is, whatever has become of its status since.
    if stored.opt_text("status_reason") == Some(reason.code.as_str()) {
        return Ok(false);
    }
    settle(tx, kind, id, |object| Some((status_for(&reason, object), Some(reason))))
}

fn status_for(reason: &Reason, object: &Object) -> Status {
    let before = Status::of(object);
    match (reason.code, before) {
        (Code::AgentLost, _) | (Code::NoAgent, Status::PendingCreate) => before,
        (Code::NoAgent, _) => Status::Down,
        _ => Status::Error,
    }
}

/// The objects that may have to be marked and are not.
fn suspects(tx: &mut Tx<'_>, knows_lost: bool) -> Result<Vec<(Kind, String)>, Failure> {
    let (none, lost, local) = (Code::NoAgent.as_str(), Code::AgentLost.as_str(), Code::LocalError.as_str());
    let clock = tx.clock();
    let counts = if knows_lost { "1 = 1" } else { "1 = 0" };
    // Of the peers only IPv6 addresses have colons.
    let without_address = "(s.external_v6_ip IS NULL AND o.peer_address LIKE '%:%'
        OR s.external_v4_ip IS NULL AND o.peer_address NOT LIKE '%:%')";
    let mut found = Vec::new();
    for (kind, objects, without_plan) in [
        (Kind::VpnService, "vpnservices o ON o.id = s.id", "1 = 0"),
        (Kind::IpsecSiteConnection, "ipsec_site_connections o ON o.vpnservice_id = s.id", without_address),
    ] {
        let sql = format!(
            "SELECT o.id FROM vpnservices s JOIN {objects}
            LEFT JOIN placements p ON p.router_id = s.router_id
            LEFT JOIN nodes n ON n.id = p.node_id
            WHERE (n.id IS NULL AND COALESCE(o.status_reason, '') <> $1)
            OR ({counts} AND n.lease_until <= {clock} AND COALESCE(o.status_reason, '') <> $2)
            OR (n.lease_until > {clock} AND COALESCE(o.status_reason, '') <> $3 AND {without_plan})
            ORDER BY o.id"
        );
        for row in tx.query(&sql, &[none, lost, local].map(Datum::from))? {
            found.push((kind, row.text(0)?.to_owned()));
        }
    }
    Ok(found)
}
