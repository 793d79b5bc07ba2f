//! What no tunnel may be, whoever asks for it.

use crate::{IkeVersion, Peer, TunnelPlan};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of which no tunnel has a part, however wide a peer's network is: the machine's own (RFC 1122, section
/// 3.2.1.3; RFC 4291, section 2.5.3), a link's (RFC 3927; RFC 4291, section 2.5.6), where clouds have their metadata, and
/// those of no host (RFC 5771; RFC 919, section 7; RFC 4291, section 2.7).
pub const NEVER: [IpNet; 7] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)),
];

/// The pairs of a local subnet and one of the peer's that a connection may have over IKEv2, where one child SA can carry
/// all of them.
pub const PAIRS: usize = 1024;

/// The same where each pair is a child SA of its own: over IKEv1, and with an IKEv2 peer that takes them in no other way.
pub const PAIRS_APART: usize = 256;

/// The subnets of one side that a child SA may have: its traffic selectors are counted in an octet (RFC 7296, section 3.13).
pub const SUBNETS: usize = 255;

/// What an operator keeps from tenants. By default nothing but [`NEVER`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Further networks like [`NEVER`]: management, resolvers, the control plane.
    pub protected: Vec<IpNet>,
    /// The networks that local subnets are within; any when it is not given.
    pub local: Option<Vec<IpNet>>,
}

impl Bounds {
    /// Of which networks no tunnel has a part.
    pub fn protected(&self) -> impl Iterator<Item = &IpNet> + Clone {
        NEVER.iter().chain(&self.protected)
    }

    /// The one that this network is in; none when it is in none.
    #[must_use]
    pub fn around(&self, net: &IpNet) -> Option<&IpNet> {
        self.protected().find(|protected| protected.contains(net))
    }

    /// Why a tunnel cannot be, in a sentence with what would mend it; none when it can. What is said of the peer's
    /// address counts where the plan has one; see [`Bounds::peer_obstacle`].
    #[must_use]
    pub fn obstacle(&self, plan: &TunnelPlan) -> Option<String> {
        if let Some(why) = too_many(plan.ike.version, plan.local_subnets.len(), plan.peer_subnets.len()) {
            return Some(why);
        }
        let is_local = |net: &&IpNet| plan.local_subnets.iter().any(|local| local.trunc() == net.trunc());
        if let Some(net) = plan.peer_subnets.iter().find(is_local) {
            return Some(format!(
                "The peer's network {net} is a local subnet of this connection as well, so packets to it would not know \
                 which side to go to. Give one of the two other addresses."
            ));
        }
        if let Some(net) = plan.peer_subnets.iter().find(|net| self.around(net).is_some()) {
            return Some(format!(
                "The peer's network {net} is in one that no tunnel may lead to. Give another, or ask the operator."
            ));
        }
        if let Some(allowed) = &self.local {
            let is_allowed = |net: &IpNet| allowed.iter().any(|allowed| allowed.contains(net));
            if let Some(net) = plan.local_subnets.iter().find(|net| !is_allowed(net)) {
                return Some(format!(
                    "The local subnet {net} is none that this machine lends to tunnels (agent.gateway.local_subnets). Take \
                     another, or ask the operator."
                ));
            }
        }
        match plan.peer {
            Peer::Address(peer) => self.peer_obstacle(plan, peer),
            Peer::Host(_) => None,
        }
    }

    /// The same of an address of the peer's, which its host name may have.
    #[must_use]
    pub fn peer_obstacle(&self, plan: &TunnelPlan, peer: IpAddr) -> Option<String> {
        let is_broadcast = matches!(peer, IpAddr::V4(peer) if peer.is_broadcast());
        let what = if peer == plan.local {
            "is this gateway's own address".to_owned()
        } else if peer.is_unspecified() || peer.is_multicast() || peer.is_loopback() || is_broadcast {
            "is no address of another gateway".to_owned()
        } else if let Some(local) = plan.local_subnets.iter().find(|local| local.contains(&peer)) {
            format!("is in the local subnet {local} of this connection")
        } else if self.protected.iter().any(|net| net.contains(&peer)) {
            "is one that no tunnel may lead to".to_owned()
        } else {
            return None;
        };
        Some(format!("The peer address {peer} {what}. Give the outer address of the peer."))
    }
}

/// Whether there are more subnets than a tunnel can have, in a sentence.
fn too_many(version: IkeVersion, local: usize, peer: usize) -> Option<String> {
    let pairs = local.saturating_mul(peer);
    let over = match version {
        IkeVersion::V2 if local.max(peer) > SUBNETS => format!("over IKEv2 each side may have {SUBNETS}"),
        IkeVersion::V2 if pairs > PAIRS => {
            format!("over IKEv2 {PAIRS} pairs may be joined, and these are {pairs}")
        }
        IkeVersion::V1(_) if pairs > PAIRS_APART => format!(
            "over IKEv1, where each is negotiated by itself, {PAIRS_APART} pairs may be joined, and these are {pairs}"
        ),
        IkeVersion::V1(_) | IkeVersion::V2 => return None,
    };
    Some(format!(
        "The connection joins {local} local subnets with {peer} of the peer's; {over}. Put adjacent subnets into larger ones, \
         or make several connections."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IkeMode;

    #[test]
    fn a_connection_has_so_many_pairs_of_subnets_and_no_more() {
        let (v1, v2) = (IkeVersion::V1(IkeMode::Main), IkeVersion::V2);
        for (version, local, peer, allowed) in [
            (v1, 1, 256, true),
            (v1, 16, 16, true),
            (v1, 1, 257, false),
            (v2, 1, 255, true),
            (v2, 1, 256, false),
            (v2, 256, 1, false),
            (v2, 32, 32, true),
            (v2, 33, 32, false),
            (v2, 300, 300, false),
            (v1, usize::MAX, 2, false),
        ] {
            let why = too_many(version, local, peer);
            assert_eq!(why.is_none(), allowed, "{version:?} {local} {peer}: {why:?}");
        }
        let why = too_many(v2, 33, 32).expect("too many");
        assert!(why.contains("33 local") && why.contains("1056") && why.contains("1024"), "{why}");
    }
}
