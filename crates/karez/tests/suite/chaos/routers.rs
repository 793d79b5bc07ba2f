//! Routers come, go, are switched off and get interfaces, while tunnels of others run.

use crate::chaos::branch::{Branch, Tunnel, lossless, says, spis};
use crate::chaos::stage::{Clouds, UP};
use anyhow::Result;
use karez_scene::{Kind, Wish, wait};
use serde_json::json;

#[test]
fn a_router_that_is_switched_off_and_on_or_gets_interfaces_disturbs_no_other_tunnel() -> Result<()> {
    let mut clouds = Clouds::build("switched")?;
    let (near, far) = (clouds.near_branch(1)?, clouds.far.branch(1)?);
    let (other, other_far) = (clouds.near_branch(2)?, clouds.far.branch(2)?);
    let bystander = Tunnel::one_sided(&near, &far)?;
    let tunnel = Tunnel::build(&other, &other_far, &Wish::modern())?;
    let before = spis(&bystander.near)?;
    let mut pinger = near.keep_pinging(&far)?;
    pinger.flows(10, UP)?;

    let client = other.site.client().clone();
    client.update(Kind::Router, other.site.router(), json!({"admin_state_up": false}))?;
    tunnel.near.becomes("DOWN", UP)?;
    says(&tunnel.near, Some("admin_down"), UP)?;
    assert_eq!(other.host.ping(other_far.host.addresses()[0], 3)?.received, 0);
    client.update(Kind::Router, other.site.router(), json!({"admin_state_up": true}))?;
    tunnel.is_up(UP)?;
    reaches(&other, &other_far)?;

    // The bystander's own router gets a network, which goes away again.
    for number in [11, 12] {
        let lan = near.site.lan(format!("10.10.{number}.0/24").parse()?)?;
        let host = lan.host(&format!("extra-{number}"), [10, 10, number, 10].into())?;
        host.reaches(lan.gateway(), UP)?;
        client.remove_interface(near.site.router(), lan.subnet())?;
        wait::until("the interface to go", UP, || {
            let pings = host.ping(lan.gateway(), 1)?;
            Ok(if pings.received == 0 { Ok(()) } else { Err(pings.summary()) })
        })?;
        host.leave()?;
    }
    assert_eq!(spis(&bystander.near)?, before);
    eprintln!("{}", lossless(pinger)?.summary());
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn a_router_that_is_deleted_and_made_again_at_once_works_and_leaves_nothing_of_the_old_one() -> Result<()> {
    let mut clouds = Clouds::build("remade")?;
    let (near, far) = (clouds.near_branch(1)?, clouds.far.branch(1)?);
    let bystander = Tunnel::one_sided(&near, &far)?;
    let before = spis(&bystander.near)?;
    let mut pinger = near.keep_pinging(&far)?;
    pinger.flows(10, UP)?;

    let other_far = clouds.far.branch(2)?;
    let mut gone = Vec::new();
    for _ in 0..4 {
        // The same address each time: the old router may still be on its way out.
        let other = clouds.near_branch(2)?;
        let tunnel = Tunnel::build(&other, &other_far, &Wish::modern())?;
        reaches(&other, &other_far)?;
        tunnel.delete()?;
        gone.push(other.site.clone());
        other.delete()?;
    }
    // And some that live too short to be made at all.
    for _ in 0..4 {
        let site = clouds.near_site(2)?;
        clouds.near.client().delete(Kind::Router, site.router())?;
        gone.push(site);
    }
    let own = near.site.traces();
    wait::until("the end of all traces", UP, || {
        let of_near = |trace: &String| own.contains(trace);
        let left: Vec<String> =
            gone.iter().flat_map(|site| site.traces()).filter(|trace| !of_near(trace)).collect();
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) })
    })?;
    let other = clouds.near_branch(2)?;
    Tunnel::build(&other, &other_far, &Wish::modern())?;
    reaches(&other, &other_far)?;
    assert_eq!(spis(&bystander.near)?, before);
    eprintln!("{}", lossless(pinger)?.summary());
    clouds.ground.succeeded();
    Ok(())
}

/// Now, and without a loss: both ends say that the tunnel is up.
fn reaches(near: &Branch, far: &Branch) -> Result<()> {
    let pings = near.host.ping(far.host.addresses()[0], 5)?;
    anyhow::ensure!(pings.all_answered(), "{}", pings.summary());
    Ok(())
}
