//! Routers and their external gateways.

use super::ground::{Ground, addresses, refusal};
use karez_model::{Kind, Object, Reason};
use serde_json::{Value as Json, json};

const GATEWAY: &str = "external_gateway_info";

async fn set_gateway(
    ground: &Ground,
    router: &Object,
    gateway: Json,
) -> Result<Object, karez_control::Failure> {
    ground.update(&ground.member, Kind::Router, router.id(), json!({GATEWAY: gateway})).await
}

async fn service(ground: &Ground, router: &Object) -> Object {
    let body = json!({"router_id": router.id()});
    ground.create(&ground.member, Kind::VpnService, body).await.expect("a VPN service")
}

#[tokio::test]
async fn a_gateway_has_one_address_of_each_ip_version() {
    let ground = Ground::new();
    let outside = ground.outside(&["192.0.2.0/24", "2001:db8:1::/64"]).await;
    let router = ground.router(Some(&outside)).await;
    assert_eq!((router.text("status"), router.json("availability_zones")), ("ACTIVE", &json!(["nova"])));
    assert_eq!(router.json(GATEWAY)["enable_snat"], true);
    assert_eq!(addresses(&router), ["192.0.2.2", "2001:db8:1::2"]);
    let ports = ground.all(Kind::Port, "device_id", router.id()).await;
    assert_eq!(ports.len(), 1);
    assert_eq!((ports[0].project_id(), ports[0].text("device_owner")), ("", "network:router_gateway"));
    let unseen = ground.control.show(&ground.member, Kind::Port, ports[0].id()).await;
    assert_eq!(refusal(unseen), Reason::PortNotFound);
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn a_gateway_is_on_an_external_network_with_a_free_address() {
    let ground = Ground::new();
    let inside = ground.network().await;
    let refused = set_gateway(&ground, &ground.router(None).await, json!({"network_id": inside.id()})).await;
    assert_eq!(refusal(refused), Reason::BadRequest);
    let hidden = ground.create(&ground.stranger, Kind::Network, json!({})).await.expect("a network");
    let refused = set_gateway(&ground, &ground.router(None).await, json!({"network_id": hidden.id()})).await;
    assert_eq!(refusal(refused), Reason::NetworkNotFound);
    let outside = ground.outside(&["192.0.2.0/30"]).await;
    ground.router(Some(&outside)).await;
    let refused = set_gateway(&ground, &ground.router(None).await, json!({"network_id": outside.id()})).await;
    assert_eq!(refusal(refused), Reason::IpAddressGenerationFailure);
}

#[tokio::test]
async fn only_the_administrator_chooses_addresses_and_translation() {
    let ground = Ground::new();
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    let router = ground.router(None).await;
    for choice in
        [json!({"enable_snat": false}), json!({"external_fixed_ips": [{"ip_address": "192.0.2.9"}]})]
    {
        let mut gateway = choice.clone();
        gateway["network_id"] = json!(outside.id());
        let body = json!({GATEWAY: gateway});
        let refused = ground.create(&ground.member, Kind::Router, body.clone()).await;
        assert_eq!(refusal(refused), Reason::PolicyNotAuthorized, "POST {choice}");
        let refused = ground.update(&ground.member, Kind::Router, router.id(), body.clone()).await;
        assert_eq!(refusal(refused), Reason::PolicyNotAuthorized, "PUT {choice}");
        ground.update(&ground.admin, Kind::Router, router.id(), body).await.expect("the administrator may");
    }
    let router = ground.show(Kind::Router, router.id()).await;
    assert_eq!(addresses(&router), ["192.0.2.9"]);
}

#[tokio::test]
async fn the_same_network_again_keeps_the_address() {
    let ground = Ground::new();
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    let router = ground.router(Some(&outside)).await;
    ground.router(Some(&outside)).await;
    let again = set_gateway(&ground, &router, json!({"network_id": outside.id()})).await.expect("changed");
    assert_eq!(again.json(GATEWAY), router.json(GATEWAY));
    assert_eq!(again.meta.rev, router.meta.rev);
}

#[tokio::test]
async fn a_gateway_can_be_cleared_by_null_and_by_an_empty_object() {
    let ground = Ground::new();
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    for nothing in [json!(null), json!({})] {
        let router = ground.router(Some(&outside)).await;
        assert_eq!(addresses(&router), ["192.0.2.2"]);
        let router = set_gateway(&ground, &router, nothing).await.expect("cleared");
        assert!(router.json(GATEWAY).is_null());
        assert!(ground.all(Kind::Port, "device_id", router.id()).await.is_empty());
    }
}

#[tokio::test]
async fn vpn_services_hold_the_gateway_the_router_and_what_it_is() {
    let ground = Ground::new();
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    let other = ground.outside(&["198.51.100.0/24"]).await;
    let router = ground.router(Some(&outside)).await;
    let service = service(&ground, &router).await;
    for gateway in [json!(null), json!({}), json!({"network_id": other.id()})] {
        let refused = set_gateway(&ground, &router, gateway.clone()).await;
        assert_eq!(refusal(refused), Reason::RouterInUse, "{gateway}");
    }
    for change in [json!({"ha": true}), json!({"distributed": true})] {
        let refused = ground.update(&ground.admin, Kind::Router, router.id(), change.clone()).await;
        assert_eq!(refusal(refused), Reason::RouterInUse, "{change}");
    }
    assert_eq!(refusal(ground.delete(Kind::Router, router.id()).await), Reason::RouterInUse);
    ground.update(&ground.member, Kind::Router, router.id(), json!({"name": "edge"})).await.expect("renamed");
    ground.delete(Kind::VpnService, service.id()).await.expect("deleted");
    let router = set_gateway(&ground, &router, json!({"network_id": other.id()})).await.expect("moved");
    assert_eq!(addresses(&router), ["198.51.100.2"]);
    ground.delete(Kind::Router, router.id()).await.expect("deleted");
    assert!(ground.all(Kind::Port, "device_id", router.id()).await.is_empty());
}

#[tokio::test]
async fn services_follow_their_gateway_to_other_addresses() {
    let ground = Ground::new();
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    let router = ground.router(Some(&outside)).await;
    let service = service(&ground, &router).await;
    assert_eq!(service.text("external_v4_ip"), "192.0.2.2");
    ground.place(&router).await;
    let before = ground.desired(&router).await;
    let gateway = json!({"network_id": outside.id(), "external_fixed_ips": [{"ip_address": "192.0.2.77"}]});
    ground
        .update(&ground.admin, Kind::Router, router.id(), json!({GATEWAY: gateway}))
        .await
        .expect("changed");
    assert_eq!(ground.show(Kind::VpnService, service.id()).await.text("external_v4_ip"), "192.0.2.77");
    assert!(ground.desired(&router).await > before, "the node does not know of it");
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn routers_here_are_neither_distributed_nor_highly_available() {
    let ground = Ground::new();
    let router = ground.router(None).await;
    for wish in [json!({"ha": true}), json!({"distributed": true})] {
        let refused = ground.create(&ground.admin, Kind::Router, wish.clone()).await;
        assert_eq!(refusal(refused), Reason::BadRequest, "{wish}");
        let refused = ground.update(&ground.admin, Kind::Router, router.id(), wish.clone()).await;
        assert_eq!(refusal(refused), Reason::BadRequest, "{wish}");
        let refused = ground.update(&ground.member, Kind::Router, router.id(), wish.clone()).await;
        assert_eq!(refusal(refused), Reason::PolicyNotAuthorized, "{wish}");
    }
}

#[tokio::test]
async fn a_gateway_and_an_interface_do_not_overlap() {
    let ground = Ground::new();
    let outside = ground.outside(&["10.0.0.0/16"]).await;
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.9.0/24").await;
    let router = ground.router(None).await;
    ground.attach(&router, &subnet).await.expect("attached");
    let refused = set_gateway(&ground, &router, json!({"network_id": outside.id()})).await;
    assert_eq!(refusal(refused), Reason::BadRequest);
    let router = ground.router(Some(&outside)).await;
    ground.detach(&ground.show(Kind::Router, router.id()).await, &subnet).await.expect_err("not attached");
    assert_eq!(refusal(ground.attach(&router, &subnet).await), Reason::BadRequest);
}

#[tokio::test]
async fn what_a_node_runs_is_counted_and_a_name_is_not() {
    let ground = Ground::new();
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    let router = ground.router(None).await;
    ground.place(&router).await;
    let mut last = ground.desired(&router).await;
    ground.update(&ground.member, Kind::Router, router.id(), json!({"name": "edge"})).await.expect("renamed");
    assert_eq!(ground.desired(&router).await, last);
    for change in [
        json!({"admin_state_up": false}),
        json!({GATEWAY: {"network_id": outside.id()}}),
        json!({GATEWAY: {}}),
    ] {
        ground.update(&ground.member, Kind::Router, router.id(), change.clone()).await.expect("changed");
        let desired = ground.desired(&router).await;
        assert!(desired > last, "{change} was not counted");
        last = desired;
    }
}
