//! One edit on a router with few and with many connections. The peers are absent and would have to
//! begin, so nothing is negotiated and all that is done is ours.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use karez_scene::{Address, Client, End, Ground, Internet, Kind, Site, id};
use serde_json::{Value, json};

use super::memory::{Memory, of};
use super::subject::{Cpu, between, event, is_synced, now, synced, until};
use super::wanted::{Policies, response_only};
use crate::statistics::median;

const LIMIT: Duration = Duration::from_secs(120);

/// Between two edits whose processor time is taken, as many times as one takes: each is done before the next.
const PACE: u32 = 3;

/// A router with so many connections.
pub struct Crowd {
    pub connections: usize,
    /// How long it took to create those that were not there before, until the agent had them all.
    pub creation: Duration,
    pub edits: Vec<Edits>,
    /// Processor time of a second in which nothing is asked for.
    pub idle: Cpu,
    pub memory: Memory,
}

/// Edits of one attribute.
pub struct Edits {
    pub what: &'static str,
    /// From the PUT until the API shows that the agent has applied it.
    pub applied: Vec<Duration>,
    /// From the PUT until the engine has taken the plan.
    pub taken: Vec<Duration>,
    /// Processor time of one edit, above that of an idle agent.
    pub cpu: Cpu,
}

impl Crowd {
    pub fn json(&self) -> Value {
        let all = |durations: &[Duration]| -> Vec<f64> {
            durations.iter().map(|duration| duration.as_secs_f64() * 1e3).collect()
        };
        let edits = |edits: &Edits| {
            json!({
                "what": edits.what,
                "applied_ms": all(&edits.applied),
                "taken_ms": all(&edits.taken),
                "karez_cpu_us": edits.cpu.karez.as_secs_f64() * 1e6,
                "daemon_cpu_us": edits.cpu.daemons.as_secs_f64() * 1e6,
            })
        };
        json!({
            "connections": self.connections,
            "creation_s": self.creation.as_secs_f64(),
            "edits": self.edits.iter().map(edits).collect::<Vec<_>>(),
            "idle_karez_cpu_us": self.idle.karez.as_secs_f64() * 1e6,
            "idle_daemon_cpu_us": self.idle.daemons.as_secs_f64() * 1e6,
            "memory": self.memory.json(),
        })
    }
}

/// Lets a router's connections grow, and edits one of them with each number. Before, processor time
/// is taken for as long as `watched` while nothing is asked for.
pub fn measure(karez: &Path, numbers: &[usize], edits: usize, watched: Duration) -> Result<Vec<Crowd>> {
    let ground = Ground::claim("benchedit")?;
    let internet = Internet::build(&ground)?;
    let address = Address {
        cloud: "cloud1",
        outer: "200.200.128.100".parse()?,
        subnet: "10.10.10.0/24".parse()?,
        host: "10.10.10.10".parse()?,
    };
    let end = End::build(internet.segment(), karez, &address)?;
    let client = end.cloud.client();
    let policies = Policies::create(client)?;
    let sites = [end.site.clone()];
    let mut crowds = vec![Crowd {
        connections: 0,
        creation: Duration::ZERO,
        edits: Vec::new(),
        idle: Cpu::default(),
        memory: of(&end.cloud, &sites)?,
    }];
    let mut connections: Vec<String> = Vec::new();
    for &number in numbers {
        eprintln!("edit: {number} connections");
        let begun = Instant::now();
        while connections.len() < number {
            let peer = connections.len();
            // A network of its own behind each, 10.128.0.0/24 and on.
            let (high, low) = (peer / 250, peer % 250);
            let address = format!("198.18.{high}.{}", low + 1);
            let network = format!("10.{}.{low}.0/24", 128 + high);
            let connection = policies.connection(&end.service, &address, &network, &format!("key {peer}"));
            connections.push(id(&client.create(Kind::Connection, response_only(connection))?)?);
        }
        synced(client, LIMIT)?;
        let creation = begun.elapsed();
        let edited = connections.get(number / 2).context("there is a connection")?;
        let bench = Bench { end: &end, client, sites: &sites, edited, edits };
        let idle = bench.idle(watched)?;
        let edits = vec![
            bench.edit("psk", idle, |number| json!({"psk": format!("another key {number}")}))?,
            bench.edit(
                "dpd",
                idle,
                |number| json!({"dpd": {"interval": 10 + number % 20, "timeout": 100}}),
            )?,
            // Each gives TCP another size of segments, which AES fills by the block.
            bench.edit("mtu", idle, |number| json!({"mtu": 1200 + 16 * (number % 16)}))?,
            bench.edit(
                "peer_cidrs",
                idle,
                |number| json!({"peer_cidrs": [format!("10.127.{}.0/24", number % 250)]}),
            )?,
        ];
        crowds.push(Crowd { connections: number, creation, edits, idle, memory: of(&end.cloud, &sites)? });
    }
    ground.succeeded();
    Ok(crowds)
}

struct Bench<'a> {
    end: &'a End,
    client: &'a Client,
    sites: &'a [Site],
    edited: &'a str,
    edits: usize,
}

impl Bench<'_> {
    /// What is used in a second while nothing is asked for.
    fn idle(&self, watched: Duration) -> Result<Cpu> {
        let before = Cpu::now(&self.end.cloud, self.sites)?;
        thread::sleep(watched);
        Ok(Cpu::now(&self.end.cloud, self.sites)?.since(before).scaled(1.0 / watched.as_secs_f64()))
    }

    fn edit(&self, what: &'static str, idle: Cpu, body: impl Fn(usize) -> Value) -> Result<Edits> {
        let (mut applied, mut taken) = (Vec::with_capacity(self.edits), Vec::with_capacity(self.edits));
        for number in 0..self.edits {
            let (begun, sent) = (Instant::now(), now());
            self.client.update(Kind::Connection, self.edited, body(number))?;
            until("the edit to be applied", LIMIT, || Ok(is_synced(self.client)?.then_some(())))?;
            applied.push(begun.elapsed());
            let at = until("the engine to take the plan", LIMIT, || {
                event(self.client, self.edited, "configured", "", sent)
            })?;
            taken.push(between(sent, at));
        }
        // Once more without anybody who looks, which would cost more than what is measured.
        let pace = median(&applied) * PACE;
        let (begun, before) = (Instant::now(), Cpu::now(&self.end.cloud, self.sites)?);
        for number in 0..self.edits {
            let next = Instant::now() + pace;
            self.client.update(Kind::Connection, self.edited, body(self.edits + number))?;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        let together = Cpu::now(&self.end.cloud, self.sites)?.since(before);
        let cpu = together.since(idle.scaled(begun.elapsed().as_secs_f64())).scaled(1.0 / self.edits as f64);
        synced(self.client, LIMIT)?;
        Ok(Edits { what, applied, taken, cpu })
    }
}
