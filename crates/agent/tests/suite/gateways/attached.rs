//! Routers that somebody else makes.

use crate::gateways::cloud::{address, plan, tunnel, tunnel_from, usual_guards};
use crate::gateways::scratch::{Scratch, join};
use anyhow::Result;
use karez_agent::gateway::{Attached, AttachedOptions, Gateway, NamespacePattern};
use karez_engine::{Datapath, Place, RouterId, RouterPlan};

/// A router as Neutron makes it, with a host behind it and somebody outside.
pub struct Foreign {
    pub router: Scratch,
    host: Scratch,
    pub beyond: Scratch,
    pub plan: RouterPlan,
    pub gateway: Attached,
}

impl Foreign {
    pub async fn new() -> Result<Self> {
        let plan = RouterPlan { tunnels: vec![tunnel("203.0.113.1", "198.51.100.1")], ..plan() };
        // Tests that run at the same time find their own only.
        let prefix = format!("qrouter{}", std::process::id());
        let router = Scratch::named(&format!("{prefix}-{}", plan.id)).await?;
        let (host, beyond) = (Scratch::new("host").await?, Scratch::new("beyond").await?);
        join(&host.netlink, "eth0", &router.netlink, "qr-1").await?;
        join(&beyond.netlink, "eth0", &router.netlink, "qg-1").await?;
        host.address("eth0", &["10.0.1.9/24", "fd01::9/64"]).await?;
        router.address("qr-1", &["10.0.1.1/24", "fd01::1/64"]).await?;
        router.address("qg-1", &["203.0.113.1/24", "fd03::1/64"]).await?;
        beyond.address("eth0", &["203.0.113.2/24", "fd03::2/64"]).await?;
        beyond.address("lo", &["20.0.0.9/32", "fd20::9/128"]).await?;
        host.default_via(&["10.0.1.1", "fd01::1"]).await?;
        router.default_via(&["203.0.113.2", "fd03::2"]).await?;
        beyond.default_via(&["203.0.113.1", "fd03::1"]).await?;
        for setting in ["net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"] {
            router.namespace.set_sysctl(setting, "1")?;
        }
        let nat = "table ip nat { chain out { type nat hook postrouting priority 100; oifname != \"qr-1\" masquerade; }; }";
        router.nft(nat)?;
        let pattern: NamespacePattern = format!("{prefix}-{{router_id}}").parse()?;
        let gateway = Attached::new(AttachedOptions { pattern });
        Ok(Self { router, host, beyond, plan, gateway })
    }

    async fn make(&self) -> Result<bool, karez_agent::GatewayError> {
        let made = self.gateway.make(&self.plan, &usual_guards(), Datapath::Userspace).await?;
        assert_eq!(made.place, Place { namespace: Some(self.router.name()) });
        Ok(made.has_changed)
    }
}

#[tokio::test]
async fn nothing_is_touched_but_our_table_and_our_lanes() -> Result<()> {
    let foreign = Foreign::new().await?;
    let (before, tables) = (foreign.router.dump()?, foreign.router.tables()?);
    assert_eq!(foreign.gateway.present().await?, []);

    assert!(foreign.make().await?);
    let since = foreign.router.dump()?.since(&before);
    // The kernel's routes of IPv6 are told beside ours, and which of them is the first of its list is no difference.
    let ours = |line: &String| line.contains("\"protocol\":\"201\"");
    let moved =
        |line: &String| line.contains("\"protocol\":\"200\"") || line.contains("\"protocol\":\"kernel\"");
    assert!(since.iter().any(ours) && since.iter().all(|line| ours(line) || moved(line)), "{since:?}");
    assert_eq!(foreign.router.tables()?, format!("{tables}table inet karez\n"));
    assert_eq!(foreign.gateway.present().await?, [foreign.plan.id]);

    foreign.gateway.remove(foreign.plan.id).await?;
    foreign.gateway.remove(foreign.plan.id).await?;
    assert_eq!(foreign.router.dump()?.since(&before), [""; 0]);
    assert_eq!(foreign.router.tables()?, tables);
    assert_eq!(foreign.gateway.present().await?, []);
    Ok(())
}

#[tokio::test]
async fn somebody_elses_translation_does_not_concern_the_tunnel() -> Result<()> {
    let foreign = Foreign::new().await?;
    foreign.make().await?;
    foreign.beyond.watch(&[("clear", "ip saddr 10.0.1.0/24")])?;
    assert!(!foreign.host.pings("20.0.0.9")?, "there is no tunnel yet");

    let peer = tunnel_from(&foreign.router.netlink).await?;
    peer.watch(&[("own", "ip saddr 10.0.1.9")])?;
    assert!(foreign.host.pings("20.0.0.9")?);
    assert!(foreign.host.pings("203.0.113.2")?, "other traffic flows");

    assert!(peer.seen("own").await? > 0);
    assert_eq!(foreign.beyond.seen("clear").await?, 0);
    Ok(())
}

#[tokio::test]
async fn the_standby_of_a_highly_available_router_is_told_apart() -> Result<()> {
    let mut foreign = Foreign::new().await?;
    foreign.plan.tunnels[0].local = address("203.0.113.77");

    let error = foreign.make().await.expect_err("the address is not there");

    assert!(error.to_string().contains("203.0.113.77") && error.to_string().contains("standby"), "{error}");
    assert!(!foreign.router.tables()?.contains("karez"));
    Ok(())
}

#[tokio::test]
async fn a_router_that_does_not_forward_is_left_so_and_said() -> Result<()> {
    let foreign = Foreign::new().await?;
    foreign.router.namespace.set_sysctl("net/ipv4/ip_forward", "0")?;

    let error = foreign.make().await.expect_err("nothing would go through");

    assert!(error.to_string().contains("forwarding of ipv4 is off"), "{error}");
    assert_eq!(foreign.router.namespace.sysctl("net/ipv4/ip_forward")?, "0");
    Ok(())
}

#[tokio::test]
async fn routers_are_found_by_the_names_of_their_namespaces() -> Result<()> {
    let foreign = Foreign::new().await?;
    assert_eq!(foreign.gateway.found().await?, [foreign.plan.id]);

    let elsewhere = RouterPlan { id: RouterId(uuid::Uuid::new_v4()), ..foreign.plan.clone() };
    let made = foreign.gateway.make(&elsewhere, &usual_guards(), Datapath::Userspace).await;

    let error = made.expect_err("it is not on this node").to_string();
    assert!(error.contains(&format!("{}", elsewhere.id)) && error.contains("no namespace"), "{error}");
    foreign.gateway.remove(elsewhere.id).await?;
    Ok(())
}
