//! A look at what is measured: agents, events, processes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use karez_scene::{Client, Cloud, Kind, Site, wait};
use reqwest::Method;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::process;

/// Between two looks; bounds the error of what is timed by looking.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Looks again and again until there is something, and gives it.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(begun.elapsed() < limit, "{what}: not within {limit:?}");
        wait::pause(LOOK_EVERY)?;
    }
}

/// Whether the one agent of a cloud runs all that it should.
pub fn is_synced(client: &Client) -> Result<bool> {
    let answer = client.call(Method::GET, "/v2.0/agents?fields=resources_synced&fields=alive", None)?;
    let Some([agent]) = answer["agents"].as_array().map(Vec::as_slice) else {
        bail!("not one agent, but: {answer}");
    };
    Ok(agent["resources_synced"] == true && agent["alive"] == true)
}

/// Waits until it does.
pub fn synced(client: &Client, limit: Duration) -> Result<()> {
    until("the agent to run all that it should", limit, || Ok(is_synced(client)?.then_some(())))
}

/// The status of a connection in Neutron's sense.
pub fn status(client: &Client, connection: &str) -> Result<String> {
    let shown = client.show(Kind::Connection, connection)?;
    Ok(shown["status"].as_str().unwrap_or_default().to_owned())
}

/// Waits until it is this one.
pub fn becomes(client: &Client, connection: &str, wanted: &str, limit: Duration) -> Result<()> {
    let what = format!("connection {connection} to be {wanted}");
    until(&what, limit, || Ok((status(client, connection)? == wanted).then_some(())))
}

/// When something of this kind, and with this word in its message, last happened to a connection
/// since a moment; microseconds since 1970.
pub fn event(client: &Client, connection: &str, kind: &str, word: &str, since: i64) -> Result<Option<i64>> {
    let status = client.connection_status(connection)?;
    let events = status["events"].as_array().context("a status has no events")?;
    let mut found = None;
    for event in events {
        let is_meant =
            event["kind"] == kind && event["message"].as_str().is_some_and(|said| said.contains(word));
        let at = microseconds(&event["at"])?;
        if is_meant && at >= since {
            found = found.max(Some(at));
        }
    }
    Ok(found)
}

fn microseconds(time: &Value) -> Result<i64> {
    let text = time.as_str().context("an event has no time")?;
    let time = OffsetDateTime::parse(text, &Rfc3339).with_context(|| format!("{text} is no time"))?;
    Ok(i64::try_from(time.unix_timestamp_nanos() / 1000)?)
}

/// The time as events have it.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The time between two such, none when the second was first.
pub fn between(from: i64, to: i64) -> Duration {
    Duration::from_micros(u64::try_from(to - from).unwrap_or(0))
}

/// Processor time of the service with its agent (with what it has started and what has ended since, such as `nft`),
/// and of the IKE daemons.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    pub karez: Duration,
    pub daemons: Duration,
}

impl Cpu {
    pub fn now(cloud: &Cloud, sites: &[Site]) -> Result<Self> {
        Ok(Self { karez: process::cpu_time_with_ended(cloud.pid())?, daemons: daemons_cpu(sites)? })
    }

    pub fn scaled(self, factor: f64) -> Self {
        Self { karez: self.karez.mul_f64(factor), daemons: self.daemons.mul_f64(factor) }
    }

    pub fn since(self, before: Self) -> Self {
        Self {
            karez: self.karez.saturating_sub(before.karez),
            daemons: self.daemons.saturating_sub(before.daemons),
        }
    }
}

/// Processor time of the IKE daemons of some routers, since each was started.
pub fn daemons_cpu(sites: &[Site]) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for site in sites {
        for pid in site.processes() {
            // One that has just ended is left out.
            sum += process::cpu_time(pid.unsigned_abs()).unwrap_or_default();
        }
    }
    Ok(sum)
}
