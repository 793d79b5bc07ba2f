//! Selectors that hold more than hosts of two networks.

use crate::gateways::cloud::{Cloud, guard, options, tunnel, usual_guards};
use crate::gateways::scratch::{Scratch, eventually, net};
use anyhow::Result;
use karez_agent::gateway::Managed;
use karez_engine::Datapath;

#[tokio::test]
async fn with_all_the_world_behind_the_tunnel_neighbours_are_still_neighbours() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.route_back().await?;
    cloud.make(&[guard(&["10.0.1.0/24"], &["0.0.0.0/0"]), guard(&["fd01::/64"], &["::/0"])]).await?;
    let (one, two) = (cloud.host(1).await?, cloud.host(2).await?);
    cloud.beyond.watch(&[("clear", "ip saddr 10.0.1.0/24"), ("clear6", "ip6 saddr fd01::/64")])?;

    eventually("its router", || one.pings("10.0.1.1")).await?;
    assert!(one.pings("fd01::1")?, "in IPv6");
    assert!(one.pings("10.0.2.9")? && one.pings("fd02::9")?, "another network of the router");
    assert!(two.pings("10.0.1.9")?, "and back");
    assert!(two.pings("203.0.113.2")?, "that network has no tunnel");
    assert!(!one.pings("203.0.113.2")? && !one.pings("fd03::2")?, "all else has to take the tunnel");

    assert_eq!(cloud.beyond.seen("clear").await?, 0);
    assert_eq!(cloud.beyond.seen("clear6").await?, 0);
    Ok(())
}

#[tokio::test]
async fn nobody_outside_can_send_into_a_tunnel_in_our_name() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.make(&usual_guards()).await?;
    let peer = cloud.tunnel().await?;
    let host = cloud.host(1).await?;
    eventually("the tunnel works", || host.pings("20.0.0.9")).await?;
    peer.watch(&[("forged", "ip saddr 10.0.1.200")])?;
    cloud.beyond.address("lo", &["10.0.1.200/32"]).await?;
    cloud.beyond.default_via(&["203.0.113.1"]).await?;

    let mut ping = std::process::Command::new("ping");
    ping.args(["-n", "-c", "3", "-i", "0.01", "-W", "1", "-I", "10.0.1.200", "20.0.0.9"]);
    let said = cloud.beyond.output(&mut ping)?;

    assert!(said.contains("3 packets transmitted"), "{said}");
    assert_eq!(peer.seen("forged").await?, 0);
    Ok(())
}

#[tokio::test]
async fn selectors_of_two_tunnels_may_overlap() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.route_back().await?;
    let guards = [guard(&["10.0.0.0/16"], &["20.0.0.0/24"]), guard(&["10.0.1.0/24"], &["20.0.0.0/16"])];
    cloud.make(&guards).await?;
    let (one, two) = (cloud.host(1).await?, cloud.host(2).await?);
    cloud.beyond.watch(&[("clear", "ip saddr 10.0.0.0/8")])?;

    assert!(!one.pings("20.0.0.9")? && !two.pings("20.0.0.9")?);
    assert_eq!(cloud.beyond.seen("clear").await?, 0);
    let peer = cloud.tunnel().await?;
    assert!(one.pings("20.0.0.9")? && two.pings("20.0.0.9")?);
    drop(peer);
    Ok(())
}

#[tokio::test]
async fn what_was_dropped_is_counted_on_when_rules_change() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    cloud.plan.tunnels = vec![tunnel("203.0.113.1", "198.51.100.1")];
    let mut guards = usual_guards();
    cloud.make(&guards).await?;
    cloud.without_lanes().await?;
    let host = cloud.host(1).await?;
    eventually("the host reaches the router", || host.pings("10.0.1.1")).await?;
    assert!(!host.pings("20.0.0.9")?);
    let connection = guards[0].connection;
    let before = cloud.gateway.dropped(cloud.plan.id).await?[&connection];
    assert!(before > 0);

    guards[0].mss = Some(1200);
    assert!(cloud.make(&guards).await?);
    cloud.without_lanes().await?;
    assert!(!host.pings("20.0.0.9")?);

    assert!(cloud.gateway.dropped(cloud.plan.id).await?[&connection] > before);
    Ok(())
}

#[tokio::test]
async fn what_was_dropped_is_counted_on_by_an_agent_that_remembers_nothing() -> Result<()> {
    let cloud = Cloud::new().await?;
    let mut guards = usual_guards();
    cloud.make(&guards).await?;
    cloud.without_lanes().await?;
    let host = cloud.host(1).await?;
    assert!(!host.pings("20.0.0.9")?);
    assert_eq!(cloud.gateway.dropped(cloud.plan.id).await?[&guards[0].connection], 1);

    let next = Managed::new(options(&cloud.node));
    guards[0].mss = Some(1200);
    assert!(next.make(&cloud.plan, &guards, Datapath::Userspace).await?.has_changed);
    cloud.without_lanes().await?;

    assert!(!host.pings("20.0.0.9")?);
    assert_eq!(next.dropped(cloud.plan.id).await?[&guards[0].connection], 2);
    Ok(())
}

#[tokio::test]
async fn an_edit_of_one_tunnel_does_not_disturb_another() -> Result<()> {
    let cloud = Cloud::new().await?;
    let [usual, _] = usual_guards();
    let mut other = guard(&["10.0.2.0/24"], &["20.0.1.0/24"]);
    cloud.make(&[usual.clone(), other.clone()]).await?;
    let host = cloud.host(1).await?;
    let peer = cloud.tunnel().await?;
    eventually("the tunnel works", || host.pings("20.0.0.9")).await?;
    peer.watch(&[("own", "ip saddr 10.0.1.9"), ("translated", "ip saddr != 10.0.1.9 ip daddr 20.0.0.9")])?;
    let before = cloud.gateway.dropped(cloud.plan.id).await?[&usual.connection];

    let pinging = host.keep_pinging("20.0.0.9")?;
    for round in 0..10_u16 {
        other.mss = Some(1200 + round);
        other.peer = vec![net(&format!("20.0.{}.0/24", 2 + round))];
        assert!(cloud.make(&[usual.clone(), other.clone()]).await?);
    }
    assert!(cloud.make(std::slice::from_ref(&usual)).await?, "and is removed");
    let (sent, answered) = pinging.stop()?;

    assert!(sent > 5, "it ran");
    assert!(sent - answered <= 1, "{answered} of {sent}; the last may have been on its way");
    assert!(peer.seen("own").await? >= answered);
    assert_eq!(peer.seen("translated").await?, 0);
    assert_eq!(cloud.gateway.dropped(cloud.plan.id).await?[&usual.connection], before);
    Ok(())
}

#[tokio::test]
async fn of_two_tunnels_that_overlap_one_goes_and_the_other_stays_protected() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.route_back().await?;
    let wide = guard(&["10.0.0.0/16"], &["20.0.0.0/24"]);
    let narrow = guard(&["10.0.1.0/24"], &["20.0.0.0/16"]);
    cloud.make(&[wide.clone(), narrow.clone()]).await?;
    cloud.without_lanes().await?;
    let (one, two) = (cloud.host(1).await?, cloud.host(2).await?);
    cloud.beyond.watch(&[("clear", "ip saddr 10.0.0.0/8")])?;
    assert!(!one.pings("20.0.0.9")?);
    let dropped = cloud.gateway.dropped(cloud.plan.id).await?;
    assert_eq!((dropped[&wide.connection], dropped[&narrow.connection]), (1, 0), "it counts once");

    cloud.make(std::slice::from_ref(&narrow)).await?;
    cloud.without_lanes().await?;

    assert!(!one.pings("20.0.0.9")?, "the other has it too");
    assert_eq!(cloud.beyond.seen("clear").await?, 0);
    assert!(two.pings("20.0.0.9")?, "what only the first had is in nobody's way any more");
    let dropped = cloud.gateway.dropped(cloud.plan.id).await?;
    assert_eq!(dropped, [(narrow.connection, 1)].into());
    Ok(())
}

#[tokio::test]
async fn gateways_within_their_own_selectors_can_negotiate_and_find_each_other() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    cloud.plan.tunnels = vec![tunnel("203.0.113.1", "203.0.113.2"), tunnel("fd03::1", "fd03::2")];
    let guards = [guard(&["203.0.113.1/32"], &["203.0.113.2/32"]), guard(&["fd03::1/128"], &["fd03::2/128"])];
    cloud.make(&guards).await?;
    let router = Scratch::inside(&cloud.inside().await?);

    for address in ["203.0.113", "fd03:"] {
        let at = |host: u8, port: u16| match address {
            "fd03:" => format!("[fd03::{host}]:{port}"),
            _ => format!("{address}.{host}:{port}"),
        };
        for port in [500, 4500] {
            let (ours, theirs) = (router.speaker(&at(1, port))?, cloud.beyond.speaker(&at(2, port))?);
            // The very first packet finds no neighbour yet.
            eventually("IKE goes out", || ours.is_heard_by(&theirs, &at(2, port))).await?;
            assert!(theirs.is_heard_by(&ours, &at(1, port))?, "and comes in");
        }
        let (ours, theirs) = (router.speaker(&at(1, 5001))?, cloud.beyond.speaker(&at(2, 5001))?);
        assert!(
            !ours.is_heard_by(&theirs, &at(2, 5001)).unwrap_or(false),
            "anything else does not go out in clear"
        );
        assert!(!theirs.is_heard_by(&ours, &at(1, 5001))?, "nor come in");
    }
    Ok(())
}
