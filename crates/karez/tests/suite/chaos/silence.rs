//! The peer falls silent: its cloud is off the internet.

use crate::chaos::branch::{Branch, Tunnel, says};
use crate::chaos::stage::{Clouds, UP};
use anyhow::Result;
use karez_scene::{Connection, Timeline, Wish, wait};
use serde_json::json;
use std::time::Duration;

const INTERVAL: u64 = 2;
const TIMEOUT: u64 = 10;

/// Silence is noticed an interval after the last packet at the latest, and the peer is dead when the timeout has
/// passed; the rest is for a slow machine.
const NOTICED: Duration = Duration::from_secs(INTERVAL + TIMEOUT + 15);

#[test]
fn a_peer_that_vanishes_is_told_of_in_time_and_the_tunnel_comes_back_with_it() -> Result<()> {
    let mut clouds = Clouds::build("silence")?;
    let mut times = Timeline::begin();
    let mut tunnels = Vec::new();
    for (number, action) in [(1, "hold"), (2, "restart")] {
        let dpd = json!({"dpd": {"action": action, "interval": INTERVAL, "timeout": TIMEOUT}});
        let (near, far) = (clouds.near_branch(number)?, clouds.far.branch(number)?);
        let tunnel = Tunnel::build(&near, &far, &Wish::modern().connection_with(&dpd))?;
        assert!(near.host.ping(far.host.addresses()[0], 5)?.all_answered());
        tunnels.push((action, near, far, tunnel));
    }

    times.mark("the link goes");
    clouds.far.0.set_joined(false)?;
    for (action, _, _, tunnel) in &tunnels {
        for (end, connection) in [("near", &tunnel.near), ("far", &tunnel.far)] {
            connection.becomes("DOWN", NOTICED.saturating_sub(since(&times, "the link goes")))?;
            let reason = connection.show()?["status_reason"].clone();
            times.mark(format!("{end}, {action}: DOWN, {reason}"));
            assert!(reason == "peer_lost" || reason == "peer_unreachable", "{end}, {action}: {reason}");
        }
    }
    clouds.far.0.set_joined(true)?;
    times.mark("the link returns");
    for (action, near, far, tunnel) in &tunnels {
        is_back(tunnel, near, far)?;
        times.mark(format!("{action}: ACTIVE and traffic"));
    }
    eprintln!("{times}");
    clouds.ground.succeeded();
    Ok(())
}

fn since(times: &Timeline, moment: &str) -> Duration {
    times.elapsed().saturating_sub(times.at(moment).unwrap_or_default())
}

/// By itself, at both ends.
fn is_back(tunnel: &Tunnel, near: &Branch, far: &Branch) -> Result<()> {
    let both: [&Connection; 2] = [&tunnel.near, &tunnel.far];
    for connection in both {
        connection.becomes("ACTIVE", Duration::from_secs(60))?;
        says(connection, None, UP)?;
    }
    Ok(wait::until("pings through the tunnel", UP, || {
        let pings = near.host.ping(far.host.addresses()[0], 5)?;
        Ok(if pings.all_answered() { Ok(()) } else { Err(pings.summary()) })
    })?)
}
