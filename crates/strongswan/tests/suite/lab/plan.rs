//! Plans for tests: two that fit each other, to be changed as the test needs.

use ipnet::IpNet;
use karez_engine::{
    ChildPlan, ConnectionId, Dpd, DpdAction, Identity, IkePlan, IkeVersion, Initiator, Integrity, IpsecMode,
    IpsecProtocol, Peer, ServiceId, TunnelPlan,
};
use karez_model::Secret;
use std::net::IpAddr;
use uuid::Uuid;

/// The tunnel of site `a` or `b`, over IPv4, between 10.1.0.0/24 and 10.2.0.0/24, with the API's default suite.
pub fn tunnel(end: &str, version: IkeVersion) -> TunnelPlan {
    between(end, version, ["192.0.2.1", "192.0.2.2"], [&["10.1.0.0/24"], &["10.2.0.0/24"]])
}

/// The same over IPv6.
pub fn tunnel_v6(end: &str, version: IkeVersion, nets: [&[&str]; 2]) -> TunnelPlan {
    between(end, version, ["2001:db8::1", "2001:db8::2"], nets)
}

pub fn between(end: &str, version: IkeVersion, ends: [&str; 2], nets: [&[&str]; 2]) -> TunnelPlan {
    let (own, other) = if end == "a" { (0, 1) } else { (1, 0) };
    let address = |index: usize| ends[index].parse::<IpAddr>().unwrap();
    let subnets = |index: usize| nets[index].iter().map(|net| net.parse::<IpNet>().unwrap()).collect();
    TunnelPlan {
        id: ConnectionId(Uuid::new_v4()),
        service: ServiceId(Uuid::new_v4()),
        is_up: true,
        local: address(own),
        peer: Peer::Address(address(other)),
        local_id: Identity::Address(address(own)),
        peer_id: Identity::Address(address(other)),
        psk: Secret::new("a key that nobody guesses".into()),
        initiator: Initiator::BiDirectional,
        ike: IkePlan {
            version,
            encryption: "aes-128".parse().unwrap(),
            integrity: Integrity::Sha1,
            group: "group5".parse().unwrap(),
            lifetime: 3600,
        },
        child: ChildPlan {
            protocol: IpsecProtocol::Esp,
            mode: IpsecMode::Tunnel,
            encryption: "aes-128".parse().unwrap(),
            integrity: Integrity::Sha1,
            group: "group5".parse().unwrap(),
            lifetime: 3600,
        },
        dpd: Dpd { action: DpdAction::Hold, interval: 30, timeout: 120 },
        mtu: 1500,
        local_subnets: subnets(own),
        peer_subnets: subnets(other),
    }
}
