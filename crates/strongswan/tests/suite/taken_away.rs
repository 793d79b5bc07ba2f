//! What a daemon has made around its tunnels is taken away by somebody: packets go through again, and meanwhile it is
//! told.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{BOUND, LANE, Lab, Site, ip, pair_with, processes_in, said_by_ip, tunnel};
use karez_engine::{Code, EventKind, IkeVersion, Initiator, TunnelPlan, TunnelState};
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
        let (a, b, of_a, _) = pair_with(&lab, Initiator::ResponseOnly).await;
        let pair = Self { lab, a, _b: b, of_a };
        assert_eq!(pair.received(3), 3);
        pair
    }

    fn received(&self, count: u32) -> u32 {
        self.lab.ping("a", "10.1.0.1", "10.2.0.1", count)
    }

    /// Changes the namespace at `a`.
    fn ip(&self, arguments: &str) {
        ip(&[&["-n", &self.a.namespace], arguments.split(' ').collect::<Vec<_>>().as_slice()].concat());
    }

    /// The agent, which hears of changes, says the plan again.
    async fn apply(&self) {
        self.a.apply(std::slice::from_ref(&self.of_a)).await;
    }

    async fn change(&self, arguments: &str) {
        self.ip(arguments);
        self.apply().await;
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
async fn a_daemon_without_its_device_is_started_again() {
    let mut pair = Pair::new().await;
    let changes = ["link del ipsec0", "link set ipsec0 down"];
    for change in changes {
        let before = processes_in(&pair.a.namespace);
        pair.ip(change);
        assert_eq!(pair.received(1), 0, "after {change}");
        pair.apply().await;
        pair.a.wait_code(pair.of_a.id, TunnelState::Down, Code::LocalError).await;
        pair.a.wait_up(pair.of_a.id).await;
        pair.passes_again(change).await;
        assert_ne!(processes_in(&pair.a.namespace), before);
    }
    let story = pair.a.story();
    for why in ["TUN device is gone", "TUN device ipsec0 is down"] {
        assert!(story.contains(why), "{why}: {story}");
    }
}

#[tokio::test]
async fn a_route_to_the_device_that_is_taken_away_is_put_back_and_nothing_is_negotiated() {
    let mut pair = Pair::new().await;
    let before = pair.a.status(pair.of_a.id);
    let processes = processes_in(&pair.a.namespace);
    let route = format!("route del 10.0.0.0/8 dev ipsec0 table {LANE}");
    pair.ip(&route);
    assert_eq!(pair.received(1), 0, "and meanwhile it goes nowhere");
    pair.apply().await;
    pair.passes_again(&route).await;
    let after = pair.a.status(pair.of_a.id);
    assert_eq!((after.state, &after.children[0].spi_in), (TunnelState::Up, &before.children[0].spi_in));
    assert_eq!(processes_in(&pair.a.namespace), processes);
}

#[tokio::test]
async fn charons_own_rule_and_routes_lead_no_packet() {
    let mut pair = Pair::new().await;
    let before = pair.a.status(pair.of_a.id);
    for change in ["route flush table 220", "rule del pref 220"] {
        pair.change(change).await;
        assert_eq!(pair.received(3), 3, "after {change}");
    }
    // Two looks at it and some.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = pair.a.status(pair.of_a.id);
    assert_eq!((after.state, after.reason), (TunnelState::Up, None));
    assert_eq!(after.children[0].spi_in, before.children[0].spi_in);
}

#[tokio::test]
async fn a_rule_from_before_that_takes_in_everybodys_packets_goes() {
    let pair = Pair::new().await;
    pair.ip("rule add pref 220 lookup 220");
    let mut a = pair.a;
    a.restart();
    a.apply(std::slice::from_ref(&pair.of_a)).await;
    a.wait_up(pair.of_a.id).await;
    let rules = said_by_ip(&["-n", &a.namespace, "rule", "show", "pref", "220"]);
    assert!(rules.lines().all(|rule| rule.contains("fwmark")), "{rules}");
}

#[tokio::test]
async fn a_tunnel_that_nothing_leads_to_is_down_and_says_so() {
    let mut pair = Pair::new().await;
    pair.change("rule del pref 210").await;
    let status = pair.a.wait_code(pair.of_a.id, TunnelState::Down, Code::LocalError).await;
    let message = status.reason.unwrap().message;
    assert!(message.contains("packets from 10.1.0.0/24 to 10.2.0.0/24 are led nowhere"), "{message}");
    pair.change(&format!("rule add pref 210 iif lo from 10.1.0.0/16 lookup {LANE} protocol 201")).await;
    pair.a.wait_up(pair.of_a.id).await;
    pair.passes_again("the rule is back").await;
}

/// Ways to lead packets past a tunnel, and how they are taken back.
const PAST: [[&str; 3]; 2] = [
    [
        "route add 10.2.0.0/24 via 192.0.2.2",
        "rule add pref 100 to 10.2.0.0/24 lookup main",
        "rule del pref 100",
    ],
    [
        "route add default via 192.0.2.2 table 100",
        "rule add pref 100 from 10.1.0.0/24 lookup 100",
        "rule del pref 100",
    ],
];

#[tokio::test]
async fn a_tunnel_that_packets_are_led_past_is_down_until_they_are_no_more() {
    let mut pair = Pair::new().await;
    let before = pair.a.status(pair.of_a.id);
    for [route, rule, back] in PAST {
        pair.change(route).await;
        pair.change(rule).await;
        let status = pair.a.wait_code(pair.of_a.id, TunnelState::Down, Code::LocalError).await;
        let message = status.reason.unwrap().message;
        assert!(message.contains("packets to 10.2.0.0/24 go by wire"), "{message}");
        pair.a.events.clear();
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(pair.a.status(pair.of_a.id).state, TunnelState::Down);
        assert!(pair.a.events.iter().all(|(_, event)| event.kind != EventKind::State), "{}", pair.a.story());
        pair.change(back).await;
        let after = pair.a.wait_up(pair.of_a.id).await;
        pair.passes_again(rule).await;
        assert_eq!(after.children[0].spi_in, before.children[0].spi_in, "that would not have helped");
    }
}

#[tokio::test]
async fn of_two_subnets_that_one_is_named_that_packets_are_led_past() {
    let lab = Lab::new();
    let (mut a, b) = (lab.site("a"), lab.site("b"));
    let nets: Vec<_> = ["10.2.0.0/24", "10.2.1.0/24"].map(|net| net.parse().unwrap()).into();
    let (mut of_a, mut of_b) = (tunnel("a", IkeVersion::V2), tunnel("b", IkeVersion::V2));
    (of_a.peer_subnets, of_b.local_subnets) = (nets.clone(), nets.clone());
    of_b.initiator = Initiator::ResponseOnly;
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    let before = a.wait_up(of_a.id).await;

    ip(&["-n", &a.namespace, "route", "add", "10.2.1.0/24", "via", "192.0.2.2"]);
    ip(&["-n", &a.namespace, "rule", "add", "pref", "100", "to", "10.2.1.0/24", "lookup", "main"]);
    a.apply(std::slice::from_ref(&of_a)).await;
    let status = a.wait_code(of_a.id, TunnelState::Up, Code::LocalError).await;
    assert!(status.reason.unwrap().message.contains("10.2.1.0/24 go by wire"));
    assert_eq!(status.missing, [("10.1.0.0/24".parse().unwrap(), nets[1])]);
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);

    ip(&["-n", &a.namespace, "rule", "del", "pref", "100"]);
    a.apply(std::slice::from_ref(&of_a)).await;
    let is_whole = |status: &karez_engine::TunnelStatus| status.reason.is_none() && status.missing.is_empty();
    let after = a.wait(of_a.id, "whole", is_whole).await;
    assert_eq!(after.children[0].spi_in, before.children[0].spi_in);
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.1.1", 3), 3);
}

#[tokio::test]
async fn a_peer_within_its_own_subnet_is_no_reason_to_call_it_broken() {
    let lab = Lab::new();
    let (mut a, b) = (lab.site("a"), lab.site("b"));
    let (mut of_a, mut of_b) = (tunnel("a", IkeVersion::V2), tunnel("b", IkeVersion::V2));
    // The daemon leads to 192.0.2.2 past its device.
    let nets: Vec<_> = ["192.0.2.2/31", "10.2.0.0/24"].map(|net| net.parse().unwrap()).into();
    (of_a.peer_subnets, of_b.local_subnets) = (nets.clone(), nets);
    of_b.initiator = Initiator::ResponseOnly;
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    let before = a.wait_up(of_a.id).await;
    // Two looks at it and some.
    a.apply(std::slice::from_ref(&of_a)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = a.status(of_a.id);
    assert_eq!((after.state, after.reason), (TunnelState::Up, None));
    assert_eq!(after.children[0].spi_in, before.children[0].spi_in);
}
