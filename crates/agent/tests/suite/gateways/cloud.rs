//! A small cloud: a node with a bridge to the outside, somebody outside, and hosts on internal networks.
//!
//! ```text
//! host 10.0.1.9 ── kbr-… ── 10.0.1.1 ┐
//!      fd01::9              fd01::1  ├ router ── br-ex ── beyond 203.0.113.2, fd03::2
//! host 10.0.2.9 ── kbr-… ── 10.0.2.1 ┘                    (20.0.0.9, fd20::9)
//! ```

use crate::gateways::scratch::{Scratch, eventually, join, net};
use anyhow::Result;
use karez_agent::Guard;
use karez_agent::gateway::{Managed, ManagedOptions};
use karez_engine::{
    ChildPlan, ConnectionId, Datapath, Dpd, DpdAction, External, GatewayPlan, Identity, IkePlan, IkeVersion,
    Initiator, Internal, IpsecMode, IpsecProtocol, NEVER, Peer, RouterId, RouterPlan, ServiceId, TunnelPlan,
};
use karez_net::{LinkSettings, Namespace, Netlink, SpawnOptions, VethEnd, ensure_veth, lane};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;
use uuid::Uuid;

pub struct Cloud {
    pub node: Scratch,
    pub beyond: Scratch,
    pub gateway: Managed,
    pub plan: RouterPlan,
}

impl Cloud {
    /// The router is planned and not made.
    pub async fn new() -> Result<Self> {
        let (node, beyond) = (Scratch::new("node").await?, Scratch::new("beyond").await?);
        node.netlink.ensure_bridge("br-ex", &LinkSettings::up()).await?;
        attach(&node, "br-ex", &beyond.netlink, "beyond").await?;
        // Addresses that come by themselves, at some time, are no one's doing.
        for link in ["br-ex", "beyond"] {
            node.namespace.set_sysctl(&format!("net/ipv6/conf/{link}/disable_ipv6"), "1")?;
        }
        beyond.address("eth0", &["203.0.113.2/24", "fd03::2/64"]).await?;
        beyond.address("lo", &["20.0.0.9/32", "fd20::9/128"]).await?;
        let gateway = Managed::new(options(&node));
        Ok(Self { node, beyond, gateway, plan: plan() })
    }

    /// Lets the world outside answer hosts in their own addresses.
    pub async fn route_back(&self) -> Result<()> {
        self.beyond.default_via(&["203.0.113.1", "fd03::1"]).await
    }

    pub async fn make(&self, guards: &[Guard]) -> Result<bool> {
        self.make_with(guards, Datapath::Userspace).await
    }

    pub async fn make_with(&self, guards: &[Guard], datapath: Datapath) -> Result<bool> {
        Ok(self.gateway.make(&self.plan, guards, datapath).await?.has_changed)
    }

    /// Leaves only the rules of nftables, as for a packet that has come past the lanes.
    pub async fn without_lanes(&self) -> Result<()> {
        let all = "for v in -4 -6; do while ip $v rule del pref 210 2>/dev/null; do :; done; done";
        let router = Namespace::open(&Managed::namespace(self.plan.id))?;
        router.spawn(Command::new("sh").args(["-c", all]), &SpawnOptions::new())?.wait()?;
        Ok(())
    }

    /// A host on the internal network of this number that reaches the router, which has to be made.
    pub async fn host(&self, number: u8) -> Result<Scratch> {
        let host = Scratch::new("host").await?;
        let bridge =
            format!("kbr-{}", &self.plan.gateway.internal[usize::from(number) - 1].network.to_string()[..11]);
        attach(&self.node, &bridge, &host.netlink, &format!("host{number}")).await?;
        host.address("eth0", &[&format!("10.0.{number}.9/24"), &format!("fd0{number}::9/64")]).await?;
        let routers = [format!("10.0.{number}.1"), format!("fd0{number}::1")];
        host.default_via(&[&routers[0], &routers[1]]).await?;
        for router in routers {
            eventually("a new host reaches its router", || host.pings(&router)).await?;
        }
        Ok(host)
    }

    /// Inside of the router.
    pub async fn inside(&self) -> Result<Netlink> {
        Ok(Netlink::open(&Namespace::open(&Managed::namespace(self.plan.id))?).await?)
    }

    /// What the engine would make; see [`tunnel_from`].
    pub async fn tunnel(&self) -> Result<Scratch> {
        tunnel_from(&self.inside().await?).await
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = Namespace::delete(&Managed::namespace(self.plan.id));
    }
}

/// A TUN device that leads to the peer's network and no way else. Here it is a pair, with the peer's network at its
/// other end.
pub async fn tunnel_from(router: &Netlink) -> Result<Scratch> {
    let peer = Scratch::new("peer").await?;
    join(&peer.netlink, "eth0", router, "ipsec0").await?;
    // The peer's hosts are neighbours on that link.
    peer.address("eth0", &["192.0.2.2/30", "fd99::2/64", "20.0.0.9/32", "fd20::9/128"]).await?;
    peer.default_via(&["192.0.2.1", "fd99::1"]).await?;
    router.ensure_addresses("ipsec0", &[net("192.0.2.1/30"), net("fd99::1/64")].into()).await?;
    // As an engine does as soon as it has its device.
    lane::lead(router.namespace(), router.existing_link("ipsec0").await?.index).await?;
    Ok(peer)
}

pub fn options(node: &Scratch) -> ManagedOptions {
    ManagedOptions {
        node_namespace: Some(node.name()),
        external_bridge: "br-ex".to_owned(),
        external_bridges: BTreeMap::new(),
    }
}

/// Gives a namespace a port of a bridge of the node, as its `eth0`.
pub async fn attach(node: &Scratch, bridge: &str, netlink: &Netlink, port: &str) -> Result<()> {
    let inside = VethEnd { netlink, name: "eth0", settings: LinkSettings::up() };
    let outside = VethEnd { netlink: &node.netlink, name: port, settings: LinkSettings::up().bridge(bridge) };
    ensure_veth(&inside, &outside).await?;
    Ok(())
}

pub fn plan() -> RouterPlan {
    let external = External {
        port: Uuid::new_v4(),
        network: Uuid::new_v4(),
        mac: "fa:16:3e:00:00:01".to_owned(),
        mtu: 1500,
        addresses: vec![net("203.0.113.1/24"), net("fd03::1/64")],
        next_hops: vec![address("203.0.113.2"), address("fd03::2")],
        has_snat: true,
    };
    let gateway = GatewayPlan {
        is_up: true,
        external: Some(external),
        internal: vec![internal(1), internal(2)],
        routes: Vec::new(),
        floating: Vec::new(),
    };
    RouterPlan {
        id: RouterId(Uuid::new_v4()),
        generation: 1,
        revision: 1,
        gateway,
        services: Vec::new(),
        tunnels: Vec::new(),
    }
}

pub fn internal(number: u8) -> Internal {
    Internal {
        port: Uuid::new_v4(),
        network: Uuid::new_v4(),
        mac: format!("fa:16:3e:00:01:0{number}"),
        mtu: 1450,
        addresses: vec![net(&format!("10.0.{number}.1/24")), net(&format!("fd0{number}::1/64"))],
    }
}

pub fn guard(local: &[&str], peer: &[&str]) -> Guard {
    let nets = |texts: &[&str]| texts.iter().map(|text| net(text)).collect::<Vec<_>>();
    let peer = nets(peer);
    let is_within = |net: &&ipnet::IpNet| peer.iter().any(|peer| peer.contains(*net));
    let but = NEVER.iter().filter(is_within).copied().collect();
    Guard { connection: ConnectionId(Uuid::new_v4()), local: nets(local), peer, but, mss: Some(1300) }
}

/// From the first network to the peer's, in IPv4 and in IPv6.
pub fn usual_guards() -> [Guard; 2] {
    [guard(&["10.0.1.0/24"], &["20.0.0.0/24"]), guard(&["fd01::/64"], &["fd20::/64"])]
}

pub fn tunnel(local: &str, peer: &str) -> TunnelPlan {
    let (local, peer) = (address(local), address(peer));
    let encryption = "aes-128".parse().expect("an algorithm");
    let integrity = "sha256".parse().expect("an algorithm");
    let group = "group14".parse().expect("a group");
    TunnelPlan {
        id: ConnectionId(Uuid::new_v4()),
        service: ServiceId(Uuid::new_v4()),
        is_up: true,
        local,
        peer: Peer::Address(peer),
        local_id: Identity::Address(local),
        peer_id: Identity::Address(peer),
        psk: karez_model::Secret::new("secret".to_owned()),
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

pub fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
