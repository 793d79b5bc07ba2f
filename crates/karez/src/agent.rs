//! `karez agent`, and the agent within `karez up`.

use crate::config::{self, AgentFile, Datapath, EngineKind, Shape};
use crate::state;
use anyhow::{Context, Result, bail};
use karez_agent::gateway::{Attached, AttachedOptions, Host, HostOptions, Managed, ManagedOptions};
use karez_agent::{Agent, AnyGateway, Options};
use karez_fabric::{Dial, Dialer, HostName, IdentityStore, ServerUrl, Token};
use karez_model::Secret;
use karez_strongswan::Strongswan;
use rustix::process::geteuid;
use std::fs::{DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// How many reports of the engine wait for the agent.
const REPORTS: usize = 1024;

/// Runs an agent on its own until told to stop. A node that is not enrolled yet needs a token.
pub(crate) async fn run(path: PathBuf, file: AgentFile, token: Option<Secret>) -> Result<()> {
    file.log.apply()?;
    let host = host(&file.agent)?;
    let store = IdentityStore::new(file.agent.state_directory.join("identity"));
    let servers: Vec<ServerUrl> = file.servers.iter().map(|url| url.parse()).collect::<Result<_, _>>()?;
    if let Some(token) = token {
        let token = Token::parse(&token).context("the token")?;
        enrol(&servers, &token, &host, &store).await?;
    }
    let identity = store.load()?;
    if *identity.host() != host {
        bail!(
            "the certificate in {} is for {}, and this node is {host}; enrol it anew with a new token",
            file.agent.state_directory.display(),
            identity.host()
        );
    }
    let (stop, stopped) = watch::channel(false);
    let directory = file.agent.state_directory.clone();
    let dial = move || Dialer::new(servers.clone(), IdentityStore::new(directory.join("identity")));
    let running = start(&file.agent, dial, stopped).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => {
                    tracing::info!("SIGHUP: the log filter is read again");
                    if let Err(error) = AgentFile::load(&path).and_then(|file| file.log.apply()) {
                        tracing::error!(error = format!("{error:#}"), "what is logged stays as it is");
                    }
                }
            }
        }
        tracing::info!("stopping; the tunnels of this node stay up");
        stop.send_replace(true);
    });
    running.await;
    Ok(())
}

async fn enrol(servers: &[ServerUrl], token: &Token, host: &HostName, store: &IdentityStore) -> Result<()> {
    let mut last = None;
    for server in servers {
        match karez_fabric::enrol(server, token, host, store).await {
            Ok(_) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error).context("this node could not be enrolled"),
        None => Ok(()),
    }
}

/// Makes an agent ready and returns what runs it. What the machine lacks is found here.
pub(crate) async fn start<D: Dial + 'static, N: Fn() -> D>(
    section: &config::Agent,
    dial: N,
    stopped: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + use<D, N>> {
    if let Some(lack) = lack() {
        bail!("an agent cannot run here: {lack}");
    }
    let host = host(section)?;
    let locks = (lock(&section.state_directory)?, lock_node(section)?);
    let made = parts(section)?;
    let options = Options {
        host: host.to_string(),
        zone: section.zone.clone(),
        shape: made.gateway.shape(),
        engine: match section.engine.kind {
            EngineKind::Strongswan => "strongswan".into(),
        },
        look: Duration::from_secs(30),
        bounds: section.bounds(),
        longest_pause: Duration::from_secs(30),
        hands: 16,
    };
    tracing::info!(%host, "an agent runs in this process");
    let section = section.clone();
    let mut first = Some(made);
    Ok(async move {
        // One that panicked finds everything again, as after a restart of the process.
        karez_tasks::keep_up("agent", || {
            let parts = first.take().map_or_else(|| parts(&section), Ok);
            let (options, dial, stopped) = (options.clone(), dial(), stopped.clone());
            async move {
                match parts {
                    Ok(Parts { engine, gateway, reports }) => {
                        Agent::new(options, engine, gateway, reports).run(dial, stopped).await;
                    }
                    Err(error) => panic!("the agent cannot begin again: {error:#}"),
                }
            }
        })
        .await;
        drop(locks);
    })
}

/// What an agent is made of.
struct Parts {
    engine: Strongswan,
    gateway: AnyGateway,
    reports: mpsc::Receiver<karez_engine::TunnelReport>,
}

fn parts(section: &config::Agent) -> Result<Parts> {
    let (sender, reports) = mpsc::channel(REPORTS);
    Ok(Parts { engine: engine(section, sender)?, gateway: gateway(section)?, reports })
}

/// Keeps other agents away from this directory: two that make the same tunnels would take them from each other.
fn lock(directory: &Path) -> Result<File> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.with_context(|| format!("agent.state_directory {} cannot be made", directory.display()))?;
    state::lock(&directory.join("agent.lock"))?.with_context(|| {
        format!(
            "another agent runs in {}: stop it, or name another agent.state_directory",
            directory.display()
        )
    })
}

/// The node, as long as this is there. The file goes with it: a node's number is another after each start of the machine.
struct NodeLock {
    path: PathBuf,
    _file: File,
}

impl Drop for NodeLock {
    fn drop(&mut self) {
        // It is still locked. One that stays behind is taken again by whoever comes.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Keeps other agents away from this node: what one finds there that it does not know, it removes.
fn lock_node(section: &config::Agent) -> Result<NodeLock> {
    const LOCKS: &str = "/run/karez";
    let namespace = match &section.namespace {
        Some(name) => Path::new("/run/netns").join(name),
        None => PathBuf::from("/proc/self/ns/net"),
    };
    let found = std::fs::metadata(&namespace);
    let found = found.with_context(|| format!("the network namespace {}", namespace.display()))?;
    let made = DirBuilder::new().recursive(true).mode(0o700).create(LOCKS);
    made.with_context(|| format!("{LOCKS} cannot be made"))?;
    let path = Path::new(LOCKS).join(format!("node-{}.lock", found.ino()));
    let file = state::lock(&path)?.context(
        "another agent runs on this node, and the two would remove each other's routers: stop it, or run this one \
         without (karez up --agent off)",
    )?;
    Ok(NodeLock { path, _file: file })
}

/// What keeps an agent from running in this process at all.
pub(crate) fn lack() -> Option<&'static str> {
    (!geteuid().is_root()).then_some("it makes namespaces, links and rules, which needs root")
}

/// What keeps an agent that nobody has asked for in words from being of use.
pub(crate) fn lack_of_programs() -> Option<&'static str> {
    let has_daemon = karez_strongswan::Options::new("").find_charon().is_ok();
    (!has_daemon).then_some(
        "there is no charon; install strongswan-charon, strongswan-swanctl, libstrongswan-standard-plugins, \
         libstrongswan-extra-plugins and libcharon-extra-plugins",
    )
}

fn host(section: &config::Agent) -> Result<HostName> {
    let name = match &section.host {
        Some(host) => host.clone(),
        None => rustix::system::uname().nodename().to_string_lossy().into_owned(),
    };
    name.parse().with_context(|| format!("agent.host '{name}'"))
}

fn engine(section: &config::Agent, reports: mpsc::Sender<karez_engine::TunnelReport>) -> Result<Strongswan> {
    let datapath = match section.engine.datapath {
        Datapath::Auto => None,
        Datapath::Kernel => Some(karez_engine::Datapath::Kernel),
        Datapath::Userspace => Some(karez_engine::Datapath::Userspace),
    };
    let options = karez_strongswan::Options {
        charon: section.engine.charon.clone(),
        datapath,
        bounds: section.bounds(),
        ..karez_strongswan::Options::new(section.state_directory.join("routers"))
    };
    Strongswan::new(options, reports).context("the engine strongswan")
}

fn gateway(section: &config::Agent) -> Result<AnyGateway> {
    let node_namespace = section.namespace.clone();
    let gateway = &section.gateway;
    Ok(match gateway.shape {
        Shape::Managed => AnyGateway::Managed(Managed::new(ManagedOptions {
            node_namespace,
            external_bridge: gateway.external_bridge.clone(),
            external_bridges: gateway.external_bridges.clone(),
        })),
        Shape::Attached => AnyGateway::Attached(Attached::new(AttachedOptions {
            pattern: gateway.namespace_pattern.parse().context("agent.gateway.namespace_pattern")?,
        })),
        Shape::Host => AnyGateway::Host(Host::new(HostOptions {
            node_namespace,
            router_id: karez_engine::RouterId(gateway.router_id.context("agent.gateway.router_id")?),
        })),
    })
}

/// Reads a token from a file, or from standard input by the name `-`.
pub(crate) fn read_token(path: &Path) -> Result<Secret> {
    let text = match path.as_os_str() == "-" {
        true => std::io::read_to_string(std::io::stdin()).context("the token on standard input")?,
        false => std::fs::read_to_string(path).with_context(|| format!("the token in {}", path.display()))?,
    };
    Ok(Secret::new(text.trim().to_owned()))
}
