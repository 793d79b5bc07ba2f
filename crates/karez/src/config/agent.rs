//! The configuration of an agent: in a file of its own, or as a section of a server's.

use super::{Cidr, Log, texts};
use anyhow::{Context, Result, bail};
use karez_engine::Bounds;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The file of `karez agent`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentFile {
    /// Where control planes listen for agents, as in `https://karez.example.org:9697`. One that
    /// answers is enough.
    pub servers: Vec<String>,
    #[serde(default)]
    pub agent: Agent,
    #[serde(default)]
    pub log: Log,
}

/// An agent.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Agent {
    /// The node's name, unique in a deployment; the machine's host name when it is not given.
    pub host: Option<String>,
    /// Its availability zone.
    pub zone: Option<String>,
    /// Where the agent keeps its certificate, and what it needs to find its tunnels again.
    pub state_directory: PathBuf,
    /// The network namespace that is the node, by its name under `/run/netns`; the one that the
    /// agent is started in when it is not given.
    pub namespace: Option<String>,
    /// Networks that no tunnel of this node may lead to, beside those that never are.
    pub protected_networks: Vec<Cidr>,
    pub gateway: Gateway,
    pub engine: Engine,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            host: None,
            zone: None,
            state_directory: PathBuf::from("/var/lib/karez-agent"),
            namespace: None,
            protected_networks: Vec::new(),
            gateway: Gateway::default(),
            engine: Engine::default(),
        }
    }
}

/// What sort of gateways an agent has.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Shape {
    /// The agent makes routers
    #[default]
    Managed,
    /// The agent uses routers that others have made, each in a namespace of its own
    Attached,
    /// The machine itself is the one router
    Host,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Gateway {
    pub shape: Shape,
    /// Managed: the bridge that leads to external networks.
    pub external_bridge: String,
    /// Managed: other bridges, by the id of the external network that they lead to.
    pub external_bridges: BTreeMap<Uuid, String>,
    /// Attached: how the namespace of a router is called; `{router_id}` stands for its id.
    pub namespace_pattern: String,
    /// Host: the id of the router that the machine is.
    pub router_id: Option<Uuid>,
    /// Host: the networks behind the machine that tunnels may take, which are not its tenants' to choose.
    pub local_subnets: Vec<Cidr>,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            shape: Shape::default(),
            external_bridge: "br-ex".into(),
            external_bridges: BTreeMap::new(),
            namespace_pattern: "qrouter-{router_id}".into(),
            router_id: None,
            local_subnets: Vec::new(),
        }
    }
}

/// Who makes tunnels.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EngineKind {
    /// strongSwan's charon, one a router.
    #[default]
    Strongswan,
}

/// Who encrypts.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Datapath {
    /// The kernel where it has ESP, otherwise the IKE daemon.
    #[default]
    Auto,
    Kernel,
    Userspace,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Engine {
    pub kind: EngineKind,
    pub datapath: Datapath,
    /// The charon program, when it is not where Debian and Fedora have it.
    pub charon: Option<PathBuf>,
}

impl AgentFile {
    /// Reads a file.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let file: Self = super::read(path)?;
        file.check().with_context(|| format!("configuration file {}", path.display()))?;
        Ok(file)
    }

    fn check(&self) -> Result<()> {
        if self.servers.is_empty() {
            bail!("servers is empty; name at least one, like https://karez.example.org:9697");
        }
        if let Some(odd) = self.servers.iter().find(|server| !server.starts_with("https://")) {
            bail!("servers has '{odd}'; write https://, then the host and the port of [agents] listen");
        }
        self.agent.check()
    }
}

impl Agent {
    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<()> {
        let gateway = &self.gateway;
        match gateway.shape {
            Shape::Host if gateway.router_id.is_none() => {
                bail!("agent.gateway.shape is host: router_id must say which router this machine is")
            }
            Shape::Host if gateway.local_subnets.is_empty() => bail!(
                "agent.gateway.shape is host: local_subnets must list the networks behind this machine that tunnels may \
                 take, like [\"10.0.0.0/24\"]"
            ),
            Shape::Attached if gateway.namespace_pattern.matches("{router_id}").count() != 1 => bail!(
                "agent.gateway.namespace_pattern is '{}'; it must have {{router_id}} in it, once",
                gateway.namespace_pattern
            ),
            Shape::Managed | Shape::Attached | Shape::Host => Ok(()),
        }
    }

    /// What no tunnel of this agent may be.
    pub(crate) fn bounds(&self) -> Bounds {
        let nets = |networks: &[Cidr]| networks.iter().map(|network| network.0).collect();
        let is_host = self.gateway.shape == Shape::Host;
        Bounds {
            protected: nets(&self.protected_networks),
            local: is_host.then(|| nets(&self.gateway.local_subnets)),
        }
    }

    /// As JSON; there are no secrets.
    pub(crate) fn shown(&self) -> Json {
        json!({
            "host": self.host,
            "zone": self.zone,
            "state_directory": self.state_directory,
            "namespace": self.namespace,
            "protected_networks": texts(&self.protected_networks),
            "gateway": {
                "shape": format!("{:?}", self.gateway.shape).to_lowercase(),
                "external_bridge": self.gateway.external_bridge,
                "external_bridges": self.gateway.external_bridges.iter()
                    .map(|(network, bridge)| (network.to_string(), bridge.as_str())).collect::<BTreeMap<_, _>>(),
                "namespace_pattern": self.gateway.namespace_pattern,
                "router_id": self.gateway.router_id.map(|id| id.to_string()),
                "local_subnets": texts(&self.gateway.local_subnets),
            },
            "engine": {
                "kind": format!("{:?}", self.engine.kind).to_lowercase(),
                "datapath": format!("{:?}", self.engine.datapath).to_lowercase(),
                "charon": self.engine.charon,
            },
        })
    }
}

/// Where a server listens for agents.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Agents {
    /// Address and port.
    pub listen: std::net::SocketAddr,
    /// Names and addresses by which agents reach this server: they stand in its certificate.
    pub names: Vec<String>,
    /// How long a node counts as alive after it was last heard of.
    #[serde(default = "lease_seconds")]
    pub lease_seconds: u64,
}

fn lease_seconds() -> u64 {
    15
}

impl Agents {
    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<()> {
        if self.names.is_empty() {
            bail!("agents.names is empty; name how agents reach this server");
        }
        if self.lease_seconds < 6 {
            bail!("agents.lease_seconds is {}; it must be 6 or more", self.lease_seconds);
        }
        Ok(())
    }

    /// As JSON; there are no secrets.
    pub(crate) fn shown(&self) -> Json {
        json!({"listen": self.listen.to_string(), "names": self.names, "lease_seconds": self.lease_seconds})
    }
}
