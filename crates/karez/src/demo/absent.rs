//! The second scene: a peer that is not there, while the first tunnel is in use.

use super::paper::{Paper, seconds};
use anyhow::{Result, ensure};
use karez_scene::{End, Peer, Timeline, Wish, random_key};
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
    connection.becomes("DOWN", BOUND)?;
    paper.line(
        &format!("the connection to {ABSENT} is DOWN"),
        &format!("after {}", seconds(timeline.mark("down"))),
    )?;
    let shown = connection.show()?;
    let reason = shown["status_reason"].as_str().unwrap_or_default();
    paper.line("    status_reason", reason)?;
    paper.line("    status_detail", "")?;
    paper.paragraph(shown["status_detail"].as_str().unwrap_or_default())?;
    ensure!(reason == "peer_unreachable", "the reason should be peer_unreachable");

    let pings = pinger.stop()?;
    paper.line("meanwhile, through the first tunnel", &pings.summary())?;
    ensure!(pings.all_answered(), "{} pings through the first tunnel were lost", pings.lost.len());
    Ok(())
}
