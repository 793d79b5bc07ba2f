//! What Karez is for.

use crate::stage::TwoClouds;
use anyhow::Result;
use karez_scene::{PacketKind, Wish};

#[test]
fn two_clouds_reach_each_other_and_nobody_between_sees_what_they_say() -> Result<()> {
    let clouds = TwoClouds::build("twoclouds")?;
    let (one, two) = (&clouds.one, &clouds.two);
    let (here, there) = (one.host.addresses()[0], two.host.addresses()[0]);
    assert_eq!(one.host.ping(there, 5)?.received, 0);
    assert_eq!(two.host.ping(here, 5)?.received, 0);

    let capture = one.cloud.capture()?;
    let (left, right) = clouds.connected(&Wish::modern())?;
    for (host, address) in [(&one.host, there), (&two.host, here)] {
        let pings = host.ping(address, 50)?;
        assert!(pings.all_answered(), "{address}: {}", pings.summary());
    }
    let captured = capture.stop()?;
    let clear: Vec<String> = captured.clear().iter().map(ToString::to_string).collect();
    assert!(clear.is_empty(), "{clear:#?}");
    // A request and an answer each.
    assert!(captured.protected() >= 200, "{}", captured.protected());
    assert!(captured.count(PacketKind::Ike) + captured.count(PacketKind::IkeOnNatPort) >= 4);

    let (left, right) = (left.status()?, right.status()?);
    assert_eq!(left.ike_suite(), Some("aes-256/sha256/group14"));
    let crossed: Vec<_> = right.spis().into_iter().map(|(inbound, outbound)| (outbound, inbound)).collect();
    assert!(!crossed.is_empty());
    assert_eq!(left.spis(), crossed);
    clouds.ground.succeeded();
    Ok(())
}
