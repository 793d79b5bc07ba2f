//! The process is killed, asked to end, or started where another one is.

use super::ledger::{Ledger, must_be_sound};
use crate::support::StoreKind::{self, Postgresql, Sqlite};
use crate::support::{Launch, command, raw, wait};
use anyhow::ensure;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

const BODY: &str = r#"{"ikepolicy": {"name": "in time"}}"#;

#[test]
fn what_was_acknowledged_survives_sigkill_on_sqlite() -> anyhow::Result<()> {
    what_was_acknowledged_survives_sigkill(Sqlite)
}

#[test]
fn what_was_acknowledged_survives_sigkill_on_postgresql() -> anyhow::Result<()> {
    what_was_acknowledged_survives_sigkill(Postgresql)
}

fn what_was_acknowledged_survives_sigkill(store: StoreKind) -> anyhow::Result<()> {
    let mut server = Launch::new(store).start()?;
    let ledger = Ledger::default();
    for round in 1..=3 {
        thread::scope(|scope| {
            for _ in 0..8 {
                // The connection breaks in the end: that is the point.
                scope.spawn(|| ledger.create_until_the_end(&server));
            }
            let enough = wait::until("a stream of creations", Duration::from_secs(30), || {
                Ok((ledger.acknowledged() >= round * 150).then_some(()))
            });
            let killed = Command::new("kill").args(["-KILL", &server.pid().to_string()]).status();
            enough.and(killed.map_err(Into::into))
        })?;
        server.kill()?;
        server.start_again()?;
        ledger.must_be_kept(&server)?;
    }
    ensure!(ledger.refused() == 0, "some were refused before the end");
    must_be_sound(&server)
}

#[test]
fn requests_that_are_under_way_finish_after_sigterm_and_new_ones_are_refused() -> anyhow::Result<()> {
    let mut server = Launch::new(Sqlite).start()?;
    let mut idle = raw::connect(server.base())?;
    idle.write_all(b"GET /healthcheck HTTP/1.1\r\nHost: karez\r\n\r\n")?;
    let mut slow = (0..4).map(|_| half_a_request(server.base())).collect::<anyhow::Result<Vec<_>>>()?;

    server.ask_to_end()?;
    wait::until("a closed port", Duration::from_secs(15), || {
        Ok(raw::connect(server.base()).is_err().then_some(()))
    })?;
    ensure!(server.is_alive()?, "it ended before its requests did");
    for stream in &mut slow {
        stream.write_all(&BODY.as_bytes()[10..])?;
        let answer = raw::answer(stream)?;
        ensure!(raw::status(&answer) == Some(201), "{answer}");
    }
    let status = server.ended()?;
    ensure!(status.code() == Some(0), "{status}");

    server.start_again()?;
    ensure!(server.database().number("SELECT COUNT(*) FROM ikepolicies")? == 4);
    Ok(())
}

#[test]
fn a_server_that_has_all_its_connections_still_ends() -> anyhow::Result<()> {
    let mut server = Launch::new(Sqlite).api("connections = 2").start()?;
    let _idle = [raw::connect(server.base())?, raw::connect(server.base())?, raw::connect(server.base())?];
    // Both are served once they have been accepted; the third one never is.
    wait::until("two accepted connections", Duration::from_secs(30), || {
        Ok((server.sockets()? >= 3).then_some(()))
    })?;
    server.ask_to_end()?;
    let status = wait::until("the end", Duration::from_secs(15), || Ok((!server.is_alive()?).then_some(())));
    ensure!(status.is_ok(), "it waits for connections that nobody uses");
    ensure!(server.ended()?.code() == Some(0));
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_named() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).start()?;
    let (_, address) = server.base().split_once("://").unwrap_or_default();
    let state = tempfile::tempdir()?;
    let state = state.path().to_string_lossy();
    let second = command::karez(&["up", "--agent", "off", "--listen", address, "--state-dir", &state])?;
    ensure!(second.code == Some(1), "{second:?}");
    ensure!(second.stderr.contains(address) && second.stderr.contains("in use"), "{second:?}");
    ensure!(
        !second.stdout.contains("password"),
        "it made an administrator that nobody will meet: {second:?}"
    );
    Ok(())
}

/// A request whose body has begun to arrive, and which the server is at work on: it has asked for
/// the rest.
fn half_a_request(base: &str) -> anyhow::Result<TcpStream> {
    let mut stream = raw::connect(base)?;
    let head = raw::head("POST", "/v2.0/vpn/ikepolicies", BODY.len());
    stream.write_all(head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n").as_bytes())?;
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on)?;
    ensure!(go_on.starts_with(b"HTTP/1.1 100 Continue"), "{}", String::from_utf8_lossy(&go_on));
    stream.write_all(&BODY.as_bytes()[..10])?;
    Ok(stream)
}
