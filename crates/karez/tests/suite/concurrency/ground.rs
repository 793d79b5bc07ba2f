//! What the storm passes over: an outside network, routers that stay, the node that runs them, and
//! quotas that are tight.

use super::project::{PROJECT, Project, text};
use crate::support::Server;
use anyhow::Context;
use reqwest::Method;
use serde_json::{Value as Json, json};

pub const IKE_POLICY_QUOTA: usize = 25;
pub const PORT_QUOTA: usize = 40;
const ROUTER_QUOTA: usize = 10;

/// The node that runs the routers that stay.
const NODE: &str = "node-of-the-storm";

/// See the module.
pub struct Ground {
    /// The outside network that routers may have their gateway on.
    pub outside: String,
    /// Routers that nobody changes, each with a subnet.
    pub attached: Vec<Attached>,
    /// A network with room for 13 ports: everybody wants the same few addresses.
    pub narrow: Land,
    /// A network with room for more ports than the quota allows.
    pub roomy: Land,
}

/// A router and a subnet that it has an interface on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub router: String,
    pub subnet: String,
}

/// A network and its subnet.
pub struct Land {
    pub network: String,
    pub subnet: String,
}

impl Ground {
    pub fn prepare(server: &Server) -> anyhow::Result<Self> {
        let (admin, member) = (Project::admin(server), Project::member(server));
        let quota = json!({"quota": {
            "ikepolicy": IKE_POLICY_QUOTA, "port": PORT_QUOTA, "router": ROUTER_QUOTA,
        }});
        admin.send(Method::PUT, &format!("quotas/{PROJECT}"), Some(quota), &[])?;
        let outside = json!({"name": "outside", "router:external": true});
        let outside = land(&admin, outside, "198.51.100.0/24")?.network;
        let attached: Vec<Attached> =
            (0..2).map(|number| attached(&member, &outside, number)).collect::<anyhow::Result<_>>()?;
        let narrow = land(&member, json!({"name": "narrow"}), "10.1.0.0/28")?;
        let roomy = land(&member, json!({"name": "roomy"}), "10.2.0.0/24")?;
        place(server, &attached).context("cannot place the routers on a node")?;
        Ok(Self { outside, attached, narrow, roomy })
    }

    /// What the node's state should be, by revision.
    pub fn revision(&self, server: &Server) -> anyhow::Result<i64> {
        server.database().number(&format!("SELECT desired_rev FROM nodes WHERE id = '{NODE}'"))
    }
}

fn land(project: &Project<'_>, network: Json, cidr: &str) -> anyhow::Result<Land> {
    let network = make(project, "networks", network)?;
    let subnet = json!({"network_id": network, "ip_version": 4, "cidr": cidr});
    Ok(Land { subnet: make(project, "subnets", subnet)?, network })
}

fn attached(member: &Project<'_>, outside: &str, number: usize) -> anyhow::Result<Attached> {
    let subnet = land(member, json!({"name": "inside"}), &format!("10.3.{number}.0/24"))?.subnet;
    let gateway = json!({"network_id": outside});
    let router = make(member, "routers", json!({"name": "stays", "external_gateway_info": gateway}))?;
    let path = format!("routers/{router}/add_router_interface");
    member.send(Method::PUT, &path, Some(json!({"subnet_id": subnet})), &[])?;
    Ok(Attached { router, subnet })
}

fn make(project: &Project<'_>, path: &str, fields: Json) -> anyhow::Result<String> {
    let object = project.create(path, fields, &[])?.done().unwrap_or_default();
    Ok(text(&object, "id")?.to_owned())
}

/// Agents do this when they come; here nobody does.
fn place(server: &Server, attached: &[Attached]) -> anyhow::Result<()> {
    let database = server.database();
    database.execute(&format!(
        "INSERT INTO nodes (id, host, agent_type, binary_name, topic, admin_state_up, configurations, desired_rev,
             applied_rev, epoch, lease_until, created_at, started_at, heartbeat_at, updated_at, rev)
         VALUES ('{NODE}', 'storm.example', 'VPN Agent', 'karez', 'storm.example', 1, '{{}}', 1, 1, 1, 0, 0, 0, 0, 0, 1)"
    ))?;
    attached.iter().try_for_each(|Attached { router, .. }| {
        database.execute(&format!(
            "INSERT INTO placements (router_id, node_id, generation) VALUES ('{router}', '{NODE}', 1)"
        ))
    })
}
