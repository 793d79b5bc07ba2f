//! A member's site with a connection, and the agents that could run it.

use super::ground::Ground;
use karez_control::{Failure, Lease};
use karez_engine::{
    Code, ConnectionId, Event, EventKind, Reason, RouterId, RouterPlan, RouterReport, TunnelReport,
    TunnelState, TunnelStatus,
};
use karez_fabric::{Held, Hello, Shape};
use karez_model::{Kind, Object};
use serde_json::{Value as Json, json};
use std::time::Duration;
use uuid::Uuid;

pub const HOUR: Duration = Duration::from_secs(3600);

pub struct Site {
    pub ground: Ground,
    pub outside: Object,
    pub router: Object,
    pub network: Object,
    pub subnet: Object,
    pub ike: Object,
    pub ipsec: Object,
    pub service: Object,
    pub connection: Object,
}

impl Site {
    /// With an external network of IPv4.
    pub async fn new() -> Self {
        Self::outside(&["192.0.2.0/24"]).await
    }

    /// With these subnets on the external network. The peer is 198.51.100.1.
    pub async fn outside(cidrs: &[&str]) -> Self {
        let ground = Ground::new();
        let outside = ground.outside(cidrs).await;
        let router = ground.router(Some(&outside)).await;
        let network = ground.network().await;
        let subnet = ground.subnet(&network, "10.10.10.0/24").await;
        ground.attach(&router, &subnet).await.expect("attached");
        let member = &ground.member;
        let ike = ground.create(member, Kind::IkePolicy, json!({})).await.expect("an IKE policy");
        let ipsec = ground.create(member, Kind::IpsecPolicy, json!({})).await.expect("an IPsec policy");
        let body = json!({"router_id": router.id(), "subnet_id": subnet.id()});
        let service = ground.create(member, Kind::VpnService, body).await.expect("a service");
        let body = connection(&service, &ike, &ipsec, json!({"peer_cidrs": ["10.20.0.0/24"]}));
        let connection = ground.create(member, Kind::IpsecSiteConnection, body).await.expect("a connection");
        Self { ground, outside, router, network, subnet, ike, ipsec, service, connection }
    }

    /// Tries to make one more connection of the service.
    pub async fn try_to_connect(&self, more: Json) -> Result<Object, Failure> {
        let body = connection(&self.service, &self.ike, &self.ipsec, more);
        self.ground.create(&self.ground.member, Kind::IpsecSiteConnection, body).await
    }

    /// One more connection of a service.
    pub async fn connect(&self, service: &Object, more: Json) -> Object {
        let body = connection(service, &self.ike, &self.ipsec, more);
        let member = &self.ground.member;
        self.ground.create(member, Kind::IpsecSiteConnection, body).await.expect("a connection")
    }

    /// A member's change of an object.
    pub async fn change(&self, object: &Object, body: Json) {
        let (member, kind) = (&self.ground.member, object.kind());
        self.ground.update(member, kind, object.id(), body).await.expect("changed");
    }

    /// Takes all addresses but that of one IP version from the router's gateway.
    pub async fn keep_gateway_address(&self, version: i64) {
        let (ground, id) = (&self.ground, self.outside.id());
        let subnets = ground.all(Kind::Subnet, "network_id", id).await;
        let subnet = subnets.iter().find(|subnet| subnet.int("ip_version") == version).expect("a subnet");
        let gateway = json!({"network_id": id, "external_fixed_ips": [{"subnet_id": subnet.id()}]});
        let body = json!({"external_gateway_info": gateway});
        ground.update(&ground.admin, Kind::Router, self.router.id(), body).await.expect("changed");
    }

    /// Begins a session of a node that makes routers, and gives it what has no node.
    pub async fn agent(&self, host: &str) -> Lease {
        let lease = self.open(hello(host), HOUR).await;
        self.ground.control.schedule().await.expect("scheduled");
        lease
    }

    pub async fn open(&self, hello: Hello, term: Duration) -> Lease {
        self.ground.control.open_session(&hello, false, term).await.expect("a session")
    }

    /// The agent of a lease is silent from now on.
    pub async fn fall_silent(&self, lease: &Lease) {
        let lost = self.ground.control.renew(vec![lease.clone()], Duration::ZERO).await.expect("renewed");
        assert!(lost.is_empty(), "it was another's already");
    }

    /// The plan of the router, as its node is told.
    pub async fn plan(&self, lease: &Lease) -> RouterPlan {
        let desired = self.ground.control.desired(lease, None).await.expect("a desired state");
        let id = self.router_id();
        desired.routers.into_iter().find(|plan| plan.id == id).expect("a plan")
    }

    /// The generation of the router's placement.
    pub async fn generation(&self, lease: &Lease) -> i64 {
        self.plan(lease).await.generation
    }

    pub fn router_id(&self) -> RouterId {
        self.router.id().parse().expect("an id")
    }

    /// Has the node report the connection's tunnel.
    pub async fn report(&self, lease: &Lease, state: TunnelState, reason: Option<Reason>) {
        let report = tunnel(&self.router, &self.connection, state, reason);
        let generation = self.generation(lease).await;
        self.ground.control.report_tunnels(lease, vec![(generation, report)]).await.expect("taken");
    }

    /// Has the node report the router as a whole.
    pub async fn report_router(&self, lease: &Lease, trouble: Option<Reason>) {
        let generation = self.generation(lease).await;
        let report = RouterReport { router: self.router_id(), generation, trouble };
        self.ground.control.report_routers(lease, vec![report]).await.expect("taken");
    }

    /// Status and reason of the connection.
    pub async fn connection_status(&self) -> (String, Option<String>) {
        self.status(&self.connection).await
    }

    /// Status and reason of the service.
    pub async fn service_status(&self) -> (String, Option<String>) {
        self.status(&self.service).await
    }

    pub async fn status(&self, object: &Object) -> (String, Option<String>) {
        let object = self.ground.show(object.kind(), object.id()).await;
        (object.text("status").to_owned(), object.opt_text("status_reason").map(str::to_owned))
    }
}

/// What a status is expected to be.
pub fn is(status: &str, reason: Option<Code>) -> (String, Option<String>) {
    (status.to_owned(), reason.map(|code| code.to_string()))
}

/// The first message of an agent that makes routers, right after its start.
pub fn hello(host: &str) -> Hello {
    Hello {
        host: host.to_owned(),
        session: Uuid::new_v4(),
        version: "1".to_owned(),
        engine: "none".to_owned(),
        zone: None,
        shape: Shape::Managed,
        found: Vec::new(),
        applied: None,
        held: Vec::new(),
        gives_way: false,
        told_in: None,
    }
}

pub fn held(plan: &RouterPlan) -> Held {
    Held { router: plan.id, generation: plan.generation, revision: plan.revision }
}

pub fn tunnel(
    router: &Object,
    connection: &Object,
    state: TunnelState,
    reason: Option<Reason>,
) -> TunnelReport {
    let id: ConnectionId = connection.id().parse().expect("an id");
    let (ike, children, missing) = (None, Vec::new(), Vec::new());
    TunnelReport {
        router: router.id().parse().expect("an id"),
        status: TunnelStatus { id, state, reason, since: 1_000_000, ike, children, missing },
        events: Vec::new(),
    }
}

pub fn event(number: i64) -> Event {
    Event { at: number, kind: EventKind::Retransmit, code: None, message: format!("number {number}") }
}

pub fn connection(service: &Object, ike: &Object, ipsec: &Object, more: Json) -> Json {
    let mut body = json!({
        "vpnservice_id": service.id(), "ikepolicy_id": ike.id(), "ipsecpolicy_id": ipsec.id(),
        "peer_address": "198.51.100.1", "peer_id": "198.51.100.1", "psk": "secret",
    });
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}
