//! What is for a tunnel neither leaves nor comes in unprotected, whatever becomes of the tunnel.

use crate::kernel::stage::{Stage, UP};
use anyhow::Result;
use karez_scene::{Capture, Host, PacketKind, Wish};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;

/// An address of the second cloud's network that a stranger on the internet takes for its own.
const FORGED: &str = "20.20.20.66";

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn nothing_passes_in_clear_in_either_direction_with_a_tunnel_that_is_down_or_up() -> Result<()> {
    let stage = Stage::build("kernelclear")?;
    let stranger = stranger(&stage)?;
    let (here, there) = stage.hosts();
    // That something comes in and leaves shows that the rest of this test can fail.
    assert!(reaches(&stranger, &stage.one.host, here)? > 0, "a router forwards what is not for a tunnel");
    assert!(leaves(&stage, there)? > 0, "a router forwards what is not for a tunnel");

    let left = stage.one.connect(
        &stage.two.as_peer(),
        "a key",
        &Wish::modern().connection_with(&json!({"initiator": "response-only"})),
    )?;
    left.becomes("DOWN", UP)?;
    assert_eq!(reaches(&stranger, &stage.one.host, here)?, 0, "down");
    assert_eq!(leaves(&stage, there)?, 0, "down");

    let right = stage.two.connect(&stage.one.as_peer(), "a key", &Wish::modern())?;
    left.becomes("ACTIVE", UP)?;
    right.becomes("ACTIVE", UP)?;
    assert!(stage.one.host.ping(there, 3)?.all_answered());
    assert_eq!(reaches(&stranger, &stage.one.host, here)?, 0, "up");

    left.edit(json!({"admin_state_up": false}))?;
    left.becomes("DOWN", UP)?;
    assert_eq!(reaches(&stranger, &stage.one.host, here)?, 0, "administratively down");
    assert_eq!(leaves(&stage, there)?, 0, "administratively down");

    left.delete()?;
    karez_scene::wait::until("the router to forward again", UP, || {
        let came = stranger_pings(&stranger, &stage.one.host, here)?;
        Ok(if came > 0 { Ok(()) } else { Err(String::new()) })
    })?;
    assert!(leaves(&stage, there)? > 0);
    stage.ground.succeeded();
    Ok(())
}

/// Somebody on the internet with an address of the second cloud's network, who sends to the first one's.
fn stranger(stage: &Stage) -> Result<Host> {
    let stranger = stage.internet.segment().host("stranger", &["200.200.128.66".parse()?])?;
    let bound = Duration::from_secs(10);
    stranger.run("ip", &["address", "add", &format!("{FORGED}/32"), "dev", "lo"], bound)?;
    stranger.run("ip", &["route", "add", "10.10.10.0/24", "via", "200.200.128.100"], bound)?;
    Ok(stranger)
}

/// How many of the stranger's packets come to the host.
fn reaches(stranger: &Host, host: &Host, address: IpAddr) -> Result<usize> {
    Ok(stranger_pings(stranger, host, address)?)
}

fn stranger_pings(stranger: &Host, host: &Host, address: IpAddr) -> Result<usize, karez_scene::Error> {
    let capture = host.capture()?;
    // No answer is what is hoped for.
    let command = format!("ping -q -n -c 5 -i 0.02 -W 0.2 -I {FORGED} {address}; true");
    stranger.run("sh", &["-c", &command], Duration::from_secs(10))?;
    let forged: Option<IpAddr> = FORGED.parse().ok();
    let captured = capture.stop()?;
    let is_forged = |packet: &&karez_scene::Packet| packet.route.map(|(from, _)| from) == forged;
    Ok(captured.packets.iter().filter(is_forged).count())
}

/// How many packets to the other cloud's host leave the first cloud in clear.
fn leaves(stage: &Stage, there: IpAddr) -> Result<usize> {
    let capture: Capture = stage.one.cloud.capture()?;
    stage.one.host.ping(there, 5)?;
    let captured = capture.stop()?;
    let to_there = captured.packets.iter().filter(|packet| packet.kind == PacketKind::Clear);
    Ok(to_there.filter(|packet| packet.route.is_some_and(|(_, to)| to == there)).count())
}
