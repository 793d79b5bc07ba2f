//! Links lead to where the client found the server, or to where the operator says that it is.

use crate::support::StoreKind::Sqlite;
use crate::support::{Caller, Launch, Server, site};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value as Json, json};

#[test]
fn links_have_the_host_that_the_client_used() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).start()?;
    ensure!(root(&server, &[])? == format!("{}/v2.0/", server.base()));
    ensure!(root(&server, &[("Host", "vpn.example:99")])? == "http://vpn.example:99/v2.0/");
    let forwarded = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example")];
    ensure!(
        root(&server, &forwarded)? == format!("{}/v2.0/", server.base()),
        "nobody may say so without a proxy"
    );
    ensure!(root(&server, &[("Host", "a\"b<c>")])? == "http://localhost/v2.0/");
    Ok(())
}

#[test]
fn behind_a_proxy_links_have_what_the_client_of_the_proxy_used() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).api("behind_proxy = true").start()?;
    let forwarded = [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "vpn.example, inner")];
    ensure!(root(&server, &forwarded)? == "https://vpn.example/v2.0/");
    Ok(())
}

#[test]
fn the_public_url_is_in_every_link() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).api("public_url = \"https://cloud.example/vpn/\"").start()?;
    // The line that says where it listens has that URL too, so requests need the real port.
    let port = listening_port(&server)?;
    let base = format!("http://127.0.0.1:{port}");
    let client = server.client();
    let body: Json = client.get(&base).header("X-Forwarded-Host", "evil.example").send()?.json()?;
    ensure!(body["versions"][0]["links"][0]["href"] == "https://cloud.example/vpn/v2.0/", "{body}");
    Ok(())
}

#[test]
fn a_link_to_the_next_page_leads_there() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).start()?;
    let member = Caller::member("p");
    for name in ["a", "b", "c"] {
        site::create(&server, &member, "networks", "network", json!({"name": name}))?;
    }
    let mut next = Some(format!("{}/v2.0/networks?limit=1&sort_key=name&sort_dir=desc", server.base()));
    let mut names = String::new();
    while let Some(url) = next {
        let path = url.strip_prefix(server.base()).context("a link to another host")?;
        let body: Json = member.request(&server, Method::GET, path).send()?.json()?;
        names.push_str(body["networks"][0]["name"].as_str().unwrap_or_default());
        let links = body["networks_links"].as_array().cloned().unwrap_or_default();
        next = links
            .iter()
            .find(|link| link["rel"] == "next")
            .and_then(|link| Some(link["href"].as_str()?.to_owned()));
        ensure!(names.len() < 10, "it never ends");
    }
    ensure!(names == "cba", "{names}");
    Ok(())
}

/// The link of the API's version, for a client that sends these headers.
fn root(server: &Server, headers: &[(&str, &str)]) -> anyhow::Result<String> {
    let request = server.client().get(server.base());
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let body: Json = request.send()?.json()?;
    Ok(body["versions"][0]["links"][0]["href"].as_str().context("no link")?.to_owned())
}

/// The port that the process listens on, from the system.
fn listening_port(server: &Server) -> anyhow::Result<u16> {
    let links = std::fs::read_dir(format!("/proc/{}/fd", server.pid()))?;
    let targets = links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok());
    let sockets: Vec<String> = targets
        .filter_map(|target| {
            Some(target.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
        })
        .collect();
    let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", server.pid()))?;
    let own = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|fields| {
        fields.get(3) == Some(&"0A")
            && fields.get(9).is_some_and(|inode| sockets.iter().any(|own| own == inode))
    });
    let address = own.context("it listens on no port")?[1].to_owned();
    Ok(u16::from_str_radix(address.rsplit(':').next().unwrap_or_default(), 16)?)
}
