//! A peer's network that holds local ones, as with a hub that has them all: 10.0.0.0/8. Here the hub narrows it to its own;
//! while it does not, see the gateways' own tests.

use crate::tunnels::stage::{UP, binary, first, net, second};
use crate::tunnels::told::{SOON, in_clear, reaches};
use anyhow::{Context, Result, ensure};
use karez_scene::{Address, End, Ground, Internet, Peer, Wish, needs, random_key};
use std::process::Command;
use std::time::Duration;

/// Runs a command in a namespace, and says whether it succeeded.
fn inside(namespace: &str, command: &str) -> Result<bool> {
    let arguments = ["netns", "exec", namespace].into_iter().chain(command.split(' '));
    let output = Command::new("ip").args(arguments).output().context("the package iproute2 is installed")?;
    Ok(output.status.success())
}

/// The daemons in a namespace.
fn daemons(namespace: &str) -> Result<Vec<String>> {
    let said = Command::new("ip").args(["netns", "pids", namespace]).output()?.stdout;
    let is_daemon = |process: &&str| {
        std::fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim() == "charon")
    };
    Ok(String::from_utf8(said)?.lines().filter(is_daemon).map(str::to_owned).collect())
}

#[test]
fn a_peer_that_holds_local_networks_cuts_nobody_off_and_nothing_of_it_leaks() -> Result<()> {
    needs::check()?;
    let ground = Ground::claim("supernet")?;
    let internet = Internet::build(&ground)?;
    let hub = Address { subnet: net("10.99.0.0/16"), host: [10, 99, 0, 20].into(), ..second() };
    let one = End::build(internet.segment(), binary(), &first())?;
    let two = End::build(internet.segment(), binary(), &hub)?;
    let beside = one.site.lan(net("10.10.11.0/24"))?;
    let neighbour = beside.host("neighbour", [10, 10, 11, 10].into())?;
    neighbour.reaches(beside.gateway(), UP)?;

    let key = random_key()?;
    let wide = Peer { cidrs: vec![net("10.0.0.0/8")], ..two.as_peer() };
    let here = one.connect(&wide, &key, &Wish::modern())?;
    let there = two.connect(&one.as_peer(), &key, &Wish::modern())?;
    here.becomes("ACTIVE", UP)?;
    there.becomes("ACTIVE", UP)?;

    let capture = one.cloud.capture()?;
    one.host.reaches(hub.host, SOON)?;
    reaches(&one.host, hub.host)?;
    // What is connected, and what has no tunnel.
    reaches(&one.host, one.lan.gateway())?;
    reaches(&one.host, neighbour.addresses()[0])?;
    reaches(&neighbour, first().host)?;
    reaches(&neighbour, hub.outer)?;
    // The router's own, unbound and bound. Unbound, it goes out by the way that it has, and there is no such host.
    let router = one.site.namespace_name();
    ensure!(
        !inside(&router, "ping -n -c 1 -W 1 10.99.0.20")?,
        "the router's own ping went through the tunnel"
    );
    ensure!(inside(&router, "ping -n -c 1 -W 1 -I 10.10.10.1 10.99.0.20")?, "with an address of the subnet");

    // The rules are gone, over and over, and so is the daemon: not one packet in clear.
    let mut pings = one.host.keep_pinging(hub.host, Duration::from_millis(10))?;
    for _ in 0..5 {
        ensure!(inside(&router, "nft flush ruleset")?, "a flush");
        pings.flows(20, SOON)?;
    }
    for process in daemons(&router)? {
        ensure!(inside(&router, &format!("kill -KILL {process}"))?, "a daemon that is killed");
        ensure!(inside(&router, "nft flush ruleset")?, "a flush");
    }
    pings.flows(20, SOON).context("with another daemon")?;
    drop(pings);
    let clear = in_clear(&capture.stop()?, &[net("10.10.10.0/24"), net("10.99.0.0/16")]);
    let own = |packet: &&String| !packet.contains("200.200.128.100");
    let clear: Vec<_> = clear.iter().filter(own).collect();
    ensure!(clear.is_empty(), "{clear:?}");
    ensure!(inside(&router, "nft list table inet karez")?, "the rules are back");
    ground.succeeded();
    Ok(())
}
