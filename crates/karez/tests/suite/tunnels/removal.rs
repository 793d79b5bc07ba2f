//! What is deleted leaves nothing on the machine.

use crate::tunnels::stage::{TwoClouds, UP};
use crate::tunnels::told::reaches;
use anyhow::Result;
use karez_scene::{Kind, Site, Wish, wait};

#[test]
fn what_is_deleted_leaves_no_namespace_process_link_or_file() -> Result<()> {
    let clouds = TwoClouds::build("removal")?;
    let (left, right) = clouds.connected(&Wish::modern())?;
    assert_eq!(clouds.one.site.processes().len(), 1, "one IKE daemon a router");

    left.delete()?;
    right.delete()?;
    for end in [clouds.one, clouds.two] {
        gone("the IKE daemon", || end.site.processes())?;
        assert!(!end.site.traces().is_empty(), "the router stays without tunnels");

        end.host.leave()?;
        let client = end.cloud.client();
        client.delete(Kind::Service, &end.service)?;
        client.remove_interface(end.site.router(), end.lan.subnet())?;
        client.delete(Kind::Router, end.site.router())?;
        gone("every trace of the router", || end.site.traces())?;
    }
    clouds.ground.succeeded();
    Ok(())
}

#[test]
fn what_a_deleted_connection_leaves_is_a_router_that_routes() -> Result<()> {
    let clouds = TwoClouds::build("deleted")?;
    let (left, right) = clouds.connected(&Wish::modern())?;
    let there = clouds.two.host.addresses()[0];
    assert_eq!(processes(&[&clouds.one.site, &clouds.two.site]).len(), 2, "one IKE daemon a router");
    reaches(&clouds.one.host, there)?;

    left.delete()?;
    right.delete()?;
    gone("the IKE daemons", || processes(&[&clouds.one.site, &clouds.two.site]))?;
    assert_eq!(clouds.one.host.ping(there, 5)?.received, 0);
    // The other router's address on the internet is reached by way of the own router, as ever.
    let outer = clouds.two.site.addresses()[0];
    assert!(clouds.one.host.ping(outer, 5)?.all_answered());

    clouds.connected(&Wish::modern())?;
    reaches(&clouds.one.host, there)?;
    clouds.ground.succeeded();
    Ok(())
}

fn processes(sites: &[&Site]) -> Vec<i32> {
    sites.iter().flat_map(|site| site.processes()).collect()
}

/// Waits until nothing is left, and says what is.
fn gone<T: std::fmt::Debug>(what: &str, left: impl Fn() -> Vec<T>) -> Result<()> {
    Ok(wait::until(&format!("the end of {what}"), UP, || {
        let left = left();
        Ok(if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) })
    })?)
}
