//! A control plane with one connection, and agents that a test plays.

use karez_control::{Control, InterfaceOf, Settings};
use karez_dispatch::{Options, serve};
use karez_engine::{ConnectionId, RouterPlan, TunnelReport, TunnelState, TunnelStatus};
use karez_fabric::{AgentEnd, ControlEnd, Desired, FromAgent, Held, Hello, Shape, ToAgent, Welcome, pair};
use karez_model::policy::Policy;
use karez_model::{Caller, Kind, Object, Scope, parse};
use karez_store::{Keyring, Store};
use karez_testing::{Database, StoreKind};
use serde_json::{Value as Json, json};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};
use uuid::Uuid;

/// How long anything may take that is bound to happen.
const BOUND: Duration = Duration::from_secs(40);

/// Nothing is looked at without a ring, and no lease ends.
pub const PATIENT: Options = Options { lease: Duration::from_secs(3600), look: Duration::from_secs(3600) };

pub struct Ground {
    pub control: Control,
    pub database: Database,
    pub router: Object,
    pub connection: Object,
    pub admin: Arc<Caller>,
    sessions: mpsc::Sender<ControlEnd>,
    _stop: watch::Sender<bool>,
    _directory: TempDir,
}

impl Ground {
    /// A control plane that serves sessions.
    pub async fn serving(options: Options) -> Self {
        let (ground, serving) = Self::waiting(options).await;
        tokio::spawn(serving);
        ground
    }

    /// A control plane that serves sessions once the future is run.
    pub async fn waiting(options: Options) -> (Self, impl Future<Output = ()>) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let keyring = Keyring::open(&directory.path().join("secret.key")).expect("a key");
        let database = Database::create(StoreKind::Sqlite, directory.path()).expect("a database");
        let path = directory.path().join("karez.db");
        let store = Store::open(karez_store::Options::sqlite(path, keyring)).expect("a store");
        let policy = Policy::new([]).expect("the built-in rules");
        let control = Control::new(store, policy, Settings::default());
        let admin = admin();
        let (router, connection) = site(&control, &admin).await;
        let (sessions, incoming) = mpsc::channel(8);
        let (stop, stopped) = watch::channel(false);
        let serving = serve(control.clone(), options, incoming, stopped);
        let ground = Self {
            control,
            database,
            router,
            connection,
            admin,
            sessions,
            _stop: stop,
            _directory: directory,
        };
        (ground, serving)
    }

    /// Dials, and says who it is.
    pub async fn dial(&self, hello: Hello) -> Agent {
        let agent = self.dial_as(None).await;
        agent.say(FromAgent::Hello(hello)).await;
        agent
    }

    /// Dials with a certificate, or from the same process, and says nothing yet.
    pub async fn dial_as(&self, certified: Option<&str>) -> Agent {
        let (agent, end) = pair(certified.map(str::to_owned));
        self.sessions.send(end).await.expect("the control plane is there");
        Agent(agent)
    }

    /// Changes the connection through the use case behind the API.
    pub async fn change(&self, body: Json) {
        let kind = Kind::IpsecSiteConnection;
        let updated = parse::update(kind, body.as_object().expect("an object")).expect("read");
        let changed = self.control.update(&self.admin, kind, self.connection.id(), updated);
        changed.await.expect("changed");
    }

    /// One more router, which some node is to have.
    pub async fn add_router(&self) -> Object {
        create(&self.control, &self.admin, Kind::Router, json!({})).await
    }

    /// Status and reason of the connection.
    pub async fn status(&self) -> (String, String) {
        let (kind, id) = (Kind::IpsecSiteConnection, self.connection.id());
        let shown = self.control.show(&self.admin, kind, id).await.expect("shown");
        (shown.text("status").to_owned(), shown.text("status_reason").to_owned())
    }

    pub async fn is_alive(&self, node: Uuid) -> bool {
        let agent = self.control.show(&self.admin, Kind::Agent, &node.to_string()).await;
        agent.expect("shown").flag("alive")
    }

    /// A report that the connection's tunnel is in this state.
    pub fn tunnel(&self, state: TunnelState) -> TunnelReport {
        let id: ConnectionId = self.connection.id().parse().expect("an id");
        let (ike, children, missing) = (None, Vec::new(), Vec::new());
        TunnelReport {
            router: self.router.id().parse().expect("an id"),
            status: TunnelStatus { id, state, reason: None, since: 1, ike, children, missing },
            events: Vec::new(),
        }
    }
}

/// The agent's end of a session.
pub struct Agent(pub AgentEnd);

impl Agent {
    pub async fn say(&self, message: FromAgent) {
        self.0.outgoing.send(message).await.map_err(|_| ()).expect("the session is open");
    }

    /// The next message; none when the session is over.
    pub async fn hear(&mut self) -> Option<ToAgent> {
        timeout(BOUND, self.0.incoming.recv()).await.expect("a message in time")
    }

    pub async fn welcome(&mut self) -> Welcome {
        match self.hear().await {
            Some(ToAgent::Welcome(welcome)) => welcome,
            _ => panic!("no welcome"),
        }
    }

    /// The next desired state, and nothing before it.
    pub async fn desired(&mut self) -> Desired {
        match self.hear().await {
            Some(ToAgent::Desired(desired)) => desired,
            Some(ToAgent::Welcome(_) | ToAgent::Renewed { .. } | ToAgent::Replaced) => {
                panic!("another message")
            }
            None => panic!("the session is over"),
        }
    }

    /// The next desired state with plans, which has this one router.
    pub async fn plan(&mut self) -> RouterPlan {
        let mut routers = self.desired().await.routers;
        assert_eq!(routers.len(), 1, "plans");
        routers.remove(0)
    }

    /// Fails when anything is said before the session ends.
    pub async fn must_be_cut(&mut self) {
        assert!(self.hear().await.is_none(), "something was said");
    }

    /// Waits for the end of the session, whatever is said before.
    pub async fn is_cut(&mut self) {
        while self.hear().await.is_some() {}
    }
}

/// Asks until it is so, and fails once the bound has passed.
pub async fn eventually(what: &str, is_so: impl AsyncFn() -> bool) {
    let waiting = async {
        while !is_so().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(BOUND, waiting).await.is_ok(), "waited in vain: {what}");
}

/// What an agent says right after its start.
pub fn hello(host: &str) -> Hello {
    Hello {
        host: host.to_owned(),
        session: Uuid::new_v4(),
        version: "1".to_owned(),
        engine: "none".to_owned(),
        zone: None,
        shape: Shape::Managed,
        found: Vec::new(),
        applied: None,
        held: Vec::new(),
        gives_way: false,
        told_in: None,
    }
}

/// What an agent says that dials again and has worked on this, of which it was told in its first session.
pub fn hello_again(host: &str, desired: &Desired) -> Hello {
    let held =
        |plan: &RouterPlan| Held { router: plan.id, generation: plan.generation, revision: plan.revision };
    let held = desired.routers.iter().map(held).collect();
    Hello { applied: Some(desired.revision), held, told_in: Some(1), ..hello(host) }
}

async fn site(control: &Control, admin: &Arc<Caller>) -> (Object, Object) {
    let make = async |kind, body| create(control, admin, kind, body).await;
    let outside = make(Kind::Network, json!({"router:external": true})).await;
    make(Kind::Subnet, json!({"network_id": outside.id(), "cidr": "192.0.2.0/24"})).await;
    let gateway = json!({"external_gateway_info": {"network_id": outside.id()}});
    let router = make(Kind::Router, gateway).await;
    let inside = make(Kind::Network, json!({})).await;
    let subnet = make(Kind::Subnet, json!({"network_id": inside.id(), "cidr": "10.0.0.0/24"})).await;
    let of = InterfaceOf::Subnet(subnet.id().to_owned());
    control.add_router_interface(admin, router.id(), of).await.expect("attached");
    let service = json!({"router_id": router.id(), "subnet_id": subnet.id()});
    let service = make(Kind::VpnService, service).await;
    let ike = make(Kind::IkePolicy, json!({})).await;
    let ipsec = make(Kind::IpsecPolicy, json!({})).await;
    let connection = json!({
        "vpnservice_id": service.id(), "ikepolicy_id": ike.id(), "ipsecpolicy_id": ipsec.id(), "psk": "secret",
        "peer_address": "198.51.100.1", "peer_id": "198.51.100.1", "peer_cidrs": ["10.20.0.0/24"],
    });
    let connection = make(Kind::IpsecSiteConnection, connection).await;
    (router, connection)
}

async fn create(control: &Control, who: &Arc<Caller>, kind: Kind, body: Json) -> Object {
    let created = parse::create(kind, body.as_object().expect("an object")).expect("read");
    control.create(who, kind, vec![created]).await.expect("created").remove(0)
}

fn admin() -> Arc<Caller> {
    Arc::new(Caller {
        user_id: "admin".into(),
        scope: Scope::Project("project".into()),
        domain_id: "default".into(),
        roles: vec!["admin".into(), "member".into(), "reader".into()],
    })
}
