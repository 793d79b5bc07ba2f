//! The agent and the IKE daemon may die; what is in the kernel is found again.

use crate::kernel::router::Inside;
use crate::kernel::stage::{Stage, UP};
use anyhow::{Context, Result};
use karez_scene::{Connection, Wish, wait};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn a_tunnel_survives_the_death_of_the_agent_and_is_adopted() -> Result<()> {
    let mut stage = Stage::build("kerneladopt")?;
    let (_, there) = stage.hosts();
    let (left, _right) = stage.connected(&Wish::modern())?;
    let before = spis(&left)?;
    let processes = stage.one.site.processes();
    let states = installed(&stage)?;
    let mut pinger = stage.one.host.keep_pinging(there, Duration::from_millis(20))?;
    pinger.flows(10, UP)?;

    stage.one.cloud.kill();
    pinger.flows(20, UP)?;
    assert_eq!(installed(&stage)?, states);
    stage.one.cloud.start_again()?;
    adopted(&left)?;
    left.becomes("ACTIVE", UP)?;
    pinger.flows(20, UP)?;
    assert_eq!(spis(&left)?, before);
    assert_eq!(stage.one.site.processes(), processes);
    let pings = pinger.stop()?;
    assert!(pings.all_answered(), "{} {:?}", pings.summary(), pings.lost);
    stage.ground.succeeded();
    Ok(())
}

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn after_the_death_of_the_daemon_the_tunnel_comes_back_and_nothing_old_stays_in_the_kernel() -> Result<()> {
    let stage = Stage::build("kerneldeath")?;
    let unused = stage.one.site.everything()?;
    let (left, right) = stage.connected(&Wish::modern())?;
    let before = spis(&left)?;
    kill_daemon(&stage)?;
    wait::until("new SAs at both ends", UP, || {
        let (now, there) = (left.status()?, right.status()?);
        let crossed: Vec<_> =
            there.spis().into_iter().map(|(inbound, outbound)| (outbound, inbound)).collect();
        let is_new = now.spis() == crossed && !crossed.is_empty();
        let is_new = is_new && now.spis().iter().all(|(inbound, _)| !before.contains(&(*inbound).to_owned()));
        Ok(if is_new { Ok(()) } else { Err(format!("{:?}, {:?}", now.spis(), there.spis())) })
    })?;
    stage.both_reach(10)?;
    wait::until("the end of the old SAs", UP, || {
        let spis = installed(&stage).unwrap_or_default();
        Ok(if spis.len() == 2 { Ok(()) } else { Err(spis.join(", ")) })
    })?;

    // Once more, and this time the connection goes before the daemon is back, or just after.
    kill_daemon(&stage)?;
    left.delete()?;
    stage.one.site.becomes(&unused)?;
    stage.ground.succeeded();
    Ok(())
}

fn kill_daemon(stage: &Stage) -> Result<()> {
    for process in stage.one.site.processes() {
        kill_process(Pid::from_raw(process).context("process 0")?, Signal::KILL)?;
    }
    Ok(())
}

fn spis(connection: &Connection) -> Result<Vec<String>> {
    Ok(connection.status()?.spis().into_iter().map(|(inbound, _)| inbound.to_owned()).collect())
}

/// What the kernel has at the router of the first cloud. In the words of `ip`: `proto esp spi 0xc5f6ca1f reqid 1`.
fn installed(stage: &Stage) -> Result<Vec<String>> {
    let states = stage.one.site.ip(&["xfrm", "state", "list", "nokeys"])?;
    let mut words = states.split_whitespace();
    let mut spis = Vec::new();
    while words.any(|word| word == "spi") {
        spis.extend(words.next().map(str::to_owned));
    }
    spis.sort_unstable();
    Ok(spis)
}

/// Waits until the connection's story has an adoption in it.
fn adopted(connection: &Connection) -> Result<()> {
    Ok(wait::until("the adoption of the IKE daemon", UP, || {
        let events = connection.status()?.0["events"].to_string();
        Ok(if events.contains("adopted") { Ok(()) } else { Err(events) })
    })?)
}
