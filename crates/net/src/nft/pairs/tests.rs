use proptest::prelude::*;

use super::{CountedPairs, Pair, Pairs};

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

#[test]
fn what_is_new_is_told_from_what_was_there() {
    let before = Pairs::from_iter([pair("10.0.1.0/24", "10.9.0.0/24"), pair("fd01::/64", "fd02::/64")]);
    let now = Pairs::from_iter([pair("10.0.1.0/24", "10.9.0.0/24"), pair("10.0.2.0/24", "10.9.0.0/24")]);
    assert_eq!(now.since(&before), Pairs::from_iter([pair("10.0.2.0/24", "10.9.0.0/24")]));
    assert!(now.since(&now).is_empty());
}

#[test]
fn counters_are_there_even_when_nothing_is_left_for_them() {
    let narrow = (pair("10.0.1.0/24", "192.168.1.0/24"), "narrow".to_owned());
    let wide = (pair("10.0.0.0/16", "192.168.0.0/16"), "wide".to_owned());
    let counted = CountedPairs::from_iter([narrow, wide.clone()]);
    assert_eq!(counted.v4(), [wide]);
    assert_eq!(counted.counters().iter().collect::<Vec<_>>(), ["narrow", "wide"]);
}

/// Source and destination, each by its leading bits and their number.
type Networks = ((u32, u8), (u32, u8));

/// Few bits, so that networks meet often.
fn networks() -> impl Strategy<Value = Vec<Networks>> {
    let network = (0_u32..8, 0_u8..=3);
    prop::collection::vec((network.clone(), network), 0..12)
}

fn pairs(networks: &[Networks]) -> Vec<Pair> {
    let net = |(bits, length): (u32, u8)| {
        ipnet::IpNet::V4(ipnet::Ipv4Net::new(std::net::Ipv4Addr::from_bits(bits << 29), length).unwrap())
    };
    networks.iter().map(|(source, destination)| Pair::new(net(*source), net(*destination)).unwrap()).collect()
}

fn holds(pair: &Pair, source: u32, destination: u32) -> bool {
    let address = |bits: u32| std::net::IpAddr::V4(std::net::Ipv4Addr::from_bits(bits << 29));
    pair.source().contains(&address(source)) && pair.destination().contains(&address(destination))
}

proptest! {
    #[test]
    fn every_point_is_counted_for_the_widest_and_the_first(networks in networks()) {
        let given = pairs(&networks);
        let named = given.iter().enumerate().map(|(number, pair)| (*pair, number.to_string()));
        let counted = CountedPairs::from_iter(named);
        for source in 0..8_u32 {
            for destination in 0..8_u32 {
                let of = |pair: &Pair| holds(pair, source, destination);
                let candidates = given.iter().enumerate().filter(|(_, pair)| of(pair));
                let expected = candidates.min_by_key(|(number, pair)| {
                    (pair.source().prefix_len(), pair.destination().prefix_len(), *number)
                });
                let found: Vec<_> = counted.v4().iter().filter(|(pair, _)| of(pair)).collect();
                let found: Vec<_> = found.iter().map(|(_, counter)| counter.as_str()).collect();
                let expected: Vec<_> = expected.iter().map(|(number, _)| number.to_string()).collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn every_point_that_was_covered_is_covered_exactly_once(networks in networks()) {
        let given = pairs(&networks);
        let pairs = Pairs::from_iter(given.iter().copied());
        for source in 0..8_u32 {
            for destination in 0..8_u32 {
                let holds = |pair: &&Pair| holds(pair, source, destination);
                let before = given.iter().filter(holds).count();
                prop_assert_eq!(pairs.v4().iter().filter(holds).count(), before.min(1));
            }
        }
    }
}
