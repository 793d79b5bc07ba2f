//! What an operator can see of a server: metrics, and log lines that lead to a request.

use crate::support::StoreKind::{self, Postgresql, Sqlite};
use crate::support::{Caller, Launch, Server, Site};
use anyhow::{Context, ensure};
use reqwest::Method;

#[test]
fn metrics_count_requests_store_calls_and_objects_on_sqlite() -> anyhow::Result<()> {
    metrics_count_requests_store_calls_and_objects(Sqlite, "sqlite")
}

#[test]
fn metrics_count_requests_store_calls_and_objects_on_postgresql() -> anyhow::Result<()> {
    metrics_count_requests_store_calls_and_objects(Postgresql, "postgresql")
}

fn metrics_count_requests_store_calls_and_objects(store: StoreKind, backend: &str) -> anyhow::Result<()> {
    let server = Launch::new(store).start()?;
    let site = Site::build(&server, "p")?;
    site.connect("a secret")?;
    let member = Caller::member("p");
    for id in ["one", "two"] {
        let path = format!("/v2.0/vpn/vpnservices/{id}");
        member.request(&server, Method::GET, &path).send()?;
    }
    let text = metrics(&server)?;
    for line in [
        r#"karez_http_requests_total{method="POST",route="/v2.0/vpn/ipsec-site-connections",status="201"} 1"#,
        r#"karez_http_requests_total{method="GET",route="/v2.0/vpn/vpnservices/{id}",status="404"} 2"#,
        r#"karez_http_request_duration_seconds_count{method="GET",route="/v2.0/vpn/vpnservices/{id}"} 2"#,
        r#"karez_objects{kind="ipsec_site_connection",status="PENDING_CREATE"} 1"#,
    ] {
        ensure!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
    }
    let writes =
        format!(r#"karez_store_operation_duration_seconds_count{{backend="{backend}",operation="write"}}"#);
    let line = text.lines().find(|line| line.starts_with(&writes)).context("no store latencies")?;
    let count: u64 = line.rsplit(' ').next().context("a value")?.parse()?;
    ensure!(count > 5, "{line}");
    ensure!(text.ends_with("# EOF\n"), "the text is cut off");
    Ok(())
}

#[test]
fn the_log_names_a_change_by_the_id_that_its_client_was_given() -> anyhow::Result<()> {
    let server = Launch::new(Sqlite).start()?;
    let member = Caller::member("p");
    let made =
        member.request(&server, Method::POST, "/v2.0/vpn/ikepolicies").body(r#"{"ikepolicy": {}}"#).send()?;
    let id = made.headers().get("x-openstack-request-id").context("a request id")?.to_str()?.to_owned();
    let log = server.log()?;
    let line =
        log.lines().find(|line| line.contains(&id)).with_context(|| format!("{id} is not in\n{log}"))?;
    ensure!(line.contains("/v2.0/vpn/ikepolicies") && line.contains("201"), "{line}");
    Ok(())
}

fn metrics(server: &Server) -> anyhow::Result<String> {
    let answer = server.client().get(format!("{}/metrics", server.base())).send()?;
    ensure!(answer.status() == 200, "{}", answer.status());
    Ok(answer.text()?)
}
