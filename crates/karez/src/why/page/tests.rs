use super::*;
use serde_json::json;
use time::macros::datetime;

const NOW: OffsetDateTime = datetime!(2026-11-23 02:05:03 UTC);

fn down() -> Connection {
    let listed = json!({"id": "c1", "name": "to-cloud2", "peer_address": "198.51.100.7", "status": "DOWN"});
    let reason = json!({
        "code": "peer_unreachable", "message": "Nothing was heard from 198.51.100.7.",
        "evidence": {"sent": 3, "peers": ["a", "b"], "pair": {"x": "y"}},
    });
    let status = json!({
        "status": "DOWN", "state": "down", "reason": reason, "since": "2026-11-23T01:02:03.000004Z",
        "reported_at": "2026-11-23T02:05:00Z", "agent_alive": false,
        "missing": [{"local_subnet": "10.0.0.0/24", "peer_subnet": "10.9.0.0/24"}],
    });
    Connection::read(&listed, Some(&status))
}

#[test]
fn a_connection_that_is_down_says_since_when_why_and_what_mends_it() {
    assert_eq!(
        page(&[down()], NOW),
        "\
to-cloud2 (c1)
  peer           198.51.100.7
  state          DOWN
  since          2026-11-23 01:02:03 UTC (1 h 2 min)
  reason         peer_unreachable
  evidence       Nothing was heard from 198.51.100.7.
                 sent: 3
                 peers: a, b
                 pair: x: y
  no tunnel for  10.0.0.0/24 === 10.9.0.0/24
  last report    2026-11-23 02:05:00 UTC (3 s ago)
  fix here       check `--peer-address`; let UDP 500 and 4500 out and back in
  fix at peer    check that the peer is up and expects our address; let UDP 500 and 4500 in
"
    );
}

#[test]
fn a_connection_that_is_up_needs_few_words() {
    let listed = json!({"id": "c1", "name": "", "peer_address": "198.51.100.7", "status": "ACTIVE"});
    let up = Connection::read(&listed, None);
    assert_eq!(page(&[up], NOW), "c1\n  peer           198.51.100.7\n  state          ACTIVE\n");
    let listed = json!({"id": "c1", "name": "", "peer_address": "198.51.100.7", "status": "DOWN"});
    assert!(
        page(&[Connection::read(&listed, None)], NOW).contains("  reason         the server gives none\n")
    );
}

#[test]
fn several_are_set_apart_and_none_is_said_to_be_none() {
    assert_eq!(page(&[down(), down()], NOW).matches("\n\nto-cloud2").count(), 1);
    assert_eq!(page(&[], NOW), "There are no connections.\n");
}

#[test]
fn long_sentences_are_broken_into_lines() {
    let listed =
        json!({"id": "c1", "status": "DOWN", "status_reason": "x", "status_detail": "word ".repeat(60)});
    let page = page(&[Connection::read(&listed, None)], NOW);
    assert!(page.lines().all(|line| line.chars().count() <= 112), "{page}");
}

#[test]
fn a_time_is_told_in_its_two_greatest_units() {
    for (seconds, told) in
        [(-5, "0 s"), (59, "59 s"), (303, "5 min 3 s"), (7_500, "2 h 5 min"), (100_000, "1 d 3 h")]
    {
        assert_eq!(lasting(Duration::seconds(seconds)), told);
    }
}
