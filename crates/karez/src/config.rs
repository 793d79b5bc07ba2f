//! The configuration file. Every key has a default or an error that names it.

mod agent;

pub(crate) use agent::{Agent, AgentFile, Agents, Datapath, Engine, EngineKind, Gateway, Shape};

use crate::logging;
use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use karez_engine::Bounds;
use karez_model::Secret;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// A secret that comes from the file.
#[derive(Clone)]
pub(crate) struct Hidden(pub Secret);

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// A network that comes from the file or the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr(pub IpNet);

impl std::str::FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        karez_model::address::cidr(text).map(Self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// As text, for `shown`.
fn texts(networks: &[Cidr]) -> Vec<String> {
    networks.iter().map(|network| network.0.to_string()).collect()
}

/// Everything that can be configured.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(default)]
    pub api: Api,
    pub store: Store,
    pub secrets: Secrets,
    #[serde(default)]
    pub identity: Identity,
    #[serde(default)]
    pub policy: Policy,
    #[serde(default)]
    pub vpn: Vpn,
    #[serde(default)]
    pub log: Log,
    /// Default limits of projects, by resource; -1 is no limit.
    #[serde(default)]
    pub quotas: BTreeMap<String, i64>,
    /// Where agents on other machines connect; nowhere when it is not given.
    pub agents: Option<Agents>,
    /// An agent in this process; none when it is not given.
    pub agent: Option<Agent>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Api {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// Certificate chain in PEM; with `tls_key` the listener speaks TLS.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's key in PEM.
    pub tls_key: Option<PathBuf>,
    /// The URL that clients know, when it is not the one they use.
    pub public_url: Option<String>,
    /// Whether to believe `X-Forwarded-Proto` and `X-Forwarded-Host`.
    pub behind_proxy: bool,
    /// Connections at a time.
    pub connections: usize,
    /// Connections of one client address; behind a proxy, requests of one client.
    pub connections_per_address: usize,
    /// How long a request may be at work.
    pub request_timeout_seconds: u64,
    /// Requests of one project that are at work at a time.
    pub requests_per_project: usize,
    /// The most objects of a page; -1 is no bound.
    pub pagination_max_limit: i64,
    /// How long a client may take for the head of a request, and stay idle between two.
    pub head_timeout_seconds: u64,
    /// How long a client may take for a body.
    pub body_timeout_seconds: u64,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9696)),
            tls_certificate: None,
            tls_key: None,
            public_url: None,
            behind_proxy: false,
            connections: 4096,
            connections_per_address: 1024,
            request_timeout_seconds: 60,
            requests_per_project: 32,
            pagination_max_limit: -1,
            head_timeout_seconds: 30,
            body_timeout_seconds: 30,
        }
    }
}

impl Api {
    /// The bound of pages.
    pub(crate) fn page(&self) -> Result<Option<u32>> {
        match self.pagination_max_limit {
            -1 => Ok(None),
            1.. => u32::try_from(self.pagination_max_limit).map(Some).context("api.pagination_max_limit"),
            other => bail!("api.pagination_max_limit is {other}; it must be 1 or more, or -1 for no bound"),
        }
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    /// `sqlite:/path/karez.db` or `postgresql://user:password@host:port/database`.
    pub url: Hidden,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secrets {
    /// The file with the keys that secrets are sealed with; made when it is not there. A name
    /// without folder is looked for among the credentials that systemd hands over.
    pub key_file: PathBuf,
}

/// Who tells who is calling.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    #[default]
    Embedded,
    Keystone,
    None,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Identity {
    pub mode: Mode,
    pub embedded: Embedded,
    pub keystone: Option<Keystone>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Embedded {
    /// The first administrator's password; a random one when there is none.
    pub admin_password: Option<Hidden>,
    /// How long a token is good for.
    pub token_seconds: u64,
}

impl Default for Embedded {
    fn default() -> Self {
        Self { admin_password: None, token_seconds: 3600 }
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keystone {
    pub auth_url: String,
    pub username: String,
    pub password: Hidden,
    #[serde(default = "default_domain")]
    pub user_domain_name: String,
    #[serde(default = "service_project")]
    pub project_name: String,
    #[serde(default = "default_domain")]
    pub project_domain_name: String,
    /// For clients only; tokens are the same in all regions.
    #[serde(default)]
    pub region: Option<String>,
    /// How long an answer of Keystone is used, and so how long a revoked token still works.
    #[serde(default = "cache_seconds")]
    pub cache_seconds: u64,
    /// How long Keystone may take to answer.
    #[serde(default = "timeout_seconds")]
    pub timeout_seconds: u64,
    /// Certificate authority in PEM, beside those of the system.
    #[serde(default)]
    pub ca_certificate: Option<PathBuf>,
}

fn default_domain() -> String {
    "Default".into()
}

fn service_project() -> String {
    "service".into()
}

fn cache_seconds() -> u64 {
    60
}

fn timeout_seconds() -> u64 {
    5
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Policy {
    /// Rules that replace built-in ones, in the form of oslo.policy.
    pub file: Option<PathBuf>,
    /// Readers see nothing of the VPN resources, as in the reference.
    pub strict_readers: bool,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Vpn {
    /// Refuse SHA-1 and 3DES in new policies.
    pub refuse_weak_algorithms: bool,
    /// Networks that no tunnel may lead to, beside those that never are.
    pub protected_networks: Vec<Cidr>,
}

impl Vpn {
    /// What no tunnel may be.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { protected: self.protected_networks.iter().map(|network| network.0).collect(), local: None }
    }
}

/// What is logged. The file is read again at SIGHUP.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Log {
    /// A level, or targets with levels; what the command line says when it is not given.
    pub filter: Option<String>,
}

impl Log {
    /// From now on that is what is logged.
    pub(crate) fn apply(&self) -> Result<()> {
        self.filter.as_deref().map_or(Ok(()), logging::change).context("log.filter")
    }
}

/// A database, by its URL.
pub(crate) enum Database<'a> {
    Sqlite(&'a Path),
    Postgres(&'a str),
}

impl Config {
    /// Reads a file. Unknown keys, wrong types and what does not fit together are errors that
    /// name the key.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let config: Self = read(path)?;
        config.check().with_context(|| format!("configuration file {}", path.display()))?;
        Ok(config)
    }

    /// The configuration of `karez up`.
    pub(crate) fn in_directory(directory: &Path) -> Self {
        let url = format!("sqlite:{}", directory.join("karez.db").display());
        Self {
            api: Api::default(),
            store: Store { url: Hidden(Secret::new(url)) },
            secrets: Secrets { key_file: directory.join("secret.key") },
            identity: Identity::default(),
            policy: Policy::default(),
            vpn: Vpn::default(),
            log: Log::default(),
            quotas: BTreeMap::new(),
            agents: None,
            agent: None,
        }
    }

    /// Checks what the types cannot say.
    pub(crate) fn check(&self) -> Result<()> {
        self.database()?;
        if self.api.tls_certificate.is_some() != self.api.tls_key.is_some() {
            bail!("api.tls_certificate and api.tls_key belong together: give both or none");
        }
        if self.api.connections == 0 {
            bail!("api.connections is 0; at least one is needed");
        }
        for (key, value) in [
            ("requests_per_project", self.api.requests_per_project as u64),
            ("connections_per_address", self.api.connections_per_address as u64),
            ("request_timeout_seconds", self.api.request_timeout_seconds),
        ] {
            if value == 0 {
                bail!("api.{key} is 0; it must be 1 or more");
            }
        }
        self.api.page()?;
        if self.api.head_timeout_seconds == 0 || self.api.body_timeout_seconds == 0 {
            bail!("api.head_timeout_seconds and api.body_timeout_seconds must be 1 or more");
        }
        match self.identity.mode {
            Mode::None if !self.api.listen.ip().is_loopback() => bail!(
                "identity.mode is none, which believes every caller, and api.listen is {}: only loopback addresses \
                 are allowed",
                self.api.listen
            ),
            Mode::Keystone if self.identity.keystone.is_none() => {
                bail!("identity.mode is keystone: the section [identity.keystone] is required")
            }
            Mode::None | Mode::Keystone | Mode::Embedded => {}
        }
        self.agents.as_ref().map_or(Ok(()), Agents::check)?;
        self.agent.as_ref().map_or(Ok(()), Agent::check)?;
        let known =
            karez_model::Kind::ALL.iter().filter_map(|kind| kind.resource().quota.map(|(name, _)| name));
        let known: Vec<&str> = known.collect();
        for (name, limit) in &self.quotas {
            if !known.contains(&name.as_str()) {
                bail!("quotas.{name} is not known; known are {}", known.join(", "));
            }
            if *limit < -1 {
                bail!("quotas.{name} is {limit}; it must be -1, which is no limit, or more");
            }
        }
        Ok(())
    }

    /// Which database.
    pub(crate) fn database(&self) -> Result<Database<'_>> {
        let url = self.store.url.0.expose();
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                bail!("store.url names no file; write sqlite:/path/karez.db");
            }
            return Ok(Database::Sqlite(Path::new(path)));
        }
        if url.starts_with("postgresql://") || url.starts_with("postgres://") {
            return Ok(Database::Postgres(url));
        }
        bail!("store.url must begin with sqlite: or postgresql://")
    }

    /// The key file, where systemd may have put it.
    pub(crate) fn key_file(&self) -> PathBuf {
        let file = &self.secrets.key_file;
        match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(folder) if file.components().count() == 1 => PathBuf::from(folder).join(file),
            Some(_) | None => file.clone(),
        }
    }

    /// The configuration as JSON, without secrets.
    pub(crate) fn shown(&self) -> Result<String> {
        const SET: &str = "(set, not shown)";
        let database = match self.database()? {
            Database::Sqlite(path) => format!("sqlite:{}", path.display()),
            Database::Postgres(url) => without_password(url),
        };
        let keystone = self.identity.keystone.as_ref().map(|keystone| {
            json!({
                "auth_url": keystone.auth_url,
                "username": keystone.username,
                "password": SET,
                "user_domain_name": keystone.user_domain_name,
                "project_name": keystone.project_name,
                "project_domain_name": keystone.project_domain_name,
                "region": keystone.region,
                "cache_seconds": keystone.cache_seconds,
                "timeout_seconds": keystone.timeout_seconds,
                "ca_certificate": keystone.ca_certificate,
            })
        });
        let shown: Json = json!({
            "api": {
                "listen": self.api.listen.to_string(),
                "tls_certificate": self.api.tls_certificate,
                "tls_key": self.api.tls_key,
                "public_url": self.api.public_url,
                "behind_proxy": self.api.behind_proxy,
                "connections": self.api.connections,
                "connections_per_address": self.api.connections_per_address,
                "request_timeout_seconds": self.api.request_timeout_seconds,
                "requests_per_project": self.api.requests_per_project,
                "pagination_max_limit": self.api.pagination_max_limit,
                "head_timeout_seconds": self.api.head_timeout_seconds,
                "body_timeout_seconds": self.api.body_timeout_seconds,
            },
            "store": {"url": database},
            "secrets": {"key_file": self.key_file()},
            "identity": {
                "mode": format!("{:?}", self.identity.mode).to_lowercase(),
                "embedded": {
                    "admin_password": self.identity.embedded.admin_password.as_ref().map(|_| SET),
                    "token_seconds": self.identity.embedded.token_seconds,
                },
                "keystone": keystone,
            },
            "policy": {"file": self.policy.file, "strict_readers": self.policy.strict_readers},
            "vpn": {
                "refuse_weak_algorithms": self.vpn.refuse_weak_algorithms,
                "protected_networks": texts(&self.vpn.protected_networks),
            },
            "log": {"filter": self.log.filter},
            "quotas": self.quotas,
            "agents": self.agents.as_ref().map(Agents::shown),
            "agent": self.agent.as_ref().map(Agent::shown),
        });
        Ok(serde_json::to_string_pretty(&shown)?)
    }
}

/// Reads a configuration file of any sort.
fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("configuration file {}", path.display()))?;
    toml::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{}", position(&text, &error)))
        .with_context(|| format!("configuration file {}", path.display()))
}

/// The message of a parse error with its line, and without the line's text: it may hold a
/// password.
fn position(text: &str, error: &toml::de::Error) -> String {
    match error.span() {
        Some(span) => {
            let line = text.get(..span.start).map_or(1, |before| before.matches('\n').count() + 1);
            format!("line {line}: {}", error.message())
        }
        None => error.message().to_owned(),
    }
}

/// A URL with its password, in the authority or the query, blotted out.
fn without_password(url: &str) -> String {
    let (url, query) = url.split_once('?').map_or((url, None), |(url, query)| (url, Some(query)));
    let mut out = match url.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((user, host)) => {
                let user = user.split_once(':').map_or(user.to_owned(), |(user, _)| format!("{user}:***"));
                format!("{scheme}://{user}@{host}")
            }
            None => url.to_owned(),
        },
        None => url.to_owned(),
    };
    if let Some(query) = query {
        let pair = |pair: &str| {
            if pair.starts_with("password=") { "password=***".to_owned() } else { pair.to_owned() }
        };
        out = format!("{out}?{}", query.split('&').map(pair).collect::<Vec<_>>().join("&"));
    }
    out
}

#[cfg(test)]
mod tests;
