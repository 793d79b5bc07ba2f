//! The disk under the SQLite file is full for a while.

use super::ledger::{Ledger, must_not_have_panicked};
use crate::support::StoreKind::Sqlite;
use crate::support::{Caller, Launch, Server, command, wait};
use anyhow::{Context, ensure};
use reqwest::Method;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(20);

/// A file system of 6 MiB that only the server sees, and that goes with it.
#[test]
fn a_full_disk_is_answered_with_503_until_there_is_room_again() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(unshare) = unshare()? else {
        return a_file_that_may_not_grow_is_answered_with_503_until_it_may();
    };
    let script = format!("mount -t tmpfs -o size=6m karez '{}' && exec \"$@\"", folder.path().display());
    let words: Vec<&str> = unshare.iter().copied().chain(["sh", "-c", &script, "sh"]).collect();
    let mut server = Launch::new(Sqlite).database_in(folder.path()).wrapper(&words).start()?;
    let ballast = inside(&server, &folder.path().join("ballast"));
    let ledger = Ledger::default();
    for _ in 0..2 {
        ensure!(ledger.create(&server)?, "there was room");
        // Writing ends with an error once the disk is full.
        let filled = fs::write(&ballast, vec![0; 8 << 20]);
        ensure!(filled.is_err(), "the disk has more room than it should");
        refuses_then_recovers(&mut server, &ledger, || Ok(fs::remove_file(&ballast)?))?;
    }
    let pid = server.pid().to_string();
    let checked = command::finish(
        Command::new("nsenter")
            .args(["--mount", "--user", "--preserve-credentials", "-t", &pid])
            .args([env!("CARGO_BIN_EXE_karez"), "db", "check", "--config"])
            .arg(server.configuration()),
    )?;
    // Without a user namespace of its own there is none to enter.
    let checked = match checked.code {
        Some(0) => checked,
        _ => command::finish(
            Command::new("nsenter")
                .args(["--mount", "-t", &pid, env!("CARGO_BIN_EXE_karez"), "db", "check", "--config"])
                .arg(server.configuration()),
        )?,
    };
    ensure!(checked.code == Some(0), "{checked:?}");
    Ok(())
}

/// As with a quota: the files have reached the size that they may have.
#[test]
fn a_file_that_may_not_grow_is_answered_with_503_until_it_may() -> anyhow::Result<()> {
    // Without the trap the system would end the process at the first write beyond the limit.
    let mut server = Launch::new(Sqlite).wrapper(&["sh", "-c", "trap '' XFSZ; exec \"$@\"", "sh"]).start()?;
    let ledger = Ledger::default();
    ensure!(ledger.create(&server)?, "there was room");
    let pid = server.pid();
    limit(pid, "200000:")?;
    refuses_then_recovers(&mut server, &ledger, || limit(pid, "unlimited:"))?;
    super::ledger::must_be_sound(&server)
}

fn refuses_then_recovers(
    server: &mut Server,
    ledger: &Ledger,
    make_room: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    wait::until("a refusal", BOUND, || Ok((!ledger.create(server)?).then_some(())))?;
    for _ in 0..20 {
        ledger.create(server)?;
        let request = Caller::member("p").request(server, Method::GET, "/v2.0/vpn/ikepolicies?limit=1");
        ensure!(request.send()?.status() == 200, "what is there can still be read");
    }
    make_room()?;
    wait::until("room again", BOUND, || Ok(ledger.create(server)?.then_some(())))?;
    for _ in 0..20 {
        ensure!(ledger.create(server)?, "it came back only for once");
    }
    ensure!(server.is_alive()?);
    ledger.must_be_kept(server)?;
    must_not_have_panicked(server)
}

/// How to get a mount namespace of one's own; nothing where the system does not allow that.
fn unshare() -> anyhow::Result<Option<Vec<&'static str>>> {
    let ways = [vec!["unshare", "--mount"], vec!["unshare", "--map-root-user", "--mount"]];
    for way in ways {
        let probe = Command::new(way[0])
            .args(&way[1..])
            .args(["sh", "-c", "mount -t tmpfs -o size=1m karez /mnt"])
            .output()
            .context("unshare is in the package `util-linux`")?;
        if probe.status.success() {
            return Ok(Some(way));
        }
    }
    Ok(None)
}

/// A path as the server sees it.
fn inside(server: &Server, path: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", server.pid()));
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// How large a file the process may write, from now on.
fn limit(pid: u32, size: &str) -> anyhow::Result<()> {
    let status =
        Command::new("prlimit").args(["--pid", &pid.to_string(), &format!("--fsize={size}")]).status();
    ensure!(status.context("prlimit is in the package `util-linux`")?.success(), "cannot limit {pid}");
    Ok(())
}
