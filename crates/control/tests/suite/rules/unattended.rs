//! What is known when no living agent looks after a router.

use super::site::{HOUR, Site, hello, is};
use karez_engine::{Code, Reason, TunnelState};
use karez_model::Kind;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn without_an_agent_what_is_pending_says_that_there_is_none() {
    let site = Site::new().await;
    assert_eq!(site.ground.control.mark_unattended(true).await.expect("marked"), 2);
    assert_eq!(site.service_status().await, is("PENDING_CREATE", Some(Code::NoAgent)));
    assert_eq!(site.connection_status().await, is("PENDING_CREATE", Some(Code::NoAgent)));
    assert_eq!(site.ground.control.mark_unattended(true).await.expect("marked"), 0, "it is so already");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_was_taken_from_its_agent_leaves_connections_down() {
    let site = Site::new().await;
    let (control, ground) = (&site.ground.control, &site.ground);
    let agent = site.agent("one").await;
    site.report(&agent, TunnelState::Up, None).await;
    site.report_router(&agent, None).await;
    control.displace_router(&ground.admin, &agent.node, site.router.id()).await.expect("displaced");
    control.mark_unattended(true).await.expect("marked");
    assert_eq!(site.service_status().await, is("DOWN", Some(Code::NoAgent)));
    assert_eq!(site.connection_status().await, is("DOWN", Some(Code::NoAgent)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_silent_leaves_the_status_as_it_was_and_a_reason() {
    let site = Site::new().await;
    let agent = site.agent("node-17").await;
    site.report(&agent, TunnelState::Up, None).await;
    site.report_router(&agent, None).await;
    assert_eq!(site.ground.control.mark_unattended(true).await.expect("marked"), 0);
    site.fall_silent(&agent).await;
    assert_eq!(site.ground.control.mark_unattended(true).await.expect("marked"), 2);
    assert_eq!(site.service_status().await, is("ACTIVE", Some(Code::AgentLost)));
    assert_eq!(site.connection_status().await, is("ACTIVE", Some(Code::AgentLost)));
    let shown = site.ground.show(Kind::IpsecSiteConnection, site.connection.id()).await;
    assert!(!shown.text("status_detail").contains("node-17"), "a tenant reads the name of a node");

    let agent = site.open(hello("node-17"), HOUR).await;
    site.report(&agent, TunnelState::Up, None).await;
    site.report_router(&agent, None).await;
    assert_eq!(site.service_status().await, is("ACTIVE", None));
    assert_eq!(site.connection_status().await, is("ACTIVE", None));
    assert_eq!(site.ground.control.mark_unattended(true).await.expect("marked"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_shows_at_once_that_the_agent_is_silent_beside_its_last_report() {
    let site = Site::new().await;
    let (control, ground) = (&site.ground.control, &site.ground);
    let seen = async || control.connection_status(&ground.member, site.connection.id()).await.expect("seen");
    let before = seen().await;
    assert_eq!(before.reason.map(|reason| reason.code), Some(Code::NoAgent));
    assert_eq!((before.tunnel, before.reported_at, before.host), (None, None, None));

    let agent = site.agent("one").await;
    let narrowed = Reason::new(Code::Narrowed, "A pair is missing").with("missing", 1);
    site.report(&agent, TunnelState::Up, Some(narrowed.clone())).await;
    let alive = seen().await;
    assert_eq!((alive.host.as_deref(), alive.is_attended), (Some("one"), true));
    assert_eq!(alive.reason, Some(narrowed), "with its evidence");

    site.fall_silent(&agent).await;
    let lost = seen().await;
    assert!(!lost.is_attended);
    assert_eq!(lost.reason.map(|reason| reason.code), Some(Code::AgentLost));
    assert_eq!(lost.tunnel.map(|tunnel| tunnel.state), Some(TunnelState::Up));
    assert_eq!(lost.reported_at, alive.reported_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_gateway_lost_the_address_for_its_peer_is_an_error_that_says_so() {
    let site = Site::outside(&["192.0.2.0/24", "2001:db8:1::/64"]).await;
    let (control, ground) = (&site.ground.control, &site.ground);
    let six = json!({"peer_cidrs": ["10.30.0.0/24"], "peer_address": "2001:db8:9::1", "peer_id": "six"});
    let six = site.connect(&site.service, six).await;
    let agent = site.agent("one").await;
    assert_eq!(site.plan(&agent).await.tunnels.len(), 2);

    site.keep_gateway_address(4).await;
    let plan = site.plan(&agent).await;
    assert_eq!(plan.tunnels.len(), 1, "nothing can be planned for it");

    assert_eq!(control.mark_unattended(true).await.expect("marked"), 1);
    assert_eq!(site.status(&six).await, is("ERROR", Some(Code::LocalError)));
    let shown = ground.show(Kind::IpsecSiteConnection, six.id()).await;
    let detail = shown.text("status_detail");
    assert!(detail.contains("no IPv6 address") && detail.contains("2001:db8:9::1"), "{detail}");
    assert_eq!(site.connection_status().await, is("PENDING_CREATE", None), "the other one is planned");
    assert_eq!(control.mark_unattended(true).await.expect("marked"), 0, "it is so already");

    site.change(&six, json!({"peer_address": "198.51.100.9"})).await;
    assert_eq!(site.plan(&agent).await.tunnels.len(), 2, "it can be planned again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_is_reached_from_the_address_that_there_is() {
    let site = Site::outside(&["192.0.2.0/24", "2001:db8:1::/64"]).await;
    let agent = site.agent("one").await;
    let host = json!({"peer_cidrs": ["10.40.0.0/24"], "peer_address": "localhost", "peer_id": "host"});
    let host = site.connect(&site.service, host).await;
    site.keep_gateway_address(6).await;
    assert_eq!(site.ground.control.mark_unattended(true).await.expect("marked"), 1);
    assert_eq!(site.connection_status().await, is("ERROR", Some(Code::LocalError)));
    assert_eq!(site.status(&host).await, is("PENDING_CREATE", None));
    let plan = site.plan(&agent).await;
    let planned: Vec<String> = plan.tunnels.iter().map(|tunnel| tunnel.id.to_string()).collect();
    assert_eq!(planned, [host.id()]);
    assert!(plan.tunnels[0].local.is_ipv6());
}
