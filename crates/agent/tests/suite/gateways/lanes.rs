//! Which packets enter a tunnel, where a process encrypts: a pair stands in its device's place.
//!
//! The peer's hosts at the other end of it have the addresses of what is outside too, so that each packet shows by whom it
//! was answered which way it went.

use crate::gateways::cloud::{Cloud, guard};
use crate::gateways::scratch::{Scratch, eventually, net};
use anyhow::{Context, Result};
use karez_agent::gateway::{Gateway, Host, HostOptions, Managed};
use karez_engine::Datapath;
use karez_net::{Route, lane};
use std::process::Command;

/// Of both versions, from the first network to everywhere.
fn everywhere() -> [karez_agent::Guard; 2] {
    [guard(&["10.0.1.0/24"], &["0.0.0.0/0"]), guard(&["fd01::/64"], &["::/0"])]
}

/// A host of the internet that is at the far side of the tunnel, too, and one that is not.
const FAR: [&str; 2] = ["198.51.100.9", "fd51::9"];

struct Scene {
    cloud: Cloud,
    /// On the network that has a tunnel, and on one that has none.
    hosts: [Scratch; 2],
    peer: Scratch,
}

impl Scene {
    async fn new(guards: &[karez_agent::Guard]) -> Result<Self> {
        let cloud = Cloud::new().await?;
        cloud.make(guards).await?;
        let hosts = [cloud.host(1).await?, cloud.host(2).await?];
        let peer = cloud.tunnel().await?;
        cloud.route_back().await?;
        cloud.beyond.address("lo", &["20.0.0.9/32", "fd20::9/128", "198.51.100.9/32", "fd51::9/128"]).await?;
        peer.address(
            "eth0",
            &["192.0.2.2/30", "fd99::2/64", "20.0.0.9/32", "fd20::9/128", "198.51.100.9/32", "fd51::9/128"],
        )
        .await?;
        let ours = [
            ("four", "ip saddr 10.0.1.0/24 meta l4proto icmp"),
            ("six", "ip6 saddr fd01::/64 icmpv6 type echo-request"),
        ];
        let all = [("four", "meta l4proto icmp"), ("six", "icmpv6 type echo-request")];
        cloud.beyond.watch(&ours)?;
        peer.watch(&all)?;
        Ok(Self { cloud, hosts, peer })
    }

    /// What has come to the peer through the tunnel, and in clear to the outside from the network with a tunnel.
    async fn seen(&self) -> Result<[u64; 4]> {
        let (peer, beyond) = (&self.peer, &self.cloud.beyond);
        Ok([
            peer.seen("four").await?,
            peer.seen("six").await?,
            beyond.seen("four").await?,
            beyond.seen("six").await?,
        ])
    }

    fn router(&self) -> Result<karez_net::Namespace> {
        Ok(karez_net::Namespace::open(&Managed::namespace(self.cloud.plan.id))?)
    }

    fn in_router(&self, command: &str) -> Result<bool> {
        let mut words = command.split(' ');
        let mut command = Command::new(words.next().context("a command")?);
        command.args(words).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        Ok(self.router()?.spawn(&mut command, &karez_net::SpawnOptions::new())?.wait()?.success())
    }
}

#[tokio::test]
async fn a_full_tunnel_takes_what_its_subnet_sends_and_leaves_everybody_else_their_way() -> Result<()> {
    let scene = Scene::new(&everywhere()).await?;
    let [one, two] = &scene.hosts;
    for far in FAR {
        eventually("through the tunnel", || one.pings(far)).await?;
    }
    let [four, six, clear_four, clear_six] = scene.seen().await?;
    assert!(four > 0 && six > 0);
    assert_eq!([clear_four, clear_six], [0, 0]);

    assert!(one.pings("10.0.1.1")? && one.pings("fd01::1")?, "its router");
    assert!(one.pings("10.0.2.9")? && one.pings("fd02::9")?, "another network of the router");
    assert!(two.pings("10.0.1.9")? && two.pings("fd01::9")?, "and back");
    assert!(two.pings("198.51.100.9")?, "a network without a tunnel keeps its internet");
    assert!(two.pings("fd51::9")?, "in IPv6 as well");
    for far in FAR {
        assert!(scene.in_router(&format!("ping -n -c 1 -W 1 {far}"))?, "the router itself, to {far}");
    }
    assert_eq!(scene.seen().await?[..2], [four, six], "none of these entered");

    let own = scene.in_router("ping -n -c 1 -W 1 -I 10.0.1.1 198.51.100.9")?;
    assert!(own, "what is bound to an address of the subnet");
    assert_eq!(scene.seen().await?[0], four + 1, "enters");
    Ok(())
}

#[tokio::test]
async fn a_peer_that_holds_local_networks_cuts_nobody_off() -> Result<()> {
    let scene = Scene::new(&[guard(&["10.0.1.0/24"], &["10.0.0.0/8", "20.0.0.0/24"])]).await?;
    let [one, two] = &scene.hosts;
    scene.peer.address("lo", &["10.99.0.9/32"]).await?;
    eventually("the peer's host", || one.pings("10.99.0.9")).await?;
    assert!(one.pings("10.0.2.9")? && two.pings("10.0.1.9")? && one.pings("10.0.1.1")?);
    assert!(one.pings("198.51.100.9")?, "what is not selected keeps its way");
    assert!(two.pings("198.51.100.9")?);
    Ok(())
}

#[tokio::test]
async fn a_network_that_is_protected_keeps_its_way_and_nothing_comes_in_its_name() -> Result<()> {
    let mut full = guard(&["10.0.1.0/24"], &["0.0.0.0/0"]);
    full.but.push(net("198.51.100.0/24"));
    let scene = Scene::new(&[full]).await?;
    let [one, _] = &scene.hosts;
    eventually("the peer's host", || one.pings("20.0.0.9")).await?;
    let before = scene.seen().await?;
    assert!(one.pings("198.51.100.9")?, "by the way that it has without a tunnel");
    let after = scene.seen().await?;
    assert_eq!(after[0], before[0], "nothing of it entered");
    assert!(after[2] > before[2]);

    let heard = [("forged", "ip saddr 198.51.100.9 icmp type echo-request"), ("peers", "ip saddr 20.0.0.9")];
    one.watch(&heard)?;
    for source in ["198.51.100.9", "20.0.0.9"] {
        // That of the forged one is not answered.
        scene.peer.output(
            Command::new("sh").args(["-c", &format!("ping -n -c 1 -W 1 -I {source} 10.0.1.9; true")]),
        )?;
    }
    assert_eq!((one.seen("forged").await?, one.seen("peers").await? > 0), (0, true));
    Ok(())
}

#[tokio::test]
async fn it_fails_closed_without_rules_and_without_a_device() -> Result<()> {
    let guards = everywhere();
    let scene = Scene::new(&guards).await?;
    let [one, _] = &scene.hosts;
    for far in FAR {
        eventually("through the tunnel", || one.pings(far)).await?;
    }
    let before = scene.seen().await?;
    for breaks in ["nft flush ruleset", "ip link set ipsec0 down"] {
        assert!(scene.in_router(breaks)?, "{breaks}");
        let pinging = [one.keep_pinging(FAR[0])?, one.keep_pinging(FAR[1])?];
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        for pinging in pinging {
            let (sent, _) = pinging.stop()?;
            assert!(sent > 20);
        }
        assert_eq!(scene.seen().await?[2..], before[2..], "in clear after {breaks}");
    }
    let at_peer = scene.seen().await?;
    assert!(at_peer[0] > before[0] && at_peer[1] > before[1], "with the rules gone the tunnel went on");
    assert!(!one.pings(FAR[0])? && !one.pings(FAR[1])?, "without a device nothing");
    assert_eq!(scene.seen().await?, at_peer);

    assert!(scene.in_router("ip link set ipsec0 up")?);
    assert!(scene.cloud.make(&guards).await?);
    eventually("again", || one.pings(FAR[0])).await?;
    assert!(!scene.cloud.make(&guards).await?, "it is as it should be");
    Ok(())
}

#[tokio::test]
async fn a_flush_of_the_rules_is_heard() -> Result<()> {
    let scene = Scene::new(&everywhere()).await?;
    let mut watch = scene.cloud.gateway.watch(&scene.cloud.plan).await?;
    assert!(scene.in_router("nft add table inet others")?);
    assert!(scene.in_router("nft delete table inet others")?);
    let heard = tokio::time::timeout(std::time::Duration::from_millis(600), watch.changed()).await;
    assert!(heard.is_err(), "somebody else's table is no concern");
    assert!(scene.in_router("nft flush ruleset")?);
    let heard = tokio::time::timeout(std::time::Duration::from_secs(5), watch.changed()).await;
    assert!(heard.context("the flush is not heard")?);
    Ok(())
}

#[tokio::test]
async fn each_subnet_has_its_own_peers_and_no_others() -> Result<()> {
    let guards = [guard(&["10.0.1.0/24"], &["20.0.0.0/24"]), guard(&["10.0.2.0/24"], &["198.51.100.0/24"])];
    let scene = Scene::new(&guards).await?;
    let [one, two] = &scene.hosts;
    eventually("the one", || one.pings("20.0.0.9")).await?;
    eventually("the other", || two.pings("198.51.100.9")).await?;
    let before = scene.seen().await?;
    assert!(one.pings("198.51.100.9")? && two.pings("20.0.0.9")?, "outside, as ever");
    assert_eq!(scene.seen().await?[0], before[0]);

    scene.cloud.make(&guards[..1]).await?;
    assert!(two.pings("198.51.100.9")? && one.pings("20.0.0.9")?);
    assert_eq!(scene.seen().await?[0], before[0] + 1, "only of the one that is left");
    Ok(())
}

#[tokio::test]
async fn what_a_packet_costs_does_not_grow_with_the_connections() -> Result<()> {
    let cloud = Cloud::new().await?;
    let guards: Vec<_> = (0..500)
        .map(|number| guard(&["10.0.1.0/24"], &[&format!("20.{}.{}.0/24", number / 250, number % 250)]))
        .collect();
    cloud.make(&guards).await?;
    assert!(!cloud.make(&guards).await?);
    let namespace = karez_net::Namespace::open(&Managed::namespace(cloud.plan.id))?;
    let inside = cloud.inside().await?;
    let lanes = lane::lead(&namespace, inside.existing_link("lo").await?.index).await?;
    let [lane] = &lanes[..] else { anyhow::bail!("{lanes:?}") };
    assert_eq!((lane.to.len(), lane.entries.len()), (500, 2), "two rules for a subnet");
    Ok(())
}

/// A machine that somebody else has made: one leg to hosts, one to the world, and strict about where packets come from.
async fn machine() -> Result<(Scratch, Scratch, Scratch)> {
    use crate::gateways::scratch::join;
    let (machine, host, world) =
        (Scratch::new("machine").await?, Scratch::new("host").await?, Scratch::new("world").await?);
    join(&host.netlink, "eth0", &machine.netlink, "in0").await?;
    join(&world.netlink, "eth0", &machine.netlink, "out0").await?;
    for setting in ["net/ipv4/ip_forward", "net/ipv4/conf/all/rp_filter", "net/ipv6/conf/all/forwarding"] {
        machine.namespace.set_sysctl(setting, "1")?;
    }
    // The network with the tunnel is behind another router, whose link has an address of its own.
    machine.address("in0", &["172.31.0.1/30"]).await?;
    machine.address("out0", &["203.0.113.1/24"]).await?;
    host.address("eth0", &["172.31.0.2/30"]).await?;
    host.address("lo", &["10.0.1.9/32"]).await?;
    world.address("eth0", &["203.0.113.2/24"]).await?;
    world.address("lo", &["20.0.0.9/32", "198.51.100.9/32"]).await?;
    machine.default_via(&["203.0.113.2"]).await?;
    machine.netlink.ensure_route(&Route::via("10.0.1.0/24".parse()?, "172.31.0.2".parse()?)).await?;
    host.ip("route add default via 172.31.0.1 src 10.0.1.9")?;
    world.ip("route add 10.0.1.0/24 via 203.0.113.1")?;
    Ok((machine, host, world))
}

#[tokio::test]
async fn the_machine_itself_never_enters_and_strict_filters_let_the_tunnel_pass() -> Result<()> {
    use crate::gateways::cloud::{plan, tunnel, tunnel_from};
    let (machine, host, world) = machine().await?;
    let mut plan = plan();
    plan.tunnels = vec![tunnel("203.0.113.1", "203.0.113.2")];
    let before = machine.dump()?;
    let guards = [guard(&["10.0.1.0/24"], &["0.0.0.0/0"])];
    let gateway = Host::new(HostOptions { node_namespace: Some(machine.name()), router_id: plan.id });
    gateway.make(&plan, &guards, Datapath::Userspace).await?;
    let peer = tunnel_from(&machine.netlink).await?;
    peer.watch(&[("any", "meta l4proto icmp")])?;
    world.watch(&[("clear", "ip saddr 10.0.1.0/24")])?;

    eventually("through the tunnel", || host.pings("20.0.0.9")).await?;
    let seen = peer.seen("any").await?;
    assert!(seen > 0);
    assert!(machine.pings("20.0.0.9")? && machine.pings("198.51.100.9")?, "the machine, by its own way");
    assert!(machine.pings("10.0.1.9")? && host.pings("172.31.0.1")?);
    assert_eq!((peer.seen("any").await?, world.seen("clear").await?), (seen, 0));

    drop(peer);
    machine.ip("link del ipsec0").ok();
    gateway.remove(plan.id).await?;
    let since: Vec<_> = machine.dump()?.since(&before);
    assert!(since.iter().all(|line| !line.contains("201")), "{since:?}");
    Ok(())
}

/// Whether an address is one that the machine takes packets for.
fn is_own(machine: &Scratch, address: &str) -> Result<bool> {
    let said = machine.output(Command::new("ip").args(["-o", "route", "get", address]))?;
    Ok(said.contains("dev lo"))
}

#[tokio::test]
async fn an_address_is_held_in_a_subnet_that_has_none_and_no_host_loses_it() -> Result<()> {
    use crate::gateways::cloud::{plan, tunnel};
    let (machine, host, _world) = machine().await?;
    machine.address("in0", &["172.31.0.1/30", "fd31::1/64"]).await?;
    host.address("eth0", &["172.31.0.2/30", "fd31::2/64"]).await?;
    host.address("lo", &["10.0.1.9/32", "10.0.1.77/32", "fd01::9/128"]).await?;
    machine.ip("-6 route add fd01::9/128 via fd31::2")?;
    host.ip("-6 route add default via fd31::1 src fd01::9")?;
    let mut plan = plan();
    plan.tunnels = vec![tunnel("203.0.113.1", "203.0.113.2")];
    let before = machine.dump()?;
    // A network, and two that are a host each: its address is held, as there is no other.
    let guards = [
        guard(&["10.0.1.0/26"], &["20.0.0.0/24"]),
        guard(&["10.0.1.77/32"], &["20.0.0.0/24"]),
        guard(&["fd01::9/128"], &["fd20::/64"]),
        guard(&["172.31.0.0/30"], &["20.0.0.0/24"]),
    ];
    let gateway = Host::new(HostOptions { node_namespace: Some(machine.name()), router_id: plan.id });
    gateway.make(&plan, &guards, Datapath::Userspace).await?;
    assert!(!gateway.make(&plan, &guards, Datapath::Userspace).await?.has_changed);

    let held = lane::held(&machine.namespace).await?;
    let expected: std::collections::BTreeSet<std::net::IpAddr> =
        ["10.0.1.0".parse()?, "10.0.1.77".parse()?, "fd01::9".parse()?].into();
    assert_eq!(held, expected, "none where the router has one of its own");
    for (own, address) in [("172.31.0.1", "10.0.1.77"), ("172.31.0.1", "10.0.1.9"), ("fd31::1", "fd01::9")] {
        let answers = || {
            let ping = ["-n", "-c", "1", "-W", "1", "-I", own, address];
            Ok(machine.output(Command::new("ping").args(ping))?.contains("1 received"))
        };
        eventually(&format!("the host keeps {address}"), answers).await?;
        assert!(!is_own(&machine, address)?, "{address}");
    }
    assert!(!is_own(&machine, "10.0.1.0")?);
    assert!(!host.pings("10.0.1.0")?, "it answers nobody");

    gateway.make(&plan, &guards[3..], Datapath::Userspace).await?;
    assert!(lane::held(&machine.namespace).await?.is_empty());
    gateway.remove(plan.id).await?;
    machine.namespace.set_sysctl("net/ipv4/ip_forward", "1")?;
    assert!(machine.dump()?.since(&before).iter().all(|line| !line.contains("201")));
    Ok(())
}
