//! Lists of a size that would be in others' way, and clients that take them slowly.

use super::connections::with_small_buffer;
use super::sizes::peak_memory;
use crate::support::StoreKind::{self, Postgresql, Sqlite};
use crate::support::{Caller, Launch, Server, raw, wait};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::io::Write;
use std::time::Duration;

const GROUPS: usize = 150;
/// The most that a group may have; all of them together are some 4 MiB as text.
const CIDRS: usize = 1000;

#[test]
fn a_long_list_is_whole_on_sqlite() -> anyhow::Result<()> {
    a_long_list_is_whole(Sqlite)
}

#[test]
fn a_long_list_is_whole_on_postgresql() -> anyhow::Result<()> {
    a_long_list_is_whole(Postgresql)
}

fn a_long_list_is_whole(store: StoreKind) -> anyhow::Result<()> {
    let server = Launch::new(store).start()?;
    fill(&server, "p")?;
    let list = |query: &str| -> anyhow::Result<Json> {
        let path = format!("/v2.0/vpn/endpoint-groups{query}");
        let response = Caller::member("p").request(&server, Method::GET, &path).send()?;
        ensure!(response.status() == 200, "{}", response.text()?);
        Ok(response.json()?)
    };
    let whole = list("")?;
    let groups = whole["endpoint_groups"].as_array().context("no list")?;
    ensure!(groups.len() == GROUPS, "{} groups", groups.len());
    for (at, group) in groups.iter().enumerate() {
        ensure!(
            group["name"] == format!("group {at}") && group["endpoints"][CIDRS - 1].is_string(),
            "{group}"
        );
    }
    ensure!(whole.get("endpoint_groups_links").is_none());
    // A page of many parts has its links, and one whose first parts show nothing is JSON as well.
    let page = list("?limit=140&sort_key=name&sort_dir=asc")?;
    ensure!(page["endpoint_groups"].as_array().is_some_and(|groups| groups.len() == 140));
    ensure!(page["endpoint_groups_links"][0]["rel"] == "next", "{}", page["endpoint_groups_links"]);
    let names = list("?fields=name")?;
    ensure!(names["endpoint_groups"][GROUPS - 1] == json!({"name": format!("group {}", GROUPS - 1)}));
    Ok(())
}

#[test]
fn slow_readers_of_long_lists_take_little_and_keep_nobody_waiting() -> anyhow::Result<()> {
    const READERS: usize = 32;
    let server = Launch::new(Sqlite).start()?;
    fill(&server, "p")?;
    let own = Caller::member("other").request(&server, Method::POST, "/v2.0/vpn/ikepolicies");
    let own: Json = own.json(&json!({"ikepolicy": {"name": "other"}})).send()?.json()?;
    let own = format!("/v2.0/vpn/ikepolicies/{}", own["ikepolicy"]["id"].as_str().context("no id")?);
    let before = peak_memory(&server)?;
    let sockets = server.sockets()?;
    // Of this version of HTTP a body is what comes before the end.
    let request = "GET /v2.0/vpn/endpoint-groups HTTP/1.0\r\nHost: karez\r\nX-Project-Id: p\r\nX-User-Id: u\r\n\
        X-Roles: member,reader\r\n\r\n";
    let readers = (0..READERS).map(|_| {
        let mut stream = with_small_buffer(server.base())?;
        stream.write_all(request.as_bytes())?;
        Ok(stream)
    });
    let mut readers: Vec<_> = readers.collect::<anyhow::Result<_>>()?;
    wait::until("readers", Duration::from_secs(20), || {
        Ok((server.sockets()? >= sockets + READERS).then_some(()))
    })?;
    for _ in 0..20 {
        let response = Caller::member("other").request(&server, Method::GET, &own).send()?;
        ensure!(response.status() == 200);
    }
    let grown = peak_memory(&server)?.saturating_sub(before);
    ensure!(grown < 64 << 10, "{READERS} slow readers took {grown} KiB");
    // What they are answered in the end is whole.
    let answer = raw::answer(readers.first_mut().context("no reader")?)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("no body")?;
    let answer: Json = serde_json::from_str(body)?;
    ensure!(answer["endpoint_groups"].as_array().is_some_and(|groups| groups.len() == GROUPS));
    Ok(())
}

#[test]
fn pages_have_the_bound_that_the_operator_sets() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).api("pagination_max_limit = 2").start()?;
    for number in 0..5 {
        let policy = json!({"ikepolicy": {"name": format!("{number}")}});
        Caller::member("p").request(&server, Method::POST, "/v2.0/vpn/ikepolicies").json(&policy).send()?;
    }
    let (mut path, mut seen) = ("/v2.0/vpn/ikepolicies".to_owned(), 0);
    loop {
        let page: Json = Caller::member("p").request(&server, Method::GET, &path).send()?.json()?;
        let count = page["ikepolicies"].as_array().context("no list")?.len();
        ensure!(count <= 2, "{count} in a page");
        seen += count;
        let links = page["ikepolicies_links"].as_array().context("no links")?;
        let Some(next) = links.iter().find(|link| link["rel"] == "next") else { break };
        let next = next["href"].as_str().context("no address")?;
        path = next.strip_prefix(server.base()).context("another server")?.to_owned();
    }
    ensure!(seen == 5, "{seen} of 5");
    Ok(())
}

/// Groups as large as they may be.
fn fill(server: &Server, project: &str) -> anyhow::Result<()> {
    for group in 0..GROUPS {
        let endpoints: Vec<String> =
            (0..CIDRS).map(|at| format!("10.{}.{}.0/24", group % 100 + at / 250, at % 250)).collect();
        let body = json!({"endpoint_group": {"name": format!("group {group}"), "type": "cidr", "endpoints": endpoints}});
        let request = Caller::member(project).request(server, Method::POST, "/v2.0/vpn/endpoint-groups");
        let response = request.json(&body).send()?;
        ensure!(response.status() == 201, "{}", response.text()?);
    }
    Ok(())
}
