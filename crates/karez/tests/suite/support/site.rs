//! A member's project with everything that a connection needs, made through the API.

use super::{Caller, Server};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value as Json, json};

/// See the module. Fields are ids.
pub struct Site<'a> {
    server: &'a Server,
    pub member: Caller,
    pub router: String,
    pub subnet: String,
    pub network: String,
    pub ike_policy: String,
    pub ipsec_policy: String,
    pub service: String,
}

impl<'a> Site<'a> {
    /// Builds one in this project.
    pub fn build(server: &'a Server, project: &str) -> anyhow::Result<Self> {
        let member = Caller::member(project);
        let admin = Caller::admin("operators");
        let make = |who: &Caller, path: &str, member: &str, fields: Json| {
            let object = create(server, who, path, member, fields)?;
            Ok::<_, anyhow::Error>(object["id"].as_str().context("no id")?.to_owned())
        };
        let outside =
            make(&admin, "networks", "network", json!({"name": "outside", "router:external": true}))?;
        make(&admin, "subnets", "subnet", json!({"network_id": outside, "cidr": "203.0.113.0/24"}))?;
        let network = make(&member, "networks", "network", json!({"name": "inside"}))?;
        let subnet =
            make(&member, "subnets", "subnet", json!({"network_id": network, "cidr": "10.0.0.0/24"}))?;
        let gateway = json!({"external_gateway_info": {"network_id": outside}});
        let router = make(&member, "routers", "router", gateway)?;
        let attach = member
            .request(server, Method::PUT, &format!("/v2.0/routers/{router}/add_router_interface"))
            .json(&json!({"subnet_id": subnet}))
            .send()?;
        ensure!(attach.status() == 200, "{}", attach.text()?);
        let service = json!({"router_id": router, "subnet_id": subnet});
        Ok(Self {
            ike_policy: make(&member, "vpn/ikepolicies", "ikepolicy", json!({"name": "ike"}))?,
            ipsec_policy: make(&member, "vpn/ipsecpolicies", "ipsecpolicy", json!({"name": "ipsec"}))?,
            service: make(&member, "vpn/vpnservices", "vpnservice", service)?,
            server,
            member,
            router,
            subnet,
            network,
        })
    }

    /// The fields of a connection with this key.
    pub fn connection(&self, psk: &str) -> Json {
        json!({
            "vpnservice_id": self.service, "ikepolicy_id": self.ike_policy, "ipsecpolicy_id": self.ipsec_policy,
            "peer_address": "198.51.100.7", "peer_id": "198.51.100.7", "peer_cidrs": ["10.9.0.0/24"], "psk": psk,
        })
    }

    /// Creates a connection with this key and returns its id.
    pub fn connect(&self, psk: &str) -> anyhow::Result<String> {
        let path = "vpn/ipsec-site-connections";
        let object = create(self.server, &self.member, path, "ipsec_site_connection", self.connection(psk))?;
        Ok(object["id"].as_str().context("no id")?.to_owned())
    }
}

/// Creates an object and returns it without its envelope.
pub fn create(server: &Server, who: &Caller, path: &str, member: &str, fields: Json) -> anyhow::Result<Json> {
    let response =
        who.request(server, Method::POST, &format!("/v2.0/{path}")).json(&json!({member: fields})).send()?;
    let (status, text) = (response.status(), response.text()?);
    ensure!(status == 201, "POST {path}: {status} {text}");
    let mut envelope: Json = serde_json::from_str(&text)?;
    Ok(envelope[member].take())
}
