//! What a daemon has made around its tunnels is taken away by somebody: packets go through again, and meanwhile it is
//! told.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod lab;

use karez_engine::{Code, TunnelPlan, TunnelState};
use lab::{BOUND, Lab, Site, ip, pair, processes_in};
use std::time::Duration;

struct Pair {
    lab: Lab,
    a: Site,
    _b: Site,
    of_a: TunnelPlan,
}

impl Pair {
    async fn new() -> Self {
        let lab = Lab::new();
        let (a, b, of_a, _) = pair(&lab).await;
        let pair = Self { lab, a, _b: b, of_a };
        assert_eq!(pair.received(3), 3);
        pair
    }

    fn received(&self, count: u32) -> u32 {
        self.lab.ping("a", "10.1.0.1", "10.2.0.1", count)
    }

    /// Changes the namespace at `a`; the agent, which hears of it, says the plan again.
    async fn change(&self, arguments: &str) {
        ip(&[&["-n", &self.a.namespace], arguments.split(' ').collect::<Vec<_>>().as_slice()].concat());
        self.a.apply(std::slice::from_ref(&self.of_a)).await;
    }

    async fn passes_again(&self, after: &str) {
        let passes = async {
            while self.received(1) == 0 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(BOUND, passes)
            .await
            .unwrap_or_else(|_| panic!("after {after}: {}", self.a.story()));
    }
}

#[tokio::test]
async fn a_daemon_without_its_device_or_its_rule_is_started_again() {
    let mut pair = Pair::new().await;
    let changes = ["link del ipsec0", "link set ipsec0 down", "rule del pref 220"];
    for change in changes {
        let before = processes_in(&pair.a.namespace);
        pair.change(change).await;
        assert_eq!(pair.received(1), 0, "after {change}");
        pair.a.wait(pair.of_a.id, "down", |status| status.state == TunnelState::Down).await;
        pair.a.wait_up(pair.of_a.id).await;
        pair.passes_again(change).await;
        assert_ne!(processes_in(&pair.a.namespace), before);
    }
    let story = pair.a.story();
    for why in [
        "TUN device is gone",
        "TUN device ipsec0 is down",
        "routing rule that leads to its table 220 is gone",
    ] {
        assert!(story.contains(why), "{why}: {story}");
    }
}

#[tokio::test]
async fn a_tunnel_without_its_route_is_negotiated_anew_and_no_other() {
    let mut pair = Pair::new().await;
    let before = processes_in(&pair.a.namespace);
    pair.change("route flush table 220").await;
    let status = pair.a.wait_code(pair.of_a.id, TunnelState::Down, Code::LocalError).await;
    let message = status.reason.unwrap().message;
    assert!(
        message.contains("packets to 10.2.0.0/24 go nowhere, and should go by the tunnel's device ipsec0"),
        "{message}"
    );
    pair.a.wait_up(pair.of_a.id).await;
    pair.passes_again("the end of the route").await;
    assert_eq!(processes_in(&pair.a.namespace), before);
}

#[tokio::test]
async fn a_tunnel_that_packets_are_led_past_is_down_until_they_are_no_more() {
    let mut pair = Pair::new().await;
    pair.change("route add 10.2.0.0/24 via 192.0.2.2").await;
    pair.change("rule add pref 100 to 10.2.0.0/24 lookup main").await;
    let status = pair.a.wait_code(pair.of_a.id, TunnelState::Down, Code::LocalError).await;
    let message = status.reason.unwrap().message;
    assert!(message.contains("packets to 10.2.0.0/24 go by wire"), "{message}");
    // It was negotiated anew, and that has not helped.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(pair.a.status(pair.of_a.id).state, TunnelState::Down);
    pair.change("rule del pref 100").await;
    pair.a.wait_up(pair.of_a.id).await;
    pair.passes_again("the rule").await;
}
