//! Sessions of agents: who may write, and what is sent.

use super::site::{HOUR, Site, event, held, hello, is, tunnel};
use karez_control::{Fenced, Lease};
use karez_engine::{Code, ConnectionId, Reason, RouterId, RouterReport, TunnelState};
use karez_fabric::{Authority, Claim, Enrolments, Hello, HostName, Refusal, Shape, Token};
use karez_model::Kind;
use karez_store::{Datum, Operation};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;
use uuid::Uuid;

fn must_be_fenced<T>(result: Result<T, Fenced>) {
    match result {
        Err(Fenced::Replaced) => {}
        Err(error @ (Fenced::Removed | Fenced::Nameless { .. } | Fenced::Failure(_))) => {
            panic!("another error: {error}")
        }
        Ok(_) => panic!("it was written"),
    }
}

/// Runs SQL behind the back of the control plane.
async fn execute(site: &Site, sql: &'static str, lease: &Lease) {
    let node = lease.node.clone();
    let written = site.ground.control.store().write(move |tx| tx.execute(sql, &[Datum::from(node.as_str())]));
    assert!(written.await.expect("written") > 0, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_session_of_a_node_has_a_greater_epoch() {
    let site = Site::new().await;
    let first = site.open(hello("one"), HOUR).await;
    let second = site.open(hello("one"), HOUR).await;
    let other = site.open(hello("two"), HOUR).await;
    assert_eq!((second.node.as_str(), second.epoch), (first.node.as_str(), first.epoch + 1));
    assert_ne!(other.node, first.node);
    let agents = site.ground.control.standings().await.expect("read");
    assert_eq!(agents.get(&first.node).map(|standing| standing.epoch), Some(second.epoch));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_nodes_are_whole() {
    let site = Site::new().await;
    let name = |last: &str| format!("{}{last}.example.org", "a".repeat(100));
    let one = site.open(hello(&name("1")), HOUR).await;
    let other = site.open(hello(&name("2")), HOUR).await;
    assert_ne!(one.node, other.node);
    assert!(site.ground.control.is_attended(&name("2")).await.expect("read"));
    assert!(!site.ground.control.is_attended(&name("3")).await.expect("read"));
    for name in [String::new(), "-a".into(), "a b".into(), "a\u{1b}b".into(), "a".repeat(254)] {
        let opened = site.ground.control.open_session(&hello(&name), false, HOUR).await;
        assert!(matches!(opened, Err(Fenced::Nameless { .. })), "{name}");
    }
}

/// A node that says 220,000 things about what it does not have keeps nobody from writing.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_does_not_have_is_passed_over_without_a_write() {
    let site = Site::new().await;
    let lease = site.agent("one").await;
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    site.ground.control.store().observe(Box::new(move |operation, _| {
        counted.fetch_add(usize::from(operation == Operation::Write), Ordering::Relaxed);
    }));
    let sample = tunnel(&site.router, &site.connection, TunnelState::Up, None);
    let unknown = |number: u128| {
        let mut report = sample.clone();
        report.status.id = ConnectionId(Uuid::from_u128(number));
        (1, report)
    };
    let reports = (0..220_000).map(unknown).collect();
    site.ground.control.report_tunnels(&lease, reports).await.expect("passed over");
    let router = |number: u128| RouterId(Uuid::from_u128(number));
    let troubles =
        (0..220_000).map(|number| RouterReport { router: router(number), generation: 1, trouble: None });
    site.ground.control.report_routers(&lease, troubles.collect()).await.expect("passed over");
    assert_eq!(writes.load(Ordering::Relaxed), 0);
    // Of routers that are found there, so many are kept as a node can have.
    site.ground.control.found(&lease, (0..220_000).map(router).collect()).await.expect("found");
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    let read =
        site.ground.control.store().read(|tx| tx.query("SELECT COUNT(*) FROM found_routers", &[])?[0].int(0));
    assert_eq!(read.await.expect("read"), 20_000);
    site.ground.control.found(&lease, vec![router(7)]).await.expect("found");
    let read =
        site.ground.control.store().read(|tx| tx.query("SELECT COUNT(*) FROM found_routers", &[])?[0].int(0));
    assert_eq!(read.await.expect("read"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_says_is_shown_within_bounds() {
    let site = Site::new().await;
    let lease = site.agent("one").await;
    let long = Reason::new(Code::LocalError, format!("\u{1b}[2J{}", "x".repeat(3 << 20)));
    site.report(&lease, TunnelState::Down, Some(long)).await;
    let found = site.ground.all(Kind::IpsecSiteConnection, "id", site.connection.id()).await;
    let connection = found.first().expect("there");
    let shown = connection.text("status_detail");
    assert!(shown.starts_with("[2Jxxx") && shown.chars().count() <= 1025, "{} characters", shown.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_says_what_it_is() {
    let site = Site::new().await;
    let said = Hello { zone: Some("east".into()), shape: Shape::Host, ..hello("one") };
    let lease = site.open(said, HOUR).await;
    let agent = site.ground.show(Kind::Agent, &lease.node).await;
    assert_eq!((agent.text("host"), agent.text("availability_zone")), ("one", "east"));
    assert!(agent.flag("alive"));
    let configurations = agent.json("configurations");
    assert_eq!((&configurations["shape"], &configurations["engine"]), (&json!("host"), &json!("none")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_session_can_no_longer_write() {
    let site = Site::new().await;
    let control = &site.ground.control;
    let old = site.agent("one").await;
    let generation = site.generation(&old).await;
    let new = site.open(hello("one"), HOUR).await;
    let revision = control.desired(&new, None).await.expect("read").revision;

    must_be_fenced(control.desired(&old, None).await);
    must_be_fenced(control.applied(&old, revision).await);
    must_be_fenced(control.found(&old, vec![site.router_id()]).await);
    let mut up = tunnel(&site.router, &site.connection, TunnelState::Up, None);
    up.events = vec![event(1)];
    must_be_fenced(control.report_tunnels(&old, vec![(generation, up)]).await);
    let report = RouterReport { router: site.router_id(), generation, trouble: None };
    must_be_fenced(control.report_routers(&old, vec![report]).await);
    let both = vec![old.clone(), new.clone()];
    assert_eq!(control.renew(both, HOUR).await.expect("renewed"), [old], "only the older one is lost");

    assert_eq!(site.connection_status().await, is("PENDING_CREATE", None));
    assert_eq!(site.service_status().await, is("PENDING_CREATE", None));
    let status = control.connection_status(&site.ground.member, site.connection.id()).await.expect("seen");
    assert!(status.tunnel.is_none() && status.events.is_empty());
    assert!(!site.ground.show(Kind::Agent, &new.node).await.flag("resources_synced"));
    control.applied(&new, revision).await.expect("the newer one writes");
    assert!(site.ground.show(Kind::Agent, &new.node).await.flag("resources_synced"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_of_an_agent_that_was_removed_can_no_longer_write() {
    let site = Site::new().await;
    let control = &site.ground.control;
    let lease = site.agent("one").await;
    site.fall_silent(&lease).await;
    control.delete_agent(&site.ground.admin, &lease.node).await.expect("removed");
    must_be_fenced(control.desired(&lease, None).await);
    must_be_fenced(control.applied(&lease, 1).await);
    must_be_fenced(control.found(&lease, vec![site.router_id()]).await);
    assert_eq!(control.renew(vec![lease.clone()], HOUR).await.expect("renewed"), [lease]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_nothing_is_sent_everything() {
    let site = Site::new().await;
    let agent = site.agent("one").await;
    let other = site.ground.router(Some(&site.outside)).await;
    site.ground.control.schedule().await.expect("scheduled");
    let desired = site.ground.control.desired(&agent, None).await.expect("read");
    assert!(desired.is_whole && desired.gone.is_empty());
    let mut expected = vec![site.router.id().to_owned(), other.id().to_owned()];
    expected.sort();
    let routers: Vec<String> = desired.routers.iter().map(|plan| plan.id.to_string()).collect();
    assert_eq!(routers, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_all_but_one_is_sent_that_one() {
    let site = Site::new().await;
    let control = &site.ground.control;
    let agent = site.agent("one").await;
    let other = site.ground.router(Some(&site.outside)).await;
    control.schedule().await.expect("scheduled");
    let all = control.desired(&agent, None).await.expect("read");
    let has: Vec<_> = all.routers.iter().map(held).collect();

    let same = control.desired(&agent, Some(has.clone())).await.expect("read");
    assert_eq!(same.revision, all.revision);
    assert!(!same.is_whole && same.routers.is_empty() && same.gone.is_empty());

    site.change(&site.connection, json!({"mtu": 1400})).await;
    let changed = control.desired(&agent, Some(has.clone())).await.expect("read");
    let [plan] = changed.routers.as_slice() else { panic!("not one plan") };
    assert_eq!((plan.id, plan.tunnels[0].mtu), (site.router_id(), 1400));
    assert_ne!(changed.revision, all.revision);

    site.ground.delete(Kind::Router, other.id()).await.expect("deleted");
    let fewer = control.desired(&agent, Some(has)).await.expect("read");
    assert_eq!(fewer.gone.iter().map(ToString::to_string).collect::<Vec<_>>(), [other.id()]);
    assert_ne!(fewer.revision, changed.revision);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_is_placed_anew_is_sent_anew() {
    let site = Site::new().await;
    let (control, admin) = (&site.ground.control, &site.ground.admin);
    let agent = site.agent("one").await;
    let before = held(&site.plan(&agent).await);
    control.displace_router(admin, &agent.node, site.router.id()).await.expect("displaced");
    let without = control.desired(&agent, Some(vec![before])).await.expect("read");
    assert_eq!(without.gone, [site.router_id()]);
    control.place_router(admin, &agent.node, site.router.id()).await.expect("placed");
    let again = control.desired(&agent, Some(vec![before])).await.expect("read");
    let [plan] = again.routers.as_slice() else { panic!("not one plan") };
    assert!(plan.generation > before.generation, "reports about the earlier placement are refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn revisions_that_went_backwards_differ_too() {
    let site = Site::new().await;
    let control = &site.ground.control;
    let agent = site.agent("one").await;
    site.change(&site.connection, json!({"mtu": 1400})).await;
    let now = control.desired(&agent, None).await.expect("read");
    let has: Vec<_> = now.routers.iter().map(held).collect();
    // As a database would be that was restored from before the change.
    execute(&site, "UPDATE nodes SET desired_rev = desired_rev - 1 WHERE id = $1", &agent).await;
    execute(&site, "UPDATE placements SET revision = revision - 1 WHERE node_id = $1", &agent).await;
    let restored = control.desired(&agent, Some(has)).await.expect("read");
    assert_eq!(restored.revision, now.revision - 1);
    assert_eq!(restored.routers.len(), 1, "the plan of the lower revision");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doorbell_rings_after_a_commit_and_not_after_a_rollback() {
    let site = Site::new().await;
    let ground = &site.ground;
    let mut doorbell = ground.control.store().doorbell();
    let mut has_rung = || {
        let has_rung = doorbell.has_changed().expect("open");
        doorbell.mark_unchanged();
        has_rung
    };
    site.change(&site.connection, json!({"mtu": 1400})).await;
    assert!(has_rung(), "a connection was changed");
    site.change(&site.connection, json!({"mtu": 1400})).await;
    assert!(!has_rung(), "nothing was changed");
    ground.router(None).await;
    assert!(has_rung(), "there is a router to place");
    let lease = site.open(hello("one"), HOUR).await;
    assert!(has_rung(), "there is a node to place routers on");
    ground.control.renew(vec![lease], HOUR).await.expect("renewed");
    assert!(!has_rung(), "a lease is no work for anybody");
    let id = site.router.id().to_owned();
    let undone = move |tx: &mut karez_store::Tx<'_>| {
        tx.bump_router(&id)?;
        Err::<(), _>(karez_store::Error::Bug("on purpose".into()))
    };
    assert!(ground.control.store().write(undone).await.is_err());
    assert!(!has_rung(), "the change was undone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_removed_has_no_way_back_without_a_new_token() {
    let site = Site::new().await;
    let control = &site.ground.control;
    let token = Token::mint(Authority::generate(SystemTime::UNIX_EPOCH).expect("an authority").fingerprint());
    control.keep_token(token.id(), token.digest(), None, HOUR).await.expect("kept");
    let host: HostName = "one".parse().expect("a name");
    let claim = Claim { token: token.id(), digest: token.digest(), host: host.clone(), key: [1; 32] };
    control.redeem(claim.clone()).await.expect("enrolled");
    control.redeem(claim.clone()).await.expect("the same claim again is the same answer");
    let lease = control.open_session(&hello("one"), true, HOUR).await.expect("a session");

    control.delete_agent(&site.ground.admin, &lease.node).await.expect("removed, alive as it is");
    must_be_fenced(control.applied(&lease, 1).await);
    assert!(matches!(control.open_session(&hello("one"), true, HOUR).await, Err(Fenced::Removed)));
    assert_eq!(control.may_renew(&host).await, Err(Refusal::Removed));
    assert_eq!(control.redeem(claim).await, Err(Refusal::Used));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_no_node_in_particular_does_not_take_another_ones_place() {
    let site = Site::new().await;
    let control = &site.ground.control;
    let authority = Authority::generate(SystemTime::UNIX_EPOCH).expect("an authority").fingerprint();
    let claim = async |host: &str, bound: bool, key: u8| {
        let token = Token::mint(authority);
        let host: HostName = host.parse().expect("a name");
        let only = bound.then(|| host.clone());
        control.keep_token(token.id(), token.digest(), only, HOUR).await.expect("kept");
        control.redeem(Claim { token: token.id(), digest: token.digest(), host, key: [key; 32] }).await
    };
    assert_eq!(claim("one", false, 1).await, Ok(()));
    assert_eq!(claim("one", false, 2).await, Err(Refusal::OtherHost));
    assert_eq!(claim("one", true, 3).await, Ok(()), "an operator has named it");
}
