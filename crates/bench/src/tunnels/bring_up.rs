//! From the POST of a connection to its ACTIVE. The peer has its end already and waits.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use karez_scene::{Address, End, Ground, Internet, Kind, id, random_key};
use serde_json::{Value, json};

use super::subject::{becomes, between, event, now, synced, until};
use super::wanted::{Policies, response_only};

/// For anything to happen.
const LIMIT: Duration = Duration::from_secs(60);

/// One way in which tunnels were brought up.
pub struct Way {
    pub name: &'static str,
    pub trips: Vec<Trip>,
}

/// One tunnel, in times after the POST was sent.
#[derive(Clone, Copy, Debug)]
pub struct Trip {
    /// The POST was answered.
    pub answered: Duration,
    /// The engine has taken the plan.
    pub configured: Duration,
    /// It has the daemon begin.
    pub attempted: Duration,
    /// The daemon has installed the SAs.
    pub installed: Duration,
    /// The API shows ACTIVE.
    pub shown: Duration,
}

impl Trip {
    /// What the two IKE daemons took.
    pub fn exchange(&self) -> Duration {
        self.installed.saturating_sub(self.attempted)
    }

    /// What everything else took.
    pub fn above(&self) -> Duration {
        self.shown.saturating_sub(self.exchange())
    }
}

impl Way {
    pub fn json(&self) -> Value {
        let trip = |trip: &Trip| {
            let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
            json!({
                "answered_ms": milliseconds(trip.answered),
                "configured_ms": milliseconds(trip.configured),
                "attempted_ms": milliseconds(trip.attempted),
                "installed_ms": milliseconds(trip.installed),
                "shown_ms": milliseconds(trip.shown),
            })
        };
        json!({"way": self.name, "trips": self.trips.iter().map(trip).collect::<Vec<_>>()})
    }
}

/// Brings up tunnels in three ways, so many times each.
pub fn measure(karez: &Path, repetitions: usize) -> Result<Vec<Way>> {
    let ground = Ground::claim("benchup")?;
    let internet = Internet::build(&ground)?;
    let end = |cloud, outer: &str, subnet: &str, host: &str| -> Result<End> {
        let address = Address { cloud, outer: outer.parse()?, subnet: subnet.parse()?, host: host.parse()? };
        Ok(End::build(internet.segment(), karez, &address)?)
    };
    let lower = end("cloud1", "200.200.128.100", "10.10.10.0/24", "10.10.10.10")?;
    let higher = end("cloud2", "200.200.128.151", "20.20.20.0/24", "20.20.20.20")?;
    let bench = [Bench::new(&lower)?, Bench::new(&higher)?];

    let run = |name: &'static str, from: &Bench<'_>, to: &Bench<'_>| -> Result<Way> {
        let mut trips = Vec::with_capacity(repetitions);
        for number in 0..repetitions {
            eprintln!("up: {name}, {} of {repetitions}", number + 1);
            trips.push(trip(from, to).with_context(|| format!("{name}: tunnel {number}"))?);
        }
        Ok(Way { name, trips })
    };
    let first = run("the router's first tunnel", &bench[0], &bench[1])?;
    // From now on each router has a connection, to a peer that is not there, and so a daemon.
    for bench in &bench {
        bench.keep_daemon()?;
    }
    let further = run("a further tunnel", &bench[0], &bench[1])?;
    let from_higher = run("a further tunnel, from the higher address", &bench[1], &bench[0])?;
    ground.succeeded();
    Ok(vec![first, further, from_higher])
}

/// One cloud, ready to be asked for connections.
struct Bench<'a> {
    end: &'a End,
    policies: Policies,
}

impl<'a> Bench<'a> {
    fn new(end: &'a End) -> Result<Self> {
        Ok(Self { end, policies: Policies::create(end.cloud.client())? })
    }

    fn to(&self, peer: &End, key: &str) -> Value {
        let address = peer.site.addresses().first().map(ToString::to_string).unwrap_or_default();
        self.policies.connection(&self.end.service, &address, &peer.lan.cidr().to_string(), key)
    }

    fn keep_daemon(&self) -> Result<()> {
        let absent = self.policies.connection(&self.end.service, "200.200.128.200", "30.30.30.0/24", "a key");
        let client = self.end.cloud.client();
        client.create(Kind::Connection, response_only(absent))?;
        synced(client, LIMIT)
    }

    fn has_daemon(&self) -> bool {
        !self.end.site.processes().is_empty()
    }
}

fn trip(from: &Bench<'_>, to: &Bench<'_>) -> Result<Trip> {
    let (client, far) = (from.end.cloud.client(), to.end.cloud.client());
    let had_daemon = from.has_daemon();
    let key = random_key()?;
    let waiting = id(&far.create(Kind::Connection, response_only(to.to(from.end, &key)))?)?;
    synced(far, LIMIT)?;

    let asked = from.to(to.end, &key);
    let (begun, sent) = (Instant::now(), now());
    let connection = id(&client.create(Kind::Connection, asked)?)?;
    let answered = begun.elapsed();
    becomes(client, &connection, "ACTIVE", LIMIT)?;
    let shown = begun.elapsed();
    let at = |kind: &str| -> Result<Duration> {
        let at = until(kind, LIMIT, || event(client, &connection, kind, "", sent))?;
        Ok(between(sent, at))
    };
    let trip = Trip {
        answered,
        configured: at("configured")?,
        attempted: at("attempt")?,
        installed: at("child_up")?,
        shown,
    };

    becomes(far, &waiting, "ACTIVE", LIMIT)?;
    client.delete(Kind::Connection, &connection)?;
    becomes(far, &waiting, "DOWN", LIMIT)?;
    far.delete(Kind::Connection, &waiting)?;
    synced(client, LIMIT)?;
    synced(far, LIMIT)?;
    until("the router to be as before", LIMIT, || Ok((from.has_daemon() == had_daemon).then_some(())))?;
    Ok(trip)
}
