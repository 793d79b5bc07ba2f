use super::*;

const NOW: i64 = 1_800_000_000_000_000;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn fail(throttle: &Throttle, user: &str, source: &str, times: usize) {
    for _ in 0..times {
        let _counted = throttle.try_admit(user, address(source), NOW).unwrap();
    }
}

#[test]
fn the_eleventh_wrong_password_has_to_wait() {
    let throttle = Throttle::new();
    fail(&throttle, "alice", "192.0.2.1", 10);
    let refused = throttle.try_admit("alice", address("192.0.2.1"), NOW).err().unwrap();
    assert_eq!(refused, Refused::TooMany { retry_after: 10 });
    assert!(throttle.try_admit("alice", address("192.0.2.1"), NOW + 9_999_999).is_err());
    assert!(throttle.try_admit("alice", address("192.0.2.1"), NOW + 10_000_000).is_ok());
}

#[test]
fn an_attacker_does_not_lock_the_user_out_elsewhere() {
    let throttle = Throttle::new();
    fail(&throttle, "alice", "192.0.2.1", 10);
    assert!(throttle.try_admit("alice", address("192.0.2.2"), NOW).is_ok());
    assert!(throttle.try_admit("bob", address("192.0.2.1"), NOW).is_ok());
}

#[test]
fn right_passwords_do_not_count() {
    let throttle = Throttle::new();
    for _ in 0..1000 {
        throttle.try_admit("alice", address("192.0.2.1"), NOW).unwrap().succeeded();
    }
}

#[test]
fn one_source_that_sprays_has_one_attempt_a_user_and_locks_nobody_out() {
    let throttle = Throttle::new();
    for user in 0..60 {
        fail(&throttle, &format!("user{user}"), "192.0.2.1", 1);
    }
    // Those that have failed once already wait for the source.
    let again = |user: &usize| throttle.try_admit(&format!("user{user}"), address("192.0.2.1"), NOW).is_ok();
    assert_eq!((0..60).filter(again).count(), 0);
    throttle.try_admit("right", address("192.0.2.1"), NOW).unwrap().succeeded();
    throttle.try_admit("right", address("192.0.2.1"), NOW).unwrap().succeeded();
    fail(&throttle, "wrong", "192.0.2.1", 1);
    assert!(throttle.try_admit("wrong", address("192.0.2.1"), NOW).is_err());
    assert!(throttle.try_admit("user0", address("192.0.2.2"), NOW).is_ok());
}

#[test]
fn those_who_come_together_wait_for_what_becomes_of_the_others() {
    let throttle = Throttle::new();
    let admit = || throttle.try_admit("alice", address("192.0.2.1"), NOW);
    let mut open: Vec<_> = (0..10).map(|_| admit().unwrap()).collect();
    assert_eq!(admit().err(), Some(Refused::Busy));
    open.pop().unwrap().succeeded();
    let eleventh = admit().unwrap();
    // All the others are wrong.
    drop((open, eleventh));
    assert!(matches!(admit().err(), Some(Refused::TooMany { .. })));
}

#[test]
fn one_source_has_so_many_looked_at_at_a_time() {
    let throttle = Throttle::new();
    let admit = |user: u32| throttle.try_admit(&format!("user{user}"), address("192.0.2.1"), NOW);
    let mut open: Vec<_> = (0..OPEN).map(|user| admit(user).unwrap()).collect();
    assert_eq!(admit(OPEN).err(), Some(Refused::Busy));
    assert!(throttle.try_admit("alice", address("192.0.2.2"), NOW).is_ok());
    open.pop().unwrap().succeeded();
    assert!(admit(OPEN).is_ok());
}

#[test]
fn a_refused_attempt_costs_the_source_nothing() {
    let throttle = Throttle::new();
    fail(&throttle, "alice", "192.0.2.1", 10);
    for _ in 0..1000 {
        assert!(throttle.try_admit("alice", address("192.0.2.1"), NOW).is_err());
    }
    assert!(throttle.try_admit("bob", address("192.0.2.1"), NOW).is_ok());
}

#[test]
fn a_whole_ipv6_prefix_is_one_source() {
    let throttle = Throttle::new();
    for host in 1..=10 {
        fail(&throttle, "alice", &format!("2001:db8::{host}"), 1);
    }
    assert!(throttle.try_admit("alice", address("2001:db8::ffff:1"), NOW).is_err());
    assert!(throttle.try_admit("alice", address("2001:db8:0:1::1"), NOW).is_ok());
}
