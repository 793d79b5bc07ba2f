use super::{cost, payload};
use karez_engine::{
    ChildPlan, Dpd, DpdAction, Encryption, Identity, IkePlan, IkeVersion, Initiator, Integrity, IpsecMode,
    IpsecProtocol, Peer, TunnelPlan,
};
use uuid::Uuid;

fn tunnel(encryption: &str, integrity: &str, local: &str) -> TunnelPlan {
    let encryption: Encryption = encryption.parse().expect("an algorithm");
    let integrity: Integrity = integrity.parse().expect("an algorithm");
    let group = "group14".parse().expect("a group");
    let local = local.parse().expect("an address");
    TunnelPlan {
        id: karez_engine::ConnectionId(Uuid::nil()),
        service: karez_engine::ServiceId(Uuid::nil()),
        is_up: true,
        local,
        peer: Peer::Address(local),
        local_id: Identity::Address(local),
        peer_id: Identity::Address(local),
        psk: karez_model::Secret::new(String::new()),
        initiator: Initiator::BiDirectional,
        ike: IkePlan { version: IkeVersion::V2, encryption, integrity, group, lifetime: 3600 },
        child: ChildPlan {
            protocol: IpsecProtocol::Esp,
            mode: IpsecMode::Tunnel,
            encryption,
            integrity,
            group,
            lifetime: 3600,
        },
        dpd: Dpd { action: DpdAction::Hold, interval: 30, timeout: 120 },
        mtu: 1500,
        local_subnets: Vec::new(),
        peer_subnets: Vec::new(),
    }
}

/// The table that AWS publishes for customer gateways: MTU inside, without and with NAT traversal.
#[test]
fn what_fits_into_a_tunnel_is_what_other_vendors_say() {
    let cases = [
        ("aes-128-gcm-16", "sha1", 1446, 1438),
        ("aes-128", "sha1", 1438, 1422),
        ("aes-256", "sha256", 1438, 1422),
        ("aes-128", "sha384", 1422, 1422),
        ("aes-128", "sha512", 1422, 1406),
    ];
    for (encryption, integrity, plain, encapsulated) in cases {
        let tunnel = tunnel(encryption, integrity, "192.0.2.1");
        assert_eq!(payload(1500, &tunnel, false), plain, "{encryption} {integrity}");
        assert_eq!(payload(1500, &tunnel, true), encapsulated, "{encryption} {integrity} in UDP");
    }
}

/// Every inner packet that is said to fit does, and the next larger does not.
#[test]
fn the_largest_packet_fits_exactly() {
    for (encryption, integrity) in [("3des", "sha1"), ("aes-192-ctr", "sha512"), ("aes-256-ccm-12", "sha1")] {
        let tunnel = tunnel(encryption, integrity, "2001:db8::1");
        let cost = cost(tunnel.child.encryption, tunnel.child.integrity);
        let outer = |inner: u32| 40 + 8 + cost.iv + (inner + 2).next_multiple_of(cost.block) + cost.icv;
        let most = payload(1500, &tunnel, false);
        assert!(outer(most) <= 1500 && outer(most + 1) > 1500, "{encryption}: {most}");
    }
}
