//! What must hold for the traffic of one tunnel, whether it is up or not.

use ipnet::IpNet;
use karez_engine::{
    Bounds, ConnectionId, Encryption, Integrity, IpsecProtocol, RouterPlan, TunnelPlan, TunnelStatus,
};
use std::net::IpAddr;

/// The traffic of one tunnel, and the largest TCP segment that fits into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// The connection.
    pub connection: ConnectionId,
    /// Our subnets.
    pub local: Vec<IpNet>,
    /// The peer's networks.
    pub peer: Vec<IpNet>,
    /// Networks within the peer's of which the tunnel has no part.
    pub but: Vec<IpNet>,
    /// Octets of TCP payload that fit; none when nothing is to be clamped.
    pub mss: Option<u16>,
}

/// Guards of tunnels, from the plan and, once it is known, from what was negotiated. A tunnel that cannot be has
/// none.
#[must_use]
pub fn guards<'a>(
    plan: &RouterPlan,
    bounds: &Bounds,
    status: impl Fn(ConnectionId) -> Option<&'a TunnelStatus>,
) -> Vec<Guard> {
    let link = plan.gateway.external.as_ref().map_or(u32::MAX, |external| external.mtu);
    let guard = |tunnel: &TunnelPlan| Guard {
        connection: tunnel.id,
        local: tunnel.local_subnets.clone(),
        peer: tunnel.peer_subnets.clone(),
        but: protected(tunnel, bounds),
        mss: mss(tunnel, link, status(tunnel.id)),
    };
    plan.tunnels.iter().filter(|tunnel| bounds.obstacle(tunnel).is_none()).map(guard).collect()
}

fn protected(tunnel: &TunnelPlan, bounds: &Bounds) -> Vec<IpNet> {
    let is_within = |net: &&IpNet| tunnel.peer_subnets.iter().any(|peer| peer.contains(*net));
    bounds.protected().filter(is_within).copied().collect()
}

/// RFC 8200, section 5, and RFC 791, section 3.2: no link is smaller.
const SMALLEST: u16 = 536;

fn mss(tunnel: &TunnelPlan, link: u32, status: Option<&TunnelStatus>) -> Option<u16> {
    let mtu = if tunnel.mtu == 0 { return None } else { tunnel.mtu.min(link) };
    // Until it is known, the worst is assumed: ESP in UDP.
    let children = status.map_or(&[][..], |status| &status.children);
    let is_encapsulated = children.is_empty() || children.iter().any(|child| child.is_encapsulated);
    let inner = payload(mtu, tunnel, is_encapsulated);
    let is_inner_v6 = tunnel.local_subnets.first().is_some_and(|net| net.addr().is_ipv6());
    let headers = if is_inner_v6 { 60 } else { 40 };
    let mss = inner.saturating_sub(headers);
    Some(u16::try_from(mss).unwrap_or(u16::MAX).max(SMALLEST))
}

/// Octets of an inner packet that fit into an outer one of `mtu` octets (RFC 4303, section 2;
/// RFC 4302, section 2; RFC 3948, section 2.1).
fn payload(mtu: u32, tunnel: &TunnelPlan, is_encapsulated: bool) -> u32 {
    let outer = if matches!(tunnel.local, IpAddr::V6(_)) { 40 } else { 20 };
    let child = &tunnel.child;
    match child.protocol {
        // The ICV is padded to the alignment of the IP version's headers.
        IpsecProtocol::Ah => {
            let header = 12 + u32::from(child.integrity.icv());
            let align = if outer == 40 { 8 } else { 4 };
            mtu.saturating_sub(outer + header.next_multiple_of(align))
        }
        IpsecProtocol::Esp => {
            let udp = if is_encapsulated { 8 } else { 0 };
            let Cost { iv, block, icv } = cost(child.encryption, child.integrity);
            let room = mtu.saturating_sub(outer + udp + 8 + iv + icv);
            // Padding length and next header are encrypted with the packet.
            (room / block * block).saturating_sub(2)
        }
    }
}

/// What an ESP suite adds to a packet, in octets.
struct Cost {
    iv: u32,
    block: u32,
    icv: u32,
}

fn cost(encryption: Encryption, integrity: Integrity) -> Cost {
    let (iv, block, icv) = match encryption {
        Encryption::TripleDes => (8, 8, integrity.icv()),
        Encryption::AesCbc(_) => (16, 16, integrity.icv()),
        Encryption::AesCtr(_) => (8, 4, integrity.icv()),
        Encryption::AesCcm { icv, .. } | Encryption::AesGcm { icv, .. } => (8, 4, icv),
    };
    Cost { iv, block, icv: u32::from(icv) }
}

#[cfg(test)]
mod tests;
