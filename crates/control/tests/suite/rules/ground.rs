//! A control plane with an administrator and members of two projects.

use karez_control::{Control, Failure, Interface, InterfaceOf, Settings};
use karez_engine::Bounds;
use karez_model::policy::Policy;
use karez_model::{Caller, Kind, Object, Reason, Scope, parse};
use karez_store::{Datum, Keyring, Options, Query, Store};
use karez_testing::{Database, StoreKind};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tempfile::TempDir;
use uuid::Uuid;

/// What an operator keeps from tenants.
pub const PROTECTED: &str = "10.255.0.0/16";

pub struct Ground {
    pub control: Control,
    pub admin: Arc<Caller>,
    pub member: Arc<Caller>,
    /// A member of another project.
    pub stranger: Arc<Caller>,
    _database: Aside,
    _directory: TempDir,
}

/// A database that is dropped on a thread of its own: its client may not run within a runtime.
struct Aside(Option<Database>);

impl Drop for Aside {
    fn drop(&mut self) {
        let database = self.0.take();
        let _ = std::thread::spawn(move || drop(database)).join();
    }
}

impl Ground {
    pub fn new() -> Self {
        Self::with_quotas(&[])
    }

    pub fn with_quotas(quotas: &[(&str, i64)]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let keyring = Keyring::open(&directory.path().join("secret.key")).expect("a key");
        let kind = if module_path!().contains("::on_postgresql::") {
            StoreKind::Postgresql
        } else {
            StoreKind::Sqlite
        };
        let folder = directory.path().to_owned();
        let opening = std::thread::spawn(move || {
            let migrate = |url: &str| {
                let keyring = Keyring::open(&folder.join("template.key"))?;
                Store::open(Options::postgres(url, keyring))?;
                Ok(())
            };
            let database = Database::migrated(kind, &folder, migrate).expect("a database");
            let url = database.url();
            let options = match url.strip_prefix("sqlite:") {
                Some(path) => Options::sqlite(path, keyring),
                None => Options::postgres(&url, keyring),
            };
            (Store::open(options).expect("a store"), database)
        });
        let (store, database) = opening.join().expect("no panic");
        let quotas: BTreeMap<String, i64> =
            quotas.iter().map(|(name, most)| ((*name).into(), *most)).collect();
        let bounds = Bounds { protected: vec![PROTECTED.parse().expect("a network")], local: None };
        let settings = Settings { quotas, bounds, ..Settings::default() };
        let control = Control::new(store, Policy::new([]).expect("the built-in rules"), settings);
        Self {
            control,
            admin: caller("admin"),
            member: caller("member"),
            stranger: caller("member"),
            _database: Aside(Some(database)),
            _directory: directory,
        }
    }

    pub async fn create(&self, who: &Arc<Caller>, kind: Kind, body: Json) -> Result<Object, Failure> {
        let created = parse::create(kind, body.as_object().expect("an object"))?;
        let mut objects = self.control.create(who, kind, vec![created]).await?;
        Ok(objects.remove(0))
    }

    pub async fn update(
        &self,
        who: &Arc<Caller>,
        kind: Kind,
        id: &str,
        body: Json,
    ) -> Result<Object, Failure> {
        let updated = parse::update(kind, body.as_object().expect("an object"))?;
        self.control.update(who, kind, id, updated).await
    }

    /// As the administrator sees it.
    pub async fn show(&self, kind: Kind, id: &str) -> Object {
        self.control.show(&self.admin, kind, id).await.expect("shown").object.clone()
    }

    /// A member's network.
    pub async fn network(&self) -> Object {
        self.create(&self.member, Kind::Network, json!({"name": "inside"})).await.expect("a network")
    }

    /// A member's subnet.
    pub async fn subnet(&self, network: &Object, cidr: &str) -> Object {
        let body = json!({"network_id": network.id(), "cidr": cidr});
        self.create(&self.member, Kind::Subnet, body).await.expect("a subnet")
    }

    /// A member's port.
    pub async fn port(&self, network: &Object) -> Object {
        let body = json!({"network_id": network.id()});
        self.create(&self.member, Kind::Port, body).await.expect("a port")
    }

    /// An external network of the administrator with these subnets.
    pub async fn outside(&self, cidrs: &[&str]) -> Object {
        let body = json!({"router:external": true});
        let network = self.create(&self.admin, Kind::Network, body).await.expect("a network");
        for cidr in cidrs {
            let body = json!({"network_id": network.id(), "cidr": cidr, "enable_dhcp": false});
            self.create(&self.admin, Kind::Subnet, body).await.expect("a subnet");
        }
        network
    }

    /// A member's router, with its gateway on a network if one is given.
    pub async fn router(&self, outside: Option<&Object>) -> Object {
        let gateway = outside.map(|network| json!({"network_id": network.id()}));
        let body = json!({"external_gateway_info": gateway});
        self.create(&self.member, Kind::Router, body).await.expect("a router")
    }

    pub async fn attach(&self, router: &Object, subnet: &Object) -> Result<Interface, Failure> {
        let of = InterfaceOf::Subnet(subnet.id().to_owned());
        self.control.add_router_interface(&self.member, router.id(), of).await
    }

    pub async fn detach(&self, router: &Object, subnet: &Object) -> Result<Interface, Failure> {
        let of = InterfaceOf::Subnet(subnet.id().to_owned());
        self.control.remove_router_interface(&self.member, router.id(), of).await
    }

    pub async fn delete(&self, kind: Kind, id: &str) -> Result<(), Failure> {
        self.control.delete(&self.member, kind, id).await
    }

    /// Has a node run the router.
    pub async fn place(&self, router: &Object) {
        let node = Uuid::new_v4().to_string();
        self.execute(
            "INSERT INTO nodes (id, host, agent_type, binary_name, topic, availability_zone, admin_state_up,
                configurations, desired_rev, applied_rev, epoch, lease_until, created_at, started_at,
                heartbeat_at, updated_at, rev)
             VALUES ($1, $1, 'VPN Agent', 'karez', $1, $1, 1, '{}', 0, 0, 0, 0, 0, 0, 0, 0, 0)",
            vec![Datum::from(node.as_str())],
        )
        .await;
        let sql = "INSERT INTO placements (router_id, node_id, generation) VALUES ($1, $2, 1)";
        self.execute(sql, vec![Datum::from(router.id()), Datum::from(node.as_str())]).await;
    }

    /// The revision of what the router's node is to run.
    pub async fn desired(&self, router: &Object) -> i64 {
        let sql = "SELECT desired_rev FROM nodes JOIN placements ON node_id = id WHERE router_id = $1";
        let id = router.id().to_owned();
        let row = self.control.store().read(move |tx| tx.query_opt(sql, &[Datum::from(id.as_str())])).await;
        row.expect("read").expect("a node").int(0).expect("a number")
    }

    async fn execute(&self, sql: &'static str, params: Vec<Datum>) {
        self.control.store().write(move |tx| tx.execute(sql, &params)).await.expect("written");
    }

    /// Fails unless what networks, ports and groups show is what the other tables have.
    pub async fn must_be_consistent(&self) {
        for who in [&self.admin, &self.member, &self.stranger] {
            let project = who.project_id().expect("a project").to_owned();
            for network in self.all(Kind::Network, "project_id", &project).await {
                let subnets = self.all(Kind::Subnet, "network_id", network.id()).await;
                let existing: BTreeSet<&str> = subnets.iter().map(Object::id).collect();
                assert_eq!(network.texts("subnets").collect::<BTreeSet<_>>(), existing, "subnets");
                self.must_have_its_addresses(&network).await;
            }
            for group in self.all(Kind::SecurityGroup, "project_id", &project).await {
                let rules = self.all(Kind::SecurityGroupRule, "security_group_id", group.id()).await;
                let existing: BTreeSet<&str> = rules.iter().map(Object::id).collect();
                let shown = group.json("security_group_rules").as_array().expect("a list");
                let shown: BTreeSet<&str> = shown.iter().filter_map(|rule| rule["id"].as_str()).collect();
                assert_eq!(shown, existing, "rules");
            }
        }
    }

    async fn must_have_its_addresses(&self, network: &Object) {
        let mut shown = BTreeSet::new();
        for port in self.all(Kind::Port, "network_id", network.id()).await {
            for ip in addresses(&port) {
                assert!(shown.insert(format!("{} {ip}", port.id())), "{ip} twice");
            }
        }
        let id = network.id().to_owned();
        let sql = "SELECT port_id, ip_address FROM ip_allocations WHERE network_id = $1";
        let rows = self.control.store().read(move |tx| tx.query(sql, &[Datum::from(id.as_str())])).await;
        let stored: BTreeSet<String> = rows
            .expect("read")
            .iter()
            .map(|row| format!("{} {}", row.text(0).expect("text"), row.text(1).expect("text")))
            .collect();
        assert_eq!(shown, stored, "addresses");
    }

    /// The objects of a kind with this attribute.
    pub async fn all(&self, kind: Kind, name: &'static str, value: &str) -> Vec<Object> {
        let query = Query::all(kind).with(name, value);
        let found = self.control.store().read(move |tx| tx.list(&query)).await.expect("read");
        found.iter().map(|stored| stored.object.clone()).collect()
    }
}

/// Why something was refused.
pub fn refusal<T>(result: Result<T, Failure>) -> Reason {
    match result {
        Ok(_) => panic!("it was done"),
        Err(Failure::Fault(fault)) => fault.reason,
        Err(Failure::Store(error)) => panic!("the store failed: {error}"),
    }
}

/// The addresses of a port, or of a router's gateway.
pub fn addresses(object: &Object) -> Vec<String> {
    let fixed_ips = match object.kind() {
        Kind::Router => &object.json("external_gateway_info")["external_fixed_ips"],
        _ => object.json("fixed_ips"),
    };
    let ips = fixed_ips.as_array().expect("a list").iter();
    ips.map(|ip| ip["ip_address"].as_str().expect("an address").to_owned()).collect()
}

fn caller(role: &str) -> Arc<Caller> {
    Arc::new(Caller {
        user_id: Uuid::new_v4().simple().to_string(),
        scope: Scope::Project(Uuid::new_v4().simple().to_string()),
        domain_id: "default".into(),
        roles: vec![role.into(), "reader".into()],
    })
}
