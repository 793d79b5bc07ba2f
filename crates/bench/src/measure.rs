//! One measurement: warm up, then let the clients work for the time asked and note what every
//! process concerned has used meanwhile.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::client::Connection;
use crate::load::{Client, Journey, run};
use crate::postgresql::Cluster;
use crate::process;
use crate::statistics::Summary;

/// How long to measure, and at what widths.
pub struct Plan {
    pub warm_up: Duration,
    pub duration: Duration,
    pub concurrencies: Vec<usize>,
}

/// Whose processor time is asked for.
#[derive(Clone, Copy)]
pub struct Watched<'a> {
    pub server: u32,
    pub postgresql: Option<&'a Cluster>,
}

/// What one scenario did at one concurrency. The times are per journey: for most scenarios one
/// request, for the chain its four.
pub struct Measurement {
    pub scenario: &'static str,
    pub concurrency: usize,
    pub elapsed: Duration,
    pub latency: Summary,
    pub server_cpu: Duration,
    /// `None` where PostgreSQL takes no part or cannot be seen.
    pub postgresql_cpu: Option<Duration>,
    pub client_cpu: Duration,
}

impl Measurement {
    pub fn per_second(&self) -> f64 {
        self.latency.count as f64 / self.elapsed.as_secs_f64()
    }

    /// A part of a time that all journeys used together, in microseconds.
    pub fn microseconds_each(&self, together: Duration) -> f64 {
        together.as_secs_f64() * 1e6 / self.latency.count as f64
    }
}

/// Warms up, measures, and gives the journeys back with what they hold. Any error at any time,
/// and a run in which nothing was done, fails.
pub async fn measure<J: Journey>(
    scenario: &'static str,
    plan: &Plan,
    watched: Watched<'_>,
    clients: Vec<Client<J>>,
) -> Result<(Measurement, Vec<Client<J>>)> {
    let concurrency = clients.len();
    let failed = || format!("{scenario} at concurrency {concurrency} failed");
    let (warm_up, clients) = run(clients, plan.warm_up).await.with_context(failed)?;
    if let Some(error) = warm_up.first_error {
        return Err(error.context(format!("{} errors while warming up", warm_up.errors)))
            .with_context(failed);
    }

    let before = Cpu::now(watched)?;
    let (outcome, clients) = run(clients, plan.duration).await.with_context(failed)?;
    let after = Cpu::now(watched)?;

    if let Some(error) = outcome.first_error {
        return Err(error.context(format!("{} errors", outcome.errors))).with_context(failed);
    }
    let latency = outcome.latencies.summary();
    anyhow::ensure!(latency.count > 0, "{}: nothing was done in the measured time", failed());
    let postgresql_cpu = after.postgresql.zip(before.postgresql).map(|(a, b)| a - b);
    let measurement = Measurement {
        scenario,
        concurrency,
        elapsed: outcome.elapsed,
        latency,
        server_cpu: after.server - before.server,
        postgresql_cpu,
        client_cpu: after.client - before.client,
    };
    Ok((measurement, clients))
}

/// As many connections as a concurrency asks for, each with a journey.
pub async fn clients<J: Journey>(
    address: std::net::SocketAddr,
    concurrency: usize,
    mut journey: impl FnMut(usize) -> J,
) -> Result<Vec<Client<J>>> {
    let mut clients = Vec::with_capacity(concurrency);
    for number in 0..concurrency {
        let connection = Connection::open(address).await.context("cannot connect")?;
        clients.push(Client { connection, journey: journey(number) });
    }
    Ok(clients)
}

struct Cpu {
    server: Duration,
    postgresql: Option<Duration>,
    client: Duration,
}

impl Cpu {
    fn now(watched: Watched<'_>) -> Result<Self> {
        let postgresql = match watched.postgresql {
            Some(cluster) => cluster.cpu_time()?,
            None => None,
        };
        let server = process::cpu_time(watched.server).context("the server is gone")?;
        Ok(Self { server, postgresql, client: process::cpu_time(std::process::id())? })
    }
}
