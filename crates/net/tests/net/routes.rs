use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;

use anyhow::Result;
use ipnet::IpNet;
use karez_net::{Error, MAIN_TABLE, Netlink, PROTOCOL, Route};
use rtnetlink::RouteMessageBuilder;

use crate::scratch::{Journey, Scratch, join};

async fn pair() -> Result<(Scratch, Scratch)> {
    let (one, other) = (Scratch::new("one").await?, Scratch::new("other").await?);
    join(&one, "eth0", &other, "eth0").await?;
    one.address("eth0", &["10.0.0.1/24", "fd01::1/64"]).await?;
    Ok((one, other))
}

async fn ours(netlink: &Netlink) -> Result<Vec<Route>> {
    let routes = netlink.routes().await?;
    Ok(routes.into_iter().filter(|found| found.protocol == PROTOCOL).map(|found| found.route).collect())
}

/// A route that somebody else makes.
async fn foreign(scratch: &Scratch, destination: &str, gateway: &str) -> Result<()> {
    let net: IpNet = destination.parse()?;
    let route = RouteMessageBuilder::<IpAddr>::new()
        .destination_prefix(net.addr(), net.prefix_len())?
        .gateway(gateway.parse()?)?
        .build();
    scratch.foreign_route(route).await
}

#[tokio::test]
async fn packets_find_their_way_over_default_routes() -> Result<()> {
    let journey = Journey::new().await?;
    assert!(journey.host.pings("192.168.9.1")?);
    assert!(journey.host.pings("fd09::1")?);
    assert!(!journey.host.netlink.ensure_route(&Route::default_via("10.0.1.1".parse()?)).await?);
    assert!(!journey.host.netlink.ensure_route(&Route::default_via("fd01::1".parse()?)).await?);
    Ok(())
}

#[tokio::test]
async fn a_default_route_over_another_gateway_takes_the_place_of_ours() -> Result<()> {
    let (one, _other) = pair().await?;
    for gateways in [["10.0.0.8", "10.0.0.9"], ["fd01::8", "fd01::9"]] {
        for gateway in gateways {
            assert!(one.netlink.ensure_route(&Route::default_via(gateway.parse()?)).await?);
        }
        let found = ours(&one.netlink).await?;
        let found: Vec<_> =
            found.iter().filter_map(|route| route.gateway).map(|gateway| gateway.to_string()).collect();
        assert_eq!(
            found.iter().filter(|found| gateways.contains(&found.as_str())).collect::<Vec<_>>(),
            [gateways[1]]
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_set_of_our_routes_is_exact_and_others_stay() -> Result<()> {
    let (one, _other) = pair().await?;
    foreign(&one, "10.99.0.0/16", "10.0.0.9").await?;
    foreign(&one, "fd99::/64", "fd01::9").await?;
    let others = |netlink: Netlink| async move {
        let routes = netlink.routes().await?;
        anyhow::Ok(routes.into_iter().filter(|found| found.protocol != PROTOCOL).collect::<Vec<_>>())
    };
    let before = others(one.netlink.clone()).await?;
    let net = |text: &str| text.parse().expect("a network");
    let gateway = |text: &str| text.parse().expect("an address");
    let first = BTreeSet::from([
        Route::via(net("10.1.0.0/16"), gateway("10.0.0.9")),
        Route::via(net("10.2.0.0/16"), gateway("10.5.0.1")),
        Route::over(net("10.5.0.0/24"), "eth0"),
        Route::over(net("fd05::/64"), "eth0").metric(7),
        Route::via(net("fd06::/64"), gateway("fd01::9")).table(1000),
    ]);
    assert!(one.netlink.ensure_routes(&first).await?, "also where a gateway is reached by another of them");
    assert!(!one.netlink.ensure_routes(&first).await?);
    assert_eq!(ours(&one.netlink).await?.len(), first.len());
    let second = BTreeSet::from([
        Route::via(net("10.1.0.0/16"), gateway("10.0.0.10")),
        Route::via(net("fd06::/64"), gateway("fd01::10")).table(1000).metric(1024),
    ]);
    assert!(one.netlink.ensure_routes(&second).await?);
    let linked: Vec<_> = second.iter().map(|route| route.clone().link("eth0")).collect();
    assert_eq!(ours(&one.netlink).await?, linked);
    assert!(one.netlink.ensure_routes(&BTreeSet::new()).await?);
    assert!(ours(&one.netlink).await?.is_empty());
    assert_eq!(others(one.netlink.clone()).await?, before);
    Ok(())
}

#[tokio::test]
async fn somebody_elses_route_is_good_enough_or_in_the_way_but_never_replaced() -> Result<()> {
    let (one, _other) = pair().await?;
    foreign(&one, "0.0.0.0/0", "10.0.0.9").await?;
    assert!(!one.netlink.ensure_route(&Route::default_via("10.0.0.9".parse()?)).await?);
    let refused = one.netlink.ensure_route(&Route::default_via("10.0.0.8".parse()?)).await;
    let Err(error @ Error::RouteTaken { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("0.0.0.0/0"), "{error}");
    assert!(one.netlink.ensure_route(&Route::default_via("10.0.0.8".parse()?).metric(50)).await?);
    assert!(!one.netlink.remove_route(&Route::default_via("10.0.0.9".parse()?)).await?, "not ours");
    Ok(())
}

#[tokio::test]
async fn a_route_is_removed_once() -> Result<()> {
    let (one, _other) = pair().await?;
    let route = Route::via("10.7.0.0/16".parse()?, "10.0.0.9".parse()?);
    assert!(one.netlink.ensure_route(&route).await?);
    assert!(one.netlink.remove_route(&route).await?);
    assert!(!one.netlink.remove_route(&route).await?);
    Ok(())
}

#[tokio::test]
async fn a_route_that_cannot_be_is_explained() -> Result<()> {
    let (one, _other) = pair().await?;
    let unreachable = Route::via("10.7.0.0/16".parse()?, "172.16.0.1".parse()?);
    let error = one.netlink.ensure_route(&unreachable).await.expect_err("no way to the gateway");
    assert!(error.to_string().contains("add the route to 10.7.0.0/16"), "{error}");
    let missing = one.netlink.ensure_route(&Route::over("10.7.0.0/16".parse()?, "eth7")).await;
    assert!(matches!(missing, Err(Error::NoLink { .. })), "{missing:?}");
    Ok(())
}

#[tokio::test]
async fn one_route_that_cannot_be_does_not_keep_the_others_from_it() -> Result<()> {
    let (one, _other) = pair().await?;
    let old = Route::via("10.6.0.0/16".parse()?, "10.0.0.9".parse()?);
    one.netlink.ensure_route(&old).await?;
    let good = Route::via("10.8.0.0/16".parse()?, "10.0.0.9".parse()?);
    let unreachable = Route::via("10.7.0.0/16".parse()?, "172.16.0.1".parse()?);
    let outcome = one.netlink.ensure_routes(&BTreeSet::from([unreachable, good.clone()])).await;
    assert!(matches!(outcome, Err(Error::System { .. })), "{outcome:?}");
    assert_eq!(ours(&one.netlink).await?, [good.link("eth0")]);
    Ok(())
}

#[tokio::test]
async fn routes_of_the_kernel_are_seen_with_their_table() -> Result<()> {
    let (one, _other) = pair().await?;
    let routes = one.netlink.routes().await?;
    let connected = routes.iter().find(|found| found.route.destination.to_string() == "10.0.0.0/24");
    let connected = connected.expect("the link's own network");
    assert_eq!((connected.route.table, connected.route.link.as_deref()), (MAIN_TABLE, Some("eth0")));
    assert!(routes.iter().all(|found| found.route.destination.to_string() != "10.0.0.1/32"), "no local ones");
    Ok(())
}

#[tokio::test]
async fn the_kernel_says_which_way_a_packet_of_ours_would_go() -> Result<()> {
    let (one, _other) = pair().await?;
    let link = one.netlink.existing_link("eth0").await?.index;
    let own = |v6: bool| if v6 { "fd01::1" } else { "10.0.0.1" };
    for (to, gateway) in [("192.0.2.1", "10.0.0.2"), ("2001:db8::1", "fd01::2")] {
        let (from, to): (IpAddr, IpAddr) = (own(to.contains(':')).parse()?, to.parse()?);
        assert_eq!(one.netlink.way(from, gateway.parse()?, 500).await?, Some(link));
        assert_eq!(one.netlink.way(from, to, 4500).await?, None, "{to}");
        one.netlink.ensure_route(&Route::default_via(gateway.parse()?)).await?;
        assert_eq!(one.netlink.way(from, to, 4500).await?, Some(link), "{to}");
    }
    let (from, to) = (own(false).parse()?, "198.51.100.1".parse()?);
    for arguments in [
        "route add unreachable 198.51.100.0/24",
        "route add 198.51.100.0/24 via 10.0.0.2 table 77",
        "rule add ipproto udp dport 4500 lookup 77",
    ] {
        one.output(Command::new("ip").args(arguments.split(' ')))?;
    }
    assert_eq!(one.netlink.way(from, to, 4500).await?, Some(link));
    assert_eq!(one.netlink.way(from, to, 500).await?, None);

    let holders = one.netlink.holders().await?;
    let ours: Vec<_> = holders.into_iter().map(|(address, links)| (address.to_string(), links)).collect();
    assert_eq!(ours, [("10.0.0.1".to_owned(), [link].into()), ("fd01::1".to_owned(), [link].into())]);
    Ok(())
}
