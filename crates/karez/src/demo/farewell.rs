//! How it goes on after the demo: what keeps running and how to use it, or how it was ended.

use super::NAME;
use super::paper::Paper;
use anyhow::{Context, Result};
use karez_scene::{End, Ground};

const LIST: &str = "openstack vpn ipsec site connection list --long";

/// Says what keeps running, and how to use and to end it.
pub(super) fn keep(paper: &Paper, ground: &Ground, one: &End, two: &End) -> Result<()> {
    paper.heading("Everything was as it should be. Both clouds keep running:")?;
    for end in [one, two] {
        let cloud = &end.cloud;
        paper.line(
            &format!("{}: API {}", cloud.name(), cloud.client().base()),
            &format!("log {}", cloud.log().display()),
        )?;
    }
    let openrc = |end: &End| format!("source {}/openrc", end.cloud.state_directory().display());
    let ping = |from: &End, to: &End| {
        format!("ip netns exec {} ping {}", from.host.namespace_name(), to.host.addresses()[0])
    };
    let program = std::env::current_exe().context("the path of this program")?;
    let stop = format!("{} demo --stop", program.display());
    let why = format!("{} why", program.display());
    let watch = format!("ip netns exec {} tcpdump -n -i to-cloud1", ground.namespace_name("internet"));
    let of_router = format!("ip netns exec {} bash", one.site.namespace_name());
    for (why, commands) in [
        ("As a client of one cloud or the other:", vec![openrc(one), openrc(two), LIST.to_owned(), why]),
        ("As a host of one or the other, through the tunnel:", vec![ping(one, two), ping(two, one)]),
        ("As somebody between them:", vec![watch]),
        ("As the router of cloud1:", vec![of_router]),
        ("To end it, and to remove everything of it:", vec![stop]),
    ] {
        paper.note(&format!("\n  {why}"))?;
        for command in commands {
            paper.note(&format!("      {command}"))?;
        }
    }
    Ok(())
}

/// Ends a demo that was kept.
pub(super) fn stop(paper: &Paper) -> Result<()> {
    match Ground::clear(NAME)? {
        Some(_) => paper.note("The demo is ended, and everything of it is removed."),
        None => paper.note("There is no demo that was left running."),
    }
}
