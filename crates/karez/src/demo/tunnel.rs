//! The tunnel: made through the public API at both ends, waited for, and used.

use super::agreed;
use super::paper::{Paper, seconds};
use anyhow::{Result, bail};
use karez_scene::{Connection, End, Timeline, Wish, random_key, wait};
use std::time::Duration;

/// For a tunnel to come up.
const BOUND: Duration = Duration::from_secs(60);

/// Pings in each direction.
pub(super) const PINGS: u32 = 50;

/// How often they are sent until all are answered: one packet may get lost on any network.
const ROUNDS: u32 = 5;

/// Makes the objects at both ends and waits until both say that the tunnel is up, and have the same SAs.
pub(super) fn between(paper: &Paper, one: &End, two: &End) -> Result<(Connection, Connection)> {
    paper.heading("The tunnel: IKE policy, IPsec policy and connection at each end, through the API")?;
    let (key, wish) = (random_key()?, Wish::modern());
    let mut timeline = Timeline::begin();
    let left = one.connect(&two.as_peer(), &key, &wish)?;
    let right = two.connect(&one.as_peer(), &key, &wish)?;
    timeline.mark("asked");
    let (made, bound) = (
        "both connections are made, with the same random key",
        format!("in {}", seconds(timeline.elapsed())),
    );
    paper.line(made, &bound)?;

    let mut ends = [Watched::new(one, &left), Watched::new(two, &right)];
    wait::until("both connections to be ACTIVE", BOUND, || {
        let mut missing = Vec::new();
        for end in &mut ends {
            let (status, has_changed) = end.look()?;
            let is_active = status == "ACTIVE";
            if has_changed {
                let now = timeline.elapsed().saturating_sub(timeline.at("asked").unwrap_or_default());
                // A pipe that is closed is noticed by the next line that matters.
                let _ = paper.line(&format!("{} is {status}", end.name), &format!("after {}", seconds(now)));
            }
            if !is_active {
                missing.push(format!("{} {status}", end.name));
            }
        }
        Ok(if missing.is_empty() { Ok(()) } else { Err(missing.join(", ")) })
    })?;
    // Before that, packets may be lost with an SA that goes.
    agreed::settled(&left, &right)?;
    let since = timeline.elapsed().saturating_sub(timeline.at("asked").unwrap_or_default());
    paper.line("both have the same SAs", &format!("after {}", seconds(since)))?;
    Ok((left, right))
}

/// Both hosts reach each other.
pub(super) fn reach(paper: &Paper, one: &End, two: &End) -> Result<()> {
    paper.heading("With it they do")?;
    for (from, to) in [(one, two), (two, one)] {
        reaches(paper, from, to)?;
    }
    Ok(())
}

fn reaches(paper: &Paper, from: &End, to: &End) -> Result<()> {
    let (here, there) = (from.host.addresses()[0], to.host.addresses()[0]);
    for _ in 0..ROUNDS {
        let pings = from.host.ping(there, PINGS)?;
        paper.line(&format!("ping {here} -> {there}"), &pings.summary())?;
        if pings.all_answered() {
            return Ok(());
        }
    }
    bail!("of {ROUNDS} times {PINGS} pings from {here} to {there}, some were lost each time")
}

/// A connection whose status is followed.
struct Watched<'a> {
    name: &'a str,
    connection: &'a Connection,
    last: String,
}

impl<'a> Watched<'a> {
    fn new(end: &'a End, connection: &'a Connection) -> Self {
        Self { name: end.cloud.name(), connection, last: String::new() }
    }

    /// Its status with the reason, and whether it is another one than before.
    fn look(&mut self) -> Result<(String, bool), karez_scene::Error> {
        let shown = self.connection.show()?;
        let words = ["status", "status_reason"].map(|name| shown[name].as_str().unwrap_or_default());
        let status = words.join(" ").trim_end().to_owned();
        let has_changed = status != self.last;
        self.last.clone_from(&status);
        Ok((status, has_changed))
    }
}
