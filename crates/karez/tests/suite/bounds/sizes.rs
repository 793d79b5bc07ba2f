//! Bodies and heads that are too large, and clients that are too slow.

use crate::support::StoreKind::Sqlite;
use crate::support::{Caller, Launch, Server, raw};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

#[test]
fn a_body_of_one_mebibyte_is_read_and_a_larger_one_refused() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).start()?;
    let around = r#"{"ikepolicy": {"name": "", "description": ""}}"#.len();
    let body = |length: usize| {
        let filler = "x".repeat(length - around);
        format!(r#"{{"ikepolicy": {{"name": "", "description": "{filler}"}}}}"#)
    };
    let send = |method: Method, path: &str, body: reqwest::blocking::Body| -> anyhow::Result<(u16, Json)> {
        let response = Caller::member("p").request(&server, method, path).body(body).send()?;
        Ok((response.status().as_u16(), response.json()?))
    };
    let item = format!("/v2.0/vpn/ikepolicies/{}", uuid::Uuid::new_v4());
    for (method, path) in
        [(Method::POST, "/v2.0/vpn/ikepolicies"), (Method::PUT, item.as_str()), (Method::DELETE, &item)]
    {
        let (status, answer) = send(method.clone(), path, body(MIB).into())?;
        ensure!(status == 400 || status == 404, "{method}: {status} {answer}");
        let chunked = reqwest::blocking::Body::new(Cursor::new(body(MIB + 1)));
        for too_large in [body(MIB + 1).into(), chunked] {
            let (status, answer) = send(method.clone(), path, too_large)?;
            ensure!(status == 413, "{method}: {status} {answer}");
            ensure!(answer["NeutronError"]["type"] == "RequestEntityTooLarge", "{answer}");
        }
    }
    Ok(())
}

#[test]
fn bodies_have_a_bounded_depth_and_number_of_values() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).start()?;
    let send = |body: String| -> anyhow::Result<(u16, Json)> {
        let response =
            Caller::member("p").request(&server, Method::POST, "/v2.0/vpn/ikepolicies").body(body).send()?;
        Ok((response.status().as_u16(), response.json()?))
    };
    for (body, why) in [
        (format!(r#"{{"ikepolicy": {}{}}}"#, "[".repeat(40), "]".repeat(40)), "32 arrays"),
        (format!(r#"{{"ikepolicy": {{"name": [{}0]}}}}"#, "0,".repeat(60_000)), "50000 values"),
    ] {
        let (status, answer) = send(body)?;
        let message = answer["NeutronError"]["message"].as_str().unwrap_or_default();
        ensure!(status == 400 && message.contains(why), "{status} {answer}");
    }
    well(&server)
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_before_it_comes() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).start()?;
    let mut stream = raw::connect(server.base())?;
    stream.write_all(raw::head("POST", "/v2.0/vpn/ikepolicies", 1 << 40).as_bytes())?;
    let answer = raw::answer(&mut stream)?;
    ensure!(raw::status(&answer) == Some(413), "{answer}");
    Ok(())
}

#[test]
fn a_flood_of_headers_is_refused_and_takes_no_memory() -> anyhow::Result<()> {
    let mut server = Launch::new(Sqlite).start()?;
    let many: String = (0..100_000).map(|number| format!("X-Header-{number}: value\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(MIB));
    let some: String = (0..101).map(|number| format!("X-Header-{number}: value\r\n")).collect();
    let target = format!("GET /{} HTTP/1.1\r\n", "x".repeat(MIB));
    let start = "GET /v2.0/networks HTTP/1.1\r\nHost: karez\r\n";
    well(&server)?;
    let before = peak_memory(&server)?;
    for _ in 0..16 {
        for head in [
            format!("{start}{many}\r\n"),
            format!("{start}{long}\r\n"),
            format!("{start}{some}\r\n"),
            target.clone(),
        ] {
            let answer = raw::exchange(server.base(), head.as_bytes())?;
            let status = raw::status(&answer);
            ensure!(matches!(status, None | Some(431 | 414)), "{answer}");
        }
    }
    well(&server)?;
    let grown = peak_memory(&server)?.saturating_sub(before);
    ensure!(grown < 20 << 10, "it took {grown} KiB");
    ensure!(server.is_alive()?);
    Ok(())
}

#[test]
fn a_query_has_at_most_five_hundred_parameters() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).start()?;
    for (count, expected) in [(500, 200), (501, 400)] {
        let query = vec!["name=x"; count].join("&");
        let request = Caller::member("p").request(&server, Method::GET, &format!("/v2.0/networks?{query}"));
        let response = request.send()?;
        let (status, answer) = (response.status(), response.text()?);
        ensure!(status == expected, "{count}: {status} {answer}");
        ensure!(status == 200 || answer.contains("501"), "{answer}");
    }
    Ok(())
}

#[test]
fn a_client_that_drips_its_head_is_cut_off() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).api("head_timeout_seconds = 1").start()?;
    let head = raw::head("GET", "/v2.0/networks", 0);
    let took = drip(&server, head.as_bytes(), &[])?;
    ensure!(took.1 < Duration::from_secs(15), "it was borne for {:?}", took.1);
    ensure!(matches!(raw::status(&took.0), None | Some(408)), "{}", took.0);
    well(&server)
}

#[test]
fn a_client_that_drips_its_body_is_told_so() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).api("body_timeout_seconds = 1").start()?;
    let body = json!({"ikepolicy": {"name": "x".repeat(200)}}).to_string();
    let head = raw::head("POST", "/v2.0/vpn/ikepolicies", body.len());
    let (answer, took) = drip(&server, body.as_bytes(), head.as_bytes())?;
    ensure!(took < Duration::from_secs(15), "it was borne for {took:?}");
    ensure!(raw::status(&answer) == Some(408), "{answer}");
    well(&server)
}

#[test]
fn a_client_that_drips_a_body_that_is_too_large_is_not_heard_out_for_ever() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).api("body_timeout_seconds = 1").start()?;
    let head = raw::head("POST", "/v2.0/vpn/ikepolicies", 1 << 40);
    let (answer, took) = drip(&server, "x".repeat(250).as_bytes(), head.as_bytes())?;
    ensure!(took < Duration::from_secs(15), "it was borne for {took:?}");
    ensure!(raw::status(&answer) == Some(413), "{answer}");
    well(&server)
}

/// Sends `at_once`, and then a byte each tenth of a second, until the server closes; returns what
/// it said and how long that took.
fn drip(server: &Server, bytes: &[u8], at_once: &[u8]) -> anyhow::Result<(String, Duration)> {
    let mut stream = raw::connect(server.base())?;
    let mut writer = stream.try_clone()?;
    writer.write_all(at_once)?;
    let began = Instant::now();
    let bytes = bytes.to_vec();
    std::thread::spawn(move || {
        for byte in bytes {
            if writer.write_all(&[byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let answer = raw::answer(&mut stream)?;
    Ok((answer, began.elapsed()))
}

/// Fails unless others are served.
fn well(server: &Server) -> anyhow::Result<()> {
    let response = Caller::member("p").request(server, Method::GET, "/v2.0/networks").send()?;
    ensure!(response.status() == 200);
    Ok(())
}

/// The most memory that the process has had, in KiB.
pub fn peak_memory(server: &Server) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
