//! Subnets.

use super::ground::{Ground, addresses, refusal};
use karez_model::{Kind, Object, Reason};
use serde_json::{Value as Json, json};

async fn subnet_with(
    ground: &Ground,
    network: &Object,
    cidr: &str,
    more: Json,
) -> Result<Object, karez_control::Failure> {
    let mut body = json!({"network_id": network.id(), "cidr": cidr});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    ground.create(&ground.member, Kind::Subnet, body).await
}

#[tokio::test]
async fn what_is_not_said_follows_from_the_range() {
    let ground = Ground::new();
    let network = ground.network().await;
    let v4 = ground.subnet(&network, "10.0.0.9/29").await;
    assert_eq!(
        (v4.text("cidr"), v4.int("ip_version"), v4.text("gateway_ip")),
        ("10.0.0.8/29", 4, "10.0.0.9")
    );
    assert_eq!(*v4.json("allocation_pools"), json!([{"start": "10.0.0.10", "end": "10.0.0.14"}]));
    let v6 = ground.subnet(&network, "2001:db8::/64").await;
    assert_eq!((v6.int("ip_version"), v6.text("gateway_ip")), (6, "2001:db8::1"));
    let end = "2001:db8::ffff:ffff:ffff:ffff";
    assert_eq!(*v6.json("allocation_pools"), json!([{"start": "2001:db8::2", "end": end}]));
    let none =
        subnet_with(&ground, &network, "10.0.1.0/30", json!({"gateway_ip": null})).await.expect("a subnet");
    assert_eq!(none.opt_text("gateway_ip"), None);
    assert_eq!(*none.json("allocation_pools"), json!([{"start": "10.0.1.1", "end": "10.0.1.2"}]));
    let middle = json!({"gateway_ip": "10.0.2.4"});
    let middle = subnet_with(&ground, &network, "10.0.2.0/29", middle).await.expect("a subnet");
    let halves = json!([{"start": "10.0.2.1", "end": "10.0.2.3"}, {"start": "10.0.2.5", "end": "10.0.2.6"}]);
    assert_eq!(*middle.json("allocation_pools"), halves);
    let listed = ground.show(Kind::Network, network.id()).await;
    assert_eq!(*listed.json("subnets"), json!([v4.id(), v6.id(), none.id(), middle.id()]));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_its_reason() {
    let ground = Ground::new();
    let network = ground.network().await;
    ground.subnet(&network, "10.9.0.0/16").await;
    let pool = |start: &str, end: &str| json!({"allocation_pools": [{"start": start, "end": end}]});
    let two = json!({"allocation_pools": [
        {"start": "10.0.0.9", "end": "10.0.0.20"}, {"start": "10.0.0.2", "end": "10.0.0.9"}]});
    let servers = json!({"dns_nameservers": ["9.9.9.9", "dns.example"]});
    let modes = |own: &str, ra: &str| json!({"ipv6_address_mode": own, "ipv6_ra_mode": ra});
    for (cidr, more, reason) in [
        ("10.9.8.0/24", json!({}), Reason::InvalidInput),
        ("10.0.0.0/8", json!({}), Reason::InvalidInput),
        ("0.0.0.0/0", json!({}), Reason::InvalidInput),
        ("::/0", json!({}), Reason::InvalidInput),
        ("127.1.0.0/24", json!({}), Reason::InvalidInput),
        ("224.0.0.0/24", json!({}), Reason::InvalidInput),
        ("ff02::/64", json!({}), Reason::InvalidInput),
        ("10.0.0.0/33", json!({}), Reason::HTTPBadRequest),
        ("10.0.0.0/31", json!({}), Reason::InvalidInput),
        ("10.0.0.0/24", json!({"ip_version": 6}), Reason::InvalidInput),
        ("2001:db8::/64", json!({"ip_version": 4}), Reason::InvalidInput),
        ("10.0.0.0/24", json!({"gateway_ip": "10.0.1.1"}), Reason::InvalidInput),
        ("10.0.0.0/24", json!({"gateway_ip": "10.0.0.255"}), Reason::InvalidInput),
        ("10.0.0.0/24", pool("10.0.0.2", "10.0.1.9"), Reason::OutOfBoundsAllocationPool),
        ("10.0.0.0/24", pool("10.0.0.2", "10.0.0.255"), Reason::OutOfBoundsAllocationPool),
        ("10.0.0.0/24", pool("2001:db8::2", "2001:db8::3"), Reason::InvalidAllocationPool),
        ("10.0.0.0/24", pool("10.0.0.9", "10.0.0.2"), Reason::HTTPBadRequest),
        ("10.0.0.0/24", pool("10.0.0.1", "10.0.0.9"), Reason::GatewayConflictWithAllocationPools),
        ("10.0.0.0/24", two, Reason::OverlappingAllocationPools),
        ("10.0.0.0/24", servers, Reason::InvalidInput),
        ("10.0.0.0/24", modes("slaac", "slaac"), Reason::InvalidInput),
        ("2001:db8::/64", modes("slaac", "dhcpv6-stateful"), Reason::InvalidInput),
        ("2001:db8::/80", modes("slaac", "slaac"), Reason::InvalidInput),
        ("2001:db8::/64", json!({"ipv6_ra_mode": "slaac", "enable_dhcp": false}), Reason::InvalidInput),
        (
            "10.0.0.0/24",
            json!({"host_routes": [{"destination": "2001:db8::/64", "nexthop": "2001:db8::1"}]}),
            Reason::InvalidInput,
        ),
    ] {
        let result = subnet_with(&ground, &network, cidr, more.clone()).await;
        assert_eq!(refusal(result), reason, "{cidr} {more}");
    }
    subnet_with(&ground, &network, "2001:db8::/64", modes("slaac", "slaac")).await.expect("a subnet");
    subnet_with(&ground, &network, "10.0.0.0/31", json!({"enable_dhcp": false})).await.expect("a subnet");
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn only_the_owner_of_a_network_and_the_administrator_make_subnets_on_it() {
    let ground = Ground::new();
    let network = ground.network().await;
    let body = |network: &Object| json!({"network_id": network.id(), "cidr": "10.0.0.0/24"});
    let unseen = ground.create(&ground.stranger, Kind::Subnet, body(&network)).await;
    assert_eq!(refusal(unseen), Reason::NetworkNotFound);
    let shared =
        ground.create(&ground.admin, Kind::Network, json!({"shared": true})).await.expect("a network");
    let foreign = ground.create(&ground.member, Kind::Subnet, body(&shared)).await;
    assert_eq!(refusal(foreign), Reason::PolicyNotAuthorized);
    ground.create(&ground.admin, Kind::Subnet, body(&network)).await.expect("a subnet");
}

#[tokio::test]
async fn a_gateway_that_a_router_answers_at_stays() {
    let ground = Ground::new();
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/24").await;
    let router = ground.router(None).await;
    let moved = json!({
        "gateway_ip": "10.0.0.9", "allocation_pools": [{"start": "10.0.0.10", "end": "10.0.0.20"}]});
    ground.attach(&router, &subnet).await.expect("attached");
    let change = ground.update(&ground.member, Kind::Subnet, subnet.id(), moved.clone()).await;
    assert_eq!(refusal(change), Reason::Conflict);
    ground.detach(&router, &subnet).await.expect("detached");
    let inside = json!({"gateway_ip": "10.0.0.9"});
    let change = ground.update(&ground.member, Kind::Subnet, subnet.id(), inside).await;
    assert_eq!(refusal(change), Reason::GatewayConflictWithAllocationPools);
    let subnet = ground.update(&ground.member, Kind::Subnet, subnet.id(), moved).await.expect("changed");
    assert_eq!(subnet.text("gateway_ip"), "10.0.0.9");
    assert_eq!(addresses(&ground.port(&network).await), ["10.0.0.10"]);
}

#[tokio::test]
async fn a_subnet_with_ports_stays_and_one_that_only_dhcp_serves_goes() {
    let ground = Ground::new();
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/24").await;
    let dhcp = json!({"network_id": network.id(), "device_owner": "network:dhcp", "device_id": "dhcp-1"});
    let dhcp = ground.create(&ground.admin, Kind::Port, dhcp).await.expect("a port");
    let port = ground.port(&network).await;
    assert_eq!(refusal(ground.delete(Kind::Subnet, subnet.id()).await), Reason::SubnetInUse);
    ground.delete(Kind::Port, port.id()).await.expect("deleted");
    ground.delete(Kind::Subnet, subnet.id()).await.expect("deleted");
    assert!(addresses(&ground.show(Kind::Port, dhcp.id()).await).is_empty());
    assert_eq!(*ground.show(Kind::Network, network.id()).await.json("subnets"), json!([]));
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn a_subnet_that_is_an_endpoint_stays() {
    let ground = Ground::new();
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/24").await;
    let body = json!({"type": "subnet", "endpoints": [subnet.id()]});
    let group = ground.create(&ground.member, Kind::EndpointGroup, body).await.expect("a group");
    assert_eq!(refusal(ground.delete(Kind::Subnet, subnet.id()).await), Reason::SubnetInUse);
    assert_eq!(refusal(ground.delete(Kind::Network, network.id()).await), Reason::SubnetInUse);
    ground.delete(Kind::EndpointGroup, group.id()).await.expect("deleted");
    ground.delete(Kind::Network, network.id()).await.expect("deleted with its subnet");
}
