use super::*;
use proptest::prelude::*;

fn net() -> impl Strategy<Value = IpNet> {
    prop_oneof![
        (any::<u32>(), 0u8..=32).prop_map(|(ip, len)| IpNet::new(IpAddr::V4(ip.into()), len)
            .expect("prefix length in range")
            .trunc()),
        (any::<u128>(), 0u8..=128).prop_map(|(ip, len)| IpNet::new(IpAddr::V6(ip.into()), len)
            .expect("prefix length in range")
            .trunc()),
    ]
}

proptest! {
    #[test]
    fn default_pools_hold_every_usable_address_but_the_gateway(net in net(), pick in any::<u128>()) {
        let range = usable(net);
        let width = number(range.end) - number(range.start);
        let gateway = from_number(number(range.start) + pick % width.saturating_add(1).max(1), net.addr());
        let pools = default_pools(net, Some(gateway));
        let held: u128 = pools.iter().map(|pool| number(pool.end) - number(pool.start) + 1).sum();
        prop_assert_eq!(held, width);
        prop_assert!(pools.iter().all(|pool| gateway < pool.start || pool.end < gateway));
        prop_assert!(pools.iter().all(|pool| net.contains(&pool.start) && net.contains(&pool.end)));
    }

    #[test]
    fn allocation_gives_each_address_once_until_none_is_left(start in 0u32..0xffff_ff00, size in 1u32..60, holes in prop::collection::btree_set(0u32..60, 0..30)) {
        let pool = Pool { start: IpAddr::V4(start.into()), end: IpAddr::V4((start + size - 1).into()) };
        let mut taken: Vec<u128> = holes.iter().filter(|at| **at < size).map(|at| u128::from(start + at)).collect();
        let free = size as usize - taken.len();
        for _ in 0..free {
            let ip = first_free(&[pool], &taken).expect("a free address is left");
            let at = taken.binary_search(&number(ip)).expect_err("the address was free");
            prop_assert!(pool.start <= ip && ip <= pool.end);
            taken.insert(at, number(ip));
        }
        prop_assert_eq!(first_free(&[pool], &taken), None);
    }

    #[test]
    fn a_cidr_is_read_back_as_it_is_written(net in net()) {
        prop_assert_eq!(cidr(&net.to_string()), Ok(net));
    }

    #[test]
    fn reading_an_address_never_panics(text in "\\PC{0,60}") {
        let _ = (ip(&text), cidr(&text), uuid(&text), mac(&text));
    }
}

#[test]
fn octets_with_leading_zeros_are_refused_rather_than_read_as_octal() {
    assert!(ip("192.168.001.010").is_err());
    for text in ["010.0.0.0/8", "10.0.0.0/08", "10.0.0.0/+8", "10.0.0.0/00"] {
        assert!(cidr(text).is_err(), "{text}");
    }
}

#[test]
fn a_point_to_point_subnet_uses_both_of_its_addresses() {
    let range = usable("10.0.0.4/31".parse().expect("a CIDR"));
    assert_eq!((range.start.to_string(), range.end.to_string()), ("10.0.0.4".into(), "10.0.0.5".into()));
}

#[test]
fn network_and_broadcast_address_are_not_for_hosts() {
    let net = "10.0.0.0/24".parse().expect("a CIDR");
    assert!(!is_usable(net, "10.0.0.0".parse().expect("an address")));
    assert!(!is_usable(net, "10.0.0.255".parse().expect("an address")));
    assert!(is_usable(net, "10.0.0.254".parse().expect("an address")));
}

#[test]
fn a_group_address_is_no_mac_for_a_port() {
    assert!(mac("01:00:5e:00:00:01").is_err());
    assert_eq!(mac("FA-16-3E-00-00-01"), Ok("fa:16:3e:00:00:01".into()));
}
