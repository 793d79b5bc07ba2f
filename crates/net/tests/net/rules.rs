use std::collections::BTreeSet;

use anyhow::Result;
use karez_net::{Route, RoutingRule};

use crate::scratch::{Journey, Scratch, join};
use crate::traffic::{arrives, udp};

fn rule(from: &str, to: &str) -> RoutingRule {
    RoutingRule { priority: 100, from: from.parse().unwrap(), to: to.parse().unwrap(), table: 200 }
}

#[tokio::test]
async fn the_set_of_our_rules_is_exact() -> Result<()> {
    let scratch = Scratch::new("rules").await?;
    let first = BTreeSet::from([
        rule("10.0.1.0/24", "192.168.9.0/24"),
        rule("0.0.0.0/0", "192.168.9.0/24"),
        rule("fd01::/64", "::/0"),
        RoutingRule { table: 70_000, priority: 7, ..rule("10.0.1.0/24", "192.168.9.0/24") },
    ]);
    assert!(scratch.netlink.ensure_rules(&first).await?);
    assert!(!scratch.netlink.ensure_rules(&first).await?);
    assert_eq!(scratch.netlink.rules().await?.into_iter().collect::<BTreeSet<_>>(), first);
    let second = BTreeSet::from([rule("10.0.1.0/24", "192.168.9.0/24")]);
    assert!(scratch.netlink.ensure_rules(&second).await?);
    assert_eq!(scratch.netlink.rules().await?, Vec::from_iter(second));
    assert!(scratch.netlink.ensure_rules(&BTreeSet::new()).await?);
    assert!(scratch.pings("127.0.0.1")?, "the kernel's own are still there");
    Ok(())
}

#[tokio::test]
async fn packets_of_a_pair_take_another_way_than_others_to_the_same_destination() -> Result<()> {
    let journey = Journey::new().await?;
    let elsewhere = Scratch::new("elsewhere").await?;
    join(&journey.router, "other0", &elsewhere, "eth0").await?;
    journey.router.address("other0", &["203.0.115.1/24"]).await?;
    elsewhere.address("eth0", &["203.0.115.2/24"]).await?;
    elsewhere.address("lo", &["192.168.9.1/32"]).await?;
    let rules = BTreeSet::from([rule("10.0.1.2/32", "192.168.9.0/24")]);
    journey.router.netlink.ensure_rules(&rules).await?;
    let route = Route::via("192.168.9.0/24".parse()?, "203.0.115.2".parse()?).table(200);
    journey.router.netlink.ensure_route(&route).await?;

    let (far, other) = (udp(&journey.beyond, "192.168.9.1")?, udp(&elsewhere, "192.168.9.1")?);
    assert!(arrives(&udp(&journey.host, "10.0.1.2")?, &other)?);
    journey.host.address("eth0", &["10.0.1.2/24", "10.0.1.3/24", "fd01::2/64"]).await?;
    assert!(arrives(&udp(&journey.host, "10.0.1.3")?, &far)?);
    Ok(())
}
