//! What the plan of a router says.

use super::site::Site;
use ipnet::IpNet;
use karez_engine::{
    DpdAction, Encryption, Floating, Identity, IkeMode, IkeVersion, Initiator, Integrity, IpsecMode,
    IpsecProtocol, Peer, RouterPlan, StaticRoute, TunnelPlan,
};
use karez_model::{Kind, Object};
use serde_json::{Value as Json, json};
use std::net::IpAddr;

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().expect("a network")).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The tunnel of a connection.
fn tunnel<'a>(plan: &'a RouterPlan, connection: &Object) -> &'a TunnelPlan {
    plan.tunnels.iter().find(|tunnel| tunnel.id.to_string() == connection.id()).expect("a tunnel")
}

/// The address of the router's gateway on IPv4.
fn outer(service: &Object) -> IpAddr {
    ip(service.text("external_v4_ip"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_with_defaults_is_planned_as_the_api_shows_it() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let plan = site.plan(&agent).await;
    let [tunnel] = plan.tunnels.as_slice() else { panic!("not one tunnel") };
    assert_eq!(tunnel.id.to_string(), site.connection.id());
    assert_eq!(tunnel.service.to_string(), site.service.id());
    assert!(tunnel.is_up);
    assert_eq!(tunnel.local, outer(&site.service));
    assert_eq!(tunnel.peer, Peer::Address(ip("198.51.100.1")));
    assert_eq!(tunnel.local_id, Identity::Address(outer(&site.service)), "without local_id the address");
    assert_eq!(tunnel.peer_id, Identity::Address(ip("198.51.100.1")));
    assert!(tunnel.psk.expose() == "secret", "another key");
    assert_eq!(tunnel.initiator, Initiator::BiDirectional);
    assert_eq!(tunnel.ike.version, IkeVersion::V1(IkeMode::Main));
    assert_eq!((tunnel.ike.encryption, tunnel.ike.integrity), (Encryption::AesCbc(128), Integrity::Sha1));
    assert_eq!((tunnel.ike.group.number(), tunnel.ike.lifetime), (5, 3600));
    assert_eq!((tunnel.child.protocol, tunnel.child.mode), (IpsecProtocol::Esp, IpsecMode::Tunnel));
    assert_eq!((tunnel.child.group.number(), tunnel.child.lifetime), (5, 3600));
    assert_eq!((tunnel.dpd.action, tunnel.dpd.interval, tunnel.dpd.timeout), (DpdAction::Hold, 30, 120));
    assert_eq!(tunnel.mtu, 1500);
    assert_eq!(tunnel.local_subnets, nets(&["10.10.10.0/24"]));
    assert_eq!(tunnel.peer_subnets, nets(&["10.20.0.0/24"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_chosen_reaches_the_plan() {
    let site = Site::new().await;
    let member = &site.ground.member;
    let ike = json!({
        "ike_version": "v2", "encryption_algorithm": "aes-256-gcm-16", "auth_algorithm": "sha384", "pfs": "group20",
        "lifetime": {"units": "seconds", "value": 60},
    });
    let ike = site.ground.create(member, Kind::IkePolicy, ike).await.expect("an IKE policy");
    let ipsec = json!({
        "transform_protocol": "ah", "encapsulation_mode": "transport", "auth_algorithm": "sha512",
        "pfs": "group14", "lifetime": {"value": 7200},
    });
    let ipsec = site.ground.create(member, Kind::IpsecPolicy, ipsec).await.expect("an IPsec policy");
    let chosen = json!({
        "ikepolicy_id": ike.id(), "ipsecpolicy_id": ipsec.id(), "peer_cidrs": ["10.30.0.0/16", "10.40.0.0/16"],
        "local_id": "ours.example.org", "peer_id": "@#c0ffee", "initiator": "response-only", "mtu": 0,
        "dpd": {"action": "restart", "interval": 5, "timeout": 20},
    });
    let connection = site.connect(&site.service, chosen).await;
    let agent = site.agent("one").await;
    let plan = site.plan(&agent).await;
    let tunnel = tunnel(&plan, &connection);
    assert_eq!(tunnel.local_id, Identity::Fqdn("ours.example.org".into()));
    assert_eq!(tunnel.peer_id, Identity::KeyId(vec![0xc0, 0xff, 0xee]));
    assert_eq!(tunnel.initiator, Initiator::ResponseOnly);
    assert_eq!(tunnel.ike.version, IkeVersion::V2);
    assert_eq!(tunnel.ike.encryption, Encryption::AesGcm { key: 256, icv: 16 });
    assert_eq!((tunnel.ike.integrity, tunnel.ike.group.number()), (Integrity::Sha384, 20));
    assert_eq!(tunnel.ike.lifetime, 60);
    assert_eq!((tunnel.child.protocol, tunnel.child.mode), (IpsecProtocol::Ah, IpsecMode::Transport));
    assert_eq!((tunnel.child.integrity, tunnel.child.lifetime), (Integrity::Sha512, 7200));
    assert_eq!((tunnel.dpd.action, tunnel.dpd.interval, tunnel.dpd.timeout), (DpdAction::Restart, 5, 20));
    assert_eq!(tunnel.mtu, 0);
    assert_eq!(tunnel.peer_subnets, nets(&["10.30.0.0/16", "10.40.0.0/16"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_services_of_a_router_are_in_one_plan() {
    let site = Site::new().await;
    let member = &site.ground.member;
    let subnet = site.ground.subnet(&site.network, "10.11.0.0/24").await;
    site.ground.attach(&site.router, &subnet).await.expect("attached");
    let body = json!({"router_id": site.router.id(), "subnet_id": subnet.id(), "admin_state_up": false});
    let second = site.ground.create(member, Kind::VpnService, body).await.expect("a service");
    let other = site.connect(&second, json!({"peer_cidrs": ["10.30.0.0/24"]})).await;
    let agent = site.agent("one").await;
    let plan = site.plan(&agent).await;
    let mut services: Vec<(String, bool)> =
        plan.services.iter().map(|service| (service.id.to_string(), service.is_up)).collect();
    services.sort();
    let mut expected = vec![(site.service.id().to_owned(), true), (second.id().to_owned(), false)];
    expected.sort();
    assert_eq!(services, expected);
    let of = |connection: &Object| {
        let tunnel = tunnel(&plan, connection);
        (tunnel.is_up, tunnel.local_subnets.clone())
    };
    assert_eq!(of(&site.connection), (true, nets(&["10.10.10.0/24"])));
    assert_eq!(of(&other), (false, nets(&["10.11.0.0/24"])), "its service is switched off");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_is_up_when_connection_service_and_router_are() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    for object in [&site.connection, &site.service, &site.router] {
        site.change(object, json!({"admin_state_up": false})).await;
        assert!(!site.plan(&agent).await.tunnels[0].is_up, "{}", object.resource().member);
        site.change(object, json!({"admin_state_up": true})).await;
        assert!(site.plan(&agent).await.tunnels[0].is_up, "{}", object.resource().member);
    }
    site.change(&site.router, json!({"admin_state_up": false})).await;
    assert!(!site.plan(&agent).await.gateway.is_up);
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoint_groups_of_two_and_two_are_two_and_two_selectors() {
    let site = Site::new().await;
    let (ground, member) = (&site.ground, &site.ground.member);
    let subnet = ground.subnet(&site.network, "10.11.0.0/24").await;
    ground.attach(&site.router, &subnet).await.expect("attached");
    let body = json!({"type": "subnet", "endpoints": [subnet.id(), site.subnet.id()]});
    let local = ground.create(member, Kind::EndpointGroup, body).await.expect("a group");
    let body = json!({"type": "cidr", "endpoints": ["10.31.0.0/24", "10.30.0.0/24"]});
    let peer = ground.create(member, Kind::EndpointGroup, body).await.expect("a group");
    let body = json!({"router_id": site.router.id()});
    let service = ground.create(member, Kind::VpnService, body).await.expect("a service");
    let groups = json!({"local_ep_group_id": local.id(), "peer_ep_group_id": peer.id()});
    let connection = site.connect(&service, groups).await;
    let agent = site.agent("one").await;
    let plan = site.plan(&agent).await;
    let tunnel = tunnel(&plan, &connection);
    assert_eq!(tunnel.local_subnets, nets(&["10.11.0.0/24", "10.10.10.0/24"]), "in the order given");
    assert_eq!(tunnel.peer_subnets, nets(&["10.31.0.0/24", "10.30.0.0/24"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outer_address_is_of_the_peers_version() {
    let site = Site::outside(&["192.0.2.0/24", "2001:db8:1::/64"]).await;
    let six = json!({"peer_cidrs": ["10.30.0.0/24"], "peer_address": "2001:db8:9::1", "peer_id": "six"});
    let six = site.connect(&site.service, six).await;
    let host = json!({"peer_cidrs": ["10.40.0.0/24"], "peer_address": "localhost", "peer_id": "host"});
    let host = site.connect(&site.service, host).await;
    let agent = site.agent("one").await;
    let plan = site.plan(&agent).await;
    let of = |connection: &Object| {
        let tunnel = tunnel(&plan, connection);
        (tunnel.local, tunnel.peer.clone(), tunnel.local_id.clone())
    };
    let (v4, v6) = (outer(&site.service), ip(site.service.text("external_v6_ip")));
    assert_eq!(of(&six), (v6, Peer::Address(ip("2001:db8:9::1")), Identity::Address(v6)));
    assert_eq!(
        of(&host),
        (v4, Peer::Host("localhost".into()), Identity::Address(v4)),
        "IPv4 when there is one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_inside_is_planned_too() {
    let site = Site::new().await;
    let (ground, member) = (&site.ground, &site.ground.member);
    let subnet = ground.subnet(&site.network, "2001:db8:2::/64").await;
    ground.attach(&site.router, &subnet).await.expect("attached");
    let body = json!({"router_id": site.router.id(), "subnet_id": subnet.id()});
    let service = ground.create(member, Kind::VpnService, body).await.expect("a service");
    let connection = site.connect(&service, json!({"peer_cidrs": ["2001:db8:3::/64"]})).await;
    let agent = site.agent("one").await;
    let plan = site.plan(&agent).await;
    let tunnel = tunnel(&plan, &connection);
    assert_eq!(tunnel.local_subnets, nets(&["2001:db8:2::/64"]));
    assert_eq!(tunnel.peer_subnets, nets(&["2001:db8:3::/64"]));
    assert!(tunnel.local.is_ipv4(), "IPv6 in IPv4");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_has_its_addresses_next_hops_and_mtus() {
    let site = Site::outside(&["192.0.2.0/24", "2001:db8:1::/64"]).await;
    let agent = site.agent("one").await;
    site.change(&site.network, json!({"mtu": 1400})).await;
    let gateway = site.plan(&agent).await.gateway;
    assert!(gateway.is_up);
    let external = gateway.external.expect("an external interface");
    assert_eq!(external.network.to_string(), site.outside.id());
    let mut addresses: Vec<String> = external.addresses.iter().map(ToString::to_string).collect();
    addresses.sort();
    let v4 = site.service.text("external_v4_ip");
    let v6 = site.service.text("external_v6_ip");
    assert_eq!(addresses, [format!("{v4}/24"), format!("{v6}/64")]);
    let mut next_hops = external.next_hops.clone();
    next_hops.sort();
    assert_eq!(next_hops, [ip("192.0.2.1"), ip("2001:db8:1::1")]);
    assert_eq!((external.mtu, external.has_snat), (1500, true));
    let [internal] = gateway.internal.as_slice() else { panic!("not one interface") };
    assert_eq!(internal.network.to_string(), site.network.id());
    assert_eq!(internal.addresses, ["10.10.10.1/24".parse().expect("an address")]);
    assert_eq!(internal.mtu, 1400);
    assert!(internal.mac.starts_with("fa:16:3e:"), "{}", internal.mac);
}

#[tokio::test(flavor = "multi_thread")]
async fn source_nat_can_be_switched_off() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let body = json!({"external_gateway_info": {"network_id": site.outside.id(), "enable_snat": false}});
    let ground = &site.ground;
    ground.update(&ground.admin, Kind::Router, site.router.id(), body).await.expect("changed");
    assert!(!site.plan(&agent).await.gateway.external.expect("an external interface").has_snat);
}

#[tokio::test(flavor = "multi_thread")]
async fn extra_routes_and_floating_addresses_are_planned() {
    let site = Site::new().await;
    let (ground, member) = (&site.ground, &site.ground.member);
    let agent = site.agent("one").await;
    let route = json!({"destination": "10.99.0.0/16", "nexthop": "10.10.10.7"});
    site.change(&site.router, json!({"routes": [route]})).await;
    let port = ground.port(&site.network).await;
    let body = json!({"floating_network_id": site.outside.id(), "port_id": port.id()});
    let floating = ground.create(member, Kind::FloatingIp, body).await.expect("a floating IP");
    let body = json!({"floating_network_id": site.outside.id()});
    ground.create(member, Kind::FloatingIp, body).await.expect("a floating IP that leads nowhere");
    let gateway = site.plan(&agent).await.gateway;
    let expected = StaticRoute { destination: nets(&["10.99.0.0/16"])[0], next_hop: ip("10.10.10.7") };
    assert_eq!(gateway.routes, [expected]);
    let expected = Floating {
        external: ip(floating.text("floating_ip_address")),
        internal: ip(floating.text("fixed_ip_address")),
    };
    assert_eq!(gateway.floating, [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_that_is_switched_off_is_not_made() {
    let site = Site::new().await;
    let (ground, agent) = (&site.ground, site.agent("one").await);
    let ports = ground.all(Kind::Port, "device_id", site.router.id()).await;
    let port = ports.iter().find(|port| port.text("device_owner") == "network:router_interface");
    let port = port.expect("an interface");
    let before = ground.desired(&site.router).await;
    site.change(port, json!({"admin_state_up": false})).await;
    assert!(site.plan(&agent).await.gateway.internal.is_empty());
    assert_eq!(ground.desired(&site.router).await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_connections_has_its_own_policies_groups_and_service() {
    let site = Site::new().await;
    let (ground, member) = (&site.ground, &site.ground.member);
    let mut expected = Vec::new();
    for number in 0..6 {
        let subnet = ground.subnet(&site.network, &format!("10.11.{number}.0/24")).await;
        ground.attach(&site.router, &subnet).await.expect("attached");
        let body = json!({"type": "subnet", "endpoints": [subnet.id()]});
        let local = ground.create(member, Kind::EndpointGroup, body).await.expect("a group");
        let body = json!({"router_id": site.router.id(), "admin_state_up": number % 2 == 0});
        let service = ground.create(member, Kind::VpnService, body).await.expect("a service");
        for peer in 0..2 {
            let lifetime = 100 + 2 * number + peer;
            let body = json!({"lifetime": {"value": lifetime}});
            let ike = ground.create(member, Kind::IkePolicy, body).await.expect("an IKE policy");
            let body = json!({"lifetime": {"value": 1000 + lifetime}});
            let ipsec = ground.create(member, Kind::IpsecPolicy, body).await.expect("an IPsec policy");
            let cidr = format!("10.30.{lifetime}.0/24");
            let body = json!({"type": "cidr", "endpoints": [cidr]});
            let remote = ground.create(member, Kind::EndpointGroup, body).await.expect("a group");
            let chosen = json!({
                "ikepolicy_id": ike.id(), "ipsecpolicy_id": ipsec.id(), "local_ep_group_id": local.id(),
                "peer_ep_group_id": remote.id(), "psk": format!("secret {lifetime}"),
            });
            let connection = site.connect(&service, chosen).await;
            expected.push((connection, service.clone(), subnet.text("cidr").to_owned(), cidr, lifetime));
        }
    }
    let agent = site.agent("one").await;
    // Once from the rows, once more from what was read before.
    for _ in 0..2 {
        let plan = site.plan(&agent).await;
        assert_eq!(plan.tunnels.len(), expected.len() + 1);
        for (connection, service, local, remote, lifetime) in &expected {
            let tunnel = tunnel(&plan, connection);
            assert_eq!(tunnel.service.to_string(), service.id());
            assert_eq!(tunnel.is_up, service.flag("admin_state_up"));
            assert_eq!((tunnel.ike.lifetime, tunnel.child.lifetime), (*lifetime, 1000 + lifetime));
            assert_eq!(tunnel.local_subnets, nets(&[local]));
            assert_eq!(tunnel.peer_subnets, nets(&[remote]));
            assert!(tunnel.psk.expose() == format!("secret {lifetime}"), "another key");
        }
        assert_eq!(tunnel(&plan, &site.connection).local_subnets, nets(&["10.10.10.0/24"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_is_planned_as_it_is_now_and_all_else_as_it_was() {
    let site = Site::new().await;
    let (ground, member) = (&site.ground, &site.ground.member);
    let group = async |kind: &str, endpoints: Json| {
        let body = json!({"type": kind, "endpoints": endpoints});
        ground.create(member, Kind::EndpointGroup, body).await.expect("a group")
    };
    let subnet = ground.subnet(&site.network, "10.11.0.0/24").await;
    ground.attach(&site.router, &subnet).await.expect("attached");
    let (one, other) = (
        group("subnet", json!([site.subnet.id()])).await,
        group("subnet", json!([site.subnet.id(), subnet.id()])).await,
    );
    let (near, far) = (
        group("cidr", json!(["10.30.0.0/24"])).await,
        group("cidr", json!(["10.40.0.0/24", "10.41.0.0/24"])).await,
    );
    let body = json!({"router_id": site.router.id()});
    let service = ground.create(member, Kind::VpnService, body).await.expect("a service");
    let groups = json!({"local_ep_group_id": one.id(), "peer_ep_group_id": near.id()});
    let connection = site.connect(&service, groups).await;
    let agent = site.agent("one").await;
    let mut before = site.plan(&agent).await;

    site.change(&connection, json!({"local_ep_group_id": other.id()})).await;
    let plan = site.plan(&agent).await;
    assert_eq!(tunnel(&plan, &connection).local_subnets, nets(&["10.10.10.0/24", "10.11.0.0/24"]));
    site.change(&connection, json!({"peer_ep_group_id": far.id()})).await;
    let plan = site.plan(&agent).await;
    assert_eq!(tunnel(&plan, &connection).peer_subnets, nets(&["10.40.0.0/24", "10.41.0.0/24"]));
    site.change(&connection, json!({"psk": "another secret", "dpd": {"interval": 7}, "mtu": 1400})).await;
    let plan = site.plan(&agent).await;
    let changed = tunnel(&plan, &connection);
    assert!(changed.psk.expose() == "another secret", "another key");
    assert_eq!((changed.dpd.interval, changed.dpd.timeout, changed.mtu), (7, 120, 1400));
    site.change(&service, json!({"admin_state_up": false})).await;
    let plan = site.plan(&agent).await;
    assert!(!tunnel(&plan, &connection).is_up);
    assert!(tunnel(&plan, &site.connection) == tunnel(&before, &site.connection), "nobody has changed it");

    // What only its owner sees of a thing is nothing to the plan.
    before = plan;
    for object in [&one, &other, &near, &far, &subnet, &site.subnet] {
        site.change(object, json!({"name": "renamed"})).await;
    }
    let plan = site.plan(&agent).await;
    assert!(plan.tunnels == before.tunnels && plan.gateway == before.gateway, "only names have changed");

    ground.delete(Kind::IpsecSiteConnection, connection.id()).await.expect("deleted");
    let plan = site.plan(&agent).await;
    let [left] = plan.tunnels.as_slice() else { panic!("not one tunnel") };
    assert!(left == tunnel(&before, &site.connection), "nobody has changed it");
    assert_eq!(plan.services.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_changed_between_two_uses_is_planned_as_it_is_now() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let plan = site.plan(&agent).await;
    assert_eq!(tunnel(&plan, &site.connection).ike.lifetime, 3600);
    site.ground.delete(Kind::IpsecSiteConnection, site.connection.id()).await.expect("deleted");
    assert!(site.plan(&agent).await.tunnels.is_empty());
    for policy in [&site.ike, &site.ipsec] {
        site.change(policy, json!({"lifetime": {"value": 600}, "pfs": "group14"})).await;
    }
    let connection = site.connect(&site.service, json!({"peer_cidrs": ["10.20.0.0/24"]})).await;
    let plan = site.plan(&agent).await;
    let tunnel = tunnel(&plan, &connection);
    assert_eq!((tunnel.ike.lifetime, tunnel.ike.group.number()), (600, 14));
    assert_eq!((tunnel.child.lifetime, tunnel.child.group.number()), (600, 14));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_other_routers_are_not_in_the_plan() {
    let site = Site::new().await;
    let (ground, member) = (&site.ground, &site.ground.member);
    let router = ground.router(Some(&site.outside)).await;
    let subnet = ground.subnet(&site.network, "10.12.0.0/24").await;
    ground.attach(&router, &subnet).await.expect("attached");
    let body = json!({"router_id": router.id(), "subnet_id": subnet.id()});
    let service = ground.create(member, Kind::VpnService, body).await.expect("a service");
    let other = site.connect(&service, json!({"peer_cidrs": ["10.30.0.0/24"]})).await;
    let agent = site.agent("one").await;
    let desired = ground.control.desired(&agent, None).await.expect("a desired state");
    assert_eq!(desired.routers.len(), 2);
    for plan in &desired.routers {
        let (expected, service) =
            if plan.id == site.router_id() { (&site.connection, &site.service) } else { (&other, &service) };
        let [tunnel] = plan.tunnels.as_slice() else { panic!("not one tunnel") };
        assert_eq!(tunnel.id.to_string(), expected.id());
        let [of] = plan.services.as_slice() else { panic!("not one service") };
        assert_eq!(of.id.to_string(), service.id());
        assert_eq!(tunnel.local, outer(service));
    }
}
