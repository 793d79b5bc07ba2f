//! The machine has no more of something for a while: what is up stays so, what is concerned says so or waits, and all heals
//! by itself.

use crate::chaos::branch::{Tunnel, lossless, says};
use crate::chaos::daemon::{kill, one_daemon};
use crate::chaos::stage::{Clouds, Far, UP, binary, internet};
use anyhow::{Context, Result, ensure};
use karez_scene::{Cloud, Kind, Wish, random_key};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_service_without_descriptors_disturbs_no_tunnel_and_comes_back() -> Result<()> {
    let mut clouds = Clouds::build("descriptors")?;
    let (near, far) = (clouds.near_branch(1)?, clouds.far.branch(1)?);
    let (other, other_far) = (clouds.near_branch(2)?, clouds.far.branch(2)?);
    let (_up, hurt) =
        (Tunnel::build(&near, &far, &Wish::modern())?, Tunnel::build(&other, &other_far, &Wish::modern())?);
    let (mut pinger, mut control) = (near.keep_pinging(&far)?, far.keep_pinging(&near)?);
    pinger.flows(10, UP)?;
    control.flows(10, UP)?;
    // What is open stays open; nothing more can be.
    let pid = clouds.near.pid();
    let before = descriptors(pid, "3:")?;
    kill(one_daemon(&other.site)?)?;
    // Neither can a daemon be started nor somebody be answered who was not here.
    std::thread::sleep(Duration::from_secs(3));
    ensure!(other.site.processes().is_empty(), "a daemon was started without descriptors");
    descriptors(pid, &before)?;
    hurt.is_up(UP)?;
    let mut healed = other.keep_pinging(&other_far)?;
    healed.flows(10, UP)?;
    healed.stop()?;
    ensure!(clouds.near.client().list(Kind::Connection)?.len() == 2);
    lossless(pinger)?;
    lossless(control)?;
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn a_kernel_without_room_for_rules_is_told_of_and_what_is_up_stays() -> Result<()> {
    let (ground, internet) = internet("rules")?;
    let full = ground.directory().join("full");
    let wrapped = with_a_full_kernel(ground.directory(), &full)?;
    let near = Cloud::start("near", internet.segment(), &wrapped)?;
    let far = Far::start(internet.segment())?;
    let mut clouds = Clouds { near, far, ground };
    let (near, far) = (clouds.near_branch(1)?, clouds.far.branch(1)?);
    let (other, other_far) = (clouds.near_branch(2)?, clouds.far.branch(2)?);
    let _up = Tunnel::build(&near, &far, &Wish::modern())?;
    let mut pinger = near.keep_pinging(&far)?;
    pinger.flows(10, UP)?;
    fs::write(&full, "")?;
    let (key, wish) = (random_key()?, Wish::modern());
    let new = Tunnel {
        near: other.connect(&other_far.as_peer(), &key, &wish)?,
        far: other_far.connect(&other.as_peer(), &key, &wish)?,
    };
    says(&new.near, Some("local_error"), UP)?;
    let shown = new.near.show()?;
    let why = shown["status_detail"].as_str().unwrap_or_default();
    ensure!(why.contains("No space left on device"), "{shown}");
    fs::remove_file(&full)?;
    new.is_up(UP)?;
    says(&new.near, None, UP)?;
    lossless(pinger)?;
    clouds.ground.succeeded();
    Ok(())
}

/// Sets how many descriptors a process may have, and returns what it was.
fn descriptors(pid: u32, limit: &str) -> Result<String> {
    let pid = pid.to_string();
    let run = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("prlimit").args(["--pid", &pid]).args(arguments).output();
        let output = output.context("prlimit is in the package `util-linux`")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    };
    let before = run(&["--nofile", "--noheadings", "--raw", "--output", "SOFT"])?;
    run(&[&format!("--nofile={limit}")])?;
    Ok(format!("{}:", before.trim()))
}

/// The binary, whose `nft` finds the kernel full as long as the file `full` is there.
fn with_a_full_kernel(directory: &Path, full: &Path) -> Result<std::path::PathBuf> {
    let script = |name: &str, text: String| -> Result<std::path::PathBuf> {
        let path = directory.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    };
    let refusal = "Error: Could not process rule: No space left on device";
    let full = full.display();
    script(
        "nft",
        format!("[ -e '{full}' ] && {{ echo '{refusal}' >&2; exit 1; }}\nexec /usr/sbin/nft \"$@\""),
    )?;
    let (own, binary) = (directory.display(), binary().display());
    script("karez-with-nft", format!("PATH='{own}':\"$PATH\" exec '{binary}' \"$@\""))
}
