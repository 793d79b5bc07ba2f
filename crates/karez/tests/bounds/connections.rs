//! Many connections that nobody uses.

use super::sizes::peak_memory;
use crate::support::StoreKind::Sqlite;
use crate::support::{Caller, Launch, raw, wait};
use anyhow::{Context, ensure};
use reqwest::Method;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn five_thousand_idle_connections_are_in_nobodys_way() -> anyhow::Result<()> {
    const IDLE: usize = 5000;
    allow_descriptors(IDLE + 200)?;
    let server = Launch::new(Sqlite).api("connections = 5500").start()?;
    let before = peak_memory(&server)?;
    let began = Instant::now();
    let idle: Vec<_> = (0..IDLE).map(|_| raw::connect(server.base())).collect::<anyhow::Result<_>>()?;
    ensure!(began.elapsed() < Duration::from_secs(5), "they had to wait for {:?}", began.elapsed());
    wait::until("accepted connections", Duration::from_secs(20), || {
        let held = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))?.count();
        Ok((held > IDLE).then_some(()))
    })?;
    let began = Instant::now();
    for _ in 0..20 {
        let response = Caller::member("p").request(&server, Method::GET, "/v2.0/networks").send()?;
        ensure!(response.status() == 200);
    }
    ensure!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    let each = peak_memory(&server)?.saturating_sub(before) / IDLE as u64;
    ensure!(each < 48, "an idle connection takes {each} KiB");
    drop(idle);
    Ok(())
}

#[test]
fn connections_beyond_the_limit_wait_until_idle_ones_are_cut() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).api("connections = 10").api("head_timeout_seconds = 1").start()?;
    let _idle: Vec<_> = (0..30).map(|_| raw::connect(server.base())).collect::<anyhow::Result<_>>()?;
    let began = Instant::now();
    let response = Caller::member("p").request(&server, Method::GET, "/v2.0/networks").send()?;
    ensure!(response.status() == 200);
    ensure!(began.elapsed() < Duration::from_secs(15), "it took {:?}", began.elapsed());
    let held = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))?.count();
    ensure!(held < 40, "{held} descriptors");
    Ok(())
}

/// Lets this process, and the server that it starts, have so many files open.
fn allow_descriptors(count: usize) -> anyhow::Result<()> {
    let (pid, limit) = (std::process::id().to_string(), format!("--nofile={count}:"));
    let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    let status = status.context("prlimit is in the package `util-linux`")?;
    ensure!(status.success(), "this test needs {count} open files; raise the hard limit (ulimit -Hn)");
    Ok(())
}
