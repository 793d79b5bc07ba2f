//! Everything that is known about a connection, for those who ask.

use crate::{Control, Failure};
use karez_engine::{Event, TunnelStatus};
use karez_model::{Caller, Kind};
use karez_store::{Datum, Error, Stored, Tx};
use std::sync::Arc;

/// Everything that is known about a connection.
pub struct ConnectionStatus {
    /// The connection itself, with its status and reason.
    pub connection: Arc<Stored>,
    /// The last report about its tunnel; none before the first.
    pub tunnel: Option<TunnelStatus>,
    /// When that came, in microseconds since 1970 UTC.
    pub reported_at: Option<i64>,
    /// The host of the agent that runs it; none when no agent does.
    pub host: Option<String>,
    /// Whether that agent is alive.
    pub is_attended: bool,
    /// The last events, oldest first.
    pub events: Vec<Event>,
}

impl Control {
    /// Everything that is known about a connection. Who may see the connection may see this.
    ///
    /// # Errors
    /// As [`Control::show`].
    pub async fn connection_status(
        &self,
        caller: &Arc<Caller>,
        id: &str,
    ) -> Result<ConnectionStatus, Failure> {
        let id = id.to_owned();
        self.reading(caller, move |context| {
            let connection = context.visible(Kind::IpsecSiteConnection, &id)?;
            let service = context.existing(Kind::VpnService, connection.text("vpnservice_id"))?;
            let (host, is_attended) = attendance(context.tx, service.text("router_id"))?;
            let (tunnel, reported_at) = last_report(context.tx, &id)?.unzip();
            let events = events(context.tx, &id)?;
            Ok(ConnectionStatus { connection, tunnel, reported_at, host, is_attended, events })
        })
        .await
    }

    /// The last reports about all tunnels, with the project of each: for metrics.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn tunnels(&self) -> Result<Vec<(String, TunnelStatus)>, Failure> {
        self.store
            .read(|tx| {
                let sql = "SELECT c.project_id, s.status FROM connection_states s
                    JOIN ipsec_site_connections c ON c.id = s.connection_id ORDER BY c.id";
                let rows = tx.query(sql, &[])?;
                rows.iter().map(|row| Ok((row.text(0)?.to_owned(), read(row.text(1)?)?))).collect()
            })
            .await
    }
}

fn attendance(tx: &mut Tx<'_>, router: &str) -> Result<(Option<String>, bool), Failure> {
    let sql = format!(
        "SELECT n.host, CASE WHEN n.lease_until > {} THEN 1 ELSE 0 END FROM placements p
        JOIN nodes n ON n.id = p.node_id WHERE p.router_id = $1",
        tx.clock()
    );
    match tx.query_opt(&sql, &[Datum::from(router)])? {
        Some(row) => Ok((Some(row.text(0)?.to_owned()), row.int(1)? == 1)),
        None => Ok((None, false)),
    }
}

fn last_report(tx: &mut Tx<'_>, id: &str) -> Result<Option<(TunnelStatus, i64)>, Failure> {
    let sql = "SELECT status, reported_at FROM connection_states WHERE connection_id = $1";
    let Some(row) = tx.query_opt(sql, &[Datum::from(id)])? else { return Ok(None) };
    Ok(Some((read(row.text(0)?)?, row.int(1)?)))
}

fn events(tx: &mut Tx<'_>, id: &str) -> Result<Vec<Event>, Failure> {
    let sql = "SELECT event FROM connection_events WHERE connection_id = $1 ORDER BY sequence";
    let rows = tx.query(sql, &[Datum::from(id)])?;
    rows.iter().map(|row| Ok(read(row.text(0)?)?)).collect()
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| Error::Bug(format!("a stored report cannot be read: {error}")))
}
