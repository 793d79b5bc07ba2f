use anyhow::{Context, Result};
use karez_net::{LinkSettings, Mac, VethEnd, ensure_veth};

use crate::scratch::{Scratch, eventually, join};

/// The hardware address that a host has learnt for an IPv4 address.
fn learnt(scratch: &Scratch, address: &str) -> Result<Option<Mac>> {
    let table = scratch.namespace.run(|| std::fs::read_to_string("/proc/thread-self/net/arp"))??;
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(address));
    line.and_then(|line| line.split_whitespace().nth(3))
        .map(|mac| mac.parse().context("a table of the kernel"))
        .transpose()
}

#[tokio::test]
async fn neighbours_learn_where_an_address_went_without_asking() -> Result<()> {
    let (bridge, host) = (Scratch::new("bridge").await?, Scratch::new("host").await?);
    let (before, after) = (Scratch::new("before").await?, Scratch::new("after").await?);
    bridge.netlink.ensure_bridge("br0", &LinkSettings::up()).await?;
    for (scratch, port) in [(&host, "p1"), (&before, "p2"), (&after, "p3")] {
        let settings = LinkSettings::up().bridge("br0");
        let inner = VethEnd { netlink: &scratch.netlink, name: "eth0", settings: LinkSettings::up() };
        ensure_veth(&inner, &VethEnd { netlink: &bridge.netlink, name: port, settings }).await?;
    }
    host.address("eth0", &["10.0.0.9/24"]).await?;
    before.address("eth0", &["10.0.0.1/24"]).await?;
    assert!(host.pings("10.0.0.1")?);
    assert_eq!(learnt(&host, "10.0.0.1")?, before.netlink.existing_link("eth0").await?.mac);

    before.netlink.remove_link("eth0").await?;
    after.address("eth0", &["10.0.0.1/24", "fd01::1/64"]).await?;
    after.netlink.announce("eth0").await?;
    let moved = after.netlink.existing_link("eth0").await?.mac;
    eventually(|| Ok(learnt(&host, "10.0.0.1")? == moved)).await?;
    Ok(())
}

#[tokio::test]
async fn a_link_that_is_not_there_announces_nothing() -> Result<()> {
    let (one, other) = (Scratch::new("one").await?, Scratch::new("other").await?);
    join(&one, "eth0", &other, "eth0").await?;
    assert!(one.netlink.announce("eth7").await.is_err());
    one.netlink.announce("eth0").await?;
    Ok(())
}
