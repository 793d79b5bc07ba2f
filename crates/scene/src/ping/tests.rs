use super::*;

#[test]
fn a_gap_is_seen_with_its_time() {
    let text = "PING 10.0.0.1 (10.0.0.1) 56(84) bytes of data.\n\
        [1000.100] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=100 ms\n\
        [1001.100] 64 bytes from 10.0.0.1: icmp_seq=2 ttl=64 time=100 ms\n\
        From 10.0.0.9 icmp_seq=3 Destination Host Unreachable\n\
        [1004.300] 64 bytes from 10.0.0.1: icmp_seq=5 ttl=64 time=300 ms\n\
        \n--- 10.0.0.1 ping statistics ---\n\
        6 packets transmitted, 3 received, +1 errors, 50% packet loss, time 4000ms\n";
    let pings = parse(text).expect("a whole output");
    assert_eq!((pings.sent, pings.received), (6, 3));
    let lost: Vec<_> =
        pings.lost.iter().map(|lost| (lost.number, lost.at.as_secs_f64().round() as u32)).collect();
    assert_eq!(lost, [(3, 2), (4, 3), (6, 5)]);
    assert_eq!(pings.median, Some(Duration::from_millis(100)));
    assert!(!pings.all_answered());
}

#[test]
fn an_answer_that_came_twice_counts_once() {
    let line = "[1.0] 64 bytes from ::1: icmp_seq=1 ttl=64 time=0.1 ms";
    let text = format!("{line}\n{line} (DUP!)\n1 packets transmitted, 1 received, +1 duplicates\n");
    let pings = parse(&text).expect("a whole output");
    assert_eq!((pings.sent, pings.received, pings.lost.len()), (1, 1, 0));
}

#[test]
fn silence_is_a_loss_of_all() {
    let pings =
        parse("PING\n\n3 packets transmitted, 0 received, 100% packet loss\n").expect("a whole output");
    assert_eq!((pings.sent, pings.received, pings.lost.len()), (3, 0, 3));
}

#[test]
fn an_output_that_was_cut_off_is_none() {
    assert_eq!(parse("PING 10.0.0.1\n[1.0] 64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.1 ms\n"), None);
}

#[test]
fn the_last_one_alone_may_be_on_its_way_and_any_other_is_lost() {
    let pings = |received: u32, lost: &[u32]| Pings {
        sent: 10,
        received,
        lost: lost.iter().map(|number| Lost { number: *number, at: Duration::ZERO }).collect(),
        median: None,
    };
    assert_eq!(pings(9, &[10]).without_undecided_last().sent, 9);
    assert!(pings(9, &[10]).without_undecided_last().all_answered());
    assert!(!pings(9, &[4]).without_undecided_last().all_answered());
    assert!(!pings(8, &[9, 10]).without_undecided_last().all_answered());
}

#[test]
fn a_lost_ping_now_and_then_is_no_interruption_and_two_in_a_row_are_one() {
    let pings = |sent: u32, lost: &[u32]| Pings {
        sent,
        received: sent - u32::try_from(lost.len()).expect("few"),
        lost: lost.iter().map(|number| Lost { number: *number, at: Duration::ZERO }).collect(),
        median: None,
    };
    assert!(pings(50, &[]).were_not_interrupted());
    assert!(pings(50, &[7]).were_not_interrupted());
    assert!(pings(300, &[7, 9, 200]).were_not_interrupted());
    assert!(!pings(50, &[7, 20]).were_not_interrupted());
    assert!(!pings(300, &[7, 8]).were_not_interrupted());
    assert!(!pings(1, &[1]).were_not_interrupted());
}

#[test]
fn numbers_go_on_after_65535() {
    assert_eq!(unwrapped(65535, 65534), 65535);
    assert_eq!(unwrapped(0, 65535), 65536);
    assert_eq!(unwrapped(65535, 65536), 65535);
    assert_eq!(unwrapped(3, 131_070), 131_075);
    assert_eq!(unwrapped(1, 0), 1);
}
