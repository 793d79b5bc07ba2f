//! Ports, beside their addresses.

use super::ground::{Ground, addresses, refusal};
use karez_model::{Kind, Reason};
use serde_json::json;

#[tokio::test]
async fn a_network_that_is_neither_own_nor_shared_takes_no_ports() {
    let ground = Ground::new();
    let own = ground.network().await;
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    let unseen = ground.create(&ground.stranger, Kind::Port, json!({"network_id": own.id()})).await;
    assert_eq!(refusal(unseen), Reason::NetworkNotFound);
    let external = ground.create(&ground.member, Kind::Port, json!({"network_id": outside.id()})).await;
    assert_eq!(refusal(external), Reason::PolicyNotAuthorized);
    ground
        .create(&ground.admin, Kind::Port, json!({"network_id": own.id()}))
        .await
        .expect("the administrator may");
}

#[tokio::test]
async fn on_a_shared_network_a_member_takes_what_he_gets() {
    let ground = Ground::new();
    let network =
        ground.create(&ground.admin, Kind::Network, json!({"shared": true})).await.expect("a network");
    let body = json!({"network_id": network.id(), "cidr": "10.0.0.0/24"});
    let subnet = ground.create(&ground.admin, Kind::Subnet, body).await.expect("a subnet");
    for choice in [
        json!({"network_id": network.id(), "fixed_ips": [{"ip_address": "10.0.0.9"}]}),
        json!({"network_id": network.id(), "mac_address": "fa:16:3e:00:00:01"}),
    ] {
        let refused = ground.create(&ground.member, Kind::Port, choice.clone()).await;
        assert_eq!(refusal(refused), Reason::PolicyNotAuthorized, "{choice}");
    }
    let body = json!({"network_id": network.id(), "fixed_ips": [{"subnet_id": subnet.id()}]});
    let port = ground.create(&ground.member, Kind::Port, body).await.expect("a port");
    assert_eq!(addresses(&port), ["10.0.0.2"]);
    let other = json!({"fixed_ips": [{"ip_address": "10.0.0.9"}]});
    let refused = ground.update(&ground.member, Kind::Port, port.id(), other).await;
    assert_eq!(refusal(refused), Reason::PolicyNotAuthorized);
    let same = json!({"fixed_ips": [{"ip_address": "10.0.0.2"}]});
    ground.update(&ground.member, Kind::Port, port.id(), same).await.expect("nothing changes");
}

#[tokio::test]
async fn mac_addresses_are_made_and_are_unique_on_a_network() {
    let ground = Ground::new();
    let network = ground.network().await;
    let made = ground.port(&network).await;
    assert!(made.text("mac_address").starts_with("fa:16:3e:"), "{}", made.text("mac_address"));
    let same = json!({"network_id": network.id(), "mac_address": made.text("mac_address")});
    assert_eq!(refusal(ground.create(&ground.member, Kind::Port, same).await), Reason::MacAddressInUse);
    let elsewhere = ground.network().await;
    let same = json!({"network_id": elsewhere.id(), "mac_address": made.text("mac_address")});
    let port = ground.create(&ground.member, Kind::Port, same).await.expect("a port");
    let other = json!({"mac_address": "fa:16:3e:00:00:01"});
    let refused = ground.update(&ground.member, Kind::Port, port.id(), other.clone()).await;
    assert_eq!(refusal(refused), Reason::PolicyNotAuthorized);
    let port = ground.update(&ground.admin, Kind::Port, port.id(), other).await.expect("changed");
    assert_eq!(port.text("mac_address"), "fa:16:3e:00:00:01");
}

#[tokio::test]
async fn a_port_is_active_once_a_device_on_a_host_has_it() {
    let ground = Ground::new();
    let network = ground.network().await;
    let port = ground.port(&network).await;
    assert_eq!(port.text("status"), "DOWN");
    let device = json!({"device_id": "vm", "device_owner": "compute:nova"});
    let port = ground.update(&ground.member, Kind::Port, port.id(), device).await.expect("changed");
    assert_eq!(port.text("status"), "DOWN");
    let host = json!({"binding:host_id": "compute-1"});
    let refused = ground.update(&ground.member, Kind::Port, port.id(), host.clone()).await;
    assert_eq!(refusal(refused), Reason::PolicyNotAuthorized);
    let port = ground.update(&ground.admin, Kind::Port, port.id(), host).await.expect("changed");
    assert_eq!(port.text("status"), "ACTIVE");
}

#[tokio::test]
async fn nobody_makes_a_port_that_passes_for_a_routers() {
    let ground = Ground::new();
    let network = ground.network().await;
    let router = ground.router(None).await;
    let body = json!({
        "network_id": network.id(), "device_owner": "network:router_interface", "device_id": router.id()});
    let refused = ground.create(&ground.member, Kind::Port, body.clone()).await;
    assert_eq!(refusal(refused), Reason::PolicyNotAuthorized);
    assert_eq!(refusal(ground.create(&ground.admin, Kind::Port, body).await), Reason::BadRequest);
    let port = ground.port(&network).await;
    let change = json!({"device_owner": "network:dhcp"});
    let refused = ground.update(&ground.member, Kind::Port, port.id(), change).await;
    assert_eq!(refusal(refused), Reason::PolicyNotAuthorized);
}

#[tokio::test]
async fn a_routers_port_changes_and_goes_with_its_router_only() {
    let ground = Ground::new();
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/24").await;
    let router = ground.router(None).await;
    let interface = ground.attach(&router, &subnet).await.expect("attached");
    let port = interface.port_id.as_str();
    assert_eq!(refusal(ground.delete(Kind::Port, port).await), Reason::ServicePortInUse);
    for change in [
        json!({"fixed_ips": [{"ip_address": "10.0.0.9"}]}),
        json!({"fixed_ips": []}),
        json!({"device_id": ""}),
        json!({"device_owner": "compute:nova"}),
    ] {
        let refused = ground.update(&ground.admin, Kind::Port, port, change.clone()).await;
        assert_eq!(refusal(refused), Reason::ServicePortInUse, "{change}");
    }
    let same = json!({"name": "lan", "fixed_ips": [{"subnet_id": subnet.id()}], "device_id": router.id()});
    let port = ground.update(&ground.member, Kind::Port, port, same).await.expect("changed");
    assert_eq!((port.text("name"), addresses(&port)), ("lan", vec!["10.0.0.1".to_owned()]));
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn a_port_has_the_groups_it_is_given_or_the_default_one() {
    let ground = Ground::new();
    let network = ground.network().await;
    let groups =
        |port: &karez_model::Object| port.texts("security_groups").map(str::to_owned).collect::<Vec<_>>();
    let port = ground.port(&network).await;
    let default = ground.all(Kind::SecurityGroup, "project_id", port.project_id()).await;
    assert_eq!(groups(&port), [default[0].id()]);
    let body = json!({"network_id": network.id(), "security_groups": []});
    let open = ground.create(&ground.member, Kind::Port, body).await.expect("a port");
    assert!(groups(&open).is_empty());
    let unsecured = json!({"network_id": network.id(), "port_security_enabled": false});
    let port = ground.create(&ground.member, Kind::Port, unsecured).await.expect("a port");
    assert!(groups(&port).is_empty());
    let back = json!({"port_security_enabled": true, "security_groups": [default[0].id()]});
    ground.update(&ground.member, Kind::Port, port.id(), back).await.expect("changed");
    let both = json!({"port_security_enabled": false});
    let refused = ground.update(&ground.member, Kind::Port, port.id(), both).await;
    assert_eq!(refusal(refused), Reason::BadRequest);
}

#[tokio::test]
async fn groups_of_other_projects_are_not_there() {
    let ground = Ground::new();
    let network = ground.network().await;
    let group = ground
        .create(&ground.stranger, Kind::SecurityGroup, json!({"name": "theirs"}))
        .await
        .expect("a group");
    let body = json!({"network_id": network.id(), "security_groups": [group.id()]});
    let refused = ground.create(&ground.member, Kind::Port, body).await;
    assert_eq!(refusal(refused), Reason::SecurityGroupNotFound);
    let port = ground.port(&network).await;
    let refused =
        ground.update(&ground.member, Kind::Port, port.id(), json!({"security_groups": ["web"]})).await;
    assert_eq!(refusal(refused), Reason::SecurityGroupNotFound);
}

#[tokio::test]
async fn a_port_for_another_project_has_that_projects_default_group() {
    let ground = Ground::new();
    let network = ground.network().await;
    let project = ground.stranger.project_id().expect("a project");
    let body = json!({"network_id": network.id(), "project_id": project});
    let port = ground.create(&ground.admin, Kind::Port, body).await.expect("a port");
    let default = ground.all(Kind::SecurityGroup, "project_id", project).await;
    assert_eq!(default.len(), 1);
    assert_eq!(*port.json("security_groups"), json!([default[0].id()]));
}
