use super::*;
use karez_engine::ConnectionId;
use uuid::Uuid;

fn net(text: &str) -> IpNet {
    text.parse().expect("a network")
}

fn guard(number: u128, local: &str, peer: &str) -> Guard {
    let connection = ConnectionId(Uuid::from_u128(number));
    Guard { connection, local: vec![net(local)], peer: vec![net(peer)], but: Vec::new(), mss: Some(1300) }
}

fn site(connected: &[&str], gateways: &[(&str, &str)]) -> Site {
    let gateway = |(local, peer): &(&str, &str)| (local.parse().expect("an address"), net(peer));
    Site {
        connected: connected.iter().map(|text| net(text)).collect(),
        gateways: gateways.iter().map(gateway).collect(),
        ..Site::default()
    }
}

/// What the table would say of a set, or that there is none.
fn is_in(table: &Table, set: &str) -> bool {
    format!("{table:?}").contains(&format!("\"{set}\""))
}

#[test]
fn without_anything_to_rule_there_is_no_table() {
    assert_eq!(table(&[], Datapath::Kernel, &Site::default()), None);
}

#[test]
fn only_what_selectors_hold_is_exempt_from_them() {
    let guards = [guard(1, "10.0.1.0/24", "20.0.0.0/24")];
    let site = site(&["10.0.1.0/24", "10.0.2.0/24"], &[("203.0.113.1", "198.51.100.1/32")]);
    let table = table(&guards, Datapath::Userspace, &site).expect("a table");
    assert!(!["connected", "link", "gateways"].iter().any(|set| is_in(&table, set)), "{table:?}");
}

#[test]
fn a_wide_peer_leaves_neighbours_out() {
    let guards = [guard(1, "10.0.1.0/24", "0.0.0.0/0")];
    let table = table(&guards, Datapath::Userspace, &site(&["10.0.2.0/24"], &[])).expect("a table");
    assert!(is_in(&table, "connected") && is_in(&table, "link"));
    assert!(!is_in(&table, "gateways"));
}

#[test]
fn gateways_within_their_selectors_may_negotiate() {
    let guards = [guard(1, "203.0.113.1/32", "198.51.100.1/32")];
    let site =
        site(&["203.0.113.0/24"], &[("203.0.113.1", "198.51.100.1/32"), ("203.0.113.1", "192.0.2.1/32")]);
    let table = table(&guards, Datapath::Kernel, &site).expect("a table");
    assert!(is_in(&table, "gateways"));
    assert!(!is_in(&table, "connected"), "a peer that is narrower than the link is meant");
}

#[test]
fn tunnels_of_one_size_share_a_set() {
    let guards = [guard(1, "10.0.1.0/24", "20.0.0.0/24"), guard(2, "10.0.2.0/24", "20.0.0.0/24")];
    let text = format!("{:?}", table(&guards, Datapath::Kernel, &Site::default()));
    assert_eq!(text.matches("\"mss-1300\": Pairs").count(), 1, "{text}");
}

#[test]
fn the_order_of_tunnels_makes_no_other_table() {
    let guards = [guard(1, "10.0.1.0/24", "20.0.0.0/24"), guard(2, "10.0.2.0/24", "20.0.0.0/24")];
    let turned = [guards[1].clone(), guards[0].clone()];
    let site = Site::default();
    assert_eq!(table(&guards, Datapath::Kernel, &site), table(&turned, Datapath::Kernel, &site));
}

#[test]
fn more_tunnels_are_no_more_rules() {
    let rules = |tunnels: u8| {
        let guard = |number: u8| guard(number.into(), &format!("10.0.{number}.0/24"), "20.0.0.0/24");
        let guards: Vec<_> = (0..tunnels).map(guard).collect();
        let table = table(&guards, Datapath::Kernel, &Site::default()).expect("a table");
        format!("{table:?}").matches("Rule {").count()
    };
    assert!(rules(1) > 0);
    assert_eq!(rules(1), rules(200));
}
