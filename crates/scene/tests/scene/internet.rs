//! Segments, routes between them, boxes that translate.

use anyhow::Result;
use karez_scene::{Ground, Internet};
use std::net::IpAddr;

#[test]
fn hosts_of_one_segment_reach_each_other_by_both_versions_of_ip() -> Result<()> {
    let ground = Ground::claim("onesegment")?;
    let internet = Internet::build(&ground)?;
    let one = internet.segment().host("one", &["200.200.128.10".parse()?, "2001:db8:200::10".parse()?])?;
    let other =
        internet.segment().host("other", &["200.200.128.11".parse()?, "2001:db8:200::11".parse()?])?;

    for address in other.addresses() {
        assert!(one.ping(*address, 5)?.all_answered(), "{address}");
    }
    ground.succeeded();
    Ok(())
}

#[test]
fn the_internet_routes_between_its_segments_and_to_nowhere_else() -> Result<()> {
    let ground = Ground::claim("twosegments")?;
    let mut internet = Internet::build(&ground)?;
    let far = internet.another_segment(&["203.0.113.0/24".parse()?, "2001:db8:113::/64".parse()?])?;
    let one = internet.segment().host("one", &["200.200.128.10".parse()?, "2001:db8:200::10".parse()?])?;
    let other = far.host("other", &["203.0.113.11".parse()?, "2001:db8:113::11".parse()?])?;

    for address in other.addresses() {
        assert!(one.ping(*address, 5)?.all_answered(), "{address}");
    }
    let elsewhere: IpAddr = "198.51.100.1".parse()?;
    assert_eq!(one.ping(elsewhere, 3)?.received, 0);
    ground.succeeded();
    Ok(())
}

#[test]
fn a_host_behind_nat_reaches_out_and_is_seen_as_the_box() -> Result<()> {
    let ground = Ground::claim("nat")?;
    let internet = Internet::build(&ground)?;
    let inside = internet.behind_nat("box", "200.200.128.66".parse()?, "192.168.77.0/24".parse()?)?;
    let hidden = inside.host("hidden", &["192.168.77.10".parse()?])?;
    let server = internet.segment().host("server", &["200.200.128.10".parse()?])?;

    let capture = server.capture()?;
    assert!(hidden.ping(server.addresses()[0], 5)?.all_answered());
    assert_eq!(server.ping(hidden.addresses()[0], 2)?.received, 0);
    let captured = capture.stop()?;
    let senders: Vec<_> =
        captured.clear().iter().filter_map(|packet| packet.route).map(|(from, _)| from).collect();
    assert!(senders.contains(&"200.200.128.66".parse()?), "{senders:?}");
    assert!(!senders.contains(&hidden.addresses()[0]), "{senders:?}");
    ground.succeeded();
    Ok(())
}
