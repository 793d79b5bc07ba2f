//! What is on the wire.

use crate::kernel::router::Inside;
use crate::kernel::stage::{Stage, UP};
use anyhow::Result;
use karez_scene::{PacketKind, Wish};
use serde_json::json;

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn two_clouds_speak_esp_itself_and_not_esp_in_udp() -> Result<()> {
    carries("kernelesp", &Wish::modern(), PacketKind::Esp, "proto esp")
}

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn the_defaults_of_the_api_make_a_tunnel() -> Result<()> {
    carries("kernelv1", &Wish::defaults(), PacketKind::Esp, "proto esp")
}

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn authentication_without_encryption_makes_a_tunnel() -> Result<()> {
    let wish = Wish::modern().ipsec(&json!({"transform_protocol": "ah"}));
    carries("kernelah", &wish, PacketKind::Ah, "proto ah")
}

fn carries(name: &str, wish: &Wish, kind: PacketKind, association: &str) -> Result<()> {
    let stage = Stage::build(name)?;
    let (here, there) = stage.hosts();
    assert_eq!(stage.one.host.ping(there, 3)?.received, 0);
    assert_eq!(stage.two.host.ping(here, 3)?.received, 0);

    let capture = stage.one.cloud.capture()?;
    let (left, right) = stage.connected(wish)?;
    stage.both_reach(20)?;
    let captured = capture.stop()?;
    let clear: Vec<String> = captured.clear().iter().map(ToString::to_string).collect();
    assert!(clear.is_empty(), "{clear:#?}");
    // A request and an answer each, of which the capture may have missed a few.
    assert!(captured.count(kind) >= 70, "{}", captured.text(30, "")?);
    assert_eq!(captured.protected(), captured.count(kind), "{}", captured.text(30, "")?);

    for (connection, end) in [(&left, &stage.one), (&right, &stage.two)] {
        let status = connection.status()?;
        assert_eq!(status.children()[0]["is_encapsulated"], false);
        assert_eq!(status.children()[0]["mode"], "tunnel");
        assert!(end.site.ip(&["xfrm", "state", "list", "nokeys"])?.contains(association));
        // The data path in user space has a link of its own.
        assert!(!end.site.ip(&["link"])?.contains("ipsec0"));
    }
    stage.ground.succeeded();
    Ok(())
}

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn what_went_through_a_tunnel_is_counted() -> Result<()> {
    let stage = Stage::build("kernelcount")?;
    let (left, _right) = stage.connected(&Wish::modern())?;
    let (_, there) = stage.hosts();
    assert!(stage.one.host.ping(there, 20)?.all_answered());
    karez_scene::wait::until("the counters of twenty pings", UP, || {
        let traffic = left.status()?.children()[0]["traffic"].clone();
        let is_all = traffic["packets_out"] == 20 && traffic["packets_in"] == 20;
        Ok(if is_all { Ok(()) } else { Err(traffic.to_string()) })
    })?;
    stage.ground.succeeded();
    Ok(())
}

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn transport_mode_between_networks_is_an_error_that_says_what_works() -> Result<()> {
    let stage = Stage::build("kerneltransport")?;
    let wish = Wish::modern().ipsec(&json!({"encapsulation_mode": "transport"}));
    let connection = stage.one.connect(&stage.two.as_peer(), "a key", &wish)?;
    connection.becomes("ERROR", UP)?;
    let shown = connection.show()?;
    assert_eq!(shown["status_reason"], "unsupported", "{}", shown["status_detail"]);
    let detail = shown["status_detail"].as_str().unwrap_or_default();
    assert!(detail.contains("Use the encapsulation mode tunnel"), "{detail}");
    stage.ground.succeeded();
    Ok(())
}
