//! What is: the state of a tunnel, what was negotiated, what went through, what happened.
//!
//! Times are microseconds since 1970 UTC. The JSON form of these types is what the API shows.

use crate::{Code, ConnectionId, Reason, RouterId};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The state of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TunnelState {
    /// It is new, an attempt is under way, and nothing has failed yet. Lasts no longer than the
    /// grace of a new tunnel.
    Pending,
    /// A child SA is installed for subnets that are wanted, or was until a moment ago the plan was changed.
    Up,
    /// No such child SA is installed, or no packet can get out of the router; the reason says why.
    Down,
    /// It cannot work as it is configured; the reason says why.
    Error,
}

/// Everything that is known about a tunnel at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunnelStatus {
    /// The connection.
    pub id: ConnectionId,
    /// Its state.
    pub state: TunnelState,
    /// Why, unless it is up and whole.
    pub reason: Option<Reason>,
    /// Since when it has been in this state.
    pub since: i64,
    /// The IKE SA.
    pub ike: Option<IkeSa>,
    /// The child SAs, each with the selectors in force.
    pub children: Vec<ChildSa>,
    /// Pairs of local and peer subnets that are configured and have no child SA.
    pub missing: Vec<(IpNet, IpNet)>,
}

/// An IKE SA.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IkeSa {
    /// 1 or 2.
    pub version: u8,
    /// Whether we began.
    pub is_initiator: bool,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's address and port.
    pub peer: SocketAddr,
    /// Who we said that we are.
    pub local_id: String,
    /// Who the peer said that it is.
    pub peer_id: String,
    /// Initiator's SPI, 16 hexadecimal digits.
    pub initiator_spi: String,
    /// Responder's SPI, 16 hexadecimal digits.
    pub responder_spi: String,
    /// The negotiated suite in the API's names, as in `aes-128/sha1/group14`.
    pub suite: String,
    /// Whether a NAT is in front of us or of the peer, or both act as if there were one, to have ESP in UDP.
    pub has_nat: bool,
    /// When it was established.
    pub established_at: i64,
    /// When it is to be renewed.
    pub rekey_at: Option<i64>,
}

/// A child SA pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildSa {
    /// `esp` or `ah`.
    pub protocol: String,
    /// `tunnel` or `transport`.
    pub mode: String,
    /// Whether ESP is in UDP (RFC 3948).
    pub is_encapsulated: bool,
    /// Inbound SPI, 8 hexadecimal digits.
    pub spi_in: String,
    /// Outbound SPI, 8 hexadecimal digits.
    pub spi_out: String,
    /// The negotiated suite in the API's names.
    pub suite: String,
    /// Our selectors in force.
    pub local_subnets: Vec<IpNet>,
    /// The peer's selectors in force.
    pub peer_subnets: Vec<IpNet>,
    /// What went through so far.
    pub traffic: Traffic,
    /// When it was installed.
    pub installed_at: i64,
    /// When it is to be renewed.
    pub rekey_at: Option<i64>,
    /// When it ends if it is not renewed.
    pub expires_at: Option<i64>,
}

/// Counters of a child SA or of a tunnel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Octets received and decrypted.
    pub bytes_in: u64,
    /// Octets encrypted and sent.
    pub bytes_out: u64,
    /// Packets received and decrypted.
    pub packets_in: u64,
    /// Packets encrypted and sent.
    pub packets_out: u64,
}

/// What sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The plan was taken over: the tunnel is new or was changed.
    Configured,
    /// The state has changed.
    State,
    /// A negotiation was begun.
    Attempt,
    /// A negotiation has failed, or the peer refused.
    Refused,
    /// A message was sent again.
    Retransmit,
    /// An IKE SA is established.
    IkeUp,
    /// An IKE SA is gone.
    IkeDown,
    /// A child SA is installed.
    ChildUp,
    /// A child SA is gone.
    ChildDown,
    /// An SA was renewed.
    Rekeyed,
    /// The IKE daemon was started, adopted or lost.
    Engine,
}

/// Something that happened to a tunnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: i64,
    /// What.
    pub kind: EventKind,
    /// The reason that came with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// In a sentence. Never a key.
    pub message: String,
}

/// The status of a tunnel, and what has happened since the last report about it.
#[derive(Clone, Debug, PartialEq)]
pub struct TunnelReport {
    /// The router.
    pub router: RouterId,
    /// The status now.
    pub status: TunnelStatus,
    /// What has happened, oldest first.
    pub events: Vec<Event>,
}

/// How a router as a whole is doing on its node.
#[derive(Clone, Debug, PartialEq)]
pub struct RouterReport {
    /// The router.
    pub router: RouterId,
    /// The plan's generation that this is about.
    pub generation: i64,
    /// What is wrong with the gateway or the engine; nothing when all is as planned.
    pub trouble: Option<Reason>,
}
