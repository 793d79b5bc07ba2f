//! Pings that go on, and recordings of what passes.

use anyhow::Result;
use karez_scene::{Ground, Internet, PacketKind, wait};
use std::time::Duration;

#[test]
fn a_recording_holds_what_passed_while_it_ran() -> Result<()> {
    let ground = Ground::claim("recording")?;
    let internet = Internet::build(&ground)?;
    let one = internet.segment().host("one", &["200.200.128.10".parse()?])?;
    let other = internet.segment().host("other", &["200.200.128.11".parse()?])?;

    let capture = one.capture()?;
    assert!(one.ping(other.addresses()[0], 7)?.all_answered());
    let captured = capture.stop()?;
    // Requests and answers; the others are neighbours that look for each other.
    let clear: Vec<String> = captured.clear().iter().map(ToString::to_string).collect();
    // The last answer may still be on its way.
    assert!((13..=14).contains(&clear.len()), "{clear:#?}");
    assert_eq!((captured.protected(), captured.dropped), (0, 0));
    assert_eq!(
        captured.count(PacketKind::Clear) + captured.count(PacketKind::Neighbour),
        captured.packets.len()
    );
    assert!(captured.text(4, "icmp")?.contains("200.200.128.10 > 200.200.128.11: ICMP echo request"));
    ground.succeeded();
    Ok(())
}

/// From when a pinger is there to its first ping, on a slow machine.
const START: Duration = Duration::from_secs(1);

#[test]
fn a_pinger_notices_an_interruption_and_when_it_was() -> Result<()> {
    let ground = Ground::claim("interruption")?;
    let internet = Internet::build(&ground)?;
    let one = internet.segment().host("one", &["200.200.128.10".parse()?])?;
    let other = internet.segment().host("other", &["200.200.128.11".parse()?])?;

    let mut pinger = one.keep_pinging(other.addresses()[0], Duration::from_millis(10))?;
    pinger.flows(20, Duration::from_secs(10))?;
    let before = pinger.elapsed();
    // Answers stop, and begin again.
    other.run(
        "nft",
        &["table ip cut { chain in { type filter hook input priority 0; policy drop; }; }"],
        Duration::from_secs(10),
    )?;
    wait::pause(Duration::from_millis(500))?;
    other.run("nft", &["delete table ip cut"], Duration::from_secs(10))?;
    let after = pinger.elapsed();
    pinger.flows(50, Duration::from_secs(10))?;
    let pings = pinger.stop()?;

    // A busy machine sends far fewer than the fifty that there is time for.
    assert!(pings.lost.len() >= 5, "{} of {} lost", pings.lost.len(), pings.sent);
    assert!(pings.lost.iter().all(|lost| lost.at <= after + START), "{:?} {before:?} {after:?}", pings.lost);
    assert!(pings.lost.iter().any(|lost| lost.at >= before), "{:?} {before:?} {after:?}", pings.lost);
    ground.succeeded();
    Ok(())
}

#[test]
fn a_pinger_without_interruption_has_no_loss() -> Result<()> {
    let ground = Ground::claim("lossless")?;
    let internet = Internet::build(&ground)?;
    let one = internet.segment().host("one", &["200.200.128.10".parse()?])?;
    let other = internet.segment().host("other", &["200.200.128.11".parse()?])?;

    let mut pinger = one.keep_pinging(other.addresses()[0], Duration::from_millis(10))?;
    pinger.flows(100, Duration::from_secs(10))?;
    let pings = pinger.stop()?;
    assert!(pings.all_answered() && pings.sent >= 100, "{pings:?}");
    ground.succeeded();
    Ok(())
}
