//! Giving out addresses.

use super::ground::{Ground, addresses, refusal};
use karez_model::{Kind, Object, Reason, parse};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

async fn port_with(
    ground: &Ground,
    network: &Object,
    wishes: Json,
) -> Result<Object, karez_control::Failure> {
    let body = json!({"network_id": network.id(), "fixed_ips": wishes});
    ground.create(&ground.member, Kind::Port, body).await
}

#[tokio::test]
async fn a_port_has_the_lowest_free_address_of_each_ip_version() {
    let ground = Ground::new();
    let network = ground.network().await;
    ground.subnet(&network, "10.0.0.0/24").await;
    ground.subnet(&network, "2001:db8::/64").await;
    let first = ground.port(&network).await;
    let second = ground.port(&network).await;
    assert_eq!(addresses(&first), ["10.0.0.2", "2001:db8::2"]);
    assert_eq!(addresses(&second), ["10.0.0.3", "2001:db8::3"]);
    ground.delete(Kind::Port, first.id()).await.expect("deleted");
    assert_eq!(addresses(&ground.port(&network).await), ["10.0.0.2", "2001:db8::2"]);
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn a_network_without_subnets_gives_a_port_without_addresses() {
    let ground = Ground::new();
    let network = ground.network().await;
    assert!(addresses(&ground.port(&network).await).is_empty());
}

#[tokio::test]
async fn the_next_subnet_is_used_when_one_is_full_and_then_ports_are_refused() {
    let ground = Ground::new();
    let network = ground.network().await;
    ground.subnet(&network, "10.0.0.0/30").await;
    ground.subnet(&network, "10.0.1.0/30").await;
    assert_eq!(addresses(&ground.port(&network).await), ["10.0.0.2"]);
    assert_eq!(addresses(&ground.port(&network).await), ["10.0.1.2"]);
    let full = ground.create(&ground.member, Kind::Port, json!({"network_id": network.id()})).await;
    assert_eq!(refusal(full), Reason::IpAddressGenerationFailure);
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn a_version_that_is_full_is_not_left_out_in_silence() {
    let ground = Ground::new();
    let network = ground.network().await;
    ground.subnet(&network, "10.0.0.0/30").await;
    ground.subnet(&network, "2001:db8::/64").await;
    ground.port(&network).await;
    let full = ground.create(&ground.member, Kind::Port, json!({"network_id": network.id()})).await;
    assert_eq!(refusal(full), Reason::IpAddressGenerationFailure);
}

#[tokio::test]
async fn an_address_can_be_asked_for_by_itself_by_subnet_or_by_both() {
    let ground = Ground::new();
    let network = ground.network().await;
    let v4 = ground.subnet(&network, "10.0.0.0/24").await;
    let v6 = ground.subnet(&network, "2001:db8::/64").await;
    let wishes = json!([
        {"subnet_id": v4.id()},
        {"ip_address": "10.0.0.2"},
        {"subnet_id": v6.id(), "ip_address": "2001:DB8:0:0::00ff"},
    ]);
    let port = port_with(&ground, &network, wishes).await.expect("a port");
    assert_eq!(addresses(&port), ["10.0.0.3", "10.0.0.2", "2001:db8::ff"]);
    let same = port_with(&ground, &network, json!([{"ip_address": "2001:db8:0::ff"}])).await;
    assert_eq!(refusal(same), Reason::IpAddressAlreadyAllocated);
    let gateway = port_with(&ground, &network, json!([{"ip_address": "10.0.0.1"}])).await.expect("a port");
    assert_eq!(addresses(&gateway), ["10.0.0.1"]);
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn wishes_that_cannot_be_granted_are_refused_with_their_reason() {
    let ground = Ground::new();
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/24").await;
    let other = ground.network().await;
    let elsewhere = ground.subnet(&other, "10.0.0.0/24").await;
    let here = subnet.id();
    let many: Vec<Json> = (2..40).map(|host| json!({"ip_address": format!("10.0.0.{host}")})).collect();
    for (wishes, reason) in [
        (json!([{"ip_address": "10.0.1.1"}]), Reason::InvalidIpForNetwork),
        (json!([{"subnet_id": here, "ip_address": "10.0.1.1"}]), Reason::InvalidIpForSubnet),
        (json!([{"subnet_id": here, "ip_address": "10.0.0.0"}]), Reason::InvalidIpForSubnet),
        (json!([{"ip_address": "10.0.0.255"}]), Reason::InvalidIpForSubnet),
        (json!([{"subnet_id": here, "ip_address": "2001:db8::1"}]), Reason::InvalidIpForSubnet),
        (json!([{"subnet_id": elsewhere.id()}]), Reason::InvalidInput),
        (json!([{"subnet_id": network.id()}]), Reason::SubnetNotFound),
        (
            json!([{"ip_address": "10.0.0.9"}, {"subnet_id": here, "ip_address": "10.0.0.9"}]),
            Reason::InvalidInput,
        ),
        (json!([{"ip_address": "10.0.0.9"}, {"ip_address": "10.0.0.9"}]), Reason::HTTPBadRequest),
        (json!([{"ip_address": "10.0.0.09"}]), Reason::HTTPBadRequest),
        (json!([{}]), Reason::HTTPBadRequest),
        (json!(many), Reason::InvalidInput),
    ] {
        assert_eq!(refusal(port_with(&ground, &network, wishes.clone()).await), reason, "{wishes}");
    }
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn a_port_keeps_an_address_that_it_asks_for_again() {
    let ground = Ground::new();
    let network = ground.network().await;
    let v4 = ground.subnet(&network, "10.0.0.0/24").await;
    let v6 = ground.subnet(&network, "2001:db8::/64").await;
    let port = port_with(&ground, &network, json!([{"ip_address": "10.0.0.77"}])).await.expect("a port");
    let wishes = json!({"fixed_ips": [{"subnet_id": v4.id()}, {"subnet_id": v6.id()}]});
    let port = ground.update(&ground.member, Kind::Port, port.id(), wishes).await.expect("changed");
    assert_eq!(addresses(&port), ["10.0.0.77", "2001:db8::2"]);
    let wishes = json!({"fixed_ips": [{"ip_address": "10.0.0.77"}, {"subnet_id": v4.id()}]});
    let port = ground.update(&ground.member, Kind::Port, port.id(), wishes).await.expect("changed");
    assert_eq!(addresses(&port), ["10.0.0.77", "10.0.0.2"]);
    let port = ground.update(&ground.member, Kind::Port, port.id(), json!({"fixed_ips": []})).await;
    assert!(addresses(&port.expect("changed")).is_empty());
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn hosts_of_a_slaac_subnet_have_the_address_of_their_mac_address() {
    let ground = Ground::new();
    let network = ground.network().await;
    let body = json!({"network_id": network.id(), "cidr": "2001:db8::/64", "ipv6_address_mode": "slaac"});
    ground.create(&ground.member, Kind::Subnet, body).await.expect("a subnet");
    let body = json!({"network_id": network.id(), "mac_address": "FA-16-3E-00-00-01"});
    let port = ground.create(&ground.member, Kind::Port, body).await.expect("a port");
    assert_eq!(port.text("mac_address"), "fa:16:3e:00:00:01");
    assert_eq!(addresses(&port), ["2001:db8::f816:3eff:fe00:1"]);
    let other = port_with(&ground, &network, json!([{"ip_address": "2001:db8::5"}])).await;
    assert_eq!(refusal(other), Reason::InvalidIpForSubnet);
}

#[tokio::test]
async fn a_subnet_for_some_device_owners_gives_addresses_to_those_only() {
    let ground = Ground::new();
    let network = ground.network().await;
    let body = json!({"network_id": network.id(), "cidr": "10.0.0.0/24", "service_types": ["compute:nova"]});
    ground.create(&ground.member, Kind::Subnet, body).await.expect("a subnet");
    let plain = ground.create(&ground.member, Kind::Port, json!({"network_id": network.id()})).await;
    assert_eq!(refusal(plain), Reason::IpAddressGenerationFailure);
    let body = json!({"network_id": network.id(), "device_owner": "compute:nova"});
    let port = ground.create(&ground.member, Kind::Port, body).await.expect("a port");
    assert_eq!(addresses(&port), ["10.0.0.2"]);
}

#[tokio::test]
async fn pools_bound_what_is_given_and_not_what_is_asked_for() {
    let ground = Ground::new();
    let network = ground.network().await;
    let pools =
        json!([{"start": "10.0.0.21", "end": "10.0.0.21"}, {"start": "10.0.0.10", "end": "10.0.0.10"}]);
    let body = json!({"network_id": network.id(), "cidr": "10.0.0.0/24", "allocation_pools": pools});
    ground.create(&ground.member, Kind::Subnet, body).await.expect("a subnet");
    assert_eq!(addresses(&ground.port(&network).await), ["10.0.0.10"]);
    assert_eq!(addresses(&ground.port(&network).await), ["10.0.0.21"]);
    let full = ground.create(&ground.member, Kind::Port, json!({"network_id": network.id()})).await;
    assert_eq!(refusal(full), Reason::IpAddressGenerationFailure);
    port_with(&ground, &network, json!([{"ip_address": "10.0.0.99"}])).await.expect("outside of the pools");
}

#[tokio::test]
async fn a_large_subnet_is_filled_to_its_last_address() {
    // More than those that are read to find a free one.
    const HOSTS: usize = 1100;
    let ground = Ground::with_quotas(&[("port", -1)]);
    let network = ground.network().await;
    let pool = json!({"start": "10.0.1.0", "end": "10.0.5.75"});
    let subnet = json!({"network_id": network.id(), "cidr": "10.0.0.0/21", "allocation_pools": [pool]});
    ground.create(&ground.member, Kind::Subnet, subnet).await.expect("a subnet");
    let body = json!({"network_id": network.id(), "security_groups": []});
    let request = parse::create(Kind::Port, body.as_object().expect("an object")).expect("a request");
    let mut given = BTreeSet::new();
    while given.len() < HOSTS {
        let requests = vec![request.clone(); (HOSTS - given.len()).min(205)];
        for port in ground.control.create(&ground.member, Kind::Port, requests).await.expect("ports") {
            let address = addresses(&port).remove(0);
            assert!(given.insert(address.clone()), "{address} was given twice");
        }
    }
    assert!(!given.contains("10.0.0.1"), "the gateway's address was given");
    let full = ground.create(&ground.member, Kind::Port, body).await;
    assert_eq!(refusal(full), Reason::IpAddressGenerationFailure);
    ground.must_be_consistent().await;
}
