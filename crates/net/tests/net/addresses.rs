use std::net::{Ipv4Addr, UdpSocket};

use anyhow::Result;
use karez_net::{Error, LinkSettings, Netlink, VethEnd, ensure_veth};
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::RouteScope;

use crate::scratch::{Scratch, join, nets};

async fn pair() -> Result<(Scratch, Scratch)> {
    let (one, other) = (Scratch::new("one").await?, Scratch::new("other").await?);
    join(&one, "eth0", &other, "eth0").await?;
    Ok((one, other))
}

#[tokio::test]
async fn a_link_has_exactly_the_addresses_that_were_asked_for() -> Result<()> {
    let (one, _other) = pair().await?;
    let first = nets(&["10.0.0.1/24", "10.0.0.2/24", "192.168.0.1/32", "fd01::1/64"]);
    assert!(one.netlink.ensure_addresses("eth0", &first).await?);
    assert!(!one.netlink.ensure_addresses("eth0", &first).await?);
    assert_eq!(one.netlink.addresses("eth0").await?, first);
    let second = nets(&["10.0.0.2/24", "fd01::2/64", "fd01::3/128"]);
    assert!(one.netlink.ensure_addresses("eth0", &second).await?);
    assert_eq!(one.netlink.addresses("eth0").await?, second);
    assert!(!one.netlink.ensure_addresses("eth0", &second).await?);
    assert!(one.netlink.ensure_addresses("eth0", &nets(&[])).await?);
    assert_eq!(one.netlink.addresses("eth0").await?, nets(&[]));
    Ok(())
}

/// The kernel's default takes the second address of a network away with the first, and the routes from it.
#[tokio::test]
async fn an_address_stays_when_the_first_of_its_network_goes() -> Result<()> {
    let (one, _other) = pair().await?;
    one.address("eth0", &["10.0.0.1/24", "10.0.0.2/24"]).await?;
    let from_second = RouteMessageBuilder::<Ipv4Addr>::new()
        .destination_prefix("10.99.0.0".parse()?, 16)
        .output_interface(one.netlink.existing_link("eth0").await?.index)
        .pref_source("10.0.0.2".parse()?)
        .scope(RouteScope::Link)
        .build();
    one.foreign_route(from_second).await?;
    one.address("eth0", &["10.0.0.2/24"]).await?;
    assert_eq!(one.netlink.addresses("eth0").await?, nets(&["10.0.0.2/24"]));
    let routes = one.netlink.routes().await?;
    assert!(routes.iter().any(|found| found.route.destination.to_string() == "10.99.0.0/16"));
    Ok(())
}

#[tokio::test]
async fn an_ipv6_address_is_usable_at_once() -> Result<()> {
    let (one, other) = (Scratch::new("one").await?, Scratch::new("other").await?);
    // Also on a link that looks for duplicates of others.
    let settings = LinkSettings { up: true, ..LinkSettings::default() };
    let end = |scratch| VethEnd { netlink: scratch, name: "eth0", settings: settings.clone() };
    ensure_veth(&end(&one.netlink), &end(&other.netlink)).await?;
    one.address("eth0", &["fd01::1/64"]).await?;
    one.namespace.run(|| UdpSocket::bind("[fd01::1]:0"))??;
    Ok(())
}

#[tokio::test]
async fn another_links_addresses_and_those_of_the_link_itself_stay() -> Result<()> {
    let (one, _other) = pair().await?;
    one.address("eth0", &["10.0.0.1/24"]).await?;
    assert!(one.netlink.ensure_addresses("lo", &nets(&["10.9.9.9/32"])).await?);
    assert_eq!(one.netlink.addresses("eth0").await?, nets(&["10.0.0.1/24"]));
    assert!(one.pings("127.0.0.1")?);
    Ok(())
}

#[tokio::test]
async fn a_link_that_is_not_there_has_no_addresses() -> Result<()> {
    let scratch = Scratch::new("missing").await?;
    let other = Netlink::open(&scratch.namespace).await?;
    assert!(matches!(other.addresses("eth0").await, Err(Error::NoLink { .. })));
    assert!(matches!(other.ensure_addresses("eth0", &nets(&[])).await, Err(Error::NoLink { .. })));
    Ok(())
}
