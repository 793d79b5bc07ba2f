//! What is changed about one connection does not disturb another one of the same router.

use crate::kernel::stage::{Stage, UP, net};
use anyhow::Result;
use karez_scene::{Connection, Peer, Wish, random_key, wait};
use serde_json::json;
use std::time::Duration;

#[test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
fn edits_of_one_connection_lose_no_packet_of_another() -> Result<()> {
    let stage = Stage::build("kerneledit")?;
    let (_, there) = stage.hosts();
    let (bystander, _other) = stage.connected(&Wish::modern())?;

    // A second pair of networks, with identities and a key of its own.
    let (lan, far) = (stage.one.site.lan(net("10.10.11.0/24"))?, stage.two.site.lan(net("20.20.21.0/24"))?);
    let host = lan.host("second", "10.10.11.10".parse()?)?;
    let far_host = far.host("farsecond", "20.20.21.20".parse()?)?;
    let key = random_key()?;
    let connect = |end: &karez_scene::End,
                   own: &karez_scene::Lan,
                   peer: &karez_scene::End,
                   net,
                   ids: [&str; 2]| {
        let peer =
            Peer { address: peer.site.addresses()[0].to_string(), id: ids[1].to_owned(), cidrs: vec![net] };
        let wish = Wish::modern().connection_with(&json!({"local_id": ids[0]}));
        let service = end.site.service(Some(own))?;
        Connection::create(end.cloud.client(), &service, &peer, &key, &wish)
    };
    let left = connect(&stage.one, &lan, &stage.two, far.cidr(), ["one.example", "two.example"])?;
    let right = connect(&stage.two, &far, &stage.one, lan.cidr(), ["two.example", "one.example"])?;
    left.becomes("ACTIVE", UP)?;
    right.becomes("ACTIVE", UP)?;
    host.reaches(far_host.addresses()[0], UP)?;

    let before = bystander.status()?;
    let mut pinger = stage.one.host.keep_pinging(there, Duration::from_millis(10))?;
    pinger.flows(10, UP)?;
    let pair = [&left, &right];
    let new_key = random_key()?;
    renewed(&pair, || Ok(pair.iter().try_for_each(|one| one.edit(json!({"psk": new_key})))?))?;
    host.reaches(far_host.addresses()[0], UP)?;
    let dpd = json!({"dpd": {"action": "restart", "interval": 7, "timeout": 40}});
    renewed(&pair, || Ok(pair.iter().try_for_each(|one| one.edit(dpd.clone()))?))?;
    host.reaches(far_host.addresses()[0], UP)?;
    pair.iter().try_for_each(|one| one.edit(json!({"mtu": 1400, "name": "edited"})))?;
    host.reaches(far_host.addresses()[0], UP)?;
    left.edit(json!({"admin_state_up": false}))?;
    left.becomes("DOWN", UP)?;
    left.edit(json!({"admin_state_up": true}))?;
    left.becomes("ACTIVE", UP)?;
    left.delete()?;
    right.becomes("DOWN", UP)?;

    pinger.flows(10, UP)?;
    let pings = pinger.stop()?;
    assert!(pings.all_answered(), "{} {:?}", pings.summary(), pings.lost);
    assert_eq!(bystander.status()?.spis(), before.spis());
    stage.ground.succeeded();
    Ok(())
}

/// Does something to both ends of a tunnel, and waits until both have the same new SAs.
fn renewed(pair: &[&Connection; 2], edit: impl FnOnce() -> Result<()>) -> Result<()> {
    let old = pair[0].status()?;
    edit()?;
    Ok(wait::until("the SAs of the new plan", UP, || {
        let (one, other) = (pair[0].status()?, pair[1].status()?);
        let is_new = one.spis().len() == 1 && one.mirrors(&other) && !old.spis().contains(&one.spis()[0]);
        let story = || format!("{} and {}, before {:?}", one.0, other.0, old.spis());
        Ok(if is_new { Ok(()) } else { Err(story()) })
    })?)
}
