//! Connections and services that no living agent looks after: they say so.

use super::{Status, settle};
use crate::{Control, Failure};
use karez_engine::{Code, Reason};
use karez_model::{Kind, Object};
use karez_store::{Datum, Tx};

/// How many objects are marked in one transaction.
const AT_ONCE: usize = 200;

impl Control {
    /// Marks connections and services whose router is on no node, or on one whose lease has ended.
    /// The status of the latter is left as it was: their tunnels may well be up. What an agent
    /// reports later takes the mark away. Returns how many were marked.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn mark_unattended(&self) -> Result<usize, Failure> {
        let unattended = self.store.read(unattended).await?;
        let mut marked = 0;
        for chunk in unattended.chunks(AT_ONCE) {
            let chunk = chunk.to_vec();
            marked += self
                .store
                .write(move |tx| {
                    let mut marked = 0;
                    for one in &chunk {
                        marked +=
                            usize::from(settle(tx, one.kind, &one.id, |object| Some(one.mark(object)))?);
                    }
                    Ok::<_, Failure>(marked)
                })
                .await?;
        }
        Ok(marked)
    }
}

#[derive(Clone)]
struct Unattended {
    kind: Kind,
    id: String,
    /// The host of the node that is silent; none when there is no node.
    host: Option<String>,
}

impl Unattended {
    fn mark(&self, object: &Object) -> (Status, Option<Reason>) {
        let before = object.text("status");
        let known = [Status::PendingCreate, Status::Active, Status::Down, Status::Error];
        let before = known.into_iter().find(|status| status.as_str() == before);
        let before = before.unwrap_or(Status::Down);
        match &self.host {
            Some(host) => {
                let message = format!(
                    "The agent on {host}, which runs this router's VPN, has not been heard of; the status is the last \
                     one it reported. Tunnels that are up stay up without it"
                );
                (before, Some(Reason::new(Code::AgentLost, message)))
            }
            None => {
                let status = if before == Status::PendingCreate { before } else { Status::Down };
                let message = "No agent runs this router's VPN. An agent that may take it has to be there and alive; \
                     see `openstack network agent list`";
                (status, Some(Reason::new(Code::NoAgent, message)))
            }
        }
    }
}

fn unattended(tx: &mut Tx<'_>) -> Result<Vec<Unattended>, Failure> {
    let (none, lost) = (Code::NoAgent.as_str(), Code::AgentLost.as_str());
    let clock = tx.clock();
    let mut found = Vec::new();
    for (kind, objects) in [
        (Kind::VpnService, "vpnservices o ON o.id = s.id"),
        (Kind::IpsecSiteConnection, "ipsec_site_connections o ON o.vpnservice_id = s.id"),
    ] {
        let sql = format!(
            "SELECT o.id, n.host FROM vpnservices s JOIN {objects}
            LEFT JOIN placements p ON p.router_id = s.router_id
            LEFT JOIN nodes n ON n.id = p.node_id
            WHERE (n.id IS NULL AND COALESCE(o.status_reason, '') <> $1)
            OR (n.lease_until <= {clock} AND COALESCE(o.status_reason, '') <> $2)
            ORDER BY o.id"
        );
        for row in tx.query(&sql, &[Datum::from(none), Datum::from(lost)])? {
            let host = row.opt_text(1)?.map(str::to_owned);
            found.push(Unattended { kind, id: row.text(0)?.to_owned(), host });
        }
    }
    Ok(found)
}
