//! Connections that nobody uses, and clients that do not take what they asked for.

use super::sizes::peak_memory;
use crate::support::StoreKind::Sqlite;
use crate::support::{Caller, Launch, raw, wait};
use anyhow::{Context, ensure};
use reqwest::Method;
use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;

#[test]
fn five_thousand_idle_connections_are_in_nobodys_way() -> anyhow::Result<()> {
    const IDLE: usize = 5000;
    allow_descriptors(IDLE + 200)?;
    let server = Launch::new(Sqlite)
        .api("connections = 5500")
        .api("connections_per_address = 5500")
        .api("head_timeout_seconds = 300")
        .start()?;
    let before = peak_memory(&server)?;
    let began = Instant::now();
    let idle: Vec<_> = (0..IDLE).map(|_| raw::connect(server.base())).collect::<anyhow::Result<_>>()?;
    ensure!(began.elapsed() < Duration::from_secs(60), "they had to wait for {:?}", began.elapsed());
    wait::until("accepted connections", Duration::from_secs(60), || {
        let held = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))?.count();
        Ok((held > IDLE).then_some(()))
    })?;
    let began = Instant::now();
    for _ in 0..20 {
        let response = Caller::member("p").request(&server, Method::GET, "/v2.0/networks").send()?;
        ensure!(response.status() == 200);
    }
    ensure!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
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
    ensure!(began.elapsed() < Duration::from_secs(30), "it took {:?}", began.elapsed());
    let held = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))?.count();
    ensure!(held < 40, "{held} descriptors");
    Ok(())
}

#[test]
fn one_address_does_not_hold_all_connections() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).api("connections = 20").api("connections_per_address = 5").start()?;
    let idle: Vec<_> = (0..5).map(|_| raw::connect(server.base())).collect::<anyhow::Result<_>>()?;
    // One more is closed without a word.
    let answer = raw::exchange(server.base(), b"GET /healthcheck HTTP/1.1\r\nHost: karez\r\n\r\n")?;
    ensure!(answer.is_empty(), "{answer}");
    ensure!(raw::from("127.0.0.3", server.base(), b"GET /healthcheck HTTP/1.0\r\n\r\n")?.contains("200 OK"));
    drop(idle);
    wait::until("room", Duration::from_secs(10), || {
        let answer = raw::exchange(server.base(), b"GET /healthcheck HTTP/1.0\r\n\r\n")?;
        Ok(answer.contains("200 OK").then_some(()))
    })
}

#[test]
fn behind_a_proxy_the_requests_of_a_client_are_counted() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).api("behind_proxy = true").api("connections_per_address = 2").start()?;
    // Two that are at work, as their bodies do not come.
    let open = |client: &str| -> anyhow::Result<TcpStream> {
        let mut stream = raw::connect(server.base())?;
        let head = raw::head("POST", "/v2.0/vpn/ikepolicies", 100);
        stream.write_all(
            head.replace("\r\n\r\n", &format!("\r\nX-Forwarded-For: {client}\r\n\r\n")).as_bytes(),
        )?;
        Ok(stream)
    };
    let open = [open("198.51.100.1")?, open("10.0.0.1, 198.51.100.1")?];
    let ask = |client: &str| {
        let health = server.client().get(format!("{}/healthcheck", server.base()));
        Ok::<_, anyhow::Error>(health.header("X-Forwarded-For", client).send()?)
    };
    wait::until("a refusal", Duration::from_secs(10), || {
        let response = ask("198.51.100.1")?;
        Ok((response.status() == 503 && response.headers().contains_key("retry-after")).then_some(()))
    })?;
    ensure!(ask("198.51.100.2")?.status() == 200);
    drop(open);
    wait::until("room", Duration::from_secs(10), || Ok((ask("198.51.100.1")?.status() == 200).then_some(())))
}

#[test]
fn clients_that_ask_and_never_read_are_cut_and_others_served() -> anyhow::Result<()> {
    // Far more than all buffers between the two sides hold.
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: karez\r\n\r\n".repeat(100);
    let server = Launch::new(Sqlite).api("connections = 4").api("head_timeout_seconds = 5").start()?;
    let before = server.sockets()?;
    let greedy = (0..4).map(|_| {
        let mut stream = with_small_buffer(server.base())?;
        stream.write_all(requests.as_bytes())?;
        Ok(stream)
    });
    let greedy: Vec<_> = greedy.collect::<anyhow::Result<_>>()?;
    wait::until("four connections", Duration::from_secs(10), || {
        Ok((server.sockets()? >= before + 4).then_some(()))
    })?;
    let health = server.client().get(format!("{}/healthcheck", server.base()));
    let response = health.timeout(Duration::from_secs(40)).send()?;
    ensure!(response.status() == 200);
    // The fifth one is idle now, and is closed as well.
    wait::until("the end of all connections", Duration::from_secs(40), || {
        Ok((server.sockets()? == before).then_some(()))
    })?;
    drop(greedy);
    Ok(())
}

/// A connection that has little room for what it does not read.
pub fn with_small_buffer(base: &str) -> anyhow::Result<TcpStream> {
    let (_, address) = base.split_once("://").context("no URL")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4096)?;
        Ok::<_, anyhow::Error>(socket.connect(address.parse()?).await?.into_std()?)
    })?;
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// Lets this process, and the server that it starts, have so many files open.
fn allow_descriptors(count: usize) -> anyhow::Result<()> {
    let (pid, limit) = (std::process::id().to_string(), format!("--nofile={count}:"));
    let status = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    let status = status.context("prlimit is in the package `util-linux`")?;
    ensure!(status.success(), "this test needs {count} open files; raise the hard limit (ulimit -Hn)");
    Ok(())
}
