//! Requests that mean nothing, one by one, on both stores.

use crate::support::StoreKind::{self, Postgresql, Sqlite};
use crate::support::{Launch, Server, Site, raw};
use anyhow::ensure;
use serde_json::json;

#[test]
fn what_means_nothing_is_the_clients_fault_on_sqlite() -> anyhow::Result<()> {
    what_means_nothing_is_the_clients_fault(Sqlite)
}

#[test]
fn what_means_nothing_is_the_clients_fault_on_postgresql() -> anyhow::Result<()> {
    what_means_nothing_is_the_clients_fault(Postgresql)
}

#[test]
fn a_request_names_one_host() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).start()?;
    for (hosts, expected) in [("", 400), ("Host: a\r\nHost: b\r\n", 400), ("Host: a\r\n", 200)] {
        let request = format!("GET /healthcheck HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        let answer = raw::exchange(server.base(), request.as_bytes())?;
        ensure!(raw::status(&answer) == Some(expected), "{hosts:?}: {answer}");
    }
    Ok(())
}

fn what_means_nothing_is_the_clients_fault(store: StoreKind) -> anyhow::Result<()> {
    let mut server = Launch::new(store).start()?;
    let site = Site::build(&server, "p")?;
    let id = site.connect("a secret")?;
    let paths = [
        "/v2.0/vpn/ikepolicies".to_owned(),
        format!("/v2.0/vpn/ikepolicies/{}", site.ike_policy),
        "/v2.0/vpn/ipsec-site-connections".to_owned(),
        format!("/v2.0/vpn/ipsec-site-connections/{id}"),
        "/v2.0/networks".to_owned(),
        format!("/v2.0/networks/{}", site.network),
        format!("/v2.0/networks/{}/tags", site.network),
        format!("/v2.0/routers/{}/add_router_interface", site.router),
        "/v2.0/quotas/p".to_owned(),
    ];
    for path in &paths {
        let method = if path.matches('/').count() == 3 - usize::from(!path.contains("/vpn/")) {
            "POST"
        } else {
            "PUT"
        };
        for body in bodies() {
            must_be_refused(&server, method, path, &body)?;
        }
    }
    for query in queries() {
        must_not_fail(&server, "GET", &format!("/v2.0/networks?{query}"), b"")?;
        must_not_fail(&server, "GET", &format!("/v2.0/vpn/ipsec-site-connections?{query}"), b"")?;
        must_not_fail(&server, "GET", &format!("/v2.0/ports?{query}"), b"")?;
    }
    for path in odd_paths() {
        for method in ["GET", "PUT", "DELETE"] {
            must_be_refused(&server, method, &path, b"{}")?;
        }
    }
    for path in
        paths.iter().map(String::as_str).chain(["/", "/healthcheck", "/metrics", "/openapi.json", "/v2.0/"])
    {
        for method in ["PATCH", "OPTIONS", "TRACE", "BREW", "PROPFIND"] {
            must_be_refused(&server, method, path, b"{}")?;
        }
    }
    must_be_refused(&server, "DELETE", "/v2.0/networks", b"")?;
    must_be_refused(&server, "POST", &paths[1], br#"{"ikepolicy": {}}"#)?;
    ensure!(server.is_alive()?);
    ensure!(!server.log()?.contains("panicked"), "{}", server.log()?);
    Ok(())
}

/// What cannot be right anywhere.
fn bodies() -> Vec<Vec<u8>> {
    let deep =
        |open: &str, close: &str, depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    let member = |value: &str| format!(r#"{{"ikepolicy": {value}, "network": {value}, "router": {value}}}"#);
    let texts = [
        String::new(),
        "null".into(),
        "[]".into(),
        "\"text\"".into(),
        "{".into(),
        r#"{"ikepolicy""#.into(),
        member("null"),
        member("[]"),
        member("7"),
        deep("[", "]", 100_000),
        deep(r#"{"a":"#, "}", 100_000),
        member(&deep("[", "]", 120)),
        member(&format!(r#"{{"name": {}}}"#, deep("[", "]", 100))),
        member(r#"{"name": "nul \u0000"}"#),
        member(r#"{"nul\u0000": 1}"#),
        member(r#"{"name": "\ud800"}"#),
        member(r#"{"mtu": 1e999}"#),
        member(r#"{"mtu": 99999999999999999999999999999}"#),
        member(r#"{"lifetime": {"value": -9223372036854775809}}"#),
        "{\"ikepolicy\": {\"name\": \"raw nul \0\"}}".into(),
    ];
    let mut bodies: Vec<Vec<u8>> = texts.into_iter().map(String::into_bytes).collect();
    bodies.push(b"{\"ikepolicy\": {\"name\": \"\xff\xfe\"}}".to_vec());
    bodies.push(vec![0; 1000]);
    bodies.push(vec![0xff; 1000]);
    bodies
}

/// What a list may be asked for. Some of it is allowed and finds nothing.
fn queries() -> Vec<String> {
    let repeated = |pair: &str, count: usize| vec![pair; count].join("&");
    let mut queries: Vec<String> = [
        "%00",
        "name=%00",
        "id=%00",
        "tags=%00",
        "fields=%00",
        "marker=%00",
        "sort_key=%00&sort_dir=asc",
        "name=%ff%fe",
        "id=%ed%a0%80",
        "%ff=1",
        "limit=-1",
        "limit=99999999999999999999",
        "limit=1.5",
        "limit=x",
        "limit=4294967295",
        "mtu=99999999999999999999",
        "mtu=-1",
        "mtu=1e3",
        "mtu=",
        "admin_state_up=maybe",
        "sort_key=nothing&sort_dir=asc",
        "sort_key=name",
        "sort_dir=asc",
        "sort_key=name&sort_dir=sideways",
        "sort_key=psk&sort_dir=asc",
        "sort_key=tags&sort_dir=asc",
        "marker=nobody&limit=1",
        "fixed_ips=x",
        "fixed_ips=ip_address%3D%27",
        "fixed_ips=subnet_id%3D%00",
        "&&&=&=&",
        "page_reverse=perhaps&limit=1",
        "name='%20OR%201=1",
        "psk=a%00b",
        "psk=a",
    ]
    .map(str::to_owned)
    .into();
    // As many as fit into a head.
    queries.extend([
        repeated("id=x", 10_000),
        repeated("tags=a", 6000),
        format!("tags={}", "a,".repeat(25_000)),
        format!("tags-any={}", "a,".repeat(25_000)),
        format!("not-tags={}", "a,".repeat(25_000)),
        format!("not-tags-any={}", "_".repeat(60_000)),
        repeated("fixed_ips=ip_address%3D10.0.0.1", 1500),
        repeated("sort_key=name&sort_dir=asc", 2000),
        format!("limit=1&{}", repeated("sort_key=name&sort_dir=asc", 2000)),
        repeated("fields=x", 6000),
        format!("name={}", "x".repeat(60_000)),
    ]);
    queries
}

fn odd_paths() -> Vec<String> {
    let mut paths: Vec<String> = [
        "/v2.0/networks/%00",
        "/v2.0/networks/%ff",
        "/v2.0/networks/a%2Fb",
        "/v2.0/networks/%",
        "/v2.0/networks/%zz",
        "/v2.0/networks/..",
        "/v2.0/vpn/%00",
        "/v2.0/routers/%00/add_router_interface",
        "/v2.0/networks/x/tags/%00",
        "/v2.0/quotas/%00",
        "/v2.0/quotas/%ff/details",
        "/v2.0/extensions/%00",
        "//",
        "/v2.0/networks/x'%20OR%20'1'='1",
        "/identity/%00",
        "/v3/%00",
        "/%00",
    ]
    .map(str::to_owned)
    .into();
    paths.push(format!("/v2.0/networks/{}", "x".repeat(60_000)));
    paths.push(format!("/v2.0/{}", "x/".repeat(30_000)));
    paths
}

fn must_be_refused(server: &Server, method: &str, path: &str, body: &[u8]) -> anyhow::Result<()> {
    let status = status(server, method, path, body)?;
    let shown = String::from_utf8_lossy(body);
    let start = |text: &str| text.chars().take(200).collect::<String>();
    ensure!((400..500).contains(&status), "{method} {} {}: {status}", start(path), start(&shown));
    Ok(())
}

fn must_not_fail(server: &Server, method: &str, path: &str, body: &[u8]) -> anyhow::Result<()> {
    let status = status(server, method, path, body)?;
    ensure!(status < 500, "{method} {}: {status}", path.chars().take(200).collect::<String>());
    Ok(())
}

fn status(server: &Server, method: &str, path: &str, body: &[u8]) -> anyhow::Result<u16> {
    let mut request = raw::head(method, path, body.len()).into_bytes();
    request.extend_from_slice(body);
    let answer = raw::exchange(server.base(), &request)?;
    // Too large a head is refused without more ado.
    let status = raw::status(&answer).unwrap_or(431);
    if status >= 400
        && path.starts_with("/v2.0/")
        && ![431, 414, 400].contains(&status)
        && !answer.contains("\"NeutronError\"")
    {
        anyhow::bail!("no NeutronError: {}", json!(answer));
    }
    Ok(status)
}
