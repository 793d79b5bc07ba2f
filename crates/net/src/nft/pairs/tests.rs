use proptest::prelude::*;

use super::{Pair, Pairs};

fn pair(source: &str, destination: &str) -> Pair {
    Pair::new(source.parse().unwrap(), destination.parse().unwrap()).unwrap()
}

fn shown(pairs: &[Pair]) -> Vec<String> {
    pairs.iter().map(|pair| format!("{} {}", pair.source(), pair.destination())).collect()
}

#[test]
fn a_pair_is_of_one_family() {
    assert!(Pair::new("10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()).is_none());
}

#[test]
fn what_lies_within_another_pair_is_left_out() {
    let pairs = Pairs::from_iter([
        pair("10.0.1.0/24", "192.168.1.0/24"),
        pair("10.0.0.0/16", "192.168.0.0/16"),
        pair("10.0.0.0/16", "192.168.7.0/24"),
        pair("10.9.0.9/16", "0.0.0.0/0"),
    ]);
    assert_eq!(shown(pairs.v4()), ["10.0.0.0/16 192.168.0.0/16", "10.9.0.0/16 0.0.0.0/0"]);
}

#[test]
fn of_two_that_cross_the_narrower_source_loses_what_the_wider_has() {
    let pairs = Pairs::from_iter([pair("10.0.0.0/8", "172.16.1.0/24"), pair("10.0.1.0/24", "172.16.0.0/22")]);
    assert_eq!(
        shown(pairs.v4()),
        ["10.0.0.0/8 172.16.1.0/24", "10.0.1.0/24 172.16.0.0/24", "10.0.1.0/24 172.16.2.0/23"]
    );
}

#[test]
fn families_do_not_mix() {
    let pairs = Pairs::from_iter([pair("fd01::/64", "fd02::/64"), pair("10.0.0.1/32", "10.0.0.2/32")]);
    assert_eq!(shown(pairs.v6()), ["fd01::/64 fd02::/64"]);
    assert_eq!(shown(pairs.v4()), ["10.0.0.1/32 10.0.0.2/32"]);
}

/// Few bits, so that networks meet often.
fn networks() -> impl Strategy<Value = Vec<((u32, u8), (u32, u8))>> {
    let network = (0_u32..8, 0_u8..=3);
    prop::collection::vec((network.clone(), network), 0..12)
}

proptest! {
    #[test]
    fn every_point_that_was_covered_is_covered_exactly_once(networks in networks()) {
        let net = |(bits, length): (u32, u8)| {
            ipnet::IpNet::V4(ipnet::Ipv4Net::new(std::net::Ipv4Addr::from_bits(bits << 29), length).unwrap())
        };
        let given: Vec<_> = networks.iter().map(|(a, b)| Pair::new(net(*a), net(*b)).unwrap()).collect();
        let pairs = Pairs::from_iter(given.iter().copied());
        for source in 0..8_u32 {
            for destination in 0..8_u32 {
                let address = |bits: u32| std::net::IpAddr::V4(std::net::Ipv4Addr::from_bits(bits << 29));
                let holds = |pair: &&Pair| {
                    pair.source().contains(&address(source)) && pair.destination().contains(&address(destination))
                };
                let before = given.iter().filter(holds).count();
                prop_assert_eq!(pairs.v4().iter().filter(holds).count(), before.min(1));
            }
        }
    }
}
