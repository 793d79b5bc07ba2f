//! Who sees which source: masquerading with exceptions, and exceptions from other people's masquerading.

use anyhow::Result;
use karez_net::nft::{Action, Chain, Condition, Hook, Rule, Table, keep_source, masquerade_except, priority};
use karez_net::{conntrack, nft};

use crate::nft_live::pairs;
use crate::scratch::Journey;
use crate::traffic::{arrives, source_seen, udp};

const EXEMPT: [(&str, &str); 2] = [("10.0.1.0/24", "192.168.9.0/24"), ("fd01::/64", "fd09::/64")];

/// What neutron, docker and many others do, by iptables as well as by nft.
const FOREIGN_MASQUERADE: &str = "
    add table ip foreign
    add chain ip foreign post { type nat hook postrouting priority 100; }
    add rule ip foreign post oifname ex0 masquerade
    add table ip6 foreign
    add chain ip6 foreign post { type nat hook postrouting priority 100; }
    add rule ip6 foreign post oifname ex0 masquerade
";

/// The source that the far side sees of a packet from the host to this address.
fn seen(journey: &Journey, to: &str) -> Result<String> {
    let from = if to.contains(':') { "fd01::2" } else { "10.0.1.2" };
    Ok(source_seen(&udp(&journey.host, from)?, &udp(&journey.beyond, to)?)?.to_string())
}

fn exemption(priority: i32, action: Action) -> Table {
    let mut table = Table::new("karez-test");
    let set = table.add_pairs("exempt", pairs(&EXEMPT));
    let rule = Rule::new([Condition::Between(set)], action);
    table.add_chain(Chain::nat("postrouting", Hook::Postrouting, priority).rule(rule));
    table
}

#[tokio::test]
async fn everything_that_leaves_is_masqueraded_except_pairs() -> Result<()> {
    let journey = Journey::new().await?;
    let mut table = Table::new("karez-test");
    let set = table.add_pairs("exempt", pairs(&EXEMPT));
    let chain = Chain::nat("postrouting", Hook::Postrouting, priority::SOURCE_NAT);
    table.add_chain(chain.rule(masquerade_except("ex0", &set)));
    table.ensure(&journey.router.namespace).await?;
    assert_eq!(seen(&journey, "192.168.9.1")?, "10.0.1.2");
    assert_eq!(seen(&journey, "192.168.8.1")?, "203.0.113.1");
    assert_eq!(seen(&journey, "fd09::1")?, "fd01::2");
    assert_eq!(seen(&journey, "fd03::2")?, "fd03::1");
    Ok(())
}

#[tokio::test]
async fn without_exceptions_everything_is_masqueraded() -> Result<()> {
    let journey = Journey::new().await?;
    let mut table = Table::new("karez-test");
    let none = table.add_pairs("exempt", pairs(&[]));
    let chain = Chain::nat("postrouting", Hook::Postrouting, priority::SOURCE_NAT);
    table.add_chain(chain.rule(keep_source(&none)).rule(masquerade_except("ex0", &none)));
    table.ensure(&journey.router.namespace).await?;
    assert_eq!(seen(&journey, "192.168.9.1")?, "203.0.113.1");
    assert_eq!(seen(&journey, "fd09::1")?, "fd03::1");
    Ok(())
}

#[tokio::test]
async fn a_source_is_translated_to_a_given_address() -> Result<()> {
    let journey = Journey::new().await?;
    journey.router.address("ex0", &["203.0.113.1/24", "203.0.113.9/32", "fd03::1/64"]).await?;
    let mut table = Table::new("karez-test");
    let rule = Rule::new(
        [Condition::LeavesThrough("ex*".to_owned()), Condition::Protocol(17)],
        Action::SourceNat("203.0.113.9".parse()?),
    );
    table.add_chain(Chain::nat("postrouting", Hook::Postrouting, priority::SOURCE_NAT).rule(rule));
    table.ensure(&journey.router.namespace).await?;
    assert_eq!(seen(&journey, "192.168.9.1")?, "203.0.113.9");
    assert_eq!(seen(&journey, "fd09::1")?, "fd01::2", "an IPv4 address is none for IPv6");
    Ok(())
}

#[tokio::test]
async fn accepting_in_one_nat_chain_does_not_exempt_from_another() -> Result<()> {
    let journey = Journey::new().await?;
    journey.router.foreign_nft(FOREIGN_MASQUERADE)?;
    exemption(priority::NAT_EXEMPTION, Action::Accept).ensure(&journey.router.namespace).await?;
    assert_eq!(seen(&journey, "192.168.9.1")?, "203.0.113.1");
    assert_eq!(seen(&journey, "fd09::1")?, "fd03::1");
    Ok(())
}

#[tokio::test]
async fn a_source_that_is_kept_is_exempt_from_everybodys_masquerading() -> Result<()> {
    let journey = Journey::new().await?;
    journey.router.foreign_nft(FOREIGN_MASQUERADE)?;
    exemption(priority::NAT_EXEMPTION, Action::KeepSource).ensure(&journey.router.namespace).await?;
    assert_eq!(seen(&journey, "192.168.9.1")?, "10.0.1.2");
    assert_eq!(seen(&journey, "192.168.8.1")?, "203.0.113.1");
    assert_eq!(seen(&journey, "fd09::1")?, "fd01::2");
    assert_eq!(seen(&journey, "fd03::2")?, "fd03::1");
    assert!(journey.host.pings("192.168.9.1")? && journey.host.pings("fd09::1")?);
    Ok(())
}

#[tokio::test]
async fn a_source_that_is_kept_too_late_is_not() -> Result<()> {
    let journey = Journey::new().await?;
    journey.router.foreign_nft(FOREIGN_MASQUERADE)?;
    exemption(priority::SOURCE_NAT + 1, Action::KeepSource).ensure(&journey.router.namespace).await?;
    assert_eq!(seen(&journey, "192.168.9.1")?, "203.0.113.1");
    Ok(())
}

#[tokio::test]
async fn a_connection_from_before_the_exemption_stays_translated_until_it_is_forgotten() -> Result<()> {
    let journey = Journey::new().await?;
    journey.router.foreign_nft(FOREIGN_MASQUERADE)?;
    let exempt = [("10.0.1.2", "192.168.9.1", "203.0.113.1"), ("fd01::2", "fd09::1", "fd03::1")];
    let other = (udp(&journey.host, "10.0.1.2")?, udp(&journey.beyond, "192.168.8.1")?);
    let flow = |(from, to, masked): &(&str, &str, &str)| -> Result<_> {
        let flow = (udp(&journey.host, from)?, udp(&journey.beyond, to)?);
        assert_eq!(source_seen(&flow.0, &flow.1)?.to_string(), *masked);
        Ok((flow.0, flow.1, (*from).to_owned(), (*masked).to_owned()))
    };
    let flows: Vec<_> = exempt.iter().map(flow).collect::<Result<_>>()?;
    assert_eq!(source_seen(&other.0, &other.1)?.to_string(), "203.0.113.1");

    exemption(priority::NAT_EXEMPTION, Action::KeepSource).ensure(&journey.router.namespace).await?;
    for (sender, receiver, _, masked) in &flows {
        assert_eq!(source_seen(sender, receiver)?.to_string(), *masked);
    }
    assert_eq!(conntrack::forget_translated(&journey.router.namespace, pairs(&EXEMPT)).await?, 2);
    for (sender, receiver, own, _) in &flows {
        assert_eq!(source_seen(sender, receiver)?.to_string(), *own);
    }
    assert_eq!(conntrack::forget_translated(&journey.router.namespace, pairs(&EXEMPT)).await?, 0);
    assert_eq!(source_seen(&other.0, &other.1)?.to_string(), "203.0.113.1", "others go on as they were");

    // And back.
    nft::remove(&journey.router.namespace, "karez-test").await?;
    for (sender, receiver, own, _) in &flows {
        assert_eq!(source_seen(sender, receiver)?.to_string(), *own);
    }
    assert_eq!(conntrack::forget_exempt(&journey.router.namespace, pairs(&EXEMPT)).await?, 2);
    for (sender, receiver, _, masked) in &flows {
        assert_eq!(source_seen(sender, receiver)?.to_string(), *masked);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_tracked_is_not_translated_even_if_it_was_before() -> Result<()> {
    let journey = Journey::new().await?;
    journey.router.foreign_nft(FOREIGN_MASQUERADE)?;
    let (sender, receiver) = (udp(&journey.host, "10.0.1.2")?, udp(&journey.beyond, "192.168.9.1")?);
    assert_eq!(source_seen(&sender, &receiver)?.to_string(), "203.0.113.1");
    let mut table = Table::new("karez-test");
    let set = table.add_pairs("exempt", pairs(&EXEMPT));
    let rule = Rule::new([Condition::Between(set)], Action::NoTrack);
    table.add_chain(Chain::filter("prerouting", Hook::Prerouting, priority::RAW).rule(rule));
    table.ensure(&journey.router.namespace).await?;
    assert_eq!(source_seen(&sender, &receiver)?.to_string(), "10.0.1.2");
    assert_eq!(seen(&journey, "fd09::1")?, "fd01::2");
    Ok(())
}

#[tokio::test]
async fn a_destination_can_be_another_than_the_one_that_was_sent_to() -> Result<()> {
    let journey = Journey::new().await?;
    let mut table = Table::new("karez-test");
    let mut chain = Chain::nat("prerouting", Hook::Prerouting, priority::DESTINATION_NAT);
    for (name, shown, meant) in [("v4", "198.51.100.7", "192.168.9.1"), ("v6", "fd77::7", "fd09::1")] {
        let everywhere = if shown.contains(':') { "::/0" } else { "0.0.0.0/0" };
        let single = if shown.contains(':') { "128" } else { "32" };
        let set = table.add_pairs(name, pairs(&[(everywhere, &format!("{shown}/{single}"))]));
        let rule = Rule::new([Condition::Between(set)], Action::DestinationNat(meant.parse()?));
        chain = chain.rule(rule);
    }
    table.add_chain(chain);
    table.ensure(&journey.router.namespace).await?;
    for (from, shown, meant) in
        [("10.0.1.2", "198.51.100.7", "192.168.9.1"), ("fd01::2", "fd77::7", "fd09::1")]
    {
        let (sender, receiver) = (udp(&journey.host, from)?, udp(&journey.beyond, meant)?);
        let port = receiver.local_addr()?.port();
        sender.send_to(b"hello", (shown.parse::<std::net::IpAddr>()?, port))?;
        let (_, source) = receiver.recv_from(&mut [0; 16])?;
        assert_eq!(source.ip().to_string(), from);
        // And the answer comes from whom was asked.
        receiver.send_to(b"hello", source)?;
        assert_eq!(sender.recv_from(&mut [0; 16])?.1.ip().to_string(), shown);
    }
    Ok(())
}

#[tokio::test]
async fn rules_can_be_about_udp_ports_and_about_how_neighbours_are_found() -> Result<()> {
    let journey = Journey::new().await?;
    let (sender, receiver) = (udp(&journey.host, "fd01::2")?, udp(&journey.beyond, "fd03::2")?);
    let (from, to) = (sender.local_addr()?.port(), receiver.local_addr()?.port());
    let mut table = Table::new("karez-test");
    let passing = [
        Rule::new([Condition::NeighbourDiscovery], Action::Accept),
        Rule::new([Condition::UdpSourcePort(from), Condition::UdpDestinationPort(to)], Action::Accept),
        Rule::new([], Action::Drop),
    ];
    for (name, hook) in [("in", Hook::Input), ("out", Hook::Output), ("through", Hook::Forward)] {
        table.add_chain(Chain::filter(name, hook, priority::FILTER).rules(passing.clone()));
    }
    table.ensure(&journey.router.namespace).await?;
    assert!(arrives(&sender, &receiver)?, "neighbours are found, and the ports pass");
    assert!(!arrives(&receiver, &sender)?, "the ports are the other way round");
    Ok(())
}
