//! Puts the rooms together and runs until told to stop.

use crate::config::{Config, Mode};
use crate::fabric::Fabric;
use crate::openrc::Access;
use crate::state::Directory;
use crate::{database, say};
use anyhow::{Context, Result, anyhow};
use karez_api::{Api, Limits, Server, Tls};
use karez_control::{Control, Settings};
use karez_identity::{Base, Clock, Embedded, Headers, Identity, Keystone, embedded, keystone, policy_file};
use karez_model::Secret;
use karez_model::policy::{Policy, STRICT_READERS};
use karez_store::Store;
use karez_tasks::keep_up;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::net::SocketAddr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Mutex;

/// How often tokens that have expired are removed.
const SWEEP: Duration = Duration::from_secs(600);

/// How often it is asked for a database that is away.
const AWAY: Duration = Duration::from_secs(1);

/// How often the certificate on disk is looked at.
const RELOAD: Duration = Duration::from_secs(30);

/// Runs the API. With a state directory, client files are written there.
pub(crate) async fn run(config: Config, file: Option<PathBuf>, directory: Option<Directory>) -> Result<()> {
    config.log.apply()?;
    raise_descriptors(config.api.connections);
    let _lock = directory.as_ref().map(Directory::lock).transpose()?;
    // First of all the port: who cannot have it must not have made an administrator.
    let listener = listen(config.api.listen);
    let listener =
        listener.with_context(|| format!("api.listen {} cannot be listened on", config.api.listen))?;
    let mut address = listener.local_addr()?;
    if address.ip().is_unspecified() {
        // What clients on this machine can use.
        address.set_ip(if address.is_ipv4() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            Ipv6Addr::LOCALHOST.into()
        });
    }
    let tls = tls(&config)?;
    let policy = policy(&config)?;
    for rule in policy.unused() {
        tracing::warn!(rule, "nothing asks for this policy rule; is its name right?");
    }
    let store = store(&listener, tls.as_ref(), &config).await?;
    store.check_key().await?;
    let settings = Settings {
        quotas: config.quotas.clone(),
        refuse_weak_algorithms: config.vpn.refuse_weak_algorithms,
        bounds: config.vpn.bounds(),
    };
    let control = Control::new(store.clone(), policy, settings);
    let caller = identity(&config, directory.as_ref(), store, tls.is_some()).await?;
    let options = karez_api::Options {
        public_url: config.api.public_url.clone(),
        behind_proxy: config.api.behind_proxy,
        is_tls: tls.is_some(),
        body_timeout: Duration::from_secs(config.api.body_timeout_seconds),
        needs_agent: config.agent.is_some() || config.agents.is_some(),
        requests_per_client: config.api.connections_per_address,
        requests_per_project: config.api.requests_per_project,
        pagination_max_limit: config.api.page()?,
    };
    let routes = caller.embedded.as_ref().map(|embedded| Arc::clone(embedded).router());
    let fabric = Fabric::start(&config, &control).await?;
    let api = Api::new(control, caller.identity, routes, options);
    let limits = Limits {
        connections: config.api.connections,
        connections_per_address: (!config.api.behind_proxy).then_some(config.api.connections_per_address),
        request_timeout: Duration::from_secs(config.api.request_timeout_seconds),
        head_timeout: Duration::from_secs(config.api.head_timeout_seconds),
        ..Limits::default()
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let reloading = Reloading { file, tls: tls.clone() };
    let server = Server::new(listener, api, tls, limits);
    let base = config.api.public_url.clone().unwrap_or(format!("{scheme}://{address}"));
    if let Some(directory) = &directory {
        introduce(directory, &base, caller.first_password, config.identity.mode)?;
    }
    if let Some(embedded) = caller.embedded {
        tokio::spawn(keep_up("sweep", move || sweep(Arc::clone(&embedded))));
    }
    // From now on it ends nothing.
    let hang_up = Arc::new(Mutex::new(signal(SignalKind::hangup())?));
    tokio::spawn(keep_up("reload", move || reloading.clone().run(Arc::clone(&hang_up))));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    say(&format!("Karez listens on {base}"))?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: requests that are under way may finish");
    };
    match server.serve(stop).await {
        0 => tracing::info!("stopped"),
        cut => tracing::warn!(cut, "stopped; some connections had to be cut"),
    }
    fabric.stop().await;
    Ok(())
}

/// Opens the store. While the database is away everybody is answered so.
async fn store(listener: &TcpListener, tls: Option<&Tls>, config: &Config) -> Result<Store> {
    let away = || tokio::task::block_in_place(|| database::away(config));
    if let Some(why) = away()? {
        let listen = listener.local_addr()?;
        tracing::warn!(%listen, why, "the database is away; requests are answered with 503 until it is there");
        let opened = async {
            loop {
                tokio::time::sleep(AWAY).await;
                let config = config.clone();
                if tokio::task::spawn_blocking(move || database::away(&config)).await??.is_none() {
                    return Ok::<_, anyhow::Error>(());
                }
            }
        };
        karez_api::wait(listener, tls, opened).await?;
        tracing::info!("the database is there");
    }
    tokio::task::block_in_place(|| database::open(config))
}

/// What can change while the server runs.
#[derive(Clone)]
struct Reloading {
    file: Option<PathBuf>,
    tls: Option<Tls>,
}

impl Reloading {
    /// Certificates are looked at by themselves, and all of it when somebody says so with SIGHUP.
    async fn run(self, hang_up: Arc<Mutex<Signal>>) {
        let mut hang_up = hang_up.lock().await;
        let mut ticks = tokio::time::interval(RELOAD);
        loop {
            let is_told = tokio::select! {
                told = hang_up.recv() => told.is_some(),
                _ = ticks.tick() => false,
            };
            if is_told {
                tracing::info!("SIGHUP: certificate, key and log filter are read again");
                self.set_filter();
            }
            match self.tls.as_ref().map(Tls::reload) {
                Some(Ok(true)) => tracing::info!("another certificate is served from now on"),
                Some(Err(why)) => tracing::error!(why, "the certificate that is served stays"),
                Some(Ok(false)) | None => {}
            }
        }
    }

    fn set_filter(&self) {
        let Some(file) = &self.file else { return };
        if let Err(error) = Config::load(file).and_then(|config| config.log.apply()) {
            tracing::error!(error = format!("{error:#}"), "what is logged stays as it is");
        }
    }
}

/// Takes the address. Connections that come in a burst wait for their turn; with the backlog that
/// is usual the system would drop them, and each client would try again only after a second.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Each connection needs a descriptor, and systems hand out few unless they are asked for more.
fn raise_descriptors(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let wanted = connections as u64 + 128;
    let enough = |current: Option<u64>| current.is_none_or(|current| current >= wanted);
    if enough(limit.current) {
        return;
    }
    let raised = match limit.maximum {
        Some(most) => wanted.min(most),
        None => wanted,
    };
    let done = setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum });
    if done.is_err() || raised < wanted {
        tracing::warn!(
            connections,
            wanted,
            allowed = limit.maximum,
            "the system allows fewer open files than api.connections needs"
        );
    }
}

struct Callers {
    identity: Arc<dyn Identity>,
    embedded: Option<Arc<Embedded>>,
    first_password: Option<Secret>,
}

async fn identity(
    config: &Config,
    directory: Option<&Directory>,
    store: Store,
    is_tls: bool,
) -> Result<Callers> {
    let without_embedded = |identity| Callers { identity, embedded: None, first_password: None };
    match config.identity.mode {
        Mode::None => Ok(without_embedded(Arc::new(Headers))),
        Mode::Keystone => Ok(without_embedded(Arc::new(keystone(config)?))),
        Mode::Embedded => {
            let base = match &config.api.public_url {
                Some(url) => Base::configured(url).map_err(|why| anyhow!("api.public_url: {why}"))?,
                None => Base::of_request(is_tls),
            };
            let token_life = Duration::from_secs(config.identity.embedded.token_seconds);
            let behind_proxy = config.api.behind_proxy;
            let options =
                embedded::Options { token_life, base, behind_proxy, ..embedded::Options::default() };
            let embedded = Arc::new(Embedded::new(store, options));
            let chosen = config.identity.embedded.admin_password.as_ref().map(|hidden| hidden.0.clone());
            let is_new = embedded.is_new().await.context("the first administrator cannot be made")?;
            let pending = match directory {
                Some(directory) if is_new || directory.has_pending_password() => {
                    Some(directory.pending_password()?)
                }
                Some(_) | None => None,
            };
            let is_chosen = chosen.is_some();
            let admin = embedded.bootstrap(chosen.or(pending.clone())).await;
            let admin = admin.context("the first administrator cannot be made")?;
            let first_password = admin.map(|admin| admin.password).or(pending);
            if let Some(password) = first_password.as_ref().filter(|_| !is_chosen) {
                // The only time that it is shown. It goes to standard output, not into the log.
                say(&format!("The administrator is admin, his password {}", password.expose()))?;
            }
            Ok(Callers { identity: embedded.clone(), embedded: Some(embedded), first_password })
        }
    }
}

fn keystone(config: &Config) -> Result<Keystone> {
    let section = config.identity.keystone.as_ref().context("the section [identity.keystone] is required")?;
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).with_context(|| format!("identity.keystone.ca_certificate {}", path.display()))
    };
    Keystone::new(keystone::Options {
        auth_url: section.auth_url.clone(),
        username: section.username.clone(),
        password: section.password.0.clone(),
        user_domain_name: section.user_domain_name.clone(),
        project_name: section.project_name.clone(),
        project_domain_name: section.project_domain_name.clone(),
        cache_life: Duration::from_secs(section.cache_seconds),
        timeout: Duration::from_secs(section.timeout_seconds),
        ca_certificate: section.ca_certificate.as_ref().map(read).transpose()?,
        cached_tokens: 10_000,
        clock: Clock::system(),
    })
    .map_err(|why| anyhow!("identity.keystone: {why}"))
}

fn policy(config: &Config) -> Result<Policy> {
    let strict = if config.policy.strict_readers { STRICT_READERS } else { &[] };
    match &config.policy.file {
        Some(path) => policy_file::load(path, strict).map_err(|why| anyhow!("policy.file: {why}")),
        None => Policy::new(strict.iter().copied()).map_err(|why| anyhow!("built-in policy: {why}")),
    }
}

fn tls(config: &Config) -> Result<Option<Tls>> {
    match (&config.api.tls_certificate, &config.api.tls_key) {
        (Some(certificate), Some(key)) => Tls::load(certificate, key)
            .map(Some)
            .map_err(|why| anyhow!("api.tls_certificate, api.tls_key: {why}")),
        _ => Ok(None),
    }
}

/// Writes the client files. They keep the password of the first start, with the address of this
/// one.
fn introduce(directory: &Directory, base: &str, first: Option<Secret>, mode: Mode) -> Result<()> {
    if mode != Mode::Embedded {
        return Ok(());
    }
    let password = match first {
        Some(secret) => secret.expose().to_owned(),
        None => match directory.earlier_password() {
            Some(password) => password,
            None => return Ok(()),
        },
    };
    let access = Access { base, password: &password };
    directory.write("openrc", &access.openrc())?;
    directory.write("clouds.yaml", &access.clouds())?;
    directory.forget_pending_password()?;
    say(&format!("Client files are in {}; use them with: source {0}/openrc", directory.path().display()))
}

async fn sweep(embedded: Arc<Embedded>) {
    let mut ticks = tokio::time::interval(SWEEP);
    loop {
        ticks.tick().await;
        match embedded.sweep().await {
            Ok(0) => {}
            Ok(removed) => tracing::debug!(removed, "expired tokens were removed"),
            Err(error) => tracing::warn!(%error, "expired tokens could not be removed"),
        }
    }
}
