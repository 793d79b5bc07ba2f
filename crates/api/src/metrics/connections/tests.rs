use super::Connections;
use karez_control::Tunnel;
use karez_engine::{ChildSa, Traffic, TunnelState, TunnelStatus};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

const ID: &str = "00000000-0000-0000-0000-000000000001";

fn child(bytes_in: u64) -> ChildSa {
    ChildSa {
        protocol: "esp".into(),
        mode: "tunnel".into(),
        is_encapsulated: false,
        spi_in: String::new(),
        spi_out: String::new(),
        suite: String::new(),
        local_subnets: Vec::new(),
        peer_subnets: Vec::new(),
        traffic: Traffic { bytes_in, bytes_out: 5, packets_in: 2, packets_out: 1 },
        installed_at: 0,
        rekey_at: None,
        expires_at: None,
    }
}

fn tunnel(is_up: bool, reason: Option<&str>, children: Option<Vec<ChildSa>>) -> Tunnel {
    let id = ID.parse().expect("an id");
    let state = TunnelState::Up;
    let status = children.map(|children| TunnelStatus {
        id,
        state,
        reason: None,
        since: 1_500_000,
        ike: None,
        children,
        missing: Vec::new(),
    });
    Tunnel { id: ID.into(), project_id: "p".into(), is_up, reason: reason.map(str::to_owned), status }
}

/// The lines about connections that a scraper reads, without the comments.
fn lines(tunnel: &Tunnel) -> Vec<String> {
    let mut registry = Registry::with_prefix("karez");
    let connections = Connections::register(&mut registry);
    connections.set(tunnel);
    let mut text = String::new();
    encode(&mut text, &registry).expect("encoded");
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn a_connection_that_is_up_shows_what_goes_through_it() {
    let own = format!("connection_id=\"{ID}\",project_id=\"p\"");
    let mut found = lines(&tunnel(true, None, Some(vec![child(u64::from(u32::MAX)), child(1)])));
    found.sort();
    let expected = [
        format!("karez_connection_child_sas{{{own}}} 2"),
        format!("karez_connection_sa_bytes{{{own},direction=\"in\"}} 4294967296"),
        format!("karez_connection_sa_bytes{{{own},direction=\"out\"}} 10"),
        format!("karez_connection_sa_packets{{{own},direction=\"in\"}} 4"),
        format!("karez_connection_sa_packets{{{own},direction=\"out\"}} 2"),
        format!("karez_connection_state_since_seconds{{{own}}} 1.5"),
        format!("karez_connection_up{{{own}}} 1"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_connection_that_nothing_was_reported_of_shows_its_reason() {
    let own = format!("connection_id=\"{ID}\",project_id=\"p\"");
    let mut found = lines(&tunnel(false, Some("no_agent"), None));
    found.sort();
    let expected = [
        format!("karez_connection_reason{{{own},reason=\"no_agent\"}} 1"),
        format!("karez_connection_up{{{own}}} 0"),
    ];
    assert_eq!(found, expected);
}
