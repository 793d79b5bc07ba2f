//! Interfaces and extra routes of routers.

use super::ground::{Ground, addresses, refusal};
use karez_control::{Failure, InterfaceOf};
use karez_model::{Kind, Object, Reason};
use serde_json::{Value as Json, json};

/// A router with an interface on a subnet 10.0.0.0/24 of a network.
async fn attached(ground: &Ground) -> (Object, Object, Object) {
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/24").await;
    let router = ground.router(None).await;
    ground.attach(&router, &subnet).await.expect("attached");
    (router, network, subnet)
}

async fn attach_port(
    ground: &Ground,
    router: &Object,
    port: &Object,
) -> Result<karez_control::Interface, Failure> {
    let of = InterfaceOf::Port(port.id().to_owned());
    ground.control.add_router_interface(&ground.member, router.id(), of).await
}

async fn set_routes(ground: &Ground, router: &Object, routes: Json) -> Result<Object, Failure> {
    ground.update(&ground.member, Kind::Router, router.id(), json!({"routes": routes})).await
}

fn route(destination: &str, nexthop: &str) -> Json {
    json!({"destination": destination, "nexthop": nexthop})
}

#[tokio::test]
async fn an_interface_has_the_subnets_gateway_address() {
    let ground = Ground::new();
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/24").await;
    let router = ground.router(None).await;
    let interface = ground.attach(&router, &subnet).await.expect("attached");
    assert_eq!((interface.router_id.as_str(), interface.network_id.as_str()), (router.id(), network.id()));
    assert_eq!(interface.project_id, router.project_id());
    assert_eq!(
        (interface.subnet_id.as_str(), interface.subnet_ids.as_slice()),
        (subnet.id(), &[subnet.id().to_owned()][..])
    );
    let port = ground.show(Kind::Port, &interface.port_id).await;
    assert_eq!((addresses(&port), port.text("status")), (vec!["10.0.0.1".to_owned()], "ACTIVE"));
    assert_eq!(refusal(ground.delete(Kind::Router, router.id()).await), Reason::RouterInUse);
    assert_eq!(refusal(ground.delete(Kind::Subnet, subnet.id()).await), Reason::SubnetInUse);
    assert_eq!(refusal(ground.delete(Kind::Network, network.id()).await), Reason::NetworkInUse);
    let removed = ground.detach(&router, &subnet).await.expect("detached");
    assert_eq!(removed, interface);
    ground.delete(Kind::Router, router.id()).await.expect("deleted");
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn what_cannot_be_connected_is_refused() {
    let ground = Ground::new();
    let (router, network, subnet) = attached(&ground).await;
    let gone = ground.network().await;
    assert_eq!(refusal(ground.attach(&gone, &subnet).await), Reason::RouterNotFound);
    assert_eq!(refusal(ground.attach(&router, &gone).await), Reason::SubnetNotFound);
    assert_eq!(refusal(ground.attach(&router, &subnet).await), Reason::BadRequest);
    let other = ground.router(None).await;
    assert_eq!(refusal(ground.attach(&other, &subnet).await), Reason::IpAddressAlreadyAllocated);
    let overlapping = ground.subnet(&ground.network().await, "10.0.0.128/25").await;
    assert_eq!(refusal(ground.attach(&router, &overlapping).await), Reason::BadRequest);
    let body = json!({"network_id": network.id(), "cidr": "10.0.1.0/24", "gateway_ip": null});
    let blind = ground.create(&ground.member, Kind::Subnet, body).await.expect("a subnet");
    assert_eq!(refusal(ground.attach(&router, &blind).await), Reason::BadRequest);
    let both = InterfaceOf::Both { subnet: subnet.id().into(), port: subnet.id().into() };
    let refused = ground.control.add_router_interface(&ground.member, router.id(), both).await;
    assert_eq!(refusal(refused), Reason::BadRequest);
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn a_shared_subnets_gateway_address_is_its_owners() {
    let ground = Ground::new();
    let network =
        ground.create(&ground.admin, Kind::Network, json!({"shared": true})).await.expect("a network");
    let body = json!({"network_id": network.id(), "cidr": "10.0.0.0/24"});
    let subnet = ground.create(&ground.admin, Kind::Subnet, body).await.expect("a subnet");
    let router = ground.router(None).await;
    assert_eq!(refusal(ground.attach(&router, &subnet).await), Reason::BadRequest);
    let port = ground.port(&network).await;
    let interface = attach_port(&ground, &router, &port).await.expect("attached");
    assert_eq!(interface.subnet_ids, [subnet.id()]);
}

#[tokio::test]
async fn a_port_becomes_an_interface_and_is_in_use_then() {
    let ground = Ground::new();
    let network = ground.network().await;
    ground.subnet(&network, "10.0.0.0/24").await;
    ground.subnet(&network, "2001:db8::/64").await;
    let port = ground.port(&network).await;
    let router = ground.router(None).await;
    let interface = attach_port(&ground, &router, &port).await.expect("attached");
    assert_eq!(interface.subnet_ids.len(), 2);
    let stored = ground.show(Kind::Port, port.id()).await;
    assert_eq!((stored.text("device_id"), stored.text("status")), (router.id(), "ACTIVE"));
    assert_eq!(stored.text("device_owner"), "network:router_interface");
    let other = ground.router(None).await;
    assert_eq!(refusal(attach_port(&ground, &other, &port).await), Reason::PortInUse);
    let bare = ground.port(&ground.network().await).await;
    assert_eq!(refusal(attach_port(&ground, &other, &bare).await), Reason::BadRequest);
    let of = InterfaceOf::Port(port.id().to_owned());
    let refused = ground.control.remove_router_interface(&ground.member, other.id(), of.clone()).await;
    assert_eq!(refusal(refused), Reason::RouterInterfaceNotFound);
    ground.control.remove_router_interface(&ground.member, router.id(), of).await.expect("removed");
    let gone = ground.control.show(&ground.admin, Kind::Port, port.id()).await;
    assert_eq!(refusal(gone), Reason::PortNotFound);
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn one_subnet_of_two_can_be_taken_off_an_interface() {
    let ground = Ground::new();
    let network = ground.network().await;
    let v4 = ground.subnet(&network, "10.0.0.0/24").await;
    let v6 = ground.subnet(&network, "2001:db8::/64").await;
    let port = ground.port(&network).await;
    let router = ground.router(None).await;
    attach_port(&ground, &router, &port).await.expect("attached");
    let removed = ground.detach(&router, &v6).await.expect("detached");
    assert_eq!(removed.subnet_ids, [v6.id()]);
    assert_eq!(addresses(&ground.show(Kind::Port, port.id()).await), ["10.0.0.2"]);
    let wrong = InterfaceOf::Both { subnet: v6.id().into(), port: port.id().into() };
    let refused = ground.control.remove_router_interface(&ground.member, router.id(), wrong).await;
    assert_eq!(refusal(refused), Reason::BadRequest);
    ground.detach(&router, &v4).await.expect("detached");
    let refused = ground.detach(&router, &v4).await;
    assert_eq!(refusal(refused), Reason::RouterInterfaceNotFoundForSubnet);
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn an_interface_counts_as_a_port_of_the_project() {
    let ground = Ground::with_quotas(&[("port", 1)]);
    let network = ground.network().await;
    let subnet = ground.subnet(&network, "10.0.0.0/24").await;
    let router = ground.router(None).await;
    ground.port(&network).await;
    assert_eq!(refusal(ground.attach(&router, &subnet).await), Reason::OverQuota);
}

#[tokio::test]
async fn a_reader_connects_nothing() {
    let ground = Ground::new();
    let (router, network, _) = attached(&ground).await;
    let subnet = ground.subnet(&network, "10.0.1.0/24").await;
    let mut reader = (*ground.member).clone();
    reader.roles = vec!["reader".into()];
    let of = InterfaceOf::Subnet(subnet.id().into());
    let refused = ground.control.add_router_interface(&reader.into(), router.id(), of).await;
    assert_eq!(refusal(refused), Reason::PolicyNotAuthorized);
}

#[tokio::test]
async fn a_service_or_a_connection_keeps_its_interface() {
    let ground = Ground::new();
    let outside = ground.outside(&["192.0.2.0/24"]).await;
    let (router, _, subnet) = attached(&ground).await;
    let gateway = json!({"external_gateway_info": {"network_id": outside.id()}});
    ground.update(&ground.member, Kind::Router, router.id(), gateway).await.expect("a gateway");
    let body = json!({"router_id": router.id(), "subnet_id": subnet.id()});
    ground.create(&ground.member, Kind::VpnService, body).await.expect("a service");
    assert_eq!(refusal(ground.detach(&router, &subnet).await), Reason::SubnetInUseByVPNService);
}

#[tokio::test]
async fn routes_lead_over_subnets_that_the_router_is_on() {
    let ground = Ground::new();
    let (router, _, subnet) = attached(&ground).await;
    for (nexthop, what) in [("10.0.1.9", "on no subnet"), ("10.0.0.1", "the router itself")] {
        let refused = set_routes(&ground, &router, json!([route("10.7.0.0/16", nexthop)])).await;
        assert_eq!(refusal(refused), Reason::InvalidRoutes, "{what}");
    }
    let routes = json!([route("10.7.0.0/16", "10.0.0.9"), route("10.8.0.0/16", "10.0.0.9")]);
    let router = set_routes(&ground, &router, routes.clone()).await.expect("routes");
    assert_eq!(*router.json("routes"), routes);
    assert_eq!(refusal(ground.detach(&router, &subnet).await), Reason::RouterInterfaceInUseByRoute);
    let replaced = json!([route("10.9.0.0/16", "10.0.0.9")]);
    let router = set_routes(&ground, &router, replaced.clone()).await.expect("routes");
    assert_eq!(*router.json("routes"), replaced);
    set_routes(&ground, &router, json!([])).await.expect("no routes");
    ground.detach(&router, &subnet).await.expect("detached");
}

#[tokio::test]
async fn extra_routes_are_added_and_removed_all_or_none_and_again() {
    let ground = Ground::new();
    let (router, _, _) = attached(&ground).await;
    ground.place(&router).await;
    let (one, two) = (route("10.7.0.0/16", "10.0.0.9"), route("10.8.0.0/16", "10.0.0.9"));
    let add = |routes: Json| ground.control.add_extra_routes(&ground.member, router.id(), routes);
    let remove = |routes: Json| ground.control.remove_extra_routes(&ground.member, router.id(), routes);
    assert_eq!(*add(json!([one])).await.expect("added").json("routes"), json!([one]));
    let refused = add(json!([two, route("10.9.0.0/16", "10.5.0.9")])).await;
    assert_eq!(refusal(refused), Reason::InvalidRoutes);
    assert_eq!(refusal(add(json!([{"destination": "10.9.0.0/16"}])).await), Reason::HTTPBadRequest);
    assert_eq!(refusal(add(json!("10.9.0.0/16")).await), Reason::HTTPBadRequest);
    let before = ground.desired(&router).await;
    assert_eq!(*add(json!([two, one])).await.expect("added").json("routes"), json!([one, two]));
    assert!(ground.desired(&router).await > before, "the node does not know of it");
    let before = ground.desired(&router).await;
    add(json!([one])).await.expect("nothing to add");
    assert_eq!(ground.desired(&router).await, before);
    let gone = route("10.99.0.0/16", "10.0.0.9");
    assert_eq!(*remove(json!([one, gone])).await.expect("removed").json("routes"), json!([two]));
    assert_eq!(*remove(json!([one])).await.expect("removed").json("routes"), json!([two]));
}

#[tokio::test]
async fn connecting_is_counted_for_the_node() {
    let ground = Ground::new();
    let (router, network, _) = attached(&ground).await;
    let subnet = ground.subnet(&network, "10.0.1.0/24").await;
    ground.place(&router).await;
    let before = ground.desired(&router).await;
    ground.attach(&router, &subnet).await.expect("attached");
    let between = ground.desired(&router).await;
    ground.detach(&router, &subnet).await.expect("detached");
    assert!(before < between && between < ground.desired(&router).await, "not counted");
}
