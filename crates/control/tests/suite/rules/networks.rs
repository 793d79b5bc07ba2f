//! Networks.

use super::ground::{Ground, refusal};
use karez_model::{Kind, Reason};
use serde_json::json;

#[tokio::test]
async fn a_new_network_is_active_and_somewhere() {
    let ground = Ground::new();
    let network = ground.network().await;
    assert_eq!(network.text("status"), "ACTIVE");
    assert_eq!(*network.json("subnets"), json!([]));
    assert_eq!(*network.json("availability_zones"), json!(["nova"]));
}

#[tokio::test]
async fn hints_name_zones_that_exist() {
    let ground = Ground::new();
    let nowhere = json!({"availability_zone_hints": ["nova", "atlantis"]});
    let refused = ground.create(&ground.member, Kind::Network, nowhere.clone()).await;
    assert_eq!(refusal(refused), Reason::AvailabilityZoneNotFound);
    let refused = ground.create(&ground.member, Kind::Router, nowhere).await;
    assert_eq!(refusal(refused), Reason::AvailabilityZoneNotFound);
    let router = ground.router(None).await;
    ground.place(&router).await;
    let agents = ground.control.router_agents(&ground.admin, router.id()).await.expect("agents");
    let zone = agents[0].text("availability_zone");
    let body = json!({"availability_zone_hints": [zone]});
    ground.create(&ground.member, Kind::Network, body).await.expect("a network in the node's zone");
}

#[tokio::test]
async fn only_an_external_network_is_the_default_one() {
    let ground = Ground::new();
    let inside = ground.create(&ground.admin, Kind::Network, json!({"is_default": true})).await;
    assert_eq!(refusal(inside), Reason::BadRequest);
    let body = json!({"is_default": true, "router:external": true});
    let network = ground.create(&ground.admin, Kind::Network, body).await.expect("a network");
    let change =
        ground.update(&ground.admin, Kind::Network, network.id(), json!({"router:external": false})).await;
    assert_eq!(refusal(change), Reason::BadRequest);
}

#[tokio::test]
async fn members_make_no_network_external_or_shared() {
    let ground = Ground::new();
    for body in [json!({"shared": true}), json!({"router:external": true})] {
        let refused = ground.create(&ground.member, Kind::Network, body.clone()).await;
        assert_eq!(refusal(refused), Reason::PolicyNotAuthorized, "{body}");
        let network = ground.network().await;
        let refused = ground.update(&ground.member, Kind::Network, network.id(), body.clone()).await;
        assert_eq!(refusal(refused), Reason::PolicyNotAuthorized, "{body}");
    }
}

#[tokio::test]
async fn a_network_stays_external_while_routers_or_floating_ips_are_on_it() {
    let ground = Ground::new();
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    let inward = json!({"router:external": false});
    let router = ground.router(Some(&outside)).await;
    let change = ground.update(&ground.admin, Kind::Network, outside.id(), inward.clone()).await;
    assert_eq!(refusal(change), Reason::NetworkInUse);
    ground.delete(Kind::Router, router.id()).await.expect("deleted");
    let body = json!({"floating_network_id": outside.id()});
    let floating = ground.create(&ground.member, Kind::FloatingIp, body).await.expect("a floating IP");
    let change = ground.update(&ground.admin, Kind::Network, outside.id(), inward.clone()).await;
    assert_eq!(refusal(change), Reason::NetworkInUse);
    ground.delete(Kind::FloatingIp, floating.id()).await.expect("deleted");
    ground.update(&ground.admin, Kind::Network, outside.id(), inward).await.expect("changed");
}

#[tokio::test]
async fn a_network_stays_shared_while_others_have_ports_on_it() {
    let ground = Ground::new();
    let network =
        ground.create(&ground.admin, Kind::Network, json!({"shared": true})).await.expect("a network");
    let own = json!({"shared": false});
    let port = ground.port(&network).await;
    let change = ground.update(&ground.admin, Kind::Network, network.id(), own.clone()).await;
    assert_eq!(refusal(change), Reason::Conflict);
    ground.delete(Kind::Port, port.id()).await.expect("deleted");
    ground.update(&ground.admin, Kind::Network, network.id(), own).await.expect("changed");
    let refused = ground.create(&ground.member, Kind::Port, json!({"network_id": network.id()})).await;
    assert_eq!(refusal(refused), Reason::NetworkNotFound);
}

#[tokio::test]
async fn a_network_with_ports_stays_and_one_without_goes_with_its_subnets() {
    let ground = Ground::new();
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/24").await;
    let dhcp = json!({"network_id": network.id(), "device_owner": "network:dhcp", "device_id": "dhcp-1"});
    ground.create(&ground.admin, Kind::Port, dhcp).await.expect("a port");
    let port = ground.port(&network).await;
    assert_eq!(refusal(ground.delete(Kind::Network, network.id()).await), Reason::NetworkInUse);
    ground.delete(Kind::Port, port.id()).await.expect("deleted");
    ground.delete(Kind::Network, network.id()).await.expect("deleted");
    let gone = ground.control.show(&ground.admin, Kind::Subnet, subnet.id()).await;
    assert_eq!(refusal(gone), Reason::SubnetNotFound);
    assert!(ground.all(Kind::Port, "network_id", network.id()).await.is_empty());
}
