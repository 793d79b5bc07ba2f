//! The agent is ahead of the server: the server is away, or has come back with an older database.

use crate::chaos::branch::{Branch, Tunnel, lossless, says, spis};
use crate::chaos::parts::{HOST, Parts};
use crate::chaos::stage::UP;
use anyhow::Result;
use karez_scene::{Kind, Wish, wait};
use serde_json::json;

#[test]
fn an_agent_that_is_started_while_the_server_is_away_does_its_work_once_that_is_back() -> Result<()> {
    let mut parts = Parts::build("away")?;
    let (near, far) = (parts.near_branch(1)?, parts.far.branch(1)?);
    let tunnel = Tunnel::one_sided(&near, &far)?;
    let before = spis(&tunnel.near)?;
    let mut pinger = near.keep_pinging(&far)?;
    pinger.flows(10, UP)?;
    let session = parts.session()?;

    parts.service.stop();
    parts.node.stop();
    parts.node.start(None)?;
    wait::until("the agent to knock in vain", UP, || {
        let log = std::fs::read_to_string(parts.node.log()).unwrap_or_default();
        let is_knocking = log.matches("no session with the control plane").count() >= 2;
        Ok(if is_knocking { Ok(()) } else { Err(String::new()) })
    })?;
    pinger.flows(20, UP)?;
    parts.service.start_again()?;
    parts.is_back(&session)?;
    says(&tunnel.near, None, UP)?;
    assert_eq!(spis(&tunnel.near)?, before);
    tunnel.near.edit(json!({"mtu": 1400}))?;
    pinger.flows(20, UP)?;
    let _another = parts.near_branch(2)?;
    eprintln!("{}", lossless(pinger)?.summary());
    parts.ground.succeeded();
    Ok(())
}

#[test]
fn after_a_backup_was_put_back_the_node_runs_what_the_backup_says() -> Result<()> {
    let mut parts = Parts::build("backup")?;
    let (near, far) = (parts.near_branch(1)?, parts.far.branch(1)?);
    let (second, second_far) = (parts.near_branch(2)?, parts.far.branch(2)?);
    let kept = Tunnel::one_sided(&near, &far)?;
    let deleted = Tunnel::build(&second, &second_far, &Wish::modern())?;
    let before = spis(&kept.near)?;
    let mut pinger = near.keep_pinging(&far)?;
    pinger.flows(10, UP)?;

    parts.service.stop();
    let database = parts.service.directory().join("karez.db");
    let backup = database.with_file_name("backup.db");
    // A server that was stopped has left nothing beside the one file.
    std::fs::copy(&database, &backup)?;
    parts.service.start_again()?;
    parts.service.knows(HOST, true, UP)?;
    deleted.near.clone().delete()?;
    says_no_tunnel(&second, &second_far)?;
    let late = parts.near_branch(3)?;
    assert!(!late.site.traces().is_empty());

    let session = parts.session()?;
    parts.service.stop();
    std::fs::copy(&backup, &database)?;
    parts.service.start_again()?;
    parts.is_back(&session)?;
    // What was deleted since is there again, and what was made since is not.
    assert!(parts.service.client().show(Kind::Router, late.site.router()).is_err());
    deleted.is_up(UP)?;
    wait::until("pings through the tunnel that is back", UP, || {
        let pings = second.host.ping(second_far.host.addresses()[0], 3)?;
        Ok(if pings.all_answered() { Ok(()) } else { Err(pings.summary()) })
    })?;
    let name = late.site.namespace_name();
    wait::until("the end of the router that the backup does not know", UP, || {
        let left: Vec<String> =
            late.site.traces().into_iter().filter(|trace| trace.contains(late.site.router())).collect();
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{name}: {left:?}")) })
    })?;
    says(&kept.near, None, UP)?;
    assert_eq!(spis(&kept.near)?, before);
    eprintln!("{}", lossless(pinger)?.summary());
    parts.ground.succeeded();
    Ok(())
}

fn says_no_tunnel(near: &Branch, far: &Branch) -> Result<()> {
    Ok(wait::until("the tunnel to go", UP, || {
        let pings = near.host.ping(far.host.addresses()[0], 1)?;
        Ok(if pings.received == 0 { Ok(()) } else { Err(pings.summary()) })
    })?)
}
