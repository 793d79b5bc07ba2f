use super::*;

const NOW: i64 = 1_800_000_000_000_000;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn fail(throttle: &Throttle, user: &str, source: &str, times: usize) {
    for _ in 0..times {
        let _counted = throttle.admit(user, address(source), NOW).unwrap();
    }
}

#[test]
fn the_eleventh_wrong_password_has_to_wait() {
    let throttle = Throttle::new();
    fail(&throttle, "alice", "192.0.2.1", 10);
    let refused = throttle.admit("alice", address("192.0.2.1"), NOW).err().unwrap();
    assert!(matches!(refused, Error::TooManyAttempts { retry_after: 10 }), "{refused}");
    assert!(throttle.admit("alice", address("192.0.2.1"), NOW + 9_999_999).is_err());
    assert!(throttle.admit("alice", address("192.0.2.1"), NOW + 10_000_000).is_ok());
}

#[test]
fn an_attacker_does_not_lock_the_user_out_elsewhere() {
    let throttle = Throttle::new();
    fail(&throttle, "alice", "192.0.2.1", 10);
    assert!(throttle.admit("alice", address("192.0.2.2"), NOW).is_ok());
    assert!(throttle.admit("bob", address("192.0.2.1"), NOW).is_ok());
}

#[test]
fn right_passwords_do_not_count() {
    let throttle = Throttle::new();
    for _ in 0..1000 {
        throttle.succeeded(throttle.admit("alice", address("192.0.2.1"), NOW).unwrap());
    }
}

#[test]
fn one_source_cannot_spray_over_many_users() {
    let throttle = Throttle::new();
    let admitted = |user: &usize| throttle.admit(&format!("user{user}"), address("192.0.2.1"), NOW).is_ok();
    assert_eq!((0..1000).filter(admitted).count(), 60);
    assert!(throttle.admit("user0", address("192.0.2.2"), NOW).is_ok());
}

#[test]
fn a_refused_attempt_costs_the_source_nothing() {
    let throttle = Throttle::new();
    fail(&throttle, "alice", "192.0.2.1", 10);
    for _ in 0..1000 {
        assert!(throttle.admit("alice", address("192.0.2.1"), NOW).is_err());
    }
    assert!(throttle.admit("bob", address("192.0.2.1"), NOW).is_ok());
}

#[test]
fn a_whole_ipv6_prefix_is_one_source() {
    let throttle = Throttle::new();
    for host in 1..=10 {
        fail(&throttle, "alice", &format!("2001:db8::{host}"), 1);
    }
    assert!(throttle.admit("alice", address("2001:db8::ffff:1"), NOW).is_err());
    assert!(throttle.admit("alice", address("2001:db8:0:1::1"), NOW).is_ok());
}
