//! The engine with the kernel's own data path. `rig/scenario` runs these tests, in a kernel that has ESP and AH.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{Lab, ip, said_by_ip, tunnel};
use karez_engine::{
    Code, Datapath, Engine as _, IkeMode, IkeVersion, Initiator, IpsecMode, IpsecProtocol, TunnelPlan,
    TunnelState, TunnelStatus,
};
use karez_net::{Events, Namespace};
use rustix::process::{Pid, Signal, kill_process};
use std::time::Duration;
use tokio::time::timeout;

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

#[tokio::test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
async fn a_router_that_goes_after_its_daemon_was_killed_leaves_nothing_but_what_is_others() {
    let lab = Lab::new();
    let (mut a, b) = (lab.site_with("a", Datapath::Kernel), lab.site_with("b", Datapath::Kernel));
    let namespace = lab.namespace("a");
    let (key, ends) = ("0x0123456789abcdef0123456789abcdef01234567", ["192.0.2.77", "192.0.2.78"]);
    ip(&[
        "-n",
        &namespace,
        "xfrm",
        "state",
        "add",
        "src",
        ends[0],
        "dst",
        ends[1],
        "proto",
        "ah",
        "spi",
        "9",
        "mode",
        "tunnel",
        "auth",
        "hmac(sha1)",
        key,
    ]);
    let before = kernel(&namespace);
    let plans = [tunnel("a", IkeVersion::V2), tunnel("b", IkeVersion::V2)];
    a.apply(&plans[..1]).await;
    b.apply(&plans[1..]).await;
    a.wait_up(plans[0].id).await;
    assert_ne!(kernel(&namespace), before);

    drop(a.engine.take());
    for process in crate::lab::processes_in(&namespace) {
        kill_process(Pid::from_raw(process).unwrap(), Signal::KILL).unwrap();
    }
    a.restart();
    a.engine.as_ref().unwrap().remove(a.router).await.unwrap();
    assert_eq!(kernel(&namespace), before);
}

#[tokio::test]
#[ignore = "needs a kernel with ESP: rig/scenario runs it"]
async fn what_somebody_flushes_in_the_kernel_is_told_and_negotiated_anew() {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site_with("a", Datapath::Kernel), lab.site_with("b", Datapath::Kernel));
    let plans = [tunnel("a", IkeVersion::V2), tunnel("b", IkeVersion::V2)];
    a.apply(&plans[..1]).await;
    b.apply(&plans[1..]).await;
    a.wait_up(plans[0].id).await;
    b.wait_up(plans[1].id).await;
    let processes = crate::lab::processes_in(&a.namespace);
    let mut events = Events::open(&Namespace::open(&a.namespace).unwrap()).await.unwrap();
    for (what, why) in [("state", "security associations are gone"), ("policy", "policies are gone")] {
        while timeout(Duration::from_secs(1), events.next()).await.is_ok() {}
        ip(&["-n", &a.namespace, "xfrm", what, "flush"]);
        let heard = async { while !events.next().await.unwrap().ipsec {} };
        timeout(Duration::from_secs(5), heard)
            .await
            .unwrap_or_else(|_| panic!("no word of a flushed {what}"));
        // Whoever listens tells the engine to look now.
        a.apply(&plans[..1]).await;
        let status = a.wait_code(plans[0].id, TunnelState::Down, Code::LocalError).await;
        assert!(status.reason.unwrap().message.contains(why), "after the flush of each {what}");
        a.wait_up(plans[0].id).await;
        let passes = (0..100).any(|_| lab.ping("a", "10.1.0.1", "10.2.0.1", 1) == 1);
        assert!(passes, "after the flush of each {what}");
    }
    assert_eq!(crate::lab::processes_in(&a.namespace), processes);
}

/// The associations and policies of a namespace.
fn kernel(namespace: &str) -> String {
    ["state", "policy"].map(|what| said_by_ip(&["-n", namespace, "xfrm", what])).concat()
}

/// Both ends with such a plan; up at both.
async fn up(plan: impl Fn(&str) -> TunnelPlan) -> (Lab, TunnelStatus) {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site_with("a", Datapath::Kernel), lab.site_with("b", Datapath::Kernel));
    let mut plans = [plan("a"), plan("b")];
    // Of two IKE SAs that both ends have begun one would end.
    plans[1].initiator = Initiator::ResponseOnly;
    b.apply(&plans[1..]).await;
    a.apply(&plans[..1]).await;
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
