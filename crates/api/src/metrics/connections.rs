//! What is measured of each connection and of the agents.
//!
//! Everything here is a gauge: it is what the agents reported last. The counters of an SA begin anew
//! with each rekey, so their sum over the SAs that there are now may go down, which a counter may not.

use crate::connection_status::total;
use karez_control::{Control, Failure, Tunnel};
use karez_engine::TunnelStatus;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::atomic::AtomicU64;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    connection_id: String,
    project_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    connection_id: String,
    project_id: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabels {
    connection_id: String,
    project_id: String,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgentLabels {
    alive: &'static str,
}

/// Counts of octets and packets have 64 bits.
type Amount = Gauge<u64, AtomicU64>;

/// Seconds with a fraction.
type Moment = Gauge<f64, AtomicU64>;

/// The metrics of all connections and agents.
#[derive(Default)]
pub(super) struct Connections {
    up: Family<Labels, Gauge>,
    since: Family<Labels, Moment>,
    child_sas: Family<Labels, Gauge>,
    reason: Family<ReasonLabels, Gauge>,
    bytes: Family<DirectionLabels, Amount>,
    packets: Family<DirectionLabels, Amount>,
    agents: Family<AgentLabels, Gauge>,
}

impl Connections {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let own = Self::default();
        registry.register("connection_up", "1 when the connection is ACTIVE, 0 otherwise", own.up.clone());
        let help = "When the tunnel came into its present state, in seconds since 1970 UTC";
        registry.register_with_unit("connection_state_since", help, Unit::Seconds, own.since.clone());
        registry.register("connection_child_sas", "Child SAs that are installed", own.child_sas.clone());
        let help = "1 for the reason that the connection shows; none when all is well";
        registry.register("connection_reason", help, own.reason.clone());
        let help = "Octets through the child SAs that are installed now; begins anew with each rekey";
        registry.register_with_unit("connection_sa", help, Unit::Bytes, own.bytes.clone());
        let help = "Packets through the child SAs that are installed now; begins anew with each rekey";
        registry.register("connection_sa_packets", help, own.packets.clone());
        registry.register("agents", "Agents by whether they are alive", own.agents.clone());
        own
    }

    /// Takes over what is known now.
    pub(super) async fn look(&self, control: &Control) -> Result<(), Failure> {
        let tunnels = control.tunnels().await?;
        let (alive, dead) = control.attendance().await?;
        self.clear();
        for tunnel in &tunnels {
            self.set(tunnel);
        }
        self.agents.get_or_create(&AgentLabels { alive: "true" }).set(alive);
        self.agents.get_or_create(&AgentLabels { alive: "false" }).set(dead);
        Ok(())
    }

    /// Connections that are gone are not shown any more.
    fn clear(&self) {
        self.up.clear();
        self.since.clear();
        self.child_sas.clear();
        self.reason.clear();
        self.bytes.clear();
        self.packets.clear();
    }

    fn set(&self, tunnel: &Tunnel) {
        let (connection_id, project_id) = (tunnel.id.clone(), tunnel.project_id.clone());
        let labels = Labels { connection_id, project_id };
        self.up.get_or_create(&labels).set(i64::from(tunnel.is_up));
        if let Some(reason) = tunnel.reason.clone() {
            let Labels { connection_id, project_id } = labels.clone();
            self.reason.get_or_create(&ReasonLabels { connection_id, project_id, reason }).set(1);
        }
        if let Some(status) = &tunnel.status {
            self.set_reported(&labels, status);
        }
    }

    fn set_reported(&self, labels: &Labels, status: &TunnelStatus) {
        #[allow(clippy::cast_precision_loss, reason = "a double holds microseconds for two more centuries")]
        self.since.get_or_create(labels).set(status.since as f64 / 1e6);
        let children = i64::try_from(status.children.len()).unwrap_or(i64::MAX);
        self.child_sas.get_or_create(labels).set(children);
        let traffic = total(&status.children);
        for (direction, bytes, packets) in
            [("in", traffic.bytes_in, traffic.packets_in), ("out", traffic.bytes_out, traffic.packets_out)]
        {
            let Labels { connection_id, project_id } = labels.clone();
            let labels = DirectionLabels { connection_id, project_id, direction };
            self.bytes.get_or_create(&labels).set(bytes);
            self.packets.get_or_create(&labels).set(packets);
        }
    }
}

#[cfg(test)]
mod tests;
