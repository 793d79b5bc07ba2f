//! Every way to agree on keys that the API offers.

use crate::tunnels::stage::TwoClouds;
use crate::tunnels::told::{all_whole, in_clear, reaches, says, settled, shows};
use anyhow::{Result, ensure};
use karez_scene::{Status, Wish, random_key};
use serde_json::json;

#[test]
fn what_the_api_takes_by_default_is_ikev1_in_main_mode() -> Result<()> {
    let [left, _] = agree("mainmode", &Wish::defaults(), "phase 1 I ident")?;
    assert_eq!(left.0["ike"]["version"], 1);
    assert_eq!(left.ike_suite(), Some("aes-128/sha1/group5"));
    // With a group of its own, as the IPsec policy says.
    assert_eq!(left.children()[0]["suite"], "aes-128/sha1/group5");
    Ok(())
}

#[test]
fn aggressive_mode_is_used_when_it_is_asked_for() -> Result<()> {
    let wish = Wish::defaults().ike(&json!({"phase1_negotiation_mode": "aggressive"}));
    let [left, _] = agree("aggressive", &wish, "phase 1 I agg")?;
    assert_eq!(left.0["ike"]["version"], 1);
    assert_eq!(left.ike_suite(), Some("aes-128/sha1/group5"));
    Ok(())
}

#[test]
fn ikev2_goes_with_the_default_algorithms_too() -> Result<()> {
    let wish = Wish::defaults().ike(&json!({"ike_version": "v2"}));
    let [left, _] = agree("ikevtwo", &wish, "ikev2_init")?;
    assert_eq!(left.0["ike"]["version"], 2);
    assert_eq!(left.ike_suite(), Some("aes-128/sha1/group5"));
    Ok(())
}

#[test]
fn ikev2_goes_with_combined_modes_and_elliptic_curves() -> Result<()> {
    let aead = |ike: &str, child: &str| {
        let cipher = json!({"encryption_algorithm": "aes-256-gcm-16", "auth_algorithm": "sha256"});
        let wish = Wish::defaults().ike(&cipher).ipsec(&cipher);
        wish.ike(&json!({"ike_version": "v2", "pfs": ike})).ipsec(&json!({"pfs": child}))
    };
    for (ike, child) in [("group19", "group31"), ("group31", "group19")] {
        let [left, _] = agree("aead", &aead(ike, child), "ikev2_init")?;
        assert_eq!(left.ike_suite(), Some(format!("aes-256-gcm-16/sha256/{ike}").as_str()));
        // The first child SA has its keys from the IKE SA (RFC 7296, section 1.2).
        assert_eq!(left.children()[0]["suite"], "aes-256-gcm-16");
    }
    Ok(())
}

#[test]
fn an_end_that_only_answers_waits_and_is_up_when_the_other_begins() -> Result<()> {
    let clouds = TwoClouds::build("waits")?;
    let (left, right) =
        clouds.connect(&Wish::modern().connection_with(&json!({"initiator": "response-only"})))?;
    // They are not for ever new.
    for status in ["PENDING_CREATE", "DOWN"] {
        says(&left, status, "waiting_for_peer")?;
        says(&right, status, "waiting_for_peer")?;
    }
    left.edit(json!({"initiator": "bi-directional"}))?;
    let statuses = all_whole(&[&left, &right])?;
    assert_eq!(statuses[0].0["ike"]["is_initiator"], true);
    assert_eq!(statuses[1].0["ike"]["is_initiator"], false);
    reaches(&clouds.one.host, clouds.two.host.addresses()[0])?;
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn two_ends_that_begin_at_once_reach_each_other_and_keep_one_tunnel() -> Result<()> {
    let clouds = TwoClouds::build("atonce")?;
    // Both begin while neither reaches the other, and get through at the same moment.
    clouds.one.cloud.set_joined(false)?;
    let (left, right) = clouds.connect(&Wish::modern())?;
    for connection in [&left, &right] {
        shows(connection, "an attempt", |status| status.0["events"].to_string().contains("\"attempt\""))?;
    }
    clouds.one.cloud.set_joined(true)?;
    all_whole(&[&left, &right])?;
    reaches(&clouds.one.host, clouds.two.host.addresses()[0])?;
    reaches(&clouds.two.host, clouds.one.host.addresses()[0])?;
    settled(&left, &right)?;
    reaches(&clouds.one.host, clouds.two.host.addresses()[0])?;
    clouds.ground.succeeded();
    Ok(())
}

/// Has two clouds agree, with pings both ways and nothing in clear between them, and gives what both say then. The
/// words are tcpdump's for the first exchange.
fn agree(name: &str, wish: &Wish, exchange: &str) -> Result<[Status; 2]> {
    let clouds = TwoClouds::build(name)?;
    let capture = clouds.one.cloud.capture()?;
    let key = random_key()?;
    let left = clouds.one.connect(&clouds.two.as_peer(), &key, wish)?;
    let right = clouds.two.connect(&clouds.one.as_peer(), &key, wish)?;
    all_whole(&[&left, &right])?;
    reaches(&clouds.one.host, clouds.two.host.addresses()[0])?;
    reaches(&clouds.two.host, clouds.one.host.addresses()[0])?;
    let captured = capture.stop()?;
    let clear = in_clear(&captured, &[clouds.one.lan.cidr(), clouds.two.lan.cidr()]);
    ensure!(clear.is_empty() && captured.protected() >= 40, "{clear:?}");
    let words = captured.text(200, "udp port 500")?;
    ensure!(words.contains(exchange), "{words}");

    // While both have begun there are two of each; then one goes.
    let (one, two) = settled(&left, &right)?;
    let suites = |status: &Status| [status.0["ike"]["suite"].clone(), status.children()[0]["suite"].clone()];
    ensure!(suites(&one) == suites(&two), "{:?} and {:?}", suites(&one), suites(&two));
    clouds.ground.succeeded();
    Ok([one, two])
}
