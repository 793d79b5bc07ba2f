//! Each task of an agent panics once, and its log is on a full disk: tunnels come up and are looked after all the same.

use crate::tunnels::stage::{UP, binary, first, second};
use crate::tunnels::told::reaches;
use anyhow::{Context, Result, ensure};
use karez_scene::{End, Ground, Internet, Wish, needs, random_key};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn an_agent_whose_tasks_have_panicked_and_that_cannot_log_looks_after_its_tunnels() -> Result<()> {
    needs::check()?;
    let ground = Ground::claim("halfdead")?;
    let internet = Internet::build(&ground)?;
    let folder = tempfile::tempdir()?;
    let struck = folder.path().join("karez");
    let faults = "agent:1,router:1,tunnels:1,around:1,mark:1,look:1,renew:1";
    let binary = binary();
    let script = format!("#!/bin/sh\nKAREZ_FAULT={faults} exec {} \"$@\" 2>/dev/full\n", binary.display());
    fs::write(&struck, script)?;
    fs::set_permissions(&struck, fs::Permissions::from_mode(0o755))?;
    let one = End::build(internet.segment(), &struck, &first())?;
    let two = End::build(internet.segment(), binary, &second())?;

    let key = random_key()?;
    let here = one.connect(&two.as_peer(), &key, &Wish::modern())?;
    let there = two.connect(&one.as_peer(), &key, &Wish::modern())?;
    here.becomes("ACTIVE", UP)?;
    there.becomes("ACTIVE", UP)?;
    reaches(&one.host, second().host)?;

    // Somebody looks after the daemon, and the lease goes on: it is told when it is gone, and when it is back.
    let said = Command::new("ip").args(["netns", "pids", &one.site.namespace_name()]).output()?.stdout;
    let said = String::from_utf8(said)?;
    let is_daemon = |process: &&str| {
        fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim() == "charon")
    };
    let daemon = said.lines().find(is_daemon).context("a daemon")?;
    ensure!(Command::new("kill").args(["-KILL", daemon]).status()?.success());
    one.host.reaches(second().host, UP)?;
    here.becomes("ACTIVE", UP)?;
    ground.succeeded();
    Ok(())
}
