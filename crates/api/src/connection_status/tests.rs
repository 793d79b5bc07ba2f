use super::{next_rekey, total};
use crate::render::precise_time;
use karez_engine::{ChildSa, Traffic, TunnelState, TunnelStatus};

fn child(bytes: u64, rekey_at: Option<i64>) -> ChildSa {
    ChildSa {
        protocol: "esp".into(),
        mode: "tunnel".into(),
        is_encapsulated: false,
        spi_in: "c0000001".into(),
        spi_out: "c0000002".into(),
        suite: "aes-128/sha1".into(),
        local_subnets: Vec::new(),
        peer_subnets: Vec::new(),
        traffic: Traffic { bytes_in: bytes, bytes_out: 2 * bytes, packets_in: 1, packets_out: 2 },
        installed_at: 0,
        rekey_at,
        expires_at: None,
    }
}

#[test]
fn times_are_iso_8601_in_utc_to_the_microsecond() {
    assert_eq!(precise_time(0), "1970-01-01T00:00:00.000000Z");
    assert_eq!(precise_time(1_767_225_600_000_042), "2026-01-01T00:00:00.000042Z");
    assert_eq!(precise_time(-1), "1969-12-31T23:59:59.999999Z");
}

#[test]
fn the_traffic_of_a_tunnel_is_that_of_its_children() {
    let sum = Traffic { bytes_in: 30, bytes_out: 60, packets_in: 2, packets_out: 4 };
    assert_eq!(total(&[child(10, None), child(20, None)]), sum);
    assert_eq!(total(&[]), Traffic::default());
    assert_eq!(total(&[child(u64::MAX / 2, None), child(u64::MAX / 2, None)]).bytes_out, u64::MAX);
}

#[test]
fn the_next_rekey_is_the_earliest() {
    let id = "00000000-0000-0000-0000-000000000001".parse().expect("an id");
    let children = vec![child(0, Some(9)), child(0, None), child(0, Some(7))];
    let mut status = TunnelStatus {
        id,
        state: TunnelState::Up,
        reason: None,
        since: 0,
        ike: None,
        children,
        missing: Vec::new(),
    };
    assert_eq!(next_rekey(&status), Some(7));
    status.children.clear();
    assert_eq!(next_rekey(&status), None);
}
