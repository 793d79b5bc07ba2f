//! Agent and server stop, die and come back, and nobody who uses a tunnel notices.

use crate::chaos::branch::{Tunnel, lossless, says, spis};
use crate::chaos::parts::{HOST, LEASE, Parts};
use crate::chaos::stage::UP;
use anyhow::{Context, Result};
use karez_scene::{Timeline, wait};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

#[test]
fn agent_and_server_can_be_stopped_killed_and_started_while_not_one_packet_is_lost() -> Result<()> {
    let mut parts = Parts::build("restarts")?;
    let (near, far) = (parts.near_branch(1)?, parts.far.branch(1)?);
    let tunnel = Tunnel::one_sided(&near, &far)?;
    let before = spis(&tunnel.near)?;
    let daemons = near.site.processes();
    let mut pinger = near.keep_pinging(&far)?;
    pinger.flows(10, UP)?;
    let mut times = Timeline::begin();

    for is_killed in [false, true] {
        let (session, told) = (parts.session()?, told(&tunnel)?);
        if is_killed {
            parts.node.kill()
        } else {
            parts.node.stop()
        }
        parts.node.start(None)?;
        parts.is_back(&session)?;
        is_told_again(&tunnel, &told)?;
        times.mark(format!("the agent is back; killed: {is_killed}"));
        is_as_before(&tunnel, &before)?;
        times.mark("the same SAs are reported");
    }
    for is_killed in [false, true] {
        let (session, told) = (parts.session()?, told(&tunnel)?);
        if is_killed {
            parts.service.kill()
        } else {
            parts.service.stop()
        }
        parts.service.start_again()?;
        times.mark(format!("the server answers; killed: {is_killed}"));
        assert_eq!(tunnel.near.show()?["status"], "ACTIVE");
        parts.is_back(&session)?;
        times.mark("the agent is back");
        is_told_again(&tunnel, &told)?;
        is_as_before(&tunnel, &before)?;
    }
    assert_eq!(near.site.processes(), daemons, "the IKE daemon was started again");
    let pings = lossless(pinger)?;
    eprintln!("{times}{}", pings.summary());
    parts.ground.succeeded();
    Ok(())
}

#[test]
fn an_agent_that_is_gone_shows_as_lost_while_its_tunnels_pass_traffic_until_it_is_back() -> Result<()> {
    let mut parts = Parts::build("agentlost")?;
    let (near, far) = (parts.near_branch(1)?, parts.far.branch(1)?);
    let tunnel = Tunnel::one_sided(&near, &far)?;
    let before = spis(&tunnel.near)?;
    let mut pinger = near.keep_pinging(&far)?;
    pinger.flows(10, UP)?;

    let mut times = Timeline::begin();
    parts.node.kill();
    parts.service.knows(HOST, false, LEASE + UP)?;
    times.mark("the agent is not alive");
    says(&tunnel.near, Some("agent_lost"), UP)?;
    times.mark("the connection says agent_lost");
    assert_eq!(tunnel.near.show()?["status"], "ACTIVE", "the last that was known");
    assert_eq!(tunnel.near.status()?.reason(), Some("agent_lost"));
    pinger.flows(50, UP)?;

    parts.node.start(None)?;
    parts.service.knows(HOST, true, UP)?;
    times.mark("the agent is alive");
    says(&tunnel.near, None, UP)?;
    times.mark("the connection does not say agent_lost any more");
    is_as_before(&tunnel, &before)?;
    let pings = lossless(pinger)?;
    eprintln!("{times}{}", pings.summary());
    parts.ground.succeeded();
    Ok(())
}

#[test]
fn a_router_that_was_taken_from_a_silent_agent_and_given_back_is_as_it_was() -> Result<()> {
    let mut parts = Parts::build("givenback")?;
    let (near, far) = (parts.near_branch(1)?, parts.far.branch(1)?);
    let tunnel = Tunnel::one_sided(&near, &far)?;
    let before = spis(&tunnel.near)?;
    let agent = parts.agent()?;
    let routers = format!("/v2.0/agents/{agent}/vpn-routers");

    signal(&parts, Signal::STOP)?;
    parts.service.knows(HOST, false, LEASE + UP)?;
    let client = parts.service.client();
    client.call(Method::DELETE, &format!("{routers}/{}", near.site.router()), None)?;
    says(&tunnel.near, Some("no_agent"), UP)?;
    client.call(Method::POST, &routers, Some(&json!({"router_id": near.site.router()})))?;
    signal(&parts, Signal::CONT)?;

    // Nothing passes through the tunnel, so that the engine has nothing new to say of it.
    says(&tunnel.near, None, UP)?;
    is_as_before(&tunnel, &before)?;
    parts.ground.succeeded();
    Ok(())
}

fn signal(parts: &Parts, signal: Signal) -> Result<()> {
    let pid = parts.node.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    Ok(kill_process(pid.context("the agent does not run")?, signal)?)
}

/// When the agent last reported the tunnel.
fn told(tunnel: &Tunnel) -> Result<String> {
    Ok(tunnel.near.status()?.0["reported_at"].to_string())
}

/// Waits until the agent has reported the tunnel since.
fn is_told_again(tunnel: &Tunnel, before: &str) -> Result<()> {
    Ok(wait::until("a report about the tunnel", UP, || {
        let now = tunnel.near.status()?.0["reported_at"].to_string();
        Ok(if now == before { Err(now) } else { Ok(()) })
    })?)
}

/// Up, without a complaint, and by the same SAs.
fn is_as_before(tunnel: &Tunnel, before: &[(String, String)]) -> Result<()> {
    says(&tunnel.near, None, UP)?;
    tunnel.is_up(UP)?;
    assert_eq!(spis(&tunnel.near)?, before, "the SAs were made anew");
    Ok(())
}
