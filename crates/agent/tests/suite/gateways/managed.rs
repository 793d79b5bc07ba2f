//! Routers that Karez makes.

use crate::gateways::cloud::{Cloud, usual_guards};
use crate::gateways::scratch::eventually;
use anyhow::Result;
use karez_agent::gateway::Gateway;
use karez_net::Namespace;

#[tokio::test]
async fn hosts_reach_each_other_and_the_outside_in_the_routers_name() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.make(&[]).await?;
    let (one, two) = (cloud.host(1).await?, cloud.host(2).await?);
    cloud.beyond.watch(&[("private", "ip saddr 10.0.0.0/8"), ("public", "ip saddr 203.0.113.1")])?;

    assert!(one.pings("10.0.2.9")?, "from network to network");
    assert!(one.pings("fd02::9")?, "in IPv6 too");
    assert!(two.pings("203.0.113.2")?, "to the outside, which knows no way back to private addresses");

    assert_eq!(cloud.beyond.seen("private").await?, 0);
    assert!(cloud.beyond.seen("public").await? > 0);
    Ok(())
}

#[tokio::test]
async fn a_router_that_is_as_it_should_be_is_left_alone() -> Result<()> {
    let cloud = Cloud::new().await?;
    assert!(cloud.make(&usual_guards()).await?, "it is made");
    assert!(cloud.make(&usual_guards()[..1]).await?, "it is changed");
    let guards = usual_guards();
    cloud.make(&guards).await?;
    assert!(!cloud.make(&guards).await?);
    Ok(())
}

#[tokio::test]
async fn between_selectors_nothing_goes_in_clear_either_way() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.route_back().await?;
    let guards = usual_guards();
    cloud.make(&guards).await?;
    let (one, two) = (cloud.host(1).await?, cloud.host(2).await?);
    cloud
        .beyond
        .watch(&[("clear", "ip saddr 10.0.1.0/24 ip daddr 20.0.0.0/24"), ("all", "meta l4proto icmp")])?;
    one.watch(&[("clear", "ip saddr 20.0.0.0/24")])?;

    assert!(!one.pings("20.0.0.9")?, "out");
    assert!(!one.pings("fd20::9")?, "out, in IPv6");
    let mut ping = std::process::Command::new("ping");
    ping.args(["-n", "-c", "1", "-W", "1", "-I", "20.0.0.9", "10.0.1.9"]);
    cloud.beyond.output(&mut ping)?;
    assert!(two.pings("20.0.0.9")?, "another network has no tunnel and is translated as ever");

    assert_eq!(cloud.beyond.seen("clear").await?, 0);
    assert_eq!(one.seen("clear").await?, 0);
    let dropped = cloud.gateway.dropped(cloud.plan.id).await?;
    assert_eq!(dropped[&guards[0].connection], 1, "in; out, no route leads there");
    assert_eq!(dropped[&guards[1].connection], 0);
    Ok(())
}

#[tokio::test]
async fn through_the_tunnel_addresses_stay_and_segments_fit() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.make(&usual_guards()).await?;
    let one = cloud.host(1).await?;
    let peer = cloud.tunnel().await?;
    peer.watch(&[("own", "ip saddr 10.0.1.9"), ("fits", "tcp flags syn tcp option maxseg size <= 1300")])?;
    one.watch(&[("fits", "tcp flags & (syn|ack) == (syn|ack) tcp option maxseg size <= 1300")])?;

    assert!(one.pings("20.0.0.9")? && one.pings("fd20::9")?);
    let _listener = peer.listen("20.0.0.9:80")?;
    assert!(one.connects("20.0.0.9:80")?);

    assert!(peer.seen("own").await? > 0);
    assert_eq!(peer.seen("fits").await?, 1, "what the host announces");
    assert_eq!(one.seen("fits").await?, 1, "what the peer announces");
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_of_a_router_that_was_removed() -> Result<()> {
    let cloud = Cloud::new().await?;
    let before = cloud.node.dump()?;
    cloud.make(&usual_guards()).await?;
    assert_eq!(cloud.gateway.present().await?, [cloud.plan.id]);
    // Somebody is still in there.
    let inside = Namespace::open(&karez_agent::gateway::Managed::namespace(cloud.plan.id))?;
    let mut sleep = std::process::Command::new("sleep");
    let mut sleep = inside.spawn(sleep.arg("60"), &karez_net::SpawnOptions::new())?;

    cloud.gateway.remove(cloud.plan.id).await?;
    cloud.gateway.remove(cloud.plan.id).await?;

    assert!(!Namespace::exists(inside.name())?);
    assert_eq!(cloud.gateway.present().await?, []);
    let after = cloud.node.dump();
    sleep.kill()?;
    sleep.wait()?;
    assert_eq!(after?.since(&before), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn a_network_is_added_without_a_loss_on_another() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    let second = cloud.plan.gateway.internal.pop();
    cloud.make(&usual_guards()).await?;
    let one = cloud.host(1).await?;
    eventually("the host reaches the router", || one.pings("10.0.1.1")).await?;
    assert!(one.pings("203.0.113.2")?);

    let pinging = one.keep_pinging("203.0.113.2")?;
    cloud.plan.gateway.internal.extend(second);
    assert!(cloud.make(&usual_guards()).await?);
    let two = cloud.host(2).await?;
    eventually("the new host reaches the other", || two.pings("10.0.1.9")).await?;
    let (sent, answered) = pinging.stop()?;

    assert!(sent > 1, "it ran");
    assert!(sent - answered <= 1, "{answered} of {sent}; the last may have been on its way");
    Ok(())
}
