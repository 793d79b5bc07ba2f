//! What the measurements run on: a project with a router, and a hundred connections in it.
//!
//! The load comes from an ordinary member of that project, so that tokens, roles and the filter
//! by project are at work as they are for a tenant.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::api::{Api, id_of};
use crate::request::{Id, blank};

/// How many connections the listed project has.
pub const CONNECTIONS: usize = 100;

pub const IKE_POLICIES: &str = "/v2.0/vpn/ikepolicies";
pub const IPSEC_POLICIES: &str = "/v2.0/vpn/ipsecpolicies";
pub const SERVICES: &str = "/v2.0/vpn/vpnservices";
pub const SITE_CONNECTIONS: &str = "/v2.0/vpn/ipsec-site-connections";

const PROJECT: &str = "bench";
const USER: &str = "bench";
const PASSWORD: &str = "bench-also-only-here";

/// For the server to say of all connections that no agent runs them; it looks each two seconds.
const SETTLE_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub struct Bed {
    /// The member's session.
    pub member: Api,
    pub address: SocketAddr,
    /// What a service of this project is created with.
    pub service_body: String,
    pub seeded: Vec<Id>,
}

pub async fn prepare(address: SocketAddr) -> Result<Bed> {
    let mut admin = Api::admin(address).await?;
    create_member(&mut admin).await.context("cannot create the member")?;
    let external = external_network(&mut admin).await.context("no external network")?;
    let mut member = Api::log_in(address, USER, PASSWORD, PROJECT).await?;
    let (router, subnet) = router(&mut member, &external).await.context("no router")?;
    let service = json!({"name": "bench", "router_id": router, "subnet_id": subnet});
    let service_body = json!({ "vpnservice": service }).to_string();
    let seeded = seed(&mut member, service).await.context("cannot seed the connections")?;
    settle(&mut member).await.context("the connections do not settle")?;
    Ok(Bed { member, address, service_body, seeded })
}

/// The body of an IKE or IPsec policy, whichever `singular` says.
pub fn policy_body(singular: &str) -> String {
    json!({ singular: policy() }).to_string()
}

/// The body of a connection with blanks for its service and its two policies, in this order.
pub fn connection_body() -> String {
    json!({"ipsec_site_connection": connection(0, &blank(0), &blank(1), &blank(2))}).to_string()
}

fn policy() -> Value {
    json!({"name": "bench", "auth_algorithm": "sha256", "encryption_algorithm": "aes-256",
           "pfs": "group14"})
}

fn connection(number: usize, service: &str, ike_policy: &str, ipsec_policy: &str) -> Value {
    // Three digits each, so that all representations are equally long.
    let peer = format!("203.0.113.{}", 100 + number);
    json!({
        "name": format!("site-{:03}", 100 + number),
        "vpnservice_id": service,
        "ikepolicy_id": ike_policy,
        "ipsecpolicy_id": ipsec_policy,
        "peer_address": peer,
        "peer_id": peer,
        "psk": "a key that nobody else has",
        "peer_cidrs": [format!("10.{}.0.0/24", 100 + number)],
    })
}

async fn create_member(admin: &mut Api) -> Result<()> {
    let project = json!({"name": PROJECT, "domain_id": "default"});
    let project = admin.create("/identity/v3/projects", "project", project).await?;
    let user = json!({"name": USER, "domain_id": "default", "password": PASSWORD});
    let user = admin.create("/identity/v3/users", "user", user).await?;
    let roles = admin.get("/identity/v3/roles?name=member").await?;
    let [project, user, role] =
        [&project, &user, &roles["roles"][0]].map(|object| object["id"].as_str().unwrap_or("without-an-id"));
    let path = format!("/identity/v3/projects/{project}/users/{user}/roles/{role}");
    admin.put(&path, None, 204).await?;
    Ok(())
}

async fn external_network(admin: &mut Api) -> Result<Value> {
    let network = json!({"name": "outside", "router:external": true});
    let network = admin.create("/v2.0/networks", "network", network).await?;
    let subnet = json!({"network_id": network["id"], "ip_version": 4, "cidr": "198.51.100.0/24",
                        "enable_dhcp": false});
    admin.create("/v2.0/subnets", "subnet", subnet).await?;
    Ok(network)
}

async fn router(member: &mut Api, external: &Value) -> Result<(Value, Value)> {
    let network = member.create("/v2.0/networks", "network", json!({"name": "inside"})).await?;
    let subnet = json!({"network_id": network["id"], "ip_version": 4, "cidr": "192.168.7.0/24"});
    let mut subnet = member.create("/v2.0/subnets", "subnet", subnet).await?;
    let gateway = json!({"network_id": external["id"]});
    let router = json!({"name": "edge", "external_gateway_info": gateway});
    let mut router = member.create("/v2.0/routers", "router", router).await?;
    let path =
        format!("/v2.0/routers/{}/add_router_interface", router["id"].as_str().unwrap_or("without-an-id"));
    member.put(&path, Some(json!({"subnet_id": subnet["id"]})), 200).await?;
    Ok((router["id"].take(), subnet["id"].take()))
}

async fn seed(member: &mut Api, service: Value) -> Result<Vec<Id>> {
    let ike_policy = member.create(IKE_POLICIES, "ikepolicy", policy()).await?;
    let ipsec_policy = member.create(IPSEC_POLICIES, "ipsecpolicy", policy()).await?;
    let service = member.create(SERVICES, "vpnservice", service).await?;
    let [service, ike_policy, ipsec_policy] =
        [&service, &ike_policy, &ipsec_policy].map(|object| object["id"].as_str().unwrap_or("without-an-id"));
    let mut ids = Vec::with_capacity(CONNECTIONS);
    for number in 0..CONNECTIONS {
        let fields = connection(number, service, ike_policy, ipsec_policy);
        let created = member.create(SITE_CONNECTIONS, "ipsec_site_connection", fields).await?;
        ids.push(id_of(&created)?);
    }
    Ok(ids)
}

/// Waits until every connection says that no agent runs its router. The server finds that out a
/// moment after they were created; from then on nothing changes them but a request, and whatever
/// else differs between two answers is wrong.
async fn settle(member: &mut Api) -> Result<()> {
    let since = Instant::now();
    loop {
        let document = member.get(&format!("{SITE_CONNECTIONS}?fields=status_reason")).await?;
        let listed = document["ipsec_site_connections"].as_array().context("the list is missing")?;
        let settled = listed.iter().filter(|shown| shown["status_reason"] == "no_agent").count();
        if settled == CONNECTIONS {
            return Ok(());
        }
        ensure!(
            since.elapsed() < SETTLE_LIMIT,
            "{settled} of {CONNECTIONS} are without an agent and say so after {SETTLE_LIMIT:?}: {document}"
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
