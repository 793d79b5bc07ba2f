//! Many routers with one tunnel each, in pairs; then the service with its agent is killed and
//! started again, and finds them all. For comparison, a start with nothing there but the database.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use karez_net::Namespace;
use karez_scene::{Client, Cloud, Ground, Internet, Kind, Site, id, random_key};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::memory::{Memory, of};
use super::subject::{Cpu, between, daemons_cpu, event, now, status, synced, until};
use super::wanted::Policies;

const LIMIT: Duration = Duration::from_secs(300);

/// What was found.
pub struct Adoption {
    pub routers: usize,
    /// Everything runs, and the agent is killed and started again.
    pub warm: Start,
    /// Nothing runs, as after a start of the machine.
    pub cold: Start,
    /// With all tunnels up.
    pub memory: Memory,
}

/// One start, in times after it.
pub struct Start {
    /// The API answers.
    pub answers: Duration,
    /// The last of the daemons was adopted or started.
    pub daemons: Duration,
    /// The API shows that the agent runs all that it should.
    pub synced: Duration,
    /// The API shows all connections as ACTIVE.
    pub active: Duration,
    /// Processor time until then; of the daemons what they used meanwhile.
    pub cpu: Cpu,
}

impl Adoption {
    pub fn json(&self) -> Value {
        let start = |start: &Start| {
            let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
            json!({
                "answers_ms": milliseconds(start.answers),
                "daemons_ms": milliseconds(start.daemons),
                "synced_ms": milliseconds(start.synced),
                "active_ms": milliseconds(start.active),
                "karez_cpu_ms": milliseconds(start.cpu.karez),
                "daemon_cpu_ms": milliseconds(start.cpu.daemons),
            })
        };
        json!({
            "routers": self.routers,
            "warm": start(&self.warm),
            "cold": start(&self.cold),
            "memory": self.memory.json(),
        })
    }
}

/// Makes the routers and their tunnels, kills, and starts again.
pub fn measure(karez: &Path, routers: usize) -> Result<Adoption> {
    let ground = Ground::claim("benchadopt")?;
    let internet = Internet::build(&ground)?;
    let mut cloud = Cloud::start("cloud1", internet.segment(), karez)?;
    let (sites, connections) = build(&mut cloud, routers)?;
    let client = cloud.client().clone();
    all_active(&client, &connections)?;
    let memory = of(&cloud, &sites)?;

    eprintln!("adoption: the agent is killed");
    let processes: Vec<Vec<i32>> = sites.iter().map(Site::processes).collect();
    let before = daemons_cpu(&sites)?;
    cloud.kill();
    let warm = start(&mut cloud, &client, &sites, &connections, "adopted", before)?;
    let is_same = sites.iter().map(Site::processes).eq(processes);
    ensure!(is_same, "daemons were started although others ran");

    eprintln!("adoption: everything is killed");
    cloud.kill();
    for site in &sites {
        for pid in site.processes() {
            // One may have ended by itself.
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
        Namespace::delete(&site.namespace_name())?;
    }
    until("the end of the daemons", LIMIT, || {
        Ok(sites.iter().all(|site| site.processes().is_empty()).then_some(()))
    })?;
    let cold = start(&mut cloud, &client, &sites, &connections, "started", Duration::ZERO)?;
    ground.succeeded();
    Ok(Adoption { routers, warm, cold, memory })
}

/// Routers at 200.200.128.11 and on, each with one connection to another.
fn build(cloud: &mut Cloud, routers: usize) -> Result<(Vec<Site>, Vec<String>)> {
    let client = cloud.client().clone();
    let policies = Policies::create(&client)?;
    unlimited(&client)?;
    let (mut sites, mut services) = (Vec::with_capacity(routers), Vec::with_capacity(routers));
    for number in 0..routers {
        if number % 20 == 0 {
            eprintln!("adoption: router {} of {routers}", number + 1);
        }
        let site = cloud.site(&[address(number).parse()?])?;
        let lan = site.lan(network(number).parse()?)?;
        services.push(site.service(Some(&lan))?);
        sites.push(site);
    }
    let mut connections = Vec::with_capacity(routers);
    for number in (0..routers).step_by(2) {
        let key = random_key()?;
        for (own, other) in [(number, number + 1), (number + 1, number)] {
            let service = services.get(own).context("each router has a service")?;
            let connection = policies.connection(service, &address(other), &network(other), &key);
            connections.push(id(&client.create(Kind::Connection, connection)?)?);
        }
    }
    Ok((sites, connections))
}

fn address(number: usize) -> String {
    format!("200.200.128.{}", number + 11)
}

fn network(number: usize) -> String {
    format!("10.20.{number}.0/24")
}

/// The quotas of the administrator's project are for one tenant.
fn unlimited(client: &Client) -> Result<()> {
    let networks = client.list(Kind::Network)?;
    let probe = match networks.first() {
        Some(network) => network.clone(),
        None => client.create(Kind::Network, json!({"name": "probe"}))?,
    };
    let project = probe["project_id"].as_str().context("a network has a project")?;
    let none = json!({"quota": {"router": -1, "network": -1, "subnet": -1, "port": -1}});
    client.call(Method::PUT, &format!("/v2.0/quotas/{project}"), Some(&none))?;
    Ok(())
}

/// Starts the service, and waits until everything is as it should be.
fn start(
    cloud: &mut Cloud,
    client: &Client,
    sites: &[Site],
    connections: &[String],
    how: &str,
    daemons_before: Duration,
) -> Result<Start> {
    let (begun, sent) = (Instant::now(), now());
    cloud.start_again()?;
    let answers = begun.elapsed();
    // What is shown from before the start is known by its time.
    synced_since(client, connections, sent)?;
    let synced = begun.elapsed();
    all_active(client, connections)?;
    let active = begun.elapsed();
    let used = Cpu::now(cloud, sites)?;
    let cpu = Cpu { karez: used.karez, daemons: used.daemons.saturating_sub(daemons_before) };
    let mut last = sent;
    for connection in connections {
        let at = until("a daemon", LIMIT, || event(client, connection, "engine", how, sent))?;
        last = last.max(at);
    }
    Ok(Start { answers, daemons: between(sent, last), synced, active, cpu })
}

/// Waits until the agent has told of each connection and says that all is as it should be.
fn synced_since(client: &Client, connections: &[String], since: i64) -> Result<()> {
    if let Some(last) = connections.last() {
        until("news of the last connection", LIMIT, || event(client, last, "configured", "", since))?;
    }
    synced(client, LIMIT)
}

fn all_active(client: &Client, connections: &[String]) -> Result<()> {
    for connection in connections {
        until("all connections to be ACTIVE", LIMIT, || {
            Ok((status(client, connection)? == "ACTIVE").then_some(()))
        })?;
    }
    Ok(())
}
