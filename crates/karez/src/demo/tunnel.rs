//! The tunnel: made through the public API at both ends, waited for, and used.

use super::paper::{Paper, seconds};
use anyhow::{Result, ensure};
use karez_scene::{Connection, End, Timeline, Wish, random_key, wait};
use std::time::Duration;

/// For a tunnel to come up.
const BOUND: Duration = Duration::from_secs(30);

/// Pings in each direction.
pub(super) const PINGS: u32 = 50;

/// Makes the objects at both ends and waits until both say that the tunnel is up.
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
    Ok((left, right))
}

/// Both hosts reach each other.
pub(super) fn reach(paper: &Paper, one: &End, two: &End) -> Result<()> {
    paper.heading("With it they do")?;
    for (from, to) in [(one, two), (two, one)] {
        let (here, there) = (from.host.addresses()[0], to.host.addresses()[0]);
        let pings = from.host.ping(there, PINGS)?;
        paper.line(&format!("ping {here} -> {there}"), &pings.summary())?;
        ensure!(pings.all_answered(), "{} pings from {here} to {there} were not answered", pings.lost.len());
    }
    Ok(())
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
