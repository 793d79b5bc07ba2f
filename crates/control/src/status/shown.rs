//! Everything that is known about a connection, for those who ask.

use super::Status;
use super::attendance::Attendance;
use crate::{Control, Failure};
use karez_engine::{Event, Reason, TunnelStatus};
use karez_model::{Caller, Kind, Object};
use karez_store::{Datum, Error, Lane, Stored, Tx};
use std::sync::Arc;

/// Everything that is known about a connection.
pub struct ConnectionStatus {
    /// The connection itself, with its status.
    pub connection: Arc<Stored>,
    /// Why it is in that status, as of now: that nobody looks after it goes before what was reported.
    pub reason: Option<Reason>,
    /// The last report about its tunnel; none before the first.
    pub tunnel: Option<TunnelStatus>,
    /// When that came, in microseconds since 1970 UTC.
    pub reported_at: Option<i64>,
    /// The host of the agent that runs it; none when no agent does. For those who may see agents.
    pub host: Option<String>,
    /// Whether that agent is alive.
    pub is_attended: bool,
    /// The last events, oldest first.
    pub events: Vec<Event>,
}

/// A connection as it is measured.
pub struct Tunnel {
    /// The connection's id.
    pub id: String,
    /// Its project.
    pub project_id: String,
    /// Whether it is active.
    pub is_up: bool,
    /// The code of the reason that it shows.
    pub reason: Option<String>,
    /// The last report; none before the first.
    pub status: Option<TunnelStatus>,
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
            let attendance = Attendance::of_router(context.tx, service.text("router_id"))?;
            let (tunnel, reported_at) = last_report(context.tx, connection.id())?.unzip();
            let events = events(context.tx, connection.id())?;
            let reason = attendance.reason().or_else(|| reason(&connection, tunnel.as_ref()));
            let Attendance { host, is_alive: is_attended } = attendance;
            Ok(ConnectionStatus { connection, reason, tunnel, reported_at, host, is_attended, events })
        })
        .await
    }

    /// All connections with the last reports about their tunnels, by their ids: for metrics.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn tunnels(&self) -> Result<Vec<Tunnel>, Failure> {
        self.store
            .on(Lane::Long)
            .read(|tx| {
                let sql = "SELECT c.id, c.project_id, c.status, c.status_reason, s.status
                    FROM ipsec_site_connections c LEFT JOIN connection_states s ON s.connection_id = c.id
                    ORDER BY c.id";
                let rows = tx.query(sql, &[])?;
                let tunnel = |row: &karez_store::Row| {
                    Ok(Tunnel {
                        id: row.text(0)?.to_owned(),
                        project_id: row.text(1)?.to_owned(),
                        is_up: row.text(2)? == Status::Active.as_str(),
                        reason: row.opt_text(3)?.map(str::to_owned),
                        status: row.opt_text(4)?.map(read).transpose()?,
                    })
                };
                rows.iter().map(tunnel).collect()
            })
            .await
    }
}

/// The reason that the connection shows, with the evidence of the report that it came with.
fn reason(connection: &Object, tunnel: Option<&TunnelStatus>) -> Option<Reason> {
    let code = connection.opt_text("status_reason")?.parse().ok()?;
    let message = connection.text("status_detail");
    let reported = tunnel.and_then(|tunnel| tunnel.reason.as_ref());
    let reported = reported.filter(|reported| reported.code == code && reported.message == message);
    Some(reported.cloned().unwrap_or_else(|| Reason::new(code, message)))
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
