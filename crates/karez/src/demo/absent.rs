//! The second scene: a peer that is not there, while the first tunnel is in use.

use super::paper::{Paper, seconds};
use anyhow::{Result, ensure};
use karez_scene::{Connection, End, Error, Peer, Timeline, Wish, random_key, wait};
use serde_json::Value as Json;
use std::time::Duration;

/// Nobody has it.
const ABSENT: &str = "200.200.128.200";

/// For an engine to give up hope for the first time.
const BOUND: Duration = Duration::from_secs(90);

const INTERVAL: Duration = Duration::from_millis(20);

pub(super) fn peer(paper: &Paper, one: &End, two: &End) -> Result<()> {
    paper.heading(
        "Another connection of cloud1, to a peer that is not there, while the first one is in use",
    )?;
    let mut pinger = one.host.keep_pinging(two.host.addresses()[0], INTERVAL)?;
    pinger.flows(5, Duration::from_secs(10))?;

    let peer = Peer { address: ABSENT.into(), id: ABSENT.into(), cidrs: vec!["30.30.30.0/24".parse()?] };
    let mut timeline = Timeline::begin();
    let connection = one.connect(&peer, &random_key()?, &Wish::modern())?;
    let shown = is_unreachable(&connection)?;
    paper.line(
        &format!("the connection to {ABSENT} is DOWN"),
        &format!("after {}", seconds(timeline.mark("down"))),
    )?;
    paper.line("    status_reason", shown["status_reason"].as_str().unwrap_or_default())?;
    paper.line("    status_detail", "")?;
    paper.paragraph(shown["status_detail"].as_str().unwrap_or_default())?;

    let pings = pinger.stop()?;
    paper.line("meanwhile, through the first tunnel", &pings.summary())?;
    ensure!(pings.were_not_interrupted(), "the first tunnel was interrupted; lost: {:?}", pings.lost);
    Ok(())
}

/// Waits until the connection is down because nobody answers, and gives it as it is shown then.
fn is_unreachable(connection: &Connection) -> Result<Json, Error> {
    wait::until("the connection to be DOWN as the peer is unreachable", BOUND, || {
        let shown = connection.show()?;
        let is_so = shown["status"] == "DOWN" && shown["status_reason"] == "peer_unreachable";
        let told = format!("{} {} {}", shown["status"], shown["status_reason"], shown["status_detail"]);
        Ok(if is_so { Ok(shown) } else { Err(told) })
    })
}
