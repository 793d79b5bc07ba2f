//! One key is looked for everywhere.

use crate::support::StoreKind::{self, Postgresql, Sqlite};
use crate::support::{Caller, Cluster, Launch, Server, Site, command};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// What is looked for. Each key that is sent has it in it.
const NEEDLE: &str = "needle-4f1d0c";
/// What is looked for to see whether looking works.
const NAME: &str = "connection-of-the-needle";

#[test]
fn a_pre_shared_key_is_nowhere_but_in_answers_to_members_on_sqlite() -> anyhow::Result<()> {
    for filter in ["debug", "trace"] {
        let mut server = launch(Sqlite, filter).start()?;
        haunt(&mut server)?;
        // The state directory has the database with its WAL, the key file and the log.
        ensure!(search(&server.state())?, "the objects are elsewhere, so nothing was proved");
    }
    Ok(())
}

#[test]
fn a_pre_shared_key_is_nowhere_but_in_answers_to_members_on_postgresql() -> anyhow::Result<()> {
    let cluster = Arc::new(Cluster::start()?);
    let mut server = launch(Postgresql, "trace").start_on(Arc::clone(&cluster))?;
    haunt(&mut server)?;
    server.database().execute("CHECKPOINT")?;
    search(&server.state())?;
    // Tables, WAL, and PostgreSQL's own log.
    ensure!(search(cluster.directory()?)?, "the objects are elsewhere, so nothing was proved");
    Ok(())
}

fn launch(store: StoreKind, filter: &str) -> Launch {
    Launch::new(store).environment("KAREZ_LOG", filter)
}

/// Sends keys in every way that comes to mind, and looks at every answer.
fn haunt(server: &mut Server) -> anyhow::Result<()> {
    let site = Site::build(server, "p")?;
    let psk = format!("{NEEDLE}-right");
    let mut fields = site.connection(&psk);
    fields["name"] = json!(NAME);
    let path = "/v2.0/vpn/ipsec-site-connections";
    let body = json!({"ipsec_site_connection": fields});
    let (status, created) = send(server, &site.member, Method::POST, path, Some(&body))?;
    ensure!(status == 201 && created.contains(&psk), "{status} {created}");
    let created: Json = serde_json::from_str(&created)?;
    let id = created["ipsec_site_connection"]["id"].as_str().context("no id")?;
    let item = format!("{path}/{id}");
    let item = item.as_str();

    members_see_it(server, &site, item, &psk)?;
    readers_do_not(server, path, item, &psk)?;
    refusals_do_not_repeat_it(server, &site, path, item)?;

    for path in ["/metrics", "/openapi.json"] {
        let (status, answer) = send(server, &site.member, Method::GET, path, None)?;
        ensure!(status == 200 && !answer.contains(NEEDLE), "{path} has it");
    }
    let checked = command::check(&server.configuration())?;
    ensure!(checked.code == Some(0), "{checked:?}");
    ensure!(!format!("{checked:?}").contains(NEEDLE), "`db check` shows it");
    let place = server.configuration();
    let shown =
        command::karez(&["config".as_ref(), "show".as_ref(), "--config".as_ref(), place.as_os_str()])?;
    ensure!(!format!("{shown:?}").contains(NEEDLE), "`config show` shows it");
    // Its connections are in the log at these levels: it is not just empty.
    ensure!(server.log()?.contains("/v2.0/vpn/ipsec-site-connections"), "the log does not work");
    ensure!(server.is_alive()?);
    Ok(())
}

fn members_see_it(server: &Server, site: &Site<'_>, item: &str, psk: &str) -> anyhow::Result<()> {
    let list = "/v2.0/vpn/ipsec-site-connections";
    let member = &site.member;
    for path in [item.to_owned(), list.to_owned(), format!("{item}?fields=psk"), format!("{list}?psk={psk}")]
    {
        let (status, answer) = send(server, member, Method::GET, &path, None)?;
        ensure!(status == 200 && answer.contains(psk), "{path}: {status}");
    }
    Ok(())
}

fn readers_do_not(server: &Server, path: &str, item: &str, psk: &str) -> anyhow::Result<()> {
    let reader = Caller::reader("p");
    let stranger = Caller::member("another");
    let reads = [
        item.to_owned(),
        path.to_owned(),
        format!("{item}?fields=psk"),
        format!("{path}?fields=psk&fields=id"),
        format!("{path}?psk={psk}"),
        format!("{path}?sort_key=psk&sort_dir=asc"),
        format!("{path}?limit=1&psk={psk}"),
    ];
    for read in &reads {
        for caller in [&reader, &stranger] {
            let (_, answer) = send(server, caller, Method::GET, read, None)?;
            // The link to the next page repeats what was asked for.
            let answer: Json = serde_json::from_str(&answer)?;
            let shown =
                json!([answer["ipsec_site_connection"], answer["ipsec_site_connections"]]).to_string();
            ensure!(!shown.contains(NEEDLE), "{read} shows it");
        }
    }
    let (_, answer) = send(server, &reader, Method::GET, item, None)?;
    ensure!(answer.contains(NAME), "a reader sees the rest");
    let (_, answer) = send(server, &reader, Method::GET, &format!("{path}?psk={psk}"), None)?;
    let answer: Json = serde_json::from_str(&answer)?;
    ensure!(
        answer["ipsec_site_connections"] == json!([]),
        "a reader learns by the filter that he guessed it"
    );
    Ok(())
}

fn refusals_do_not_repeat_it(server: &Server, site: &Site<'_>, path: &str, item: &str) -> anyhow::Result<()> {
    let reader = Caller::reader("p");
    let stranger = Caller::member("another");
    let long = NEEDLE.repeat(30);
    let values = [
        json!(long),
        json!([NEEDLE]),
        json!({NEEDLE: NEEDLE}),
        json!(format!("{NEEDLE}\0")),
        json!([[NEEDLE], 1]),
        json!({"a": {"b": NEEDLE}}),
    ];
    for psk in values {
        let mut fields = site.connection("");
        fields["psk"] = psk.clone();
        refused(server, &site.member, Method::POST, path, &json!({"ipsec_site_connection": fields}))?;
        refused(server, &site.member, Method::PUT, item, &json!({"ipsec_site_connection": {"psk": psk}}))?;
    }
    let right = format!("{NEEDLE}-other");
    let change = json!({"ipsec_site_connection": {"psk": right}});
    for (caller, status) in [(&reader, 403), (&stranger, 404)] {
        let answer = refused(server, caller, Method::PUT, item, &change)?;
        ensure!(answer == status, "{answer}");
    }
    // A fault of another field, a missing object, one in use, another envelope, no JSON at all.
    let nobody = uuid::Uuid::new_v4().to_string();
    for (name, value) in [
        ("mtu", json!(1)),
        ("peer_cidrs", json!(["x"])),
        ("vpnservice_id", json!(nobody)),
        ("dpd", json!({"interval": 0})),
        ("surplus", json!(1)),
        ("peer_id", json!("")),
    ] {
        let mut fields = site.connection(&right);
        fields[name] = value;
        // An empty identity is allowed by some; what counts is what a refusal says.
        let body = json!({"ipsec_site_connection": fields});
        let (status, answer) = send(server, &site.member, Method::POST, path, Some(&body))?;
        ensure!(status == 201 || !answer.contains(NEEDLE), "{name}: {status} {answer}");
    }
    refused(server, &site.member, Method::POST, path, &json!({"ikepolicy": site.connection(&right)}))?;
    refused(server, &reader, Method::POST, path, &json!({"ipsec_site_connection": site.connection(&right)}))?;
    let in_use = format!("/v2.0/vpn/ikepolicies/{}", site.ike_policy);
    let (status, answer) = send(server, &site.member, Method::DELETE, &in_use, None)?;
    ensure!(status == 409 && !answer.contains(NEEDLE), "{status} {answer}");
    for broken in [
        format!("{{\"ipsec_site_connection\": {{\"psk\": \"{NEEDLE}"),
        NEEDLE.to_owned(),
        format!("{{\"psk\": {NEEDLE}}}"),
    ] {
        let response = site.member.request(server, Method::POST, path).body(broken).send()?;
        let (status, answer) = (response.status().as_u16(), response.text()?);
        ensure!(status == 400 && !answer.contains(NEEDLE), "{status} {answer}");
    }
    Ok(())
}

fn refused(server: &Server, caller: &Caller, method: Method, path: &str, body: &Json) -> anyhow::Result<u16> {
    let (status, answer) = send(server, caller, method, path, Some(body))?;
    ensure!((400..500).contains(&status), "{status} {answer}");
    ensure!(!answer.contains(NEEDLE), "a refusal repeats it: {answer}");
    Ok(status)
}

fn send(
    server: &Server,
    caller: &Caller,
    method: Method,
    path: &str,
    body: Option<&Json>,
) -> anyhow::Result<(u16, String)> {
    let request = caller.request(server, method, path);
    let response = body.map_or(request.try_clone().context("a body")?, |body| request.json(body)).send()?;
    Ok((response.status().as_u16(), response.text()?))
}

/// Reads every file below a folder, byte by byte, and fails when one holds the key. Returns whether
/// one holds the name of the connection, which lies beside the key.
fn search(folder: &Path) -> anyhow::Result<bool> {
    let mut has_name = false;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_type()?.is_file() {
                // A file may go while we look.
                let bytes = fs::read(entry.path()).unwrap_or_default();
                ensure!(!holds(&bytes, NEEDLE), "{} has it", entry.path().display());
                has_name |= holds(&bytes, NAME);
            }
        }
    }
    Ok(has_name)
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}
