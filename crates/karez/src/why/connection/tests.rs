use super::*;
use time::macros::datetime;

fn listed(status: &str, reason: Option<&str>) -> Json {
    json!({
        "id": "c1", "name": "to-cloud2", "project_id": "p", "peer_address": "198.51.100.7", "admin_state_up": true,
        "status": status, "status_reason": reason, "status_detail": reason.map(|_| "A sentence."),
    })
}

fn status(status: &str, state: &str, reason: Json) -> Json {
    json!({
        "status": status, "state": state, "reason": reason, "since": "2026-11-23T01:02:03.000004Z", "missing": [],
        "reported_at": "2026-11-23T01:02:04Z", "agent_alive": true,
    })
}

#[test]
fn all_that_is_known_is_there_for_programs_under_stable_names() {
    let evidence = json!({"ours": ["aes-128"], "sent": 3});
    let reason = json!({"code": "proposal_mismatch", "message": "They differ.", "evidence": evidence});
    let connection = Connection::read(&listed("DOWN", None), Some(&status("DOWN", "down", reason)));
    assert_eq!(
        connection.json(datetime!(2026-11-23 01:02:13.5 UTC)),
        json!({
            "id": "c1", "name": "to-cloud2", "project_id": "p", "peer_address": "198.51.100.7",
            "admin_state_up": true, "status": "DOWN", "is_well": false, "since": "2026-11-23T01:02:03.000004Z",
            "seconds": 10, "reason": "proposal_mismatch", "detail": "They differ.", "evidence": evidence, "missing": [],
            "fix_here": remedy(Code::ProposalMismatch).here, "fix_at_peer": remedy(Code::ProposalMismatch).peer,
            "last_report": null, "asked_at": "2026-11-23T01:02:13.5Z",
        })
    );
}

#[test]
fn well_is_what_is_active_or_switched_off() {
    for (listed, is_well) in [
        (listed("ACTIVE", None), true),
        (listed("ACTIVE", Some("narrowed")), true),
        (listed("DOWN", Some("admin_down")), true),
        (listed("DOWN", Some("peer_lost")), false),
        (listed("DOWN", None), false),
        (listed("ERROR", Some("unsupported")), false),
        (listed("PENDING_CREATE", Some("negotiating")), false),
        (json!({"status": "DOWN", "status_reason": "no_agent", "admin_state_up": false}), true),
    ] {
        assert_eq!(Connection::read(&listed, None).is_well(), is_well, "{listed}");
    }
}

#[test]
fn a_status_of_now_goes_before_the_list_of_a_moment_ago() {
    let up =
        Connection::read(&listed("DOWN", Some("negotiating")), Some(&status("ACTIVE", "up", Json::Null)));
    assert_eq!((up.status.as_str(), up.reason), ("ACTIVE", None));
}

#[test]
fn a_server_that_knows_no_more_than_a_status_is_enough() {
    let plain = json!({"id": "c1", "name": "", "status": "DOWN"});
    let connection = Connection::read(&plain, None);
    assert_eq!((connection.status.as_str(), &connection.reason, connection.since), ("DOWN", &None, None));
    assert_eq!(connection.json(OffsetDateTime::UNIX_EPOCH)["fix_here"], Json::Null);
    let newer = Connection::read(&listed("DOWN", Some("eaten_by_whale")), None);
    assert_eq!(newer.json(OffsetDateTime::UNIX_EPOCH)["reason"], "eaten_by_whale");
    assert_eq!(newer.remedy(), Remedy { here: None, peer: None });
}

#[test]
fn since_is_that_of_the_state_that_is_shown_and_of_no_other() {
    for (shown, state, is_told) in [
        ("ACTIVE", "up", true),
        ("DOWN", "down", true),
        ("DOWN", "pending", true),
        ("PENDING_CREATE", "pending", true),
        ("ERROR", "error", true),
        ("DOWN", "up", false),
        ("ERROR", "down", false),
    ] {
        let connection = Connection::read(&listed(shown, None), Some(&status(shown, state, Json::Null)));
        assert_eq!(connection.since.is_some(), is_told, "{shown} {state}");
    }
}

#[test]
fn the_last_report_is_told_when_nobody_speaks_for_the_connection() {
    let mut silent =
        status("ACTIVE", "up", json!({"code": "agent_lost", "message": "Silent.", "evidence": {}}));
    assert_eq!(Connection::read(&listed("ACTIVE", None), Some(&silent)).last_report, None);
    silent["agent_alive"] = false.into();
    let connection = Connection::read(&listed("ACTIVE", None), Some(&silent));
    assert_eq!(connection.last_report, Some(datetime!(2026-11-23 01:02:04 UTC)));
}

#[test]
fn nothing_of_a_server_reaches_a_terminal_as_a_command() {
    const EVIL: &str = "\u{1b}]0;x\u{7}\u{9b}31m";
    let listed = json!({"id": EVIL, "name": EVIL, "project_id": EVIL, "peer_address": EVIL, "status": EVIL});
    let mut status =
        status("DOWN", "down", json!({"code": EVIL, "message": EVIL, "evidence": {EVIL: [{EVIL: EVIL}]}}));
    status["missing"] = json!([{"local_subnet": EVIL, "peer_subnet": EVIL}]);
    status["status"] = EVIL.into();
    let connection = Connection::read(&listed, Some(&status));
    let page = super::super::page::page(std::slice::from_ref(&connection), OffsetDateTime::UNIX_EPOCH);
    assert!(!page.replace('\n', "").contains(char::is_control), "{page:?}");
    let json = connection.json(OffsetDateTime::UNIX_EPOCH).to_string();
    assert!(!json.contains("\\u001b") && !json.contains(char::is_control), "{json}");
}
