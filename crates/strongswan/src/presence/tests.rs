use super::{Cut, Missing, Obstacle, inside};
use ipnet::IpNet;
use karez_engine::{ChildSa, Traffic};
use std::collections::BTreeSet;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn child(spi: &str, peers: &[&str]) -> ChildSa {
    ChildSa {
        protocol: "esp".into(),
        mode: "tunnel".into(),
        is_encapsulated: true,
        spi_in: spi.into(),
        spi_out: spi.into(),
        suite: String::new(),
        local_subnets: vec![net("10.1.0.0/24")],
        peer_subnets: peers.iter().map(|text| net(text)).collect(),
        traffic: Traffic::default(),
        installed_at: 0,
        rekey_at: None,
        expires_at: None,
    }
}

fn cut(nets: &[&str], spis: &[&str]) -> Cut {
    let obstacle = || Obstacle { why: "so".into(), is_daemons: true };
    Cut {
        nets: nets.iter().map(|text| ((vec![net("10.1.0.0/24")], net(text)), obstacle())).collect(),
        spis: spis.iter().map(|spi| ((*spi).to_owned(), obstacle())).collect(),
    }
}

#[test]
fn an_address_is_asked_for_that_packets_can_go_to_and_that_is_not_kept() {
    let peers: BTreeSet<_> =
        ["203.0.113.1/32", "203.0.113.3/32", "192.0.2.6/32", "10.0.0.0/24", "10.0.1.0/25", "fd02:1::/64"]
            .map(net)
            .into();
    let cases = [
        ("20.20.20.0/24", Some("20.20.20.1")),
        ("203.0.113.0/24", Some("203.0.113.2")),
        ("203.0.113.3/32", None),
        ("10.0.0.0/8", Some("10.0.1.128")),
        ("10.0.0.0/24", None),
        ("fd02:1::/48", Some("fd02:1:0:1::")),
        ("192.0.2.7/32", Some("192.0.2.7")),
        ("192.0.2.6/31", Some("192.0.2.7")),
        ("255.255.255.254/31", Some("255.255.255.254")),
        ("0.0.0.0/0", Some("1.0.0.1")),
        ("0.0.0.0/1", Some("1.0.0.1")),
        ("128.0.0.0/1", Some("128.0.0.1")),
        ("::/0", Some("2000::1")),
        ("8000::/1", Some("8000::1")),
        ("fd02::/64", Some("fd02::1")),
        ("fd02::7/128", Some("fd02::7")),
    ];
    for (text, address) in cases {
        let address = address.map(|address| address.parse().unwrap());
        assert_eq!(inside(&net(text), &peers), address, "{text}");
    }
}

#[test]
fn what_is_missing_only_once_may_be_about_to_change() {
    let missing = |nets: &[&str], spis: &[&str], base: Option<&str>| Missing {
        base: base.map(str::to_owned),
        cut: cut(nets, spis),
    };
    let before = missing(&["10.2.0.0/24"], &["a", "b"], None);
    let still = missing(&["10.2.0.0/24", "10.3.0.0/24"], &["b", "c"], Some("gone")).still(&before);
    assert_eq!(still, missing(&["10.2.0.0/24"], &["b"], None));
}

#[test]
fn what_was_cut_off_is_remembered_while_nothing_is_there_in_its_place() {
    let before = cut(&["10.2.0.0/24", "10.3.0.0/24"], &["a"]);
    assert_eq!(before.clone().awaited(&[child("b", &["10.3.0.0/24"])]), cut(&["10.2.0.0/24"], &[]));
    assert_eq!(cut(&["10.2.0.0/24"], &[]).and(cut(&["10.3.0.0/24"], &["a"])), before);
}

#[test]
fn of_a_child_sa_the_part_is_left_that_packets_get_to() {
    let cut = cut(&["10.2.0.0/24"], &["b"]);
    assert_eq!(
        cut.rest(child("a", &["10.2.0.0/24", "10.3.0.0/24"])).unwrap().peer_subnets,
        [net("10.3.0.0/24")]
    );
    assert_eq!(cut.rest(child("a", &["10.2.0.0/24"])), None);
    assert_eq!(cut.rest(child("b", &["10.3.0.0/24"])), None);
    assert_eq!(cut.obstacles(&child("b", &["10.2.0.0/24", "10.3.0.0/24"])).count(), 2);
}

#[test]
fn a_child_sa_that_takes_the_place_of_another_is_cut_off_like_it_at_first_sight() {
    let (seen, before, nothing) =
        (cut(&["10.2.0.0/24"], &["new"]), cut(&["10.2.0.0/24"], &["old"]), Cut::default());
    let children = [child("new", &["10.2.0.0/24"])];
    assert_eq!(seen.of(&children, [&nothing, &before]), cut(&["10.2.0.0/24"], &[]));
    assert_eq!(seen.of(&children, [&nothing, &nothing]), nothing);
    assert_eq!(seen.of(&[child("new", &["10.9.0.0/24"])], [&seen, &before]), cut(&[], &["new"]));
}
