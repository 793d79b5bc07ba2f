//! Nothing between a pair leaves, or is let in, in the clear.
//!
//! The kernel's own IPsec is not in every kernel, so that what it protects is not shown here; what it does not is.

use anyhow::Result;
use karez_net::Route;
use karez_net::nft::{
    Chain, Hook, PairSet, Rule, Table, counters, drop_unless_came_from, drop_unless_came_protected,
    drop_unless_leaves_protected, drop_unless_leaves_through, priority,
};

use crate::nft_live::pairs;
use crate::scratch::{Journey, Scratch, join};
use crate::traffic::{arrives, udp};

const OUT: &str = "left-in-the-clear";
const IN: &str = "came-in-the-clear";
const ENDS: [(&str, &str); 2] = [("10.0.1.2", "192.168.9.1"), ("fd01::2", "fd09::1")];

type Shape = fn(&PairSet) -> Rule;

/// A router that lets the pairs' packets leave and come in only as these rules say.
async fn protect(router: &Scratch, leaving: Shape, coming: Shape) -> Result<()> {
    let mut table = Table::new("karez-test");
    let set =
        table.add_pairs("tunnel", pairs(&[("10.0.1.0/24", "192.168.9.0/24"), ("fd01::/64", "fd09::/64")]));
    let chain = |name, hook| Chain::filter(name, hook, priority::FILTER);
    table.add_chain(chain("forward", Hook::Forward).rule(leaving(&set)).rule(coming(&set)));
    table.add_chain(chain("output", Hook::Output).rule(leaving(&set)));
    table.add_chain(chain("input", Hook::Input).rule(coming(&set)));
    table.ensure(&router.namespace).await?;
    Ok(())
}

async fn dropped(router: &Scratch) -> Result<(u64, u64)> {
    let counts = counters(&router.namespace, "karez-test").await?;
    Ok((counts[OUT].packets, counts[IN].packets))
}

/// A second link between the router and the far side, of a name that only protected packets use.
async fn tunnel(journey: &Journey) -> Result<()> {
    join(&journey.router, "ipsec0", &journey.beyond, "tunnel").await?;
    journey.router.address("ipsec0", &["203.0.114.1/24", "fd04::1/64"]).await?;
    journey.beyond.address("tunnel", &["203.0.114.2/24", "fd04::2/64"]).await
}

async fn route_through_tunnel(journey: &Journey) -> Result<()> {
    for (scratch, networks, gateways) in [
        (&journey.router, ["192.168.9.0/24", "fd09::/64"], ["203.0.114.2", "fd04::2"]),
        (&journey.beyond, ["10.0.1.0/24", "fd01::/64"], ["203.0.114.1", "fd04::1"]),
    ] {
        for (network, gateway) in networks.into_iter().zip(gateways) {
            scratch.netlink.ensure_route(&Route::via(network.parse()?, gateway.parse()?)).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_does_not_go_through_the_tunnel_is_dropped_and_counted_both_ways() -> Result<()> {
    let journey = Journey::new().await?;
    tunnel(&journey).await?;
    protect(
        &journey.router,
        |set| drop_unless_leaves_through(set, "ipsec*", OUT),
        |set| drop_unless_came_from(set, "ipsec*", IN),
    )
    .await?;
    for (near, far) in ENDS {
        let (near, far) = (udp(&journey.host, near)?, udp(&journey.beyond, far)?);
        assert!(!arrives(&near, &far)?);
        assert!(!arrives(&far, &near)?);
    }
    assert_eq!(dropped(&journey.router).await?, (2, 2));
    let other = (udp(&journey.host, "10.0.1.2")?, udp(&journey.beyond, "192.168.8.1")?);
    assert!(arrives(&other.0, &other.1)? && arrives(&other.1, &other.0)?, "others are not concerned");

    route_through_tunnel(&journey).await?;
    for (near, far) in ENDS {
        let (near, far) = (udp(&journey.host, near)?, udp(&journey.beyond, far)?);
        assert!(arrives(&near, &far)?);
        assert!(arrives(&far, &near)?);
    }
    assert_eq!(dropped(&journey.router).await?, (2, 2));
    Ok(())
}

#[tokio::test]
async fn the_routers_own_packets_are_held_to_it_too() -> Result<()> {
    let journey = Journey::new().await?;
    protect(
        &journey.router,
        |set| drop_unless_leaves_through(set, "ipsec*", OUT),
        |set| drop_unless_came_from(set, "ipsec*", IN),
    )
    .await?;
    let (own, far) = (udp(&journey.router, "10.0.1.1")?, udp(&journey.beyond, "192.168.9.1")?);
    let refused = own.send_to(b"hello", far.local_addr()?);
    assert_eq!(refused.map_err(|error| error.kind()), Err(std::io::ErrorKind::PermissionDenied));
    assert!(!arrives(&far, &own)?);
    assert_eq!(dropped(&journey.router).await?, (1, 1));
    Ok(())
}

#[tokio::test]
async fn what_the_kernels_ipsec_does_not_protect_is_dropped_and_counted_both_ways() -> Result<()> {
    let journey = Journey::new().await?;
    protect(
        &journey.router,
        |set| drop_unless_leaves_protected(set, OUT),
        |set| drop_unless_came_protected(set, IN),
    )
    .await?;
    for (near, far) in ENDS {
        let (near, far) = (udp(&journey.host, near)?, udp(&journey.beyond, far)?);
        assert!(!arrives(&near, &far)?);
        assert!(!arrives(&far, &near)?);
    }
    assert_eq!(dropped(&journey.router).await?, (2, 2));
    let other = (udp(&journey.host, "10.0.1.2")?, udp(&journey.beyond, "192.168.8.1")?);
    assert!(arrives(&other.0, &other.1)? && arrives(&other.1, &other.0)?, "others are not concerned");
    Ok(())
}
