//! The IKE daemon of a router dies.

use crate::chaos::branch::{Tunnel, lossless, spis};
use crate::chaos::stage::{Clouds, UP};
use anyhow::{Context, Result, ensure};
use karez_scene::{Connection, Site, Timeline, Wish, wait};
use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_daemon_that_is_killed_is_started_again_and_its_tunnels_come_back_by_themselves() -> Result<()> {
    let mut clouds = Clouds::build("daemon")?;
    let (near, far) = (clouds.near_branch(1)?, clouds.far.branch(1)?);
    let (other, other_far) = (clouds.near_branch(2)?, clouds.far.branch(2)?);
    let tunnel = Tunnel::build(&near, &far, &Wish::modern())?;
    let _bystander = Tunnel::build(&other, &other_far, &Wish::modern())?;
    let mut unconcerned = other.keep_pinging(&other_far)?;
    unconcerned.flows(10, UP)?;
    let mut pinger = near.keep_pinging(&far)?;
    pinger.flows(10, UP)?;

    let (before, daemon) = (spis(&tunnel.near)?, one_daemon(&near.site)?);
    let mut times = Timeline::begin();
    kill(daemon)?;
    tells(&tunnel.near, "the IKE daemon has died")?;
    times.mark("the death is told");
    wait::until("another daemon", UP, || {
        let now = near.site.processes();
        Ok(if now.len() == 1 && now != [daemon] { Ok(()) } else { Err(format!("{now:?}")) })
    })?;
    times.mark("another daemon runs");
    wait::until("new SAs", UP, || {
        let now = spis(&tunnel.near).unwrap_or_default();
        Ok(if now.is_empty() || now == before { Err(format!("{now:?}")) } else { Ok(()) })
    })?;
    tunnel.is_up(UP)?;
    times.mark("the tunnel is up");
    pinger.flows(10, UP)?;
    times.mark("traffic flows");
    tells(&tunnel.near, "the IKE daemon was started")?;
    let pings = pinger.stop()?;
    let others = lossless(unconcerned)?;
    eprintln!("{times}through it: {}; beside it: {}", pings.summary(), others.summary());
    clouds.ground.succeeded();
    Ok(())
}

pub fn one_daemon(site: &Site) -> Result<i32> {
    let daemons = site.processes();
    ensure!(daemons.len() == 1, "{daemons:?}");
    Ok(daemons[0])
}

pub fn kill(pid: i32) -> Result<()> {
    Ok(kill_process(Pid::from_raw(pid).context("no process")?, Signal::KILL)?)
}

/// Waits until an event of the connection says so.
fn tells(connection: &Connection, words: &str) -> Result<()> {
    Ok(wait::until(&format!("an event '{words}'"), UP, || {
        let status = connection.status()?;
        let events = status.0["events"].as_array().cloned().unwrap_or_default();
        let is_told = events.iter().any(|event| {
            event["kind"] == "engine" && event["message"].as_str().is_some_and(|told| told.contains(words))
        });
        Ok(if is_told { Ok(()) } else { Err(format!("{events:?}")) })
    })?)
}
