//! A control plane on loopback, with tokens in memory, and agents that are enrolled with it.

#![allow(clippy::expect_used, reason = "it is a part of tests")]

use karez_engine::{
    ChildPlan, ConnectionId, Dpd, DpdAction, GatewayPlan, Identity, IkePlan, IkeVersion, Initiator,
    IpsecMode, IpsecProtocol, Peer, RouterId, RouterPlan, ServiceId, TunnelPlan,
};
use karez_fabric::{
    Authority, Claim, ControlEnd, Desired, Dial, Dialer, EnrolError, Enrolments, FromAgent, Hello, HostName,
    IdentityStore, Refusal, ServerOptions, ServerUrl, Shape, Token, enrol, serve,
};
use karez_model::Secret;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use uuid::Uuid;

/// Nothing that is waited for takes so long.
const BOUND: Duration = Duration::from_secs(40);

/// Waits, but not for ever.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    timeout(BOUND, what).await.expect("it comes in time")
}

#[allow(clippy::disallowed_methods, reason = "certificates are made for the time of the test")]
pub fn now() -> SystemTime {
    SystemTime::now()
}

pub struct Server {
    pub address: SocketAddr,
    pub sessions: mpsc::Receiver<ControlEnd>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub async fn start(authority: &Arc<Authority>, tokens: &Tokens) -> Self {
        Self::start_at(
            "127.0.0.1:0".parse().expect("an address"),
            authority,
            tokens,
            ServerOptions::default(),
        )
        .await
    }

    pub async fn start_at(
        address: SocketAddr,
        authority: &Arc<Authority>,
        tokens: &Tokens,
        options: ServerOptions,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (taken, sessions) = mpsc::channel(4);
        let (stop, stopped) = oneshot::channel::<()>();
        let (authority, tokens) = (Arc::clone(authority), tokens.clone());
        let task = tokio::spawn(async move {
            let stopped = async { drop(stopped.await) };
            serve(listener, authority, taken, tokens, options, stopped).await.expect("it serves");
        });
        Self { address, sessions, stop, task }
    }

    pub fn url(&self) -> ServerUrl {
        url(self.address)
    }

    pub async fn session(&mut self) -> ControlEnd {
        soon(self.sessions.recv()).await.expect("a session")
    }

    pub async fn stop(self) {
        self.stop.send(()).expect("it runs");
        soon(self.task).await.expect("it ends well");
    }
}

pub fn url(address: SocketAddr) -> ServerUrl {
    format!("https://{address}").parse().expect("a URL")
}

pub fn authority() -> Arc<Authority> {
    Arc::new(Authority::generate(now()).expect("an authority"))
}

pub fn host(name: &str) -> HostName {
    name.parse().expect("a name")
}

/// An agent that is enrolled, with its directory.
pub struct Agent {
    pub directory: TempDir,
    pub dialer: Dialer,
}

impl Agent {
    pub async fn enrolled(server: &Server, authority: &Authority, tokens: &Tokens, name: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = IdentityStore::new(directory.path());
        let token = tokens.issue(authority);
        let enrolled = enrol(&server.url(), &token, &host(name), &store).await;
        if let Err(error) = enrolled {
            panic!("not enrolled: {error}");
        }
        Self { dialer: Dialer::new(vec![server.url()], store), directory }
    }

    pub async fn dial(&mut self) -> karez_fabric::AgentEnd {
        soon(self.dialer.dial()).await
    }
}

/// What an enrolment was refused with.
pub fn error_of<T>(result: Result<T, EnrolError>) -> EnrolError {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error,
    }
}

/// Tokens as a control plane keeps them, but in memory.
#[derive(Clone, Default)]
pub struct Tokens(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    tokens: BTreeMap<Uuid, Entry>,
    removed: Vec<HostName>,
}

struct Entry {
    digest: [u8; 32],
    has_expired: bool,
    used_by: Option<(HostName, [u8; 32])>,
}

impl Tokens {
    pub fn issue(&self, authority: &Authority) -> Token {
        let token = Token::mint(authority.fingerprint());
        let entry = Entry { digest: token.digest(), has_expired: false, used_by: None };
        self.0.lock().expect("a lock").tokens.insert(token.id(), entry);
        token
    }

    pub fn expire(&self, token: &Token) {
        self.0.lock().expect("a lock").tokens.get_mut(&token.id()).expect("a token").has_expired = true;
    }

    pub fn remove(&self, host: HostName) {
        self.0.lock().expect("a lock").removed.push(host);
    }
}

impl Enrolments for Tokens {
    async fn redeem(&self, claim: Claim) -> Result<(), Refusal> {
        let mut state = self.0.lock().expect("a lock");
        let entry = state.tokens.get_mut(&claim.token).filter(|entry| entry.digest == claim.digest);
        let entry = entry.ok_or(Refusal::Unknown)?;
        if entry.has_expired {
            return Err(Refusal::Expired);
        }
        let by = (claim.host, claim.key);
        if entry.used_by.as_ref().is_some_and(|used_by| *used_by != by) {
            return Err(Refusal::Used);
        }
        entry.used_by = Some(by);
        Ok(())
    }

    async fn may_renew(&self, host: &HostName) -> Result<(), Refusal> {
        let state = self.0.lock().expect("a lock");
        if state.removed.contains(host) { Err(Refusal::Removed) } else { Ok(()) }
    }
}

pub fn hello(name: &str) -> FromAgent {
    FromAgent::Hello(Hello {
        host: name.to_owned(),
        session: Uuid::from_u128(1),
        version: "0.1.0".to_owned(),
        engine: "none".to_owned(),
        zone: None,
        shape: Shape::Managed,
        found: Vec::new(),
        applied: None,
        held: Vec::new(),
        gives_way: false,
        told_in: None,
    })
}

/// One router with so many tunnels.
pub fn desired(tunnels: u128, psk: &str) -> Desired {
    let tunnels = (0..tunnels).map(|number| tunnel(number, psk)).collect();
    let router = RouterPlan {
        id: RouterId(Uuid::from_u128(7)),
        generation: 1,
        revision: 1,
        gateway: GatewayPlan::default(),
        services: Vec::new(),
        tunnels,
    };
    Desired { revision: 1, is_whole: true, routers: vec![router], gone: Vec::new() }
}

fn tunnel(number: u128, psk: &str) -> TunnelPlan {
    let encryption = || "aes-256".parse().expect("an algorithm");
    let integrity = || "sha256".parse().expect("an algorithm");
    let group = || "group14".parse().expect("a group");
    TunnelPlan {
        id: ConnectionId(Uuid::from_u128(number)),
        service: ServiceId(Uuid::from_u128(3)),
        is_up: true,
        local: "192.0.2.1".parse().expect("an address"),
        peer: Peer::Host(format!("peer-{number}.example.org")),
        local_id: Identity::parse("192.0.2.1"),
        peer_id: Identity::parse(&format!("peer-{number}.example.org")),
        psk: Secret::new(psk.to_owned()),
        initiator: Initiator::BiDirectional,
        ike: IkePlan {
            version: IkeVersion::V2,
            encryption: encryption(),
            integrity: integrity(),
            group: group(),
            lifetime: 3600,
        },
        child: ChildPlan {
            protocol: IpsecProtocol::Esp,
            mode: IpsecMode::Tunnel,
            encryption: encryption(),
            integrity: integrity(),
            group: group(),
            lifetime: 3600,
        },
        dpd: Dpd { action: DpdAction::Restart, interval: 30, timeout: 120 },
        mtu: 1500,
        local_subnets: vec!["10.0.0.0/24".parse().expect("a network")],
        peer_subnets: vec!["10.1.0.0/24".parse().expect("a network")],
    }
}
