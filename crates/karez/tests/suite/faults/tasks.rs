//! Part of the process panics, or nobody takes its log: it goes on whole, or it ends.

use super::ledger::Ledger;
use crate::support::StoreKind::Sqlite;
use crate::support::{Launch, Server, wait};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(30);

#[test]
fn what_panics_is_begun_again_and_told_with_its_place() -> anyhow::Result<()> {
    // Each of them alone would be missed: who marks, who looks, who renews leases.
    let server = Launch::new(Sqlite).environment("KAREZ_FAULT", "mark:2,look:2,renew:2").start()?;
    wait::until("three tasks to be begun again, twice", BOUND, || {
        let log = server.log()?;
        let count =
            |task: &str| log.matches(&format!("a task panicked; it is begun again task={task}")).count();
        Ok((["mark", "look", "renew"].map(count) == [2, 2, 2]).then_some(()))
    })?;
    ensure!(
        server.log()?.contains("place=crates/tasks/src/lib.rs")
            || server.log()?.contains("tasks/src/lib.rs:")
    );
    is_marked(&server)
}

#[test]
fn what_panics_again_and_again_ends_the_process() -> anyhow::Result<()> {
    let mut server = Launch::new(Sqlite).environment("KAREZ_FAULT", "mark:9").start()?;
    let status = server.ended()?;
    ensure!(status.code() == Some(70), "{status}");
    ensure!(server.log()?.contains("the task mark panics again and again"));
    Ok(())
}

#[test]
fn a_log_that_cannot_be_written_keeps_nobody_from_working() -> anyhow::Result<()> {
    let mut server = Launch::new(Sqlite).wrapper(&["sh", "-c", "exec \"$@\" 2>/dev/full", "sh"]).start()?;
    let ledger = Ledger::default();
    for _ in 0..3 {
        ensure!(ledger.create(&server)?, "it does not answer");
    }
    // With a line in the log, as would be for each of these.
    is_marked(&server)?;
    ensure!(server.is_alive()?);
    ensure!(server.stop()?.code() == Some(0));
    Ok(())
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() -> anyhow::Result<()> {
    // A pipe holds 64 KiB, and the one that reads it is asleep.
    let script = "exec \"$@\" 2> >(sleep 30)";
    let server = Launch::new(Sqlite)
        .environment("KAREZ_LOG", "debug")
        .wrapper(&["bash", "-c", script, "bash"])
        .start()?;
    let ledger = Ledger::default();
    for _ in 0..600 {
        ensure!(ledger.create(&server)?, "it does not answer");
    }
    Ok(())
}

/// A service without an agent says so after a while: the task that marks it is at work.
fn is_marked(server: &Server) -> anyhow::Result<()> {
    let member = crate::support::Caller::member("a project");
    let admin = crate::support::Caller::admin("a project");
    let make = |caller: &crate::support::Caller, path: &str, body: Json| -> anyhow::Result<Json> {
        let answer = caller.request(server, Method::POST, path).json(&body).send()?;
        let status = answer.status();
        let body: Json = answer.json()?;
        ensure!(status.is_success(), "{path}: {body}");
        let member = body.as_object().and_then(|body| body.values().next());
        Ok(member.with_context(|| format!("{path}: {body}"))?.clone())
    };
    let outside = make(&admin, "/v2.0/networks", json!({"network": {"router:external": true}}))?;
    let subnet = json!({"subnet": {"network_id": outside["id"], "cidr": "203.0.113.0/24", "ip_version": 4}});
    make(&admin, "/v2.0/subnets", subnet)?;
    let gateway = json!({"network_id": outside["id"]});
    let router = make(&member, "/v2.0/routers", json!({"router": {"external_gateway_info": gateway}}))?;
    let service = json!({"vpnservice": {"router_id": router["id"], "subnet_id": null}});
    let service = make(&member, "/v2.0/vpn/vpnservices", service)?;
    let path = format!("/v2.0/vpn/vpnservices/{}", service["id"].as_str().unwrap_or_default());
    wait::until("a mark", BOUND, || {
        let shown: Json = member.request(server, Method::GET, &path).send()?.json()?;
        Ok((shown["vpnservice"]["status_reason"] == "no_agent").then_some(()))
    })
}
