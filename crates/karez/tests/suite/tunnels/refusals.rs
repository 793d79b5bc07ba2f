//! What is wrong is said at both ends, with what it is concluded from; and what is mended comes up by itself.

use crate::tunnels::stage::TwoClouds;
use crate::tunnels::told::{is_nowhere, reaches, says, settled, shows};
use anyhow::{Context, Result, ensure};
use karez_scene::{Connection, Peer, Status, Wish, random_key};
use serde_json::{Value as Json, json};

/// IKEv1 with the defaults of the API, and IKEv2.
fn versions() -> [(&'static str, Wish); 2] {
    [("v1", Wish::defaults()), ("v2", Wish::modern())]
}

#[test]
fn different_keys_fail_to_authenticate_until_they_are_the_same() -> Result<()> {
    let clouds = TwoClouds::build("wrongkey")?;
    for (version, wish) in versions() {
        let (key, other) = (random_key()?, random_key()?);
        let left = clouds.one.connect(&clouds.two.as_peer(), &key, &wish)?;
        let right = clouds.two.connect(&clouds.one.as_peer(), &other, &wish)?;
        for (connection, identity) in [(&left, "200.200.128.151"), (&right, "200.200.128.100")] {
            let status = says(connection, "DOWN", "authentication_failed").context(version)?;
            // Either end may have seen it first; the one that refuses knows the other's identity.
            let own = if identity.ends_with("151") { "200.200.128.100" } else { "200.200.128.151" };
            let named = &evidence(&status)["identity"];
            ensure!(named == identity || named == own, "{version}: {named}");
            ensure!(!status.0.to_string().contains(&key) && !status.0.to_string().contains(&other), "a key");
        }
        right.edit(json!({"psk": key}))?;
        mended(&clouds, &left, &right).context(version)?;
        is_nowhere(&key, &clouds.ground)?;
        is_nowhere(&other, &clouds.ground)?;
        left.delete()?;
        right.delete()?;
    }
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn different_ike_proposals_are_both_named() -> Result<()> {
    let clouds = TwoClouds::build("wrongike")?;
    for (version, wish) in versions() {
        let other = wish.clone().ike(&json!({"encryption_algorithm": "aes-192"}));
        let right = proposals(&clouds, &wish, &other, "ike").context(version)?;
        let ours = evidence(&right)["ours"][0].as_str().unwrap_or_default();
        ensure!(ours.starts_with("aes-192/"), "{version}: {ours}");
    }
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn different_ipsec_proposals_are_both_named() -> Result<()> {
    let clouds = TwoClouds::build("wrongesp")?;
    for (version, wish) in versions() {
        let other = wish.clone().ipsec(&json!({"encryption_algorithm": "aes-192"}));
        let right = proposals(&clouds, &wish, &other, "ipsec").context(version)?;
        let remedy = evidence(&right)["remedy"].as_str().unwrap_or_default();
        ensure!(remedy.contains("aes-192") && remedy.contains("IPsec policy"), "{version}: {remedy}");
    }
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn subnets_that_are_not_mirrored_are_both_named_until_they_are() -> Result<()> {
    let clouds = TwoClouds::build("wrongnets")?;
    for (version, wish) in versions() {
        let key = random_key()?;
        let elsewhere = Peer { cidrs: vec!["20.20.21.0/24".parse()?], ..clouds.two.as_peer() };
        let left = clouds.one.connect(&elsewhere, &key, &wish)?;
        let right = clouds.two.connect(&clouds.one.as_peer(), &key, &wish)?;
        for (connection, ours, theirs) in
            [(&left, "20.20.21.0/24", "20.20.20.0/24"), (&right, "20.20.20.0/24", "20.20.21.0/24")]
        {
            says(connection, "DOWN", "selector_mismatch").context(version)?;
            let has_both = |status: &Status| {
                let holds = |name: &str, net: &str| evidence(status)[name].to_string().contains(net);
                holds("ours", ours) && holds("theirs", theirs)
            };
            shows(connection, "both lists of subnets", has_both).context(version)?;
        }
        left.edit(json!({"peer_cidrs": ["20.20.20.0/24"]}))?;
        mended(&clouds, &left, &right).context(version)?;
        left.delete()?;
        right.delete()?;
    }
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn an_end_that_is_not_who_it_should_be_is_named_until_it_is() -> Result<()> {
    let clouds = TwoClouds::build("wrongid")?;
    for (version, wish) in versions() {
        let key = random_key()?;
        let expected = Peer { id: "gate.example.org".into(), ..clouds.two.as_peer() };
        let left = clouds.one.connect(&expected, &key, &wish)?;
        let right = clouds.two.connect(&clouds.one.as_peer(), &key, &wish)?;
        let status = says(&left, "DOWN", "identity_mismatch").context(version)?;
        let evidence = evidence(&status);
        ensure!(evidence["ours"] == "@gate.example.org", "{version}: {evidence}");
        ensure!(evidence["theirs"] == "200.200.128.151", "{version}: {evidence}");
        // The other end is only told that it is not accepted.
        shows(&right, "refused", |status| {
            let refusals = ["authentication_failed", "identity_mismatch"];
            status.0["status"] == "DOWN" && status.reason().is_some_and(|reason| refusals.contains(&reason))
        })
        .context(version)?;
        right.edit(json!({"local_id": "gate.example.org"}))?;
        mended(&clouds, &left, &right).context(version)?;
        ensure!(left.status()?.0["ike"]["peer_id"] == "gate.example.org", "{}", left.status()?.0["ike"]);
        left.delete()?;
        right.delete()?;
    }
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn different_versions_of_ike_are_both_named() -> Result<()> {
    let clouds = TwoClouds::build("wrongversion")?;
    let modes = [
        (Wish::defaults(), Wish::modern(), "IKEv1 in main mode", "IKEv2"),
        (
            Wish::defaults().ike(&json!({"phase1_negotiation_mode": "aggressive"})),
            Wish::defaults(),
            "IKEv1 in aggressive mode",
            "IKEv1 in main mode",
        ),
    ];
    for (wish, other, ours, theirs) in modes {
        let key = random_key()?;
        let left = clouds.one.connect(&clouds.two.as_peer(), &key, &wish)?;
        let right = clouds.two.connect(&clouds.one.as_peer(), &key, &other)?;
        for (connection, ours, theirs) in [(&left, ours, theirs), (&right, theirs, ours)] {
            let status = says(connection, "DOWN", "version_mismatch").context(ours)?;
            let evidence = evidence(&status);
            ensure!(evidence["ours"] == ours && evidence["theirs"] == theirs, "{evidence}");
        }
        // Policies in use do not change: another connection it is.
        left.delete()?;
        let left = clouds.one.connect(&clouds.two.as_peer(), &key, &other)?;
        mended(&clouds, &left, &right)?;
        left.delete()?;
        right.delete()?;
    }
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn a_peer_that_comes_late_is_found() -> Result<()> {
    let clouds = TwoClouds::build("latepeer")?;
    clouds.two.cloud.set_joined(false)?;
    let (left, right) = clouds.connect(&Wish::modern())?;
    for (connection, peer) in [(&left, "200.200.128.151"), (&right, "200.200.128.100")] {
        let status = says(connection, "DOWN", "peer_unreachable")?;
        let evidence = evidence(&status);
        ensure!(evidence["peer"] == peer && evidence["heard"] == 0, "{evidence}");
        ensure!(evidence["sent"].as_u64() >= Some(4), "{evidence}");
    }
    clouds.two.cloud.set_joined(true)?;
    mended(&clouds, &left, &right)?;
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn what_the_node_cannot_do_is_an_error_that_says_what_it_can() -> Result<()> {
    let clouds = TwoClouds::build("unsupported")?;
    let wishes = [
        // Neither the kernel nor user space has anything for it.
        (Wish::modern().ipsec(&json!({"encapsulation_mode": "transport"})), "tunnel"),
        (Wish::defaults().ike(&json!({"encryption_algorithm": "aes-256-gcm-16"})), "IKEv2"),
    ];
    for (wish, remedy) in wishes {
        let left = clouds.one.connect(&clouds.two.as_peer(), &random_key()?, &wish)?;
        let status = says(&left, "ERROR", "unsupported")?;
        let detail = status.0["status_detail"].as_str().unwrap_or_default();
        ensure!(detail.contains(remedy), "{detail}");
        left.delete()?;
    }
    // One that works is not disturbed, and a refused one does not stand in the way of its successor.
    let (left, right) = clouds.connected(&Wish::modern())?;
    mended(&clouds, &left, &right)?;
    clouds.ground.succeeded();
    Ok(())
}

/// Connections whose proposals differ: both ends say so, each end sees both proposals once the other has begun, and
/// with another connection it is mended. Gives what the second end said.
fn proposals(clouds: &TwoClouds, wish: &Wish, other: &Wish, phase: &str) -> Result<Status> {
    let key = random_key()?;
    let left = clouds.one.connect(&clouds.two.as_peer(), &key, wish)?;
    let right = clouds.two.connect(&clouds.one.as_peer(), &key, other)?;
    let mut said = Vec::new();
    for connection in [&left, &right] {
        says(connection, "DOWN", "proposal_mismatch")?;
        let status = shows(connection, "both proposals", |status| {
            evidence(status)["ours"].is_array() && evidence(status)["theirs"].is_array()
        })?;
        ensure!(evidence(&status)["phase"] == phase, "{}", evidence(&status));
        ensure!(evidence(&status)["first_mismatch"].is_object(), "{}", evidence(&status));
        said.push(status);
    }
    right.delete()?;
    let right = clouds.two.connect(&clouds.one.as_peer(), &key, wish)?;
    mended(clouds, &left, &right)?;
    left.delete()?;
    right.delete()?;
    said.pop().context("two ends")
}

/// Both are up by themselves, and what they are for works.
fn mended(clouds: &TwoClouds, left: &Connection, right: &Connection) -> Result<()> {
    settled(left, right)?;
    ensure!(left.show()?["status_reason"].is_null() && left.show()?["status_detail"].is_null());
    reaches(&clouds.one.host, clouds.two.host.addresses()[0])?;
    reaches(&clouds.two.host, clouds.one.host.addresses()[0])
}

fn evidence(status: &Status) -> &Json {
    &status.0["reason"]["evidence"]
}
