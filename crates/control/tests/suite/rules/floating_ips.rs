//! Floating IPs.

use super::ground::{Ground, addresses, refusal};
use karez_control::Failure;
use karez_model::{Kind, Object, Reason};
use serde_json::{Value as Json, json};

/// An external network and a network behind a router on it.
struct Site {
    ground: Ground,
    outside: Object,
    inside: Object,
    subnet: Object,
    router: Object,
}

impl Site {
    async fn new() -> Self {
        let ground = Ground::new();
        let outside = ground.outside(&["2001:db8:1::/64", "192.0.2.0/24"]).await;
        let inside = ground.network().await;
        let subnet = ground.subnet(&inside, "10.0.0.0/24").await;
        let router = ground.router(Some(&outside)).await;
        ground.attach(&router, &subnet).await.expect("attached");
        Self { ground, outside, inside, subnet, router }
    }

    async fn floating(&self, more: Json) -> Result<Object, Failure> {
        let mut body = json!({"floating_network_id": self.outside.id()});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.ground.create(&self.ground.member, Kind::FloatingIp, body).await
    }

    async fn change(&self, floating: &Object, change: Json) -> Result<Object, Failure> {
        self.ground.update(&self.ground.member, Kind::FloatingIp, floating.id(), change).await
    }
}

#[tokio::test]
async fn a_floating_ip_takes_an_ipv4_address_and_leads_nowhere() {
    let site = Site::new().await;
    let floating = site.floating(json!({})).await.expect("a floating IP");
    assert_eq!((floating.text("floating_ip_address"), floating.text("status")), ("192.0.2.3", "DOWN"));
    assert_eq!((floating.opt_text("port_id"), floating.opt_text("router_id")), (None, None));
    let ports = site.ground.all(Kind::Port, "device_id", floating.id()).await;
    assert_eq!((ports[0].project_id(), addresses(&ports[0])), ("", vec!["192.0.2.3".to_owned()]));
    assert_eq!(
        refusal(site.ground.control.delete(&site.ground.admin, Kind::Port, ports[0].id()).await),
        Reason::ServicePortInUse
    );
    site.ground.delete(Kind::FloatingIp, floating.id()).await.expect("deleted");
    let again = site.floating(json!({})).await.expect("a floating IP");
    assert_eq!(again.text("floating_ip_address"), "192.0.2.3");
    site.ground.must_be_consistent().await;
}

#[tokio::test]
async fn it_leads_to_a_port_by_the_router_between() {
    let site = Site::new().await;
    site.ground.place(&site.router).await;
    let before = site.ground.desired(&site.router).await;
    let port = site.ground.port(&site.inside).await;
    let floating = site.floating(json!({"port_id": port.id()})).await.expect("a floating IP");
    assert_eq!((floating.text("port_id"), floating.text("fixed_ip_address")), (port.id(), "10.0.0.2"));
    assert_eq!((floating.text("router_id"), floating.text("status")), (site.router.id(), "ACTIVE"));
    let between = site.ground.desired(&site.router).await;
    assert!(between > before, "the node does not know of it");
    let floating = site.change(&floating, json!({"port_id": null})).await.expect("disassociated");
    assert_eq!((floating.opt_text("port_id"), floating.opt_text("fixed_ip_address")), (None, None));
    assert_eq!((floating.opt_text("router_id"), floating.text("status")), (None, "DOWN"));
    assert!(site.ground.desired(&site.router).await > between, "the node does not know of it");
    let floating = site.change(&floating, json!({"port_id": port.id()})).await.expect("associated");
    assert_eq!(floating.text("status"), "ACTIVE");
    let renamed = site.change(&floating, json!({"description": "web"})).await.expect("changed");
    assert_eq!(renamed.text("port_id"), port.id());
}

#[tokio::test]
async fn what_cannot_be_led_to_is_refused() {
    let site = Site::new().await;
    let ground = &site.ground;
    let island = ground.network().await;
    ground.subnet(&island, "10.1.0.0/24").await;
    let stranded = ground.port(&island).await;
    let port = ground.port(&site.inside).await;
    let bare = ground.port(&ground.network().await).await;
    let inside = json!({"floating_network_id": site.inside.id()});
    let nowhere = json!({"floating_network_id": site.router.id()});
    let own = ground.all(Kind::Port, "device_id", site.router.id()).await;
    let interface = own.iter().find(|port| !port.project_id().is_empty()).expect("an interface");
    let v6 = ground.all(Kind::Subnet, "network_id", site.outside.id()).await;
    let v6 = v6.iter().find(|subnet| subnet.int("ip_version") == 6).expect("a subnet");
    for (body, reason) in [
        (inside, Reason::BadRequest),
        (nowhere, Reason::BadRequest),
        (json!({"subnet_id": v6.id()}), Reason::BadRequest),
        (json!({"subnet_id": site.subnet.id()}), Reason::InvalidInput),
        (json!({"fixed_ip_address": "10.0.0.2"}), Reason::BadRequest),
        (json!({"port_id": site.router.id()}), Reason::PortNotFound),
        (json!({"port_id": bare.id()}), Reason::BadRequest),
        (json!({"port_id": interface.id()}), Reason::BadRequest),
        (json!({"port_id": port.id(), "fixed_ip_address": "10.0.0.99"}), Reason::BadRequest),
        (json!({"port_id": stranded.id()}), Reason::ExternalGatewayForFloatingIPNotFound),
        (json!({"floating_ip_address": "192.0.2.99"}), Reason::PolicyNotAuthorized),
    ] {
        assert_eq!(refusal(site.floating(body.clone()).await), reason, "{body}");
    }
    let taken = site.floating(json!({"port_id": port.id()})).await.expect("a floating IP");
    let second = site.floating(json!({"port_id": port.id()})).await;
    assert_eq!(refusal(second), Reason::FloatingIPPortAlreadyAssociated);
    site.change(&taken, json!({"port_id": port.id()})).await.expect("the same again");
    ground.must_be_consistent().await;
}

#[tokio::test]
async fn of_several_addresses_one_must_be_named() {
    let site = Site::new().await;
    let ground = &site.ground;
    let wishes = json!([{"ip_address": "10.0.0.8"}, {"ip_address": "10.0.0.9"}]);
    let body = json!({"network_id": site.inside.id(), "fixed_ips": wishes});
    let port = ground.create(&ground.member, Kind::Port, body).await.expect("a port");
    assert_eq!(refusal(site.floating(json!({"port_id": port.id()})).await), Reason::BadRequest);
    let one = site
        .floating(json!({"port_id": port.id(), "fixed_ip_address": "10.0.0.8"}))
        .await
        .expect("a floating IP");
    let other = json!({"port_id": port.id(), "fixed_ip_address": "10.0.0.9"});
    site.floating(other).await.expect("another floating IP");
    let moved = site.change(&one, json!({"fixed_ip_address": "10.0.0.9"})).await;
    assert_eq!(refusal(moved), Reason::FloatingIPPortAlreadyAssociated);
    let change = json!({"fixed_ips": [{"ip_address": "10.0.0.9"}]});
    ground.update(&ground.member, Kind::Port, port.id(), change).await.expect("changed");
    let one = ground.show(Kind::FloatingIp, one.id()).await;
    assert_eq!((one.opt_text("port_id"), one.text("status")), (None, "DOWN"), "its address is gone");
}

#[tokio::test]
async fn the_router_keeps_what_a_floating_ip_needs() {
    let site = Site::new().await;
    let ground = &site.ground;
    let port = ground.port(&site.inside).await;
    let floating = site.floating(json!({"port_id": port.id()})).await.expect("a floating IP");
    let refused = ground.detach(&site.router, &site.subnet).await;
    assert_eq!(refusal(refused), Reason::RouterInterfaceInUseByFloatingIP);
    let cleared = json!({"external_gateway_info": {}});
    let refused = ground.update(&ground.member, Kind::Router, site.router.id(), cleared.clone()).await;
    assert_eq!(refusal(refused), Reason::RouterExternalGatewayInUseByFloatingIp);
    ground.delete(Kind::Port, port.id()).await.expect("deleted");
    let floating = ground.show(Kind::FloatingIp, floating.id()).await;
    assert_eq!((floating.opt_text("port_id"), floating.text("status")), (None, "DOWN"));
    ground.detach(&site.router, &site.subnet).await.expect("detached");
    ground.update(&ground.member, Kind::Router, site.router.id(), cleared).await.expect("cleared");
}

#[tokio::test]
async fn the_administrator_names_an_address() {
    let site = Site::new().await;
    let body = json!({"floating_network_id": site.outside.id(), "floating_ip_address": "192.0.2.99"});
    let floating =
        site.ground.create(&site.ground.admin, Kind::FloatingIp, body.clone()).await.expect("a floating IP");
    assert_eq!(floating.text("floating_ip_address"), "192.0.2.99");
    let again = site.ground.create(&site.ground.admin, Kind::FloatingIp, body).await;
    assert_eq!(refusal(again), Reason::IpAddressAlreadyAllocated);
}
