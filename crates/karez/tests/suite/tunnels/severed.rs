//! A router breaks under a tunnel that is up.

use crate::tunnels::stage::{TwoClouds, UP, second};
use crate::tunnels::told::{SOON, is_whole, reaches, sas, says, settled, shows};
use anyhow::{Context, Result, ensure};
use karez_scene::{Status, Timeline, Wish};
use std::process::Command;
use std::time::Duration;

/// Far less than what it takes to miss a peer, and than the time from look to look.
const AT_ONCE: Duration = Duration::from_secs(10);

fn ip(namespace: &str, arguments: &str) -> Result<()> {
    let mut ip = Command::new("ip");
    let status = ip.args(["-n", namespace]).args(arguments.split(' ')).status();
    ensure!(status.context("the package iproute2 is installed")?.success(), "ip {arguments}");
    Ok(())
}

fn has_event(status: &Status, code: Option<&str>, words: &str) -> bool {
    let events = status.0["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    events.iter().any(|event| {
        event["code"].as_str() == code && event["message"].as_str().is_some_and(|told| told.contains(words))
    })
}

#[test]
fn a_tunnel_without_a_way_out_says_so_at_once_and_goes_on_when_there_is_one_again() -> Result<()> {
    let clouds = TwoClouds::build("severed")?;
    let (one, two) = clouds.connected(&Wish::modern())?;
    let before = sas(&settled(&one, &two)?.0);
    reaches(&clouds.one.host, second().host)?;
    let node = clouds.one.cloud.node().namespace().name().to_owned();

    let mut times = Timeline::begin();
    ip(&node, "link set br-ex down")?;
    one.becomes("DOWN", AT_ONCE)?;
    times.mark("it says that it is down");
    let status = says(&one, "DOWN", "local_error")?;
    let why = "Packets cannot get out of the router: the bridge br-ex is down.";
    ensure!(one.show()?["status_detail"] == why, "{}", one.show()?);
    ensure!(has_event(&status, Some("local_error"), why), "{}", status.0["events"]);
    two.becomes("ACTIVE", AT_ONCE)?;

    times.mark("the bridge is up again");
    ip(&node, "link set br-ex up")?;
    one.becomes("ACTIVE", AT_ONCE)?;
    times.mark("it says that it is up");
    reaches(&clouds.one.host, second().host)?;
    let status = shows(&one, "ACTIVE and whole", is_whole)?;
    ensure!(sas(&status) == before, "nothing was negotiated anew: {}", status.0["events"]);
    ensure!(has_event(&status, None, "packets get out of the router again"), "{}", status.0["events"]);
    eprintln!("{times}");
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn a_router_of_ours_that_somebody_takes_apart_is_mended_at_once() -> Result<()> {
    let clouds = TwoClouds::build("apart")?;
    let (one, two) = clouds.connected(&Wish::modern())?;
    reaches(&clouds.one.host, second().host)?;
    let router = clouds.one.site.namespace_name();
    let links = Command::new("ip").args(["-n", &router, "-br", "link"]).output()?.stdout;
    let links = String::from_utf8(links)?;
    let outer = links.split(['@', ' ', '\n']).find(|word| word.starts_with("qg-")).context(links.clone())?;

    for breaks in
        [format!("link set {outer} down"), format!("addr flush dev {outer}"), format!("link del {outer}")]
    {
        let mut times = Timeline::begin();
        ip(&router, &breaks)?;
        clouds.one.host.reaches(second().host, AT_ONCE).with_context(|| breaks.clone())?;
        times.mark("packets go through");
        eprintln!("{breaks}\n{times}");
    }

    // What leads packets to charon, and charon's device.
    for breaks in ["route flush table 1264648192", "link del ipsec0", "rule del pref 210"] {
        let mut times = Timeline::begin();
        ip(&router, breaks)?;
        clouds.one.host.reaches(second().host, UP).with_context(|| breaks.to_owned())?;
        times.mark("packets go through");
        eprintln!("{breaks}\n{times}");
    }
    let forwarding = ["netns", "exec", router.as_str(), "sysctl", "-q", "-w", "net.ipv4.ip_forward=0"];
    ensure!(Command::new("ip").args(forwarding).status()?.success(), "forwarding is not switched off");
    clouds.one.host.reaches(second().host, AT_ONCE).context("forwarding")?;

    let before = sas(&settled(&one, &two)?.0);
    let mut times = Timeline::begin();
    let status = Command::new("ip").args(["netns", "del", &router]).status()?;
    ensure!(status.success(), "the namespace is not deleted");
    shows(&one, "up anew", |status| is_whole(status) && sas(status) != before)?;
    times.mark("there is another tunnel");
    one.becomes("ACTIVE", UP)?;
    clouds.one.host.reaches(second().host, SOON)?;
    times.mark("packets go through");
    eprintln!("{times}");
    clouds.ground.succeeded();
    Ok(())
}
