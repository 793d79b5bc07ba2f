//! A tunnel for a subnet in which the router has no address of its own.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{Lab, Site, ip, processes_in, tunnel, tunnel_v6};
use karez_engine::{ConnectionId, IkeVersion, TunnelPlan, TunnelState};
use karez_net::{Namespace, lane};
use std::net::IpAddr;
use std::process::Command;

/// What a gateway does for a subnet whose router has no address in it.
async fn hold(lab: &Lab, end: &str, addresses: &[&str]) {
    let namespace = Namespace::open(&lab.namespace(end)).unwrap();
    let addresses = addresses.iter().map(|text| text.parse::<IpAddr>().unwrap()).collect();
    lane::hold(&namespace, addresses, 220).await.unwrap();
}

async fn comes_up(lab: &Lab, [of_a, of_b]: [TunnelPlan; 2]) -> (Site, Site, ConnectionId) {
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    a.wait_up(of_a.id).await;
    b.wait_up(of_b.id).await;
    (a, b, of_a.id)
}

#[tokio::test]
async fn comes_up_where_an_address_is_held_and_after_the_daemon_began_anew() {
    let lab = Lab::new();
    // The lab gives its ends one in each of the usual ones.
    ip(&["-n", &lab.namespace("a"), "addr", "del", "10.1.0.1/32", "dev", "lo"]);
    hold(&lab, "a", &["10.1.0.0"]).await;
    let (mut a, _b, id) = comes_up(&lab, ["a", "b"].map(|end| tunnel(end, IkeVersion::V2))).await;
    for process in processes_in(&lab.namespace("a")) {
        Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    }
    a.wait(id, "down", |status| status.state != TunnelState::Up).await;
    // The next daemon sweeps up what that one has left, and not what is held for it.
    a.wait_up(id).await;
}

#[tokio::test]
async fn comes_up_in_ipv6_as_well() {
    let lab = Lab::new();
    ip(&["-n", &lab.namespace("a"), "addr", "del", "fd01::1/128", "dev", "lo"]);
    hold(&lab, "a", &["fd01::"]).await;
    let nets: [&[&str]; 2] = [&["fd01::/64"], &["fd02::/64"]];
    comes_up(&lab, ["a", "b"].map(|end| tunnel_v6(end, IkeVersion::V2, nets))).await;
}
