//! What the ends have agreed on, as the connection's sub-resource `status` tells it.

use super::paper::Paper;
use anyhow::{Context, Result};
use karez_scene::{Connection, End, Error, Status, wait};
use serde_json::Value as Json;
use std::time::Duration;

/// For two ends that are up to tell of the same SAs. When both have begun at once, some seconds pass until the SAs that
/// are too many have gone.
const BOUND: Duration = Duration::from_secs(60);

/// Waits until both ends show the same SAs, each once, and gives what they show then: an end may be looked at just before
/// something changes there.
pub(super) fn settled(left: &Connection, right: &Connection) -> Result<(Status, Status), Error> {
    wait::until("both ends to show the same SAs", BOUND, || {
        let (here, there) = (left.status()?, right.status()?);
        let is_so = here.has_settled_with(&there);
        Ok(if is_so { Ok((here, there)) } else { Err(format!("{} and {}", told(&here), told(&there))) })
    })
}

fn told(end: &Status) -> String {
    let suite = end.ike_suite().unwrap_or("no suite");
    format!("{} with {suite} and SPIs {:?}", end.0["status"], end.spis())
}

pub(super) fn show(paper: &Paper, one: &End, left: &Connection, right: &Connection) -> Result<()> {
    paper.heading("What the ends have agreed on, by GET …/ipsec-site-connections/{id}/status at cloud1")?;
    let (here, _) = settled(left, right)?;
    let ike = &here.0["ike"];
    let text = |object: &Json, name: &str| object[name].as_str().unwrap_or("unknown").to_owned();
    let version = ike["version"].as_u64().context("no IKE SA is shown")?;
    paper.line(&format!("IKEv{version} SA"), &text(ike, "suite"))?;
    let spis = format!("{} {}", text(ike, "initiator_spi"), text(ike, "responder_spi"));
    paper.line("    SPIs of initiator and responder", &spis)?;
    for child in here.children() {
        let in_udp = if child["is_encapsulated"] == true { " in UDP" } else { "" };
        let protocol = text(child, "protocol").to_uppercase();
        paper.line(&format!("{protocol}{in_udp} SA, {} mode", text(child, "mode")), &text(child, "suite"))?;
        paper.line(
            &format!("    SPIs in and out of {}", one.cloud.name()),
            &both(child, "spi_in", "spi_out", text),
        )?;
        let (local, peer) = (list(&child["local_subnets"]), list(&child["peer_subnets"]));
        paper.line("    selectors", &format!("{local} === {peer}"))?;
    }
    Ok(())
}

fn both(object: &Json, one: &str, other: &str, text: impl Fn(&Json, &str) -> String) -> String {
    format!("{} {}", text(object, one), text(object, other))
}

fn list(texts: &Json) -> String {
    let texts = texts.as_array().map(Vec::as_slice).unwrap_or_default();
    texts.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", ")
}
