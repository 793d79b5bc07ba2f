//! A cloud with a project, a member and a reader in it, and connections whose tunnels are as a test says they are.

use crate::support::up::{client, token};
use crate::support::{Database, Up, command};
use anyhow::{Context, ensure};
use reqwest::Method;
use serde_json::{Value as Json, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

pub const PASSWORD: &str = "a password of some length";

/// Long enough ago to be told in days.
pub const SINCE: i64 = 1_700_000_000_000_000;

/// See the module.
pub struct Cloud {
    pub up: Up,
    folder: TempDir,
    token: String,
    pub project: String,
    router: String,
    service: Json,
}

impl Cloud {
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let up = Up::start(&folder.path().join("state"), &folder.path().join("out"))?;
        let token = token(&folder.path().join("state"))?;
        let mut cloud =
            Self { up, folder, token, project: String::new(), router: String::new(), service: Json::Null };
        cloud.project = cloud.make("identity/v3/projects", json!({"project": {"name": "p"}}))?;
        for (user, role) in [("ann", "member"), ("rita", "reader")] {
            let fields = json!({"user": {"name": user, "password": PASSWORD}});
            let user = cloud.make("identity/v3/users", fields)?;
            let role = cloud.call(Method::GET, &format!("identity/v3/roles?name={role}"), None)?;
            let role = role["roles"][0]["id"].as_str().context("no such role")?;
            let path = format!("identity/v3/projects/{}/users/{user}/roles/{role}", cloud.project);
            cloud.call(Method::PUT, &path, None)?;
        }
        cloud.build_site()?;
        Ok(cloud)
    }

    fn build_site(&mut self) -> anyhow::Result<()> {
        let project = self.project.clone();
        let outside =
            self.make("v2.0/networks", json!({"network": {"name": "outside", "router:external": true}}))?;
        let subnet = json!({"network_id": outside, "cidr": "203.0.113.0/24", "ip_version": 4});
        self.make("v2.0/subnets", json!({"subnet": subnet}))?;
        let inside =
            self.make("v2.0/networks", json!({"network": {"name": "inside", "project_id": project}}))?;
        let subnet =
            json!({"network_id": inside, "cidr": "10.0.0.0/24", "ip_version": 4, "project_id": project});
        let subnet = self.make("v2.0/subnets", json!({"subnet": subnet}))?;
        let router = json!({"external_gateway_info": {"network_id": outside}, "project_id": project});
        self.router = self.make("v2.0/routers", json!({"router": router}))?;
        let path = format!("v2.0/routers/{}/add_router_interface", self.router);
        self.call(Method::PUT, &path, Some(json!({"subnet_id": subnet})))?;
        let service = json!({"router_id": self.router, "subnet_id": subnet, "project_id": project});
        let policy = |name: &str| json!({name: {"name": "policy", "project_id": project}});
        self.service = json!({
            "vpnservice_id": self.make("v2.0/vpn/vpnservices", json!({"vpnservice": service}))?,
            "ikepolicy_id": self.make("v2.0/vpn/ikepolicies", policy("ikepolicy"))?,
            "ipsecpolicy_id": self.make("v2.0/vpn/ipsecpolicies", policy("ipsecpolicy"))?,
            "project_id": project, "peer_address": "198.51.100.7", "peer_id": "198.51.100.7", "psk": "hush hush",
        });
        Ok(())
    }

    /// A connection of this name to this network; its id.
    pub fn connect(&self, name: &str, cidr: &str) -> anyhow::Result<String> {
        let mut fields = self.service.clone();
        fields["name"] = name.into();
        fields["peer_cidrs"] = json!([cidr]);
        self.make("v2.0/vpn/ipsec-site-connections", json!({"ipsec_site_connection": fields}))
    }

    /// As if an agent had taken the router, which goes on for ever.
    pub fn attend(&self) -> anyhow::Result<()> {
        self.database().execute(&format!(
            "INSERT INTO nodes (id, host, agent_type, binary_name, topic, admin_state_up, configurations, desired_rev,
                 applied_rev, epoch, lease_until, created_at, started_at, heartbeat_at, updated_at, rev)
             VALUES ('n', 'n.example', 'VPN Agent', 'karez', 'n', 1, '{{}}', 1, 1, 1, 9000000000000000, 0, 0, 0, 0, 1);
             INSERT OR REPLACE INTO placements (router_id, node_id, generation) VALUES ('{}', 'n', 9)",
            self.router
        ))
    }

    /// As if that agent had reported this of a connection.
    pub fn report(
        &self,
        id: &str,
        shown: &str,
        state: &str,
        reason: Option<(&str, &str, Json)>,
    ) -> anyhow::Result<()> {
        let whole = reason
            .as_ref()
            .map(|(code, message, evidence)| json!({"code": code, "message": message, "evidence": evidence}));
        let status = json!({
            "id": id, "state": state, "reason": whole, "since": SINCE, "ike": null, "children": [], "missing": [],
        });
        let text = |text: Option<&str>| {
            text.map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
        };
        let (code, message) = reason.as_ref().map(|(code, message, _)| (*code, *message)).unzip();
        self.database().execute(&format!(
            "INSERT OR REPLACE INTO connection_states (connection_id, node_id, status, reported_at)
                 VALUES ('{id}', 'n', {}, {SINCE});
             UPDATE ipsec_site_connections SET status = '{shown}', status_reason = {}, status_detail = {}, rev = rev + 1
                 WHERE id = '{id}'",
            text(Some(&status.to_string())),
            text(code),
            text(message),
        ))
    }

    pub fn database(&self) -> Database {
        Database::Sqlite { file: self.state().join("karez.db") }
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A directory of the one who asks, which is also where he is.
    pub fn home(&self) -> anyhow::Result<PathBuf> {
        let home = self.folder.path().join("home");
        fs::create_dir_all(&home)?;
        Ok(home)
    }

    /// What `source openrc` sets for a user.
    pub fn openrc(&self, user: &str) -> Vec<(&'static str, String)> {
        vec![
            ("OS_AUTH_URL", format!("{}/identity/v3", self.up.base)),
            ("OS_USERNAME", user.to_owned()),
            ("OS_PASSWORD", PASSWORD.to_owned()),
            ("OS_USER_DOMAIN_NAME", "Default".to_owned()),
            ("OS_PROJECT_NAME", "p".to_owned()),
            ("OS_PROJECT_DOMAIN_NAME", "Default".to_owned()),
        ]
    }

    /// `karez why` with these variables and no others.
    pub fn command(
        &self,
        variables: &[(&'static str, String)],
        arguments: &[&str],
    ) -> anyhow::Result<Command> {
        let home = self.home()?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_karez"));
        command.env_clear().env("HOME", &home).envs(variables.iter().cloned()).current_dir(home);
        command.arg("why").args(arguments);
        Ok(command)
    }

    /// As [`Cloud::command`], run to its end.
    pub fn why(
        &self,
        variables: &[(&'static str, String)],
        arguments: &[&str],
    ) -> anyhow::Result<command::Finished> {
        command::finish(&mut self.command(variables, arguments)?)
    }

    fn make(&self, path: &str, body: Json) -> anyhow::Result<String> {
        let made = self.call(Method::POST, path, Some(body))?;
        let object = made.as_object().and_then(|made| made.values().next()).context("no object")?;
        Ok(object["id"].as_str().context("no id")?.to_owned())
    }

    /// As the administrator.
    pub fn call(&self, method: Method, path: &str, body: Option<Json>) -> anyhow::Result<Json> {
        let request = client()?.request(method, format!("{}/{path}", self.up.base));
        let request = request.header("X-Auth-Token", &self.token);
        let answer = match body {
            Some(body) => request.json(&body).send()?,
            None => request.send()?,
        };
        let (status, text) = (answer.status(), answer.text()?);
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(if text.is_empty() { Json::Null } else { serde_json::from_str(&text)? })
    }
}
