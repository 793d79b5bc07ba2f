//! The engine with the kernel's own data path. `rig/scenario` runs these tests, in a kernel that has ESP and AH.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod lab;

use karez_engine::{Datapath, IkeMode, IkeVersion, IpsecMode, IpsecProtocol, TunnelPlan, TunnelStatus};
use lab::{Lab, tunnel};

/// The ends of the wire.
const ENDS: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

#[tokio::test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
async fn transport_mode_protects_what_two_gateways_say_to_each_other() {
    for version in [IkeVersion::V2, IkeVersion::V1(IkeMode::Main)] {
        for protocol in [IpsecProtocol::Esp, IpsecProtocol::Ah] {
            let (lab, status) = up(|end| between_gateways(end, version, protocol)).await;
            assert_eq!(status.children[0].mode, "transport");
            let name = if protocol == IpsecProtocol::Ah { "ah" } else { "esp" };
            assert_eq!(status.children[0].protocol, name);
            assert!(!status.children[0].is_encapsulated);
            assert_eq!(lab.ping("a", ENDS[0], ENDS[1], 5), 5);
        }
    }
}

#[tokio::test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
async fn several_subnets_on_both_sides_each_reach_each() {
    for version in [IkeVersion::V2, IkeVersion::V1(IkeMode::Main)] {
        let (lab, status) = up(|end| {
            let mut plan = tunnel(end, version);
            plan.local_subnets = nets(end);
            plan.peer_subnets = nets(if end == "a" { "b" } else { "a" });
            plan
        })
        .await;
        assert!(status.missing.is_empty());
        for (from, to) in [("10.1.0.1", "10.2.1.1"), ("10.1.1.1", "10.2.0.1"), ("10.1.1.1", "10.2.1.1")] {
            assert_eq!(lab.ping("a", from, to, 3), 3, "from {from} to {to}");
        }
    }
}

/// Both ends with such a plan; up at both.
async fn up(plan: impl Fn(&str) -> TunnelPlan) -> (Lab, TunnelStatus) {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site_with("a", Datapath::Kernel), lab.site_with("b", Datapath::Kernel));
    let plans = [plan("a"), plan("b")];
    a.apply(&plans[..1]).await;
    b.apply(&plans[1..]).await;
    b.wait_up(plans[1].id).await;
    let status = a.wait_up(plans[0].id).await;
    (lab, status)
}

fn between_gateways(end: &str, version: IkeVersion, protocol: IpsecProtocol) -> TunnelPlan {
    let mut plan = tunnel(end, version);
    let (own, other) = if end == "a" { (0, 1) } else { (1, 0) };
    plan.child.mode = IpsecMode::Transport;
    plan.child.protocol = protocol;
    plan.local_subnets = vec![format!("{}/32", ENDS[own]).parse().unwrap()];
    plan.peer_subnets = vec![format!("{}/32", ENDS[other]).parse().unwrap()];
    plan
}

fn nets(end: &str) -> Vec<ipnet::IpNet> {
    let second = if end == "a" { 1 } else { 2 };
    (0..2).map(|third| format!("10.{second}.{third}.0/24").parse().unwrap()).collect()
}
