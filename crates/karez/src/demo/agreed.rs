//! What the ends have agreed on, as the connection's sub-resource `status` tells it.

use super::paper::Paper;
use anyhow::{Context, Result, ensure};
use karez_scene::{Connection, End};
use serde_json::Value as Json;

pub(super) fn show(paper: &Paper, one: &End, left: &Connection, right: &Connection) -> Result<()> {
    paper.heading("What the ends have agreed on, by GET …/ipsec-site-connections/{id}/status at cloud1")?;
    let (here, there) = (left.status()?, right.status()?);
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
    let crossed: Vec<_> = there.spis().into_iter().map(|(inbound, outbound)| (outbound, inbound)).collect();
    ensure!(!crossed.is_empty() && here.spis() == crossed, "the ends show different SPIs");
    ensure!(here.ike_suite() == there.ike_suite(), "the ends show different suites");
    Ok(())
}

fn both(object: &Json, one: &str, other: &str, text: impl Fn(&Json, &str) -> String) -> String {
    format!("{} {}", text(object, one), text(object, other))
}

fn list(texts: &Json) -> String {
    let texts = texts.as_array().map(Vec::as_slice).unwrap_or_default();
    texts.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", ")
}
