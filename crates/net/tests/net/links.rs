use anyhow::{Context, Result};
use karez_net::{Error, LinkKind, LinkSettings, Mac, Namespace, VethEnd, ensure_veth};

use crate::scratch::{Scratch, eventually, join};

fn end<'a>(scratch: &'a Scratch, name: &'a str, settings: LinkSettings) -> VethEnd<'a> {
    VethEnd { netlink: &scratch.netlink, name, settings }
}

#[tokio::test]
async fn a_bridge_carries_packets_between_the_pairs_on_it_and_is_made_once() -> Result<()> {
    let (middle, one, other) =
        (Scratch::new("bridge").await?, Scratch::new("one").await?, Scratch::new("other").await?);
    assert!(middle.netlink.ensure_bridge("br0", &LinkSettings::up()).await?);
    let port = || LinkSettings::up().bridge("br0").mtu(1400);
    let mac: Mac = "02:00:00:00:00:01".parse()?;
    let inner = || LinkSettings::up().mtu(1400).mac(mac);
    assert!(ensure_veth(&end(&one, "eth0", inner()), &end(&middle, "port1", port())).await?);
    assert!(ensure_veth(&end(&other, "eth0", LinkSettings::up()), &end(&middle, "port2", port())).await?);
    assert!(!middle.netlink.ensure_bridge("br0", &LinkSettings::up()).await?);
    assert!(!ensure_veth(&end(&one, "eth0", inner()), &end(&middle, "port1", port())).await?);
    one.address("eth0", &["10.1.0.1/24", "fd01::1/64"]).await?;
    other.address("eth0", &["10.1.0.2/24", "fd01::2/64"]).await?;
    assert!(one.pings("10.1.0.2")?);
    assert!(one.pings("fd01::2")?);

    let bridge = middle.netlink.existing_link("br0").await?;
    let port = middle.netlink.existing_link("port1").await?;
    assert_eq!((bridge.kind, port.kind), (LinkKind::Bridge, LinkKind::Veth));
    assert_eq!((port.master, port.mtu, port.up, port.carrier), (Some(bridge.index), 1400, true, true));
    assert_eq!(one.netlink.existing_link("eth0").await?.mac, Some(mac));
    let names: Vec<_> = middle.netlink.links().await?.into_iter().map(|link| link.name).collect();
    assert_eq!(names, ["lo", "br0", "port1", "port2"]);
    Ok(())
}

#[tokio::test]
async fn only_what_differs_is_changed() -> Result<()> {
    let (one, other) = (Scratch::new("one").await?, Scratch::new("other").await?);
    join(&one, "eth0", &other, "eth0").await?;
    let before = one.netlink.existing_link("eth0").await?;
    assert!(one.netlink.ensure_link("eth0", &LinkSettings::up().mtu(1300)).await?);
    assert!(!one.netlink.ensure_link("eth0", &LinkSettings::up().mtu(1300)).await?);
    assert!(!one.netlink.ensure_link("eth0", &LinkSettings::default()).await?, "what is not said stays");
    let after = one.netlink.existing_link("eth0").await?;
    assert_eq!((after.mtu, after.mac, after.index), (1300, before.mac, before.index));
    Ok(())
}

#[tokio::test]
async fn a_pair_within_one_namespace_is_a_pair_too() -> Result<()> {
    let scratch = Scratch::new("alone").await?;
    let make = || async {
        ensure_veth(&end(&scratch, "a", LinkSettings::up()), &end(&scratch, "b", LinkSettings::up())).await
    };
    assert!(make().await?);
    assert!(!make().await?);
    Ok(())
}

/// Numbers of links repeat: `eth0` of three namespaces made alike is number 2 in each.
#[tokio::test]
async fn an_end_that_leads_elsewhere_is_joined_anew() -> Result<()> {
    let (left, right) = (Scratch::new("left").await?, Scratch::new("right").await?);
    let (left_peer, right_peer) = (Scratch::new("left-peer").await?, Scratch::new("right-peer").await?);
    join(&left, "eth0", &left_peer, "eth0").await?;
    join(&right, "eth0", &right_peer, "eth0").await?;
    let link = left.netlink.existing_link("eth0").await?;
    assert_eq!(link.index, right.netlink.existing_link("eth0").await?.index, "else this shows nothing");
    let (one, other) = (end(&left, "eth0", LinkSettings::up()), end(&right, "eth0", LinkSettings::up()));
    assert!(ensure_veth(&one, &other).await?);
    assert!(!ensure_veth(&one, &other).await?);
    left.address("eth0", &["10.1.0.1/24"]).await?;
    right.address("eth0", &["10.1.0.2/24"]).await?;
    assert!(left.pings("10.1.0.2")?);
    assert!(left_peer.netlink.link("eth0").await?.is_none(), "its other end went with it");
    Ok(())
}

#[tokio::test]
async fn a_pair_whose_far_namespace_was_made_anew_is_made_anew() -> Result<()> {
    let near = Scratch::new("near").await?;
    let far = Scratch::new("far").await?;
    join(&near, "eth0", &far, "eth0").await?;
    drop(far);
    let far = Scratch::new("far").await?;
    join(&near, "eth0", &far, "eth0").await?;
    near.address("eth0", &["10.1.0.1/24"]).await?;
    far.address("eth0", &["10.1.0.2/24"]).await?;
    assert!(near.pings("10.1.0.2")?);
    Ok(())
}

#[tokio::test]
async fn a_link_of_another_kind_is_not_touched() -> Result<()> {
    let (one, other) = (Scratch::new("one").await?, Scratch::new("other").await?);
    one.netlink.ensure_bridge("x", &LinkSettings::up()).await?;
    let refused =
        ensure_veth(&end(&one, "x", LinkSettings::up()), &end(&other, "x", LinkSettings::up())).await;
    let Err(error @ Error::OtherKind { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("is not a veth but a bridge"), "{error}");
    assert!(matches!(
        one.netlink.ensure_bridge("lo", &LinkSettings::up()).await,
        Err(Error::OtherKind { .. })
    ));
    assert!(one.netlink.link("x").await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_link_is_removed_once_and_its_other_end_with_it() -> Result<()> {
    let (one, other) = (Scratch::new("one").await?, Scratch::new("other").await?);
    join(&one, "eth0", &other, "eth0").await?;
    assert!(one.netlink.remove_link("eth0").await?);
    assert!(!one.netlink.remove_link("eth0").await?);
    assert!(other.netlink.link("eth0").await?.is_none());
    Ok(())
}

#[tokio::test]
async fn deleting_a_namespace_leaves_nothing_of_it_elsewhere() -> Result<()> {
    let outside = Scratch::new("outside").await?;
    let inside = Scratch::new("inside").await?;
    outside.netlink.ensure_bridge("br0", &LinkSettings::up()).await?;
    let port = end(&outside, "port", LinkSettings::up().bridge("br0"));
    ensure_veth(&end(&inside, "eth0", LinkSettings::up()), &port).await?;
    let port_is_there = || -> Result<bool> {
        let devices = outside.namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/dev"))??;
        Ok(devices.contains("port:"))
    };
    assert!(port_is_there()?);
    assert!(Namespace::delete(inside.namespace.name())?);
    drop(inside);
    // The kernel cleans up after the last user, in its own time.
    eventually(|| Ok(!port_is_there()?)).await.context("the outer end is still there")
}

#[tokio::test]
async fn what_is_missing_is_named() -> Result<()> {
    let scratch = Scratch::new("missing").await?;
    assert!(scratch.netlink.link("eth7").await?.is_none());
    let missing = scratch.netlink.ensure_link("eth7", &LinkSettings::up()).await;
    let Err(error @ Error::NoLink { .. }) = missing else { panic!("{missing:?}") };
    assert!(error.to_string().contains("eth7") && error.to_string().contains("missing"), "{error}");
    for name in ["", "..", "a/b", "a b", "sixteen-bytes-xx"] {
        assert!(matches!(scratch.netlink.link(name).await, Err(Error::LinkName { .. })), "{name:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_written_on_a_bridge_is_its_makers() -> Result<()> {
    let scratch = Scratch::new("alias").await?;
    let ours = || LinkSettings::up().alias("ours");
    assert!(scratch.netlink.ensure_bridge("br0", &ours()).await?);
    assert!(!scratch.netlink.ensure_bridge("br0", &LinkSettings::up().alias("another's")).await?);
    assert_eq!(scratch.netlink.existing_link("br0").await?.alias.as_deref(), Some("ours"));
    scratch.netlink.ensure_bridge("br1", &LinkSettings::up()).await?;
    scratch.netlink.ensure_bridge("br1", &ours()).await?;
    assert_eq!(scratch.netlink.existing_link("br1").await?.alias, None);
    assert!(scratch.netlink.ensure_link("br1", &ours()).await?);
    assert_eq!(scratch.netlink.existing_link("br1").await?.alias.as_deref(), Some("ours"));
    assert!(!scratch.netlink.ensure_link("br1", &ours()).await?);
    Ok(())
}
