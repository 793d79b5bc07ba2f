//! The control plane's way to its agents: in this process, over the network, or both.

use crate::config::{Agents, Config};
use crate::{agent, say, server};
use anyhow::{Context, Result};
use karez_control::Control;
use karez_fabric::{Authority, HostName, InProcess, ServerOptions, Token};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long the parts may take to stop.
const STOP: Duration = Duration::from_secs(5);

/// The parts that run beside the API.
pub(crate) struct Fabric {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
}

impl Fabric {
    /// Starts what the configuration asks for. Routers are placed, and connections without an agent
    /// say so, whether agents can connect or not.
    pub(crate) async fn start(config: &Config, control: &Control) -> Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let (sessions, incoming) = mpsc::channel(16);
        let mut options = karez_dispatch::Options::default();
        if let Some(agents) = &config.agents {
            options.lease = Duration::from_secs(agents.lease_seconds);
            let serving = listen(agents, control, sessions.clone(), stopped.clone()).await?;
            tasks.spawn(serving);
        }
        if let Some(section) = &config.agent {
            let mut section = section.clone();
            section.protected_networks.extend(&config.vpn.protected_networks);
            let sessions = sessions.clone();
            let dial = move || InProcess::new(sessions.clone());
            let running = agent::start(&section, dial, stopped.clone()).await?;
            tasks.spawn(running);
        }
        let control = control.for_duties();
        tasks.spawn(async move {
            // Held for as long as sessions are served: without agents none ever comes.
            let _sessions = sessions;
            karez_dispatch::serve(control, options, incoming, stopped).await;
        });
        Ok(Self { tasks, stop })
    }

    /// Stops all of it. What agents run goes on.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(STOP, all).await.is_err() {
            tracing::warn!("some parts did not stop in time and were cut");
        }
    }
}

async fn listen(
    agents: &Agents,
    control: &Control,
    sessions: mpsc::Sender<karez_fabric::ControlEnd>,
    mut stopped: watch::Receiver<bool>,
) -> Result<impl Future<Output = ()> + use<>> {
    let listener = server::listen(agents.listen);
    let listener =
        listener.with_context(|| format!("agents.listen {} cannot be listened on", agents.listen))?;
    let authority = Arc::new(authority(control).await?);
    tracing::info!(listen = %listener.local_addr()?, "agents can connect");
    let options = ServerOptions { names: agents.names.clone(), ..ServerOptions::default() };
    let control = control.clone();
    Ok(async move {
        let stop = async move { drop(stopped.wait_for(|stop| *stop).await) };
        let served = karez_fabric::serve(listener, authority, sessions, control, options, stop).await;
        if let Err(error) = served {
            tracing::error!(%error, "agents cannot connect");
        }
    })
}

/// The deployment's authority, made when there is none.
async fn authority(control: &Control) -> Result<Authority> {
    let pem = match control.authority().await? {
        Some(pem) => pem,
        None => control.keep_authority(Authority::generate(now())?.to_pem()).await?,
    };
    Authority::from_pem(&pem).context("the certificate authority of the agents")
}

/// Makes a token by which one agent can enrol, and prints it.
pub(crate) async fn token(control: &Control, host: Option<String>, life: Duration) -> Result<()> {
    let host = host.map(|name| name.parse::<HostName>()).transpose().context("--host")?;
    let token = Token::mint(authority(control).await?.fingerprint());
    control.keep_token(token.id(), token.digest(), host, life).await?;
    say(token.to_text().expose())
}

#[allow(clippy::disallowed_methods, reason = "this is where time enters the authority")]
fn now() -> SystemTime {
    SystemTime::now()
}
