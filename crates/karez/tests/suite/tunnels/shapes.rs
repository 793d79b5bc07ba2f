//! Tunnels of other shapes than the usual one: IPv6, several networks at each end, a NAT in between.

use crate::tunnels::stage::{UP, binary, first, net, second};
use crate::tunnels::told::{reaches, settled};
use anyhow::Result;
use karez_scene::{Address, Cloud, Connection, End, Ground, Internet, Lan, Peer, Wish, needs, random_key};
use serde_json::json;
use std::net::IpAddr;

#[test]
fn ipv6_in_ipv6() -> Result<()> {
    needs::check()?;
    let ground = Ground::claim("ipv6")?;
    let internet = Internet::build(&ground)?;
    let address = |cloud, outer: &str, subnet, host: &str| {
        Ok::<_, anyhow::Error>(Address {
            cloud,
            outer: outer.parse()?,
            subnet: net(subnet),
            host: host.parse()?,
        })
    };
    let first = address("cloud1", "2001:db8:200::100", "2001:db8:a::/64", "2001:db8:a::10")?;
    let second = address("cloud2", "2001:db8:200::151", "2001:db8:b::/64", "2001:db8:b::20")?;
    let one = End::build(internet.segment(), binary(), &first)?;
    let two = End::build(internet.segment(), binary(), &second)?;

    let key = random_key()?;
    let left = one.connect(&two.as_peer(), &key, &Wish::modern())?;
    let right = two.connect(&one.as_peer(), &key, &Wish::modern())?;
    settled(&left, &right)?;
    let capture = one.cloud.capture()?;
    reaches(&one.host, second.host)?;
    assert!(capture.stop()?.clear().is_empty());
    ground.succeeded();
    Ok(())
}

#[test]
fn two_networks_at_each_end_all_reach_each_other() -> Result<()> {
    needs::check()?;
    let ground = Ground::claim("groups")?;
    let internet = Internet::build(&ground)?;
    let mut one = Cloud::start("cloud1", internet.segment(), binary())?;
    let mut two = Cloud::start("cloud2", internet.segment(), binary())?;
    let (left, right) = (one.site(&[first().outer])?, two.site(&[second().outer])?);
    let lefts = [left.lan(net("10.10.10.0/24"))?, left.lan(net("10.10.11.0/24"))?];
    let rights = [right.lan(net("20.20.20.0/24"))?, right.lan(net("20.20.21.0/24"))?];

    let key = random_key()?;
    let both = |lans: &'_ [Lan; 2]| -> Vec<Lan> { lans.to_vec() };
    let (lefts, rights) = (both(&lefts), both(&rights));
    let (left_refs, right_refs): (Vec<&Lan>, Vec<&Lan>) = (lefts.iter().collect(), rights.iter().collect());
    let connect = |cloud: &Cloud, service: &str, lans: &[&Lan], peer: &Peer| {
        Connection::create_between(cloud.client(), service, lans, peer, &key, &Wish::modern())
    };
    let here = connect(&one, &left.service(None)?, &left_refs, &Peer::at(&right, &right_refs))?;
    let there = connect(&two, &right.service(None)?, &right_refs, &Peer::at(&left, &left_refs))?;
    settled(&here, &there)?;

    for (number, lan) in lefts.iter().enumerate() {
        let host = lan.host(&format!("left{number}"), address(lan, 10)?)?;
        for lan in &rights {
            // One host at a time has the address.
            let other = lan.host(&format!("right{number}"), address(lan, 20 + number)?)?;
            reaches(&host, other.addresses()[0])?;
            other.leave()?;
        }
    }
    ground.succeeded();
    Ok(())
}

fn address(lan: &Lan, number: usize) -> Result<IpAddr> {
    use anyhow::Context;
    lan.cidr().hosts().nth(number - 1).context("a small network")
}

#[test]
fn a_router_behind_nat_reaches_out() -> Result<()> {
    needs::check()?;
    let ground = Ground::claim("behindnat")?;
    let internet = Internet::build(&ground)?;
    let inside = internet.behind_nat("box", [200, 200, 128, 66].into(), "192.168.77.0/24".parse()?)?;
    let hidden = End::build(&inside, binary(), &Address { outer: [192, 168, 77, 2].into(), ..first() })?;
    let server = End::build(internet.segment(), binary(), &second())?;

    let key = random_key()?;
    let as_seen = Peer { address: "200.200.128.66".into(), ..hidden.as_peer() };
    // Nothing gets through the box unless somebody behind it has begun.
    let waits = Wish::modern().connection_with(&json!({"initiator": "response-only"}));
    let waiting = server.connect(&as_seen, &key, &waits)?;
    let begun = hidden.connect(&server.as_peer(), &key, &Wish::modern())?;
    begun.becomes("ACTIVE", UP)?;
    waiting.becomes("ACTIVE", UP)?;

    reaches(&hidden.host, second().host)?;
    reaches(&server.host, first().host)?;
    assert_eq!(begun.status()?.0["ike"]["has_nat"], true);
    ground.succeeded();
    Ok(())
}
