//! A tunnel takes what goes from its own subnet to its peer's, and nothing else, where the kernel encrypts; see
//! `tunnels/supernet.rs`.

use crate::kernel::router::Inside;
use crate::kernel::stage::{UP, net};
use crate::tunnels::stage::{binary, first, second};
use anyhow::{Result, ensure};
use karez_scene::{Address, End, Ground, Host, Internet, PacketKind, Peer, Wish, needs, random_key};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;

/// A hub whose own network is 10.0.0.0/8, which has the spoke's two subnets within, so that nothing is narrowed.
#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn a_peer_that_holds_local_networks_cuts_nobody_off_and_nothing_of_it_leaks() -> Result<()> {
    needs::check()?;
    let ground = Ground::claim("kernelwide")?;
    let internet = Internet::build(&ground)?;
    let wide = Address { subnet: net("10.0.0.0/8"), host: [10, 99, 0, 20].into(), ..second() };
    let spoke = End::build(internet.segment(), binary(), &first())?;
    let hub = End::build(internet.segment(), binary(), &wide)?;
    let way = ["route", "add", "10.10.10.0/24", "via", &hub.lan.gateway().to_string()];
    hub.host.run("ip", &way, Duration::from_secs(10))?;
    let beside = spoke.site.lan(net("10.10.11.0/24"))?;
    let neighbour = beside.host("neighbour", [10, 10, 11, 10].into())?;

    let key = random_key()?;
    let waiting = Wish::modern().connection_with(&json!({"initiator": "response-only"}));
    let from_hub = hub.connect(&spoke.as_peer(), &key, &waiting)?;
    let to_hub = Peer { cidrs: vec![net("10.0.0.0/8")], ..hub.as_peer() };
    let connection = spoke.connect(&to_hub, &key, &Wish::modern())?;
    connection.becomes("ACTIVE", UP)?;
    from_hub.becomes("ACTIVE", UP)?;
    let policies = spoke.site.ip(&["xfrm", "policy"])?;
    ensure!(policies.contains("src 10.10.10.0/24 dst 10.0.0.0/8"), "it is not narrowed:\n{policies}");

    let capture = spoke.cloud.capture()?;
    spoke.host.reaches(wide.host, UP)?;
    for (host, to) in [
        (&spoke.host, wide.host),
        (&spoke.host, spoke.lan.gateway()),
        (&spoke.host, neighbour.addresses()[0]),
        (&neighbour, first().host),
        (&neighbour, beside.gateway()),
        (&neighbour, wide.outer),
    ] {
        reaches(host, to)?;
    }

    // Down, and without any rules: the kernel still sends none of it.
    connection.edit(json!({"admin_state_up": false}))?;
    connection.becomes("DOWN", UP)?;
    let router = spoke.site.namespace_name();
    for _ in 0..5 {
        crate::kernel::router::run("ip", &["netns", "exec", &router, "nft", "flush", "ruleset"])?;
        ensure!(spoke.host.ping(wide.host, 5)?.received == 0, "a tunnel that is down carries");
    }
    reaches(&spoke.host, neighbour.addresses()[0])?;
    let captured = capture.stop()?;
    let is_inner = |packet: &&karez_scene::Packet| {
        packet.kind == PacketKind::Clear && packet.route.is_some_and(|(_, to)| to == wide.host)
    };
    let clear: Vec<_> = captured.packets.iter().filter(is_inner).collect();
    ensure!(clear.is_empty(), "in clear: {clear:?}");

    connection.delete()?;
    karez_scene::wait::until("policies to go with the connection", UP, || {
        let left = spoke.site.ip(&["xfrm", "policy"]).unwrap_or_default();
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    })?;
    ground.succeeded();
    Ok(())
}

fn reaches(host: &Host, to: IpAddr) -> Result<()> {
    let pings = host.ping(to, 5)?;
    ensure!(pings.all_answered(), "to {to}: {}", pings.summary());
    Ok(())
}
