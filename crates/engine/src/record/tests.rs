use super::{Record, Standing};
use crate::{ChildSa, Code, ConnectionId, Event, EventKind, IkeSa, Reason, Traffic, TunnelState};
use ipnet::IpNet;
use std::net::SocketAddr;
use uuid::Uuid;

const SECOND: i64 = 1_000_000;
const GRACE: i64 = 10 * SECOND;
const START: i64 = 1_000_000 * SECOND;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn wanted() -> Vec<(IpNet, IpNet)> {
    vec![(net("10.1.0.0/24"), net("10.2.0.0/24")), (net("10.1.0.0/24"), net("10.3.0.0/24"))]
}

fn record(standing: Standing) -> Record {
    Record::new(ConnectionId(Uuid::nil()), standing, wanted(), GRACE, START)
}

fn ike(spi: &str) -> IkeSa {
    let at = |text: &str| text.parse::<SocketAddr>().unwrap();
    IkeSa {
        version: 2,
        is_initiator: true,
        local: at("192.0.2.1:500"),
        peer: at("192.0.2.2:500"),
        local_id: "192.0.2.1".into(),
        peer_id: "192.0.2.2".into(),
        initiator_spi: spi.into(),
        responder_spi: "1".into(),
        suite: "aes-128/sha1/group14".into(),
        has_nat: false,
        established_at: START,
        rekey_at: Some(START + 3600 * SECOND),
    }
}

fn child(spi: &str, peers: &[&str]) -> ChildSa {
    ChildSa {
        protocol: "esp".into(),
        mode: "tunnel".into(),
        is_encapsulated: false,
        spi_in: spi.into(),
        spi_out: spi.into(),
        suite: "aes-128/sha1".into(),
        local_subnets: vec![net("10.1.0.0/24")],
        peer_subnets: peers.iter().map(|text| net(text)).collect(),
        traffic: Traffic::default(),
        installed_at: START,
        rekey_at: Some(START + 3000 * SECOND),
        expires_at: Some(START + 3600 * SECOND),
    }
}

fn whole(spi: &str) -> ChildSa {
    child(spi, &["10.2.0.0/24", "10.3.0.0/24"])
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

fn code(record: &Record) -> Option<Code> {
    record.status().reason.as_ref().map(|reason| reason.code)
}

fn refused(code: Code) -> Reason {
    Reason::new(code, "no")
}

#[test]
fn a_new_tunnel_is_pending_until_its_grace_has_passed_and_then_down() {
    let mut record = record(Standing::Begins);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Pending, Some(Code::Negotiating)));
    assert_eq!(record.deadline(), Some(START + GRACE));
    record.failed(refused(Code::PeerUnreachable), START + 5 * SECOND);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Pending, Some(Code::PeerUnreachable)));
    record.tick(START + GRACE);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Down, Some(Code::PeerUnreachable)));
    assert_eq!(record.status().since, START + GRACE);
    assert_eq!(record.deadline(), None);
}

#[test]
fn a_definite_refusal_ends_the_grace_at_once() {
    let mut record = record(Standing::Begins);
    record.failed(refused(Code::AuthenticationFailed), START + SECOND);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Down, Some(Code::AuthenticationFailed)));
}

#[test]
fn a_new_tunnel_that_the_peer_may_not_have_yet_stays_pending_for_a_moment() {
    let mut record = record(Standing::Begins);
    record.failed(refused(Code::SelectorMismatch), START + SECOND);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Pending, Some(Code::SelectorMismatch)));
    record.failed(refused(Code::SelectorMismatch), START + 2 * SECOND);
    record.tick(record.deadline().unwrap());
    assert_eq!((record.status().state, record.status().since), (TunnelState::Down, START + 3 * SECOND));
}

#[test]
fn a_tunnel_that_waits_says_so_and_goes_down_after_the_grace() {
    let mut record = record(Standing::Waits);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Pending, Some(Code::WaitingForPeer)));
    record.tick(START + GRACE);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Down, Some(Code::WaitingForPeer)));
}

#[test]
fn a_tunnel_is_up_with_its_first_child_and_has_no_reason_when_whole() {
    let mut record = record(Standing::Begins);
    record.take();
    record.observe(Some(ike("a")), vec![whole("1")], START + SECOND);
    let (status, events) = record.take().unwrap();
    assert_eq!((status.state, status.reason), (TunnelState::Up, None));
    assert_eq!(kinds(&events), [EventKind::IkeUp, EventKind::ChildUp, EventKind::State]);
    assert!(record.take().is_none());
}

#[test]
fn a_rekey_is_one_event_and_no_down() {
    let mut record = record(Standing::Begins);
    record.observe(Some(ike("a")), vec![whole("1")], START);
    let since = record.status().since;
    record.take();
    record.observe(Some(ike("a")), vec![whole("1"), whole("2")], START + SECOND);
    record.observe(Some(ike("a")), vec![whole("2")], START + 2 * SECOND);
    record.observe(Some(ike("b")), vec![whole("2")], START + 3 * SECOND);
    let (status, events) = record.take().unwrap();
    assert_eq!((status.state, status.since), (TunnelState::Up, since));
    assert_eq!(kinds(&events), [EventKind::Rekeyed, EventKind::Rekeyed]);
}

#[test]
fn what_is_missing_is_named_while_the_tunnel_is_up() {
    let mut record = record(Standing::Begins);
    record.observe(Some(ike("a")), vec![child("1", &["10.2.0.0/24"])], START);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Up, Some(Code::Negotiating)));
    let settled = record.deadline().unwrap();
    record.tick(settled);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Up, Some(Code::Narrowed)));
    // Keys that are renewed are no news of it.
    let renewed = vec![child("1", &["10.2.0.0/24"]), child("3", &["10.2.0.0/24"])];
    record.observe(Some(ike("a")), renewed, settled + SECOND);
    assert_eq!((code(&record), record.deadline()), (Some(Code::Narrowed), None));
    assert_eq!(record.status().missing, [(net("10.1.0.0/24"), net("10.3.0.0/24"))]);
    record.observe(
        Some(ike("a")),
        vec![child("1", &["10.2.0.0/24"]), child("2", &["10.3.0.0/24"])],
        settled + 2 * SECOND,
    );
    assert_eq!((record.status().missing.len(), code(&record)), (0, None));
}

/// A tunnel that was up, and whose peer subnets are others now.
fn changed() -> Record {
    let mut record = record(Standing::Begins);
    record.observe(Some(ike("a")), vec![whole("1")], START);
    let others = vec![(net("10.1.0.0/24"), net("10.4.0.0/24"))];
    record.configure(Standing::Begins, others, "changed", GRACE, START + 60 * SECOND);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Up, Some(Code::Negotiating)));
    record
}

#[test]
fn a_change_of_all_subnets_that_the_peer_has_too_is_no_fall() {
    let mut record = changed();
    record.observe(Some(ike("a")), vec![whole("1"), child("2", &["10.4.0.0/24"])], START + 60 * SECOND + 1);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Up, None));
    assert_eq!((record.status().since, record.deadline()), (START, None));
}

#[test]
fn pairs_that_are_to_come_are_not_refused_and_few_are_named() {
    let wanted = (0..30).map(|third| (net("10.1.0.0/24"), net(&format!("10.9.{third}.0/24")))).collect();
    let mut record = Record::new(ConnectionId(Uuid::nil()), Standing::Waits, wanted, GRACE, START);
    let mut children = Vec::new();
    for third in 0..20 {
        let now = START + third * SECOND;
        children.push(child(&third.to_string(), &[&format!("10.9.{third}.0/24")]));
        record.observe(Some(ike("a")), children.clone(), now);
        assert_eq!(code(&record), Some(Code::Negotiating));
        let text = &record.status().reason.as_ref().unwrap().message;
        assert!(text.contains(&format!("{} of 30", third + 1)), "{text}");
    }
    // A refusal is one, however soon.
    record.failed(refused(Code::SelectorMismatch), START + 20 * SECOND);
    let reason = record.status().reason.clone().unwrap();
    assert_eq!(reason.code, Code::Narrowed);
    assert!(reason.message.contains("10.9.27.0/24 and 2 more"), "{}", reason.message);
}

#[test]
fn a_tunnel_that_passes_nothing_of_what_is_wanted_is_down() {
    let mut record = changed();
    let soon = record.deadline().unwrap();
    record.tick(soon);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Down, Some(Code::Negotiating)));
    assert_eq!((record.status().missing.len(), record.status().children.len()), (1, 1));
    record.observe(Some(ike("a")), vec![child("2", &["10.4.0.0/25"])], soon + SECOND);
    let settled = record.deadline().unwrap_or(soon + SECOND);
    record.tick(settled);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Up, Some(Code::Narrowed)));
}

#[test]
fn a_change_of_subnets_that_the_peer_refuses_is_down_at_once_and_says_why() {
    let mut record = changed();
    record.failed(refused(Code::SelectorMismatch), START + 60 * SECOND + 1);
    assert_eq!(record.status().state, TunnelState::Up, "the peer may be about to have it too");
    record.failed(refused(Code::SelectorMismatch).with("theirs", "x"), START + 60 * SECOND + 1);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Down, Some(Code::SelectorMismatch)));
    record.observe(Some(ike("a")), vec![], START + 70 * SECOND);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Down, Some(Code::SelectorMismatch)));
}

#[test]
fn a_tunnel_that_goes_down_says_why_and_is_not_pending_again() {
    let mut record = record(Standing::Begins);
    record.observe(Some(ike("a")), vec![whole("1")], START);
    record.failed(refused(Code::PeerDeleted), START + 60 * SECOND);
    assert_eq!(record.status().state, TunnelState::Up);
    record.observe(None, vec![], START + 60 * SECOND);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Down, Some(Code::PeerDeleted)));
    assert_eq!(record.status().since, START + 60 * SECOND);
}

#[test]
fn a_reason_that_comes_after_the_fall_is_taken_too() {
    let mut record = record(Standing::Begins);
    record.observe(Some(ike("a")), vec![whole("1")], START);
    record.observe(None, vec![], START + SECOND);
    assert_eq!(code(&record), Some(Code::Negotiating));
    record.failed(refused(Code::PeerLost), START + SECOND + 1);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Down, Some(Code::PeerLost)));
    assert_eq!(record.status().since, START + SECOND);
}

#[test]
fn the_same_refusal_again_and_again_is_told_once_a_minute_with_its_count() {
    let mut record = record(Standing::Begins);
    record.take();
    for second in 0..=60 {
        record.failed(refused(Code::ProposalMismatch), START + second * SECOND);
    }
    let (_, events) = record.take().unwrap();
    let refusals: Vec<_> = events.iter().filter(|event| event.kind == EventKind::Refused).collect();
    assert_eq!(refusals.len(), 2);
    assert_eq!(refusals[1].message, "no (and 59 times before)");
}

#[test]
fn a_reason_that_says_more_outlives_one_that_says_less_for_a_while() {
    let mut record = record(Standing::Begins);
    record.failed(refused(Code::VersionMismatch), START);
    record.failed(refused(Code::ProposalMismatch), START + SECOND);
    assert_eq!(code(&record), Some(Code::VersionMismatch));
    record.failed(refused(Code::ProposalMismatch), START + 100 * SECOND);
    assert_eq!(code(&record), Some(Code::ProposalMismatch));
    record.failed(refused(Code::ProposalMismatch).with("theirs", "x"), START + 101 * SECOND);
    record.failed(refused(Code::ProposalMismatch), START + 102 * SECOND);
    assert!(record.status().reason.as_ref().unwrap().evidence.contains_key("theirs"));
}

#[test]
fn administratively_down_and_impossible_plans_say_so() {
    let mut record = record(Standing::AdminDown);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Down, Some(Code::AdminDown)));
    let reason = Reason::new(Code::Unsupported, "not here");
    record.configure(Standing::Impossible(reason), wanted(), "changed", GRACE, START + SECOND);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Error, Some(Code::Unsupported)));
    record.configure(Standing::Begins, wanted(), "changed", GRACE, START + 2 * SECOND);
    assert_eq!((record.status().state, code(&record)), (TunnelState::Pending, Some(Code::Negotiating)));
}

#[test]
fn counters_are_reported_without_an_event_and_rounded_times_are_no_change() {
    let mut record = record(Standing::Begins);
    record.observe(Some(ike("a")), vec![whole("1")], START);
    record.take();
    let mut later = whole("1");
    later.rekey_at = later.rekey_at.map(|at| at + SECOND);
    later.installed_at -= SECOND;
    record.observe(Some(ike("a")), vec![later.clone()], START + 10 * SECOND);
    assert!(record.take().is_none());
    later.traffic.packets_in = 1;
    record.observe(Some(ike("a")), vec![later], START + 20 * SECOND);
    let (status, events) = record.take().unwrap();
    assert_eq!((status.children[0].traffic.packets_in, events.len()), (1, 0));
}

#[test]
fn a_tunnel_that_was_up_before_we_looked_is_up_since_then() {
    let mut record = record(Standing::Begins);
    record.engine("adopted", START + 500 * SECOND);
    record.observe(Some(ike("a")), vec![whole("1")], START + 500 * SECOND);
    assert_eq!(record.status().since, START);
}
