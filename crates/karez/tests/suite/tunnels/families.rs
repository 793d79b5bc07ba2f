//! Which IP version goes in which, and several networks at each end with each version of IKE.

use crate::tunnels::stage::{binary, first, net, second};
use crate::tunnels::told::{all_whole, in_clear, reaches, selectors, settled, shows};
use anyhow::{Context, Result, ensure};
use ipnet::IpNet;
use karez_scene::{
    Cloud, Connection, Ground, Host, Internet, Lan, Peer, Site, Status, Wish, needs, random_key,
};
use std::net::IpAddr;

/// A router with addresses of both versions, and networks behind it with a host on each.
struct End {
    lans: Vec<Lan>,
    hosts: Vec<Host>,
    site: Site,
    cloud: Cloud,
}

impl End {
    fn build(internet: &Internet, name: &str, outer: [IpAddr; 2], subnets: &[IpNet]) -> Result<Self> {
        let mut cloud = Cloud::start(name, internet.segment(), binary())?;
        let site = cloud.site(&outer)?;
        let lans = subnets.iter().map(|subnet| Ok(site.lan(*subnet)?)).collect::<Result<Vec<Lan>>>()?;
        let host = |(number, lan): (usize, &Lan)| {
            let address = lan.cidr().hosts().nth(9).context("a small network")?;
            let host = lan.host(&format!("{name}-{number}"), address)?;
            host.reaches(lan.gateway(), crate::tunnels::stage::UP)?;
            Ok(host)
        };
        let hosts = lans.iter().enumerate().map(host).collect::<Result<Vec<Host>>>()?;
        Ok(Self { lans, hosts, site, cloud })
    }

    /// As a peer that is reached at an address of this one's version, with these networks.
    fn peer(&self, is_v6: bool, lans: &[&Lan]) -> Result<Peer> {
        let address = self.site.addresses().iter().find(|address| address.is_ipv6() == is_v6);
        let address = address.context("an address of this version")?.to_string();
        Ok(Peer { id: address.clone(), address, cidrs: lans.iter().map(|lan| lan.cidr()).collect() })
    }
}

fn both(subnets: [&[IpNet]; 2], name: &str) -> Result<(Ground, End, End)> {
    needs::check()?;
    let ground = Ground::claim(name)?;
    let internet = Internet::build(&ground)?;
    let one = [first().outer, "2001:db8:200::100".parse()?];
    let two = [second().outer, "2001:db8:200::151".parse()?];
    let one = End::build(&internet, "cloud1", one, subnets[0])?;
    let two = End::build(&internet, "cloud2", two, subnets[1])?;
    Ok((ground, one, two))
}

#[test]
fn ipv6_goes_through_ipv4_and_ipv4_through_ipv6_between_the_same_routers() -> Result<()> {
    let here = [net("10.10.10.0/24"), net("2001:db8:a::/64")];
    let there = [net("20.20.20.0/24"), net("2001:db8:b::/64")];
    let (ground, one, two) = both([&here, &there], "mixed")?;
    let key = random_key()?;
    let capture = one.cloud.capture()?;
    let mut connections = Vec::new();
    // 0: IPv4 in IPv6. 1: IPv6 in IPv4. Two services on each router.
    for (own, other) in [(&one, &two), (&two, &one)] {
        for inner in [0, 1] {
            let service = own.site.service(Some(&own.lans[inner]))?;
            let peer = other.peer(inner == 0, &[&other.lans[inner]])?;
            connections.push(Connection::create(own.cloud.client(), &service, &peer, &key, &Wish::modern())?);
        }
    }
    let statuses = all_whole(&connections.iter().collect::<Vec<_>>())?;
    for (status, peer) in statuses.iter().zip(["[2001:db8:200::151]", "200.200.128.151"]) {
        let shown = status.0["ike"]["peer"].as_str().unwrap_or_default();
        ensure!(shown.starts_with(peer), "{shown} is not {peer}");
    }
    for (host, other) in one.hosts.iter().zip(&two.hosts) {
        reaches(host, other.addresses()[0])?;
        reaches(other, host.addresses()[0])?;
    }
    let captured = capture.stop()?;
    let clear = in_clear(&captured, &[here, there].concat());
    ensure!(clear.is_empty() && captured.protected() >= 80, "{clear:?}");
    ground.succeeded();
    Ok(())
}

#[test]
fn with_ikev1_each_pair_of_networks_has_a_child_of_its_own() -> Result<()> {
    let here = [net("10.10.10.0/24"), net("10.10.11.0/24")];
    let there = [net("20.20.20.0/24"), net("20.20.21.0/24")];
    let (ground, one, two) = both([&here, &there], "pairs")?;
    let key = random_key()?;
    let connect = |own: &End, other: &End| -> Result<Connection> {
        let (own_lans, lans): (Vec<&Lan>, Vec<&Lan>) =
            (own.lans.iter().collect(), other.lans.iter().collect());
        let (service, peer) = (own.site.service(None)?, other.peer(false, &lans)?);
        let client = own.cloud.client();
        Ok(Connection::create_between(client, &service, &own_lans, &peer, &key, &Wish::defaults())?)
    };
    let (left, right) = (connect(&one, &two)?, connect(&two, &one)?);
    settled(&left, &right)?;
    for (host, other) in one.hosts.iter().flat_map(|host| two.hosts.iter().map(move |other| (host, other))) {
        reaches(host, other.addresses()[0])?;
        reaches(other, host.addresses()[0])?;
    }
    let pairs: Vec<String> =
        here.iter().flat_map(|local| there.iter().map(move |peer| format!("{local} === {peer}"))).collect();
    // Where quick modes of both ends have crossed, a pair has two.
    let is_each = |status: &Status| {
        let mut selectors = selectors(status);
        selectors.dedup();
        selectors == pairs
    };
    shows(&left, "a child for each pair", is_each)?;
    ground.succeeded();
    Ok(())
}
