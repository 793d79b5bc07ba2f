//! What should be: one router with its interfaces and its tunnels, whole.

use crate::{ConnectionId, Encryption, Group, Identity, Integrity, RouterId, ServiceId};
use ipnet::IpNet;
use karez_model::Secret;
use std::net::IpAddr;
use uuid::Uuid;

/// Everything that a node must run for one router. All VPN services of the router are in it.
#[derive(Clone, PartialEq)]
pub struct RouterPlan {
    /// The router.
    pub id: RouterId,
    /// Goes up each time the router is placed anew. A report about an older one is refused.
    pub generation: i64,
    /// The revision of this plan; another number means another plan.
    pub revision: i64,
    /// Interfaces, addresses and routes.
    pub gateway: GatewayPlan,
    /// The VPN services of the router.
    pub services: Vec<ServicePlan>,
    /// The tunnels of all services.
    pub tunnels: Vec<TunnelPlan>,
}

/// One VPN service, as far as it has a state of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePlan {
    /// The service.
    pub id: ServiceId,
    /// Its administrative state.
    pub is_up: bool,
}

/// The router itself. An agent that does not make routers uses only the outer addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayPlan {
    /// The router's administrative state.
    pub is_up: bool,
    /// The interface to the external network.
    pub external: Option<External>,
    /// One interface a port on an internal network.
    pub internal: Vec<Internal>,
    /// Extra routes.
    pub routes: Vec<StaticRoute>,
    /// Floating addresses.
    pub floating: Vec<Floating>,
}

/// The router's interface to its external network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The gateway port's id.
    pub port: Uuid,
    /// The external network.
    pub network: Uuid,
    /// The port's MAC address, lower case with colons.
    pub mac: String,
    /// The network's MTU in octets.
    pub mtu: u32,
    /// The router's addresses there, with the prefix length of the subnet.
    pub addresses: Vec<IpNet>,
    /// Next hops of the default routes: at most one an IP version.
    pub next_hops: Vec<IpAddr>,
    /// Whether the rest of the traffic takes the router's external address.
    pub has_snat: bool,
}

/// A router's interface on an internal network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Internal {
    /// The port's id.
    pub port: Uuid,
    /// The network.
    pub network: Uuid,
    /// The port's MAC address, lower case with colons.
    pub mac: String,
    /// The network's MTU in octets.
    pub mtu: u32,
    /// The router's addresses there, with the prefix length of the subnet.
    pub addresses: Vec<IpNet>,
}

/// An extra route of a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticRoute {
    /// Where to.
    pub destination: IpNet,
    /// By way of whom.
    pub next_hop: IpAddr,
}

/// A floating address: one to one with an internal address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floating {
    /// The address outside.
    pub external: IpAddr,
    /// The address inside.
    pub internal: IpAddr,
}

/// One tunnel: an IPsec site connection with its policies.
///
/// It has no `Debug`: a key is in it.
#[derive(Clone, PartialEq)]
pub struct TunnelPlan {
    /// The connection.
    pub id: ConnectionId,
    /// The service that it belongs to.
    pub service: ServiceId,
    /// Whether it should be: the administrative states of connection, service and router.
    pub is_up: bool,
    /// Our outer address.
    pub local: IpAddr,
    /// Where the peer is.
    pub peer: Peer,
    /// Who we say that we are.
    pub local_id: Identity,
    /// Who the peer must say that it is.
    pub peer_id: Identity,
    /// The pre-shared key.
    pub psk: Secret,
    /// Whether we begin.
    pub initiator: Initiator,
    /// The IKE SA.
    pub ike: IkePlan,
    /// The child SAs.
    pub child: ChildPlan,
    /// Dead peer detection.
    pub dpd: Dpd,
    /// The connection's MTU in octets; 0 for no limit.
    pub mtu: u32,
    /// Our subnets; at least one.
    pub local_subnets: Vec<IpNet>,
    /// The peer's networks; at least one, all of the IP version of ours.
    pub peer_subnets: Vec<IpNet>,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Its address.
    Address(IpAddr),
    /// Its host name, which is resolved again and again.
    Host(String),
}

/// Who begins a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// We do, and so may the peer. A failed attempt is repeated for ever.
    BiDirectional,
    /// Only the peer.
    ResponseOnly,
}

/// How the IKE SA is negotiated: exactly one proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IkePlan {
    /// The version.
    pub version: IkeVersion,
    /// Encryption.
    pub encryption: Encryption,
    /// Integrity and PRF; with an AEAD the PRF alone.
    pub integrity: Integrity,
    /// Key exchange.
    pub group: Group,
    /// Lifetime in seconds, 60 or more.
    pub lifetime: u32,
}

/// The version of IKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IkeVersion {
    /// RFC 2409.
    V1(IkeMode),
    /// RFC 7296.
    V2,
}

/// The phase 1 exchange of IKEv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IkeMode {
    /// Identities are protected.
    Main,
    /// Three messages; identities are in clear.
    Aggressive,
}

/// How child SAs are negotiated: exactly one proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildPlan {
    /// ESP or AH.
    pub protocol: IpsecProtocol,
    /// Tunnel or transport mode.
    pub mode: IpsecMode,
    /// Encryption; AH has none, whatever stands here.
    pub encryption: Encryption,
    /// Integrity; an AEAD has its own, whatever stands here.
    pub integrity: Integrity,
    /// Key exchange of each rekey.
    pub group: Group,
    /// Lifetime in seconds, 60 or more.
    pub lifetime: u32,
}

/// What protects the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpsecProtocol {
    /// RFC 4303.
    Esp,
    /// RFC 4302.
    Ah,
}

/// What is protected of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpsecMode {
    /// All of it, inside of a new packet.
    Tunnel,
    /// What its header carries.
    Transport,
}

/// Dead peer detection (RFC 3706; liveness in RFC 7296, section 2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dpd {
    /// What happens when the peer is dead.
    pub action: DpdAction,
    /// Seconds of silence before we ask.
    pub interval: u32,
    /// Seconds without an answer after which the peer is dead.
    pub timeout: u32,
}

/// What happens when a peer is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpdAction {
    /// The tunnel comes back when there is traffic for it.
    Hold,
    /// The tunnel is gone until the peer begins again.
    Clear,
    /// The tunnel is negotiated again at once.
    Restart,
    /// The peer is never asked.
    Disabled,
    /// All tunnels with this peer are negotiated again.
    RestartByPeer,
}
