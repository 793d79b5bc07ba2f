//! Statuses: what the reports of agents do to services and connections.

use super::site::{Site, event, is, tunnel};
use karez_engine::{Code, Reason, RouterReport, TunnelState};
use karez_model::Kind;
use serde_json::json;

const PENDING: &str = "PENDING_CREATE";

fn reason(code: Code) -> Reason {
    Reason::new(code, "In a sentence")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_connection_is_pending_until_something_is_known() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    assert_eq!(site.connection_status().await, is(PENDING, None));
    site.report(&agent, TunnelState::Pending, Some(reason(Code::Negotiating))).await;
    assert_eq!(site.connection_status().await, is(PENDING, Some(Code::Negotiating)));
    site.report(&agent, TunnelState::Down, Some(reason(Code::PeerUnreachable))).await;
    assert_eq!(site.connection_status().await, is("DOWN", Some(Code::PeerUnreachable)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_was_up_is_not_pending_again() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    site.report(&agent, TunnelState::Up, None).await;
    site.report(&agent, TunnelState::Pending, Some(reason(Code::Negotiating))).await;
    assert_eq!(site.connection_status().await, is("DOWN", Some(Code::Negotiating)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_comes_and_goes_with_the_status() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let wrong_key = Reason::new(Code::AuthenticationFailed, "The pre-shared keys differ");
    site.report(&agent, TunnelState::Down, Some(wrong_key)).await;
    let shown = site.ground.show(Kind::IpsecSiteConnection, site.connection.id()).await;
    assert_eq!(shown.text("status_reason"), "authentication_failed");
    assert_eq!(shown.text("status_detail"), "The pre-shared keys differ");
    site.report(&agent, TunnelState::Up, None).await;
    let shown = site.ground.show(Kind::IpsecSiteConnection, site.connection.id()).await;
    assert_eq!((shown.text("status"), shown.opt_text("status_reason")), ("ACTIVE", None));
    assert_eq!(shown.opt_text("status_detail"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_that_cannot_work_is_an_error() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    site.report(&agent, TunnelState::Error, Some(reason(Code::Unsupported))).await;
    assert_eq!(site.connection_status().await, is("ERROR", Some(Code::Unsupported)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_about_an_earlier_placement_is_passed_over() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let generation = site.generation(&agent).await;
    let up = || tunnel(&site.router, &site.connection, TunnelState::Up, None);
    for stale in [generation - 1, generation + 1] {
        site.ground.control.report_tunnels(&agent, vec![(stale, up())]).await.expect("passed over");
        let report = RouterReport { router: site.router_id(), generation: stale, trouble: None };
        site.ground.control.report_routers(&agent, vec![report]).await.expect("passed over");
    }
    assert_eq!(site.connection_status().await, is(PENDING, None));
    assert_eq!(site.service_status().await, is(PENDING, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cannot_speak_for_the_router_of_another() {
    let site = Site::new().await;
    let own = site.agent("one").await;
    let generation = site.generation(&own).await;
    let stranger = site.agent("two").await;
    let up = tunnel(&site.router, &site.connection, TunnelState::Up, None);
    site.ground.control.report_tunnels(&stranger, vec![(generation, up)]).await.expect("passed over");
    assert_eq!(site.connection_status().await, is(PENDING, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_cannot_speak_for_a_connection_of_a_router_that_it_does_not_run() {
    let site = Site::new().await;
    site.agent("one").await;
    let stranger = site.agent("two").await;
    let other = site.ground.router(Some(&site.outside)).await;
    site.ground.control.schedule().await.expect("scheduled");
    // The second node has a router of its own, and says that the connection is on it.
    let desired = site.ground.control.desired(&stranger, None).await.expect("a desired state");
    let own = desired.routers.iter().find(|plan| plan.id.to_string() == other.id()).expect("a plan");
    let lie = tunnel(&other, &site.connection, TunnelState::Up, None);
    site.ground.control.report_tunnels(&stranger, vec![(own.generation, lie)]).await.expect("passed over");
    assert_eq!(site.connection_status().await, is(PENDING, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_passed_over_and_the_rest_is_taken() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let gone = site.connect(&site.service, json!({"peer_cidrs": ["10.30.0.0/24"]})).await;
    let generation = site.generation(&agent).await;
    site.ground.delete(Kind::IpsecSiteConnection, gone.id()).await.expect("deleted");
    let reports = [&gone, &site.connection];
    let reports = reports.map(|one| (generation, tunnel(&site.router, one, TunnelState::Up, None)));
    site.ground.control.report_tunnels(&agent, reports.to_vec()).await.expect("taken");
    assert_eq!(site.connection_status().await, is("ACTIVE", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_active_as_soon_as_its_router_is_made() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    site.report_router(&agent, None).await;
    assert_eq!(site.service_status().await, is("ACTIVE", None));
    assert_eq!(site.connection_status().await, is(PENDING, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_cannot_be_made_is_an_error_of_its_services_and_of_what_is_pending() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let up = site.connect(&site.service, json!({"peer_cidrs": ["10.30.0.0/24"]})).await;
    let generation = site.generation(&agent).await;
    let report = tunnel(&site.router, &up, TunnelState::Up, None);
    site.ground.control.report_tunnels(&agent, vec![(generation, report)]).await.expect("taken");

    site.report_router(&agent, Some(reason(Code::LocalError))).await;
    assert_eq!(site.service_status().await, is("ERROR", Some(Code::LocalError)));
    assert_eq!(site.connection_status().await, is("ERROR", Some(Code::LocalError)));
    assert_eq!(site.status(&up).await, is("ACTIVE", None), "its tunnel was not said to be down");

    site.report_router(&agent, None).await;
    assert_eq!(site.service_status().await, is("ACTIVE", None));
    site.report(&agent, TunnelState::Up, None).await;
    assert_eq!(site.connection_status().await, is("ACTIVE", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_switched_off_is_down_and_says_whose_switch_it_was() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let off = json!({"admin_state_up": false});
    let detail = async || {
        site.report_router(&agent, None).await;
        let service = site.ground.show(Kind::VpnService, site.service.id()).await;
        assert_eq!((service.text("status"), service.text("status_reason")), ("DOWN", "admin_down"));
        service.text("status_detail").to_owned()
    };
    site.change(&site.service, off.clone()).await;
    assert_eq!(detail().await, "The administrative state of the service is down");
    site.change(&site.router, off).await;
    assert_eq!(detail().await, "The administrative state of the router is down");
    for object in [&site.router, &site.service] {
        site.change(object, json!({"admin_state_up": true})).await;
    }
    site.report_router(&agent, None).await;
    assert_eq!(site.service_status().await, is("ACTIVE", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_hundred_events_are_kept_in_their_order() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let generation = site.generation(&agent).await;
    for part in [1..=60, 61..=130] {
        let mut report = tunnel(&site.router, &site.connection, TunnelState::Up, None);
        report.events = part.map(event).collect();
        site.ground.control.report_tunnels(&agent, vec![(generation, report)]).await.expect("taken");
    }
    let (control, member) = (&site.ground.control, &site.ground.member);
    let status = control.connection_status(member, site.connection.id()).await.expect("seen");
    let times: Vec<i64> = status.events.iter().map(|event| event.at).collect();
    assert_eq!(times, (31..=130).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_brings_more_events_than_are_kept_leaves_the_last() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let generation = site.generation(&agent).await;
    let mut report = tunnel(&site.router, &site.connection, TunnelState::Up, None);
    report.events = (1..=250).map(event).collect();
    site.ground.control.report_tunnels(&agent, vec![(generation, report)]).await.expect("taken");
    let (control, member) = (&site.ground.control, &site.ground.member);
    let status = control.connection_status(member, site.connection.id()).await.expect("seen");
    let times: Vec<i64> = status.events.iter().map(|event| event.at).collect();
    assert_eq!(times, (151..=250).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_connection_is_for_those_who_may_see_it() {
    let site = Site::new().await;
    let (control, ground) = (&site.ground.control, &site.ground);
    let id = site.connection.id();
    assert!(control.connection_status(&ground.member, id).await.is_ok());
    let refused = control.connection_status(&ground.stranger, id).await;
    assert_eq!(super::ground::refusal(refused), karez_model::Reason::IPsecSiteConnectionNotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_vpn_change_on_a_placed_router_counts_once_for_its_node() {
    let site = Site::new().await;
    let ground = &site.ground;
    site.agent("one").await;
    let mut last = ground.desired(&site.router).await;
    let mut grown = async || {
        let now = ground.desired(&site.router).await;
        let by = now - last;
        last = now;
        by
    };
    let body = json!({"admin_state_up": false});
    site.change(&site.service, body.clone()).await;
    assert_eq!(grown().await, 1, "a service was changed");
    site.change(&site.connection, body.clone()).await;
    assert_eq!(grown().await, 1, "a connection was changed");
    site.change(&site.connection, body).await;
    assert_eq!(grown().await, 0, "nothing was changed");
    let (member, id) = (&ground.member, site.connection.id());
    assert!(ground.update(member, Kind::IpsecSiteConnection, id, json!({"mtu": 10})).await.is_err());
    assert_eq!(grown().await, 0, "a change was refused");
    site.change(&site.network, json!({"mtu": 1400})).await;
    assert_eq!(grown().await, 1, "the MTU of an interface was changed");
    ground.delete(Kind::IpsecSiteConnection, id).await.expect("deleted");
    assert_eq!(grown().await, 1, "a connection was deleted");
    ground.delete(Kind::VpnService, site.service.id()).await.expect("deleted");
    assert_eq!(grown().await, 1, "a service was deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_no_change_of_what_a_node_should_run() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let before = site.ground.desired(&site.router).await;
    site.report_router(&agent, None).await;
    site.report(&agent, TunnelState::Up, None).await;
    assert_eq!(site.ground.desired(&site.router).await, before);
}
