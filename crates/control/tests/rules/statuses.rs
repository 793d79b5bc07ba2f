//! Statuses: what an agent's report does to services and connections.

use super::ground::Ground;
use karez_control::{ConnectionReport, ServiceReport, Status};
use karez_model::{Kind, Object};
use serde_json::json;

async fn service_and_connection(ground: &Ground) -> (Object, Object, Object) {
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    let router = ground.router(Some(&outside)).await;
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.10.10.0/24").await;
    ground.attach(&router, &subnet).await.expect("attached");
    let member = &ground.member;
    let ike = ground.create(member, Kind::IkePolicy, json!({})).await.expect("an IKE policy");
    let ipsec = ground.create(member, Kind::IpsecPolicy, json!({})).await.expect("an IPsec policy");
    let body = json!({"router_id": router.id(), "subnet_id": subnet.id()});
    let service = ground.create(member, Kind::VpnService, body).await.expect("a service");
    let body = json!({
        "vpnservice_id": service.id(), "ikepolicy_id": ike.id(), "ipsecpolicy_id": ipsec.id(),
        "peer_address": "198.51.100.1", "peer_id": "198.51.100.1", "psk": "secret", "peer_cidrs": ["10.20.0.0/24"],
    });
    let connection = ground.create(member, Kind::IpsecSiteConnection, body).await.expect("a connection");
    (router, service, connection)
}

fn report(
    service: &str,
    of_service: (Status, bool),
    connection: &str,
    of_connection: (Status, bool),
) -> ServiceReport {
    let connection =
        ConnectionReport { id: connection.into(), status: of_connection.0, has_settled: of_connection.1 };
    ServiceReport {
        id: service.into(),
        status: of_service.0,
        has_settled: of_service.1,
        connections: vec![connection],
    }
}

async fn statuses(ground: &Ground, service: &Object, connection: &Object) -> (String, String) {
    let service = ground.show(Kind::VpnService, service.id()).await;
    let connection = ground.show(Kind::IpsecSiteConnection, connection.id()).await;
    (service.text("status").into(), connection.text("status").into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_service_and_connection_are_pending_until_a_report_has_settled_them() {
    let ground = Ground::new();
    let (_router, service, connection) = service_and_connection(&ground).await;
    let early = report(service.id(), (Status::Active, false), connection.id(), (Status::Active, false));
    ground.control.report(vec![early]).await.expect("taken");
    let pending = "PENDING_CREATE".to_owned();
    assert_eq!(statuses(&ground, &service, &connection).await, (pending.clone(), pending));
    let settled = report(service.id(), (Status::Active, true), connection.id(), (Status::Down, true));
    ground.control.report(vec![settled]).await.expect("taken");
    assert_eq!(statuses(&ground, &service, &connection).await, ("ACTIVE".into(), "DOWN".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_not_pending_follows_every_report() {
    let ground = Ground::new();
    let (_router, service, connection) = service_and_connection(&ground).await;
    let first = report(service.id(), (Status::Active, true), connection.id(), (Status::Active, true));
    let second = report(service.id(), (Status::Down, false), connection.id(), (Status::Error, false));
    ground.control.report(vec![first, second]).await.expect("taken");
    assert_eq!(statuses(&ground, &service, &connection).await, ("DOWN".into(), "ERROR".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_gone_are_passed_over_and_the_others_taken() {
    let ground = Ground::new();
    let (_router, service, connection) = service_and_connection(&ground).await;
    let gone = report("no-service", (Status::Active, true), "no-connection", (Status::Active, true));
    let real = report(service.id(), (Status::Active, true), connection.id(), (Status::Active, true));
    ground.control.report(vec![gone, real]).await.expect("taken");
    assert_eq!(statuses(&ground, &service, &connection).await, ("ACTIVE".into(), "ACTIVE".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_vpn_change_on_a_placed_router_counts_once_for_its_node() {
    let ground = Ground::new();
    let (router, service, connection) = service_and_connection(&ground).await;
    ground.place(&router).await;
    let member = &ground.member;
    let mut last = ground.desired(&router).await;
    let mut grown = async || {
        let now = ground.desired(&router).await;
        let by = now - last;
        last = now;
        by
    };
    let body = json!({"admin_state_up": false});
    ground.update(member, Kind::VpnService, service.id(), body.clone()).await.expect("changed");
    assert_eq!(grown().await, 1, "a service was changed");
    ground.update(member, Kind::IpsecSiteConnection, connection.id(), body.clone()).await.expect("changed");
    assert_eq!(grown().await, 1, "a connection was changed");
    ground.update(member, Kind::IpsecSiteConnection, connection.id(), body).await.expect("changed");
    assert_eq!(grown().await, 0, "nothing was changed");
    let refused = json!({"mtu": 10});
    assert!(ground.update(member, Kind::IpsecSiteConnection, connection.id(), refused).await.is_err());
    assert_eq!(grown().await, 0, "a change was refused");
    ground.delete(Kind::IpsecSiteConnection, connection.id()).await.expect("deleted");
    assert_eq!(grown().await, 1, "a connection was deleted");
    ground.delete(Kind::VpnService, service.id()).await.expect("deleted");
    assert_eq!(grown().await, 1, "a service was deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_no_change_of_what_a_node_should_run() {
    let ground = Ground::new();
    let (router, service, connection) = service_and_connection(&ground).await;
    ground.place(&router).await;
    let before = ground.desired(&router).await;
    let settled = report(service.id(), (Status::Active, true), connection.id(), (Status::Active, true));
    ground.control.report(vec![settled]).await.expect("taken");
    assert_eq!(ground.desired(&router).await, before);
}
