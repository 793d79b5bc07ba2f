//! What somebody changes by hand is put right, and what changes in the plan is changed.

use crate::gateways::cloud::{Cloud, usual_guards};
use crate::gateways::scratch::{eventually, net};
use anyhow::Result;
use karez_agent::gateway::Managed;
use karez_engine::{Floating, StaticRoute};
use karez_net::SpawnOptions;
use std::process::Command;

#[tokio::test]
async fn what_is_changed_by_hand_is_put_right() -> Result<()> {
    let cloud = Cloud::new().await?;
    let guards = usual_guards();
    cloud.make(&guards).await?;
    let router = cloud.inside().await?;
    let links = router.links().await?;
    let internal = links.iter().find(|link| link.name.starts_with("qr-")).expect("a link").name.clone();
    let by_hand = [
        format!("ip link set {internal} down"),
        format!("ip addr flush dev {internal}"),
        "ip route del default".to_owned(),
        format!("ip link del {internal}"),
        "nft flush ruleset".to_owned(),
        "nft delete table inet karez".to_owned(),
        "nft flush table inet karez".to_owned(),
        "nft flush chain inet karez clear-out".to_owned(),
        "sysctl -qw net.ipv4.ip_forward=0".to_owned(),
    ];
    for command in by_hand {
        let mut words = command.split(' ');
        let mut program = Command::new(words.next().expect("a program"));
        let status = router.namespace().spawn(program.args(words), &SpawnOptions::new())?.wait()?;
        assert!(status.success(), "{command}");

        assert!(cloud.make(&guards).await?, "{command}: it is noticed");
        assert!(!cloud.make(&guards).await?, "{command}: once is enough");
    }
    let host = cloud.host(1).await?;
    eventually("the router works", || host.pings("203.0.113.2")).await
}

#[tokio::test]
async fn a_connection_from_before_the_tunnel_is_no_longer_translated() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.make(&[]).await?;
    let host = cloud.host(1).await?;
    eventually("the host reaches the router", || host.pings("10.0.1.1")).await?;
    let pinging = host.keep_pinging("20.0.0.9")?;
    cloud.beyond.watch(&[("translated", "ip saddr 203.0.113.1 ip daddr 20.0.0.9")])?;
    for _ in 0..300 {
        if cloud.beyond.seen("translated").await? > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(cloud.beyond.seen("translated").await? > 0, "in clear, as long as nobody protects it");

    let peer = cloud.tunnel().await?;
    peer.watch(&[("own", "ip saddr 10.0.1.9"), ("translated", "ip saddr 203.0.113.1")])?;
    cloud.make(&usual_guards()).await?;
    for _ in 0..300 {
        if peer.seen("own").await? > 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }

    assert!(peer.seen("own").await? > 3);
    let (sent, _) = pinging.stop()?;
    assert!(sent > 0);
    Ok(())
}

#[tokio::test]
async fn without_tunnels_and_translation_there_is_no_table() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    if let Some(external) = &mut cloud.plan.gateway.external {
        external.has_snat = false;
    }
    let tables = || -> Result<String> {
        let namespace = karez_net::Namespace::open(&Managed::namespace(cloud.plan.id))?;
        let mut nft = Command::new("nft");
        nft.args(["list", "tables"]).stdout(std::process::Stdio::piped());
        Ok(String::from_utf8(namespace.spawn(&mut nft, &SpawnOptions::new())?.wait_with_output()?.stdout)?)
    };
    cloud.make(&usual_guards()).await?;
    assert!(tables()?.contains("karez"));

    cloud.make(&[]).await?;

    assert_eq!(tables()?, "");
    Ok(())
}

#[tokio::test]
async fn a_router_that_is_down_forwards_nothing() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    cloud.make(&[]).await?;
    let host = cloud.host(1).await?;
    eventually("the host reaches the outside", || host.pings("203.0.113.2")).await?;

    cloud.plan.gateway.is_up = false;
    cloud.make(&[]).await?;
    assert!(!host.pings("203.0.113.2")?);

    cloud.plan.gateway.is_up = true;
    cloud.make(&[]).await?;
    assert!(host.pings("203.0.113.2")?);
    Ok(())
}

#[tokio::test]
async fn extra_routes_and_floating_addresses_come_and_go() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    cloud.plan.gateway.floating =
        vec![Floating { external: "203.0.113.50".parse()?, internal: "10.0.1.9".parse()? }];
    let over = |next_hop: &str| StaticRoute {
        destination: net("10.77.0.0/16"),
        next_hop: next_hop.parse().expect("one"),
    };
    cloud.plan.gateway.routes = vec![over("10.0.2.9"), over("10.250.0.1")];
    cloud.make(&usual_guards()).await?;
    let (one, two) = (cloud.host(1).await?, cloud.host(2).await?);
    two.address("lo", &["10.77.0.1/32"]).await?;
    cloud.beyond.watch(&[("floating", "ip saddr 203.0.113.50")])?;

    eventually("the extra route leads there", || one.pings("10.77.0.1")).await?;
    assert!(one.pings("203.0.113.2")?);
    assert!(cloud.beyond.seen("floating").await? > 0, "who has a floating address speaks by it");
    one.watch(&[("to_floating", "ip daddr 10.0.1.9 icmp type echo-request")])?;
    assert!(cloud.beyond.pings("203.0.113.50")?, "and is spoken to by it");
    assert!(two.pings("203.0.113.50")?, "from inside too");
    assert!(one.seen("to_floating").await? >= 2, "it is not the router that answers");

    cloud.plan.gateway.floating.clear();
    cloud.plan.gateway.routes.clear();
    cloud.make(&usual_guards()).await?;
    assert!(!one.pings("10.77.0.1")?);
    assert!(!cloud.beyond.pings("203.0.113.50")?);
    Ok(())
}
