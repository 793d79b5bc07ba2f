//! What Karez is for.

use crate::tunnels::stage::TwoClouds;
use crate::tunnels::told::{sas, settled, why};
use anyhow::Result;
use karez_scene::{PacketKind, Wish};
use serde_json::Value as Json;

#[test]
fn two_clouds_reach_each_other_and_nobody_between_sees_what_they_say() -> Result<()> {
    let clouds = TwoClouds::build("twoclouds")?;
    let (one, two) = (&clouds.one, &clouds.two);
    let (here, there) = (one.host.addresses()[0], two.host.addresses()[0]);
    assert_eq!(one.host.ping(there, 5)?.received, 0);
    assert_eq!(two.host.ping(here, 5)?.received, 0);

    let capture = one.cloud.capture()?;
    let (left, right) = clouds.connected(&Wish::modern())?;
    let (seen_left, _) = settled(&left, &right)?;
    for (host, address) in [(&one.host, there), (&two.host, here)] {
        let pings = host.ping(address, 50)?;
        assert!(pings.all_answered(), "{address}: {}", pings.summary());
    }
    let captured = capture.stop()?;
    let clear: Vec<String> = captured.clear().iter().map(ToString::to_string).collect();
    assert!(clear.is_empty(), "{clear:#?}");
    // A request and an answer each; the last ones may still be on their way.
    assert!(captured.protected() >= 196, "{}", captured.protected());
    assert!(captured.count(PacketKind::Ike) + captured.count(PacketKind::IkeOnNatPort) >= 4);

    let (code, told) = why(&one.cloud, &left)?;
    assert_eq!((code, &told["status"], &told["reason"]), (Some(0), &"ACTIVE".into(), &Json::Null), "{told}");
    assert!(told["since"].is_string(), "{told}");
    let left = left.status()?;
    assert_eq!(left.ike_suite(), Some("aes-256/sha256/group14"));
    assert_eq!(sas(&left), sas(&seen_left));
    clouds.ground.succeeded();
    Ok(())
}
