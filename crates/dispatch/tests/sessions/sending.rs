//! What is sent, and when. Nothing but the doorbell makes anybody look here.

use super::ground::{Agent, Ground, PATIENT, hello, hello_again};
use karez_fabric::{Desired, FromAgent, Hello};
use karez_model::{Kind, parse};
use serde_json::json;

/// A session whose agent has got the router, and all that it has then.
async fn settled(ground: &Ground, host: &str) -> (Agent, Desired) {
    let mut agent = ground.dial(hello(host)).await;
    agent.welcome().await;
    let mut desired = agent.desired().await;
    if desired.routers.is_empty() {
        desired = agent.desired().await;
    }
    (agent, desired)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_sent_at_once() {
    let ground = Ground::serving(PATIENT).await;
    let (mut agent, before) = settled(&ground, "one").await;
    ground.change(json!({"mtu": 1400})).await;
    let desired = agent.desired().await;
    assert_eq!(desired.revision, before.revision + 1);
    assert!(!desired.is_whole && desired.gone.is_empty());
    assert_eq!(desired.routers[0].tunnels[0].mtu, 1400);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_routers_that_differ_are_sent() {
    let ground = Ground::serving(PATIENT).await;
    let (mut agent, _) = settled(&ground, "one").await;
    let router = ground.add_router().await;
    assert_eq!(agent.plan().await.id.to_string(), router.id(), "it was placed and sent");
    ground.control.delete(&ground.admin, Kind::Router, router.id()).await.expect("deleted");
    let desired = agent.desired().await;
    assert!(desired.routers.is_empty());
    assert_eq!(desired.gone.iter().map(ToString::to_string).collect::<Vec<_>>(), [router.id()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_when_nothing_differs() {
    let ground = Ground::serving(PATIENT).await;
    let (mut agent, before) = settled(&ground, "one").await;
    // Each of these rings, and none is about what the node should run.
    let _other = ground.dial(hello("two")).await;
    agent.say(FromAgent::Applied { revision: before.revision }).await;
    agent.say(FromAgent::Found(Vec::new())).await;
    ground.control.store().write(ring).await.expect("rung");
    ground.change(json!({"mtu": 1400})).await;
    let next = agent.desired().await;
    assert_eq!(next.revision, before.revision + 1, "something was sent in between");
    assert_eq!(next.routers[0].tunnels[0].mtu, 1400);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dials_again_with_all_of_it_is_sent_nothing() {
    let ground = Ground::serving(PATIENT).await;
    let (agent, before) = settled(&ground, "one").await;
    drop(agent);
    let mut again = ground.dial(hello_again("one", &before)).await;
    assert_eq!(again.welcome().await.epoch, 2);
    ground.change(json!({"mtu": 1400})).await;
    let next = again.desired().await;
    assert_eq!((next.revision, next.is_whole), (before.revision + 1, false), "something was sent in between");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_dials_again_is_sent_what_was_changed_meanwhile() {
    let ground = Ground::serving(PATIENT).await;
    let (mut agent, before) = settled(&ground, "one").await;
    let extra = ground.add_router().await;
    let with_extra = agent.desired().await;
    drop(agent);
    ground.change(json!({"mtu": 1400})).await;
    let mut has = hello_again("one", &before);
    has.held.extend(hello_again("one", &with_extra).held);
    has.applied = Some(with_extra.revision);
    let mut again = ground.dial(has).await;
    again.welcome().await;
    let plan = again.plan().await;
    assert_ne!(plan.id.to_string(), extra.id(), "it is as it was");
    assert_eq!(plan.tunnels[0].mtu, 1400);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_a_plan_is_sent_it_though_the_revision_is_the_same() {
    let ground = Ground::serving(PATIENT).await;
    let (agent, before) = settled(&ground, "one").await;
    drop(agent);
    let mut has = hello_again("one", &before);
    has.held.clear();
    let mut again = ground.dial(has).await;
    again.welcome().await;
    assert_eq!(again.plan().await.id.to_string(), ground.router.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_sent_though_its_revisions_are_lower() {
    let ground = Ground::serving(PATIENT).await;
    let (mut agent, _) = settled(&ground, "one").await;
    ground.change(json!({"mtu": 1400})).await;
    let before = agent.desired().await;
    drop(agent);
    // As if it were from before the change.
    let sql = "UPDATE nodes SET desired_rev = desired_rev - 1, rev = rev + 1;
        UPDATE placements SET revision = revision - 1;
        UPDATE ipsec_site_connections SET mtu = 1500, rev = rev + 1;";
    ground.database.execute(sql).expect("restored");
    let mut again = ground.dial(hello_again("one", &before)).await;
    again.welcome().await;
    let desired = again.desired().await;
    assert_eq!(desired.revision, before.revision - 1);
    assert_eq!(desired.routers[0].tunnels[0].mtu, 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_told_elsewhere_is_told_all_though_every_revision_is_the_same() {
    let ground = Ground::serving(PATIENT).await;
    let (agent, before) = settled(&ground, "one").await;
    drop(agent);
    // As after a restart for which the database was restored and changed until its revisions were the same.
    let has = Hello { told_in: Some(7), ..hello_again("one", &before) };
    let mut again = ground.dial(has).await;
    again.welcome().await;
    let desired = again.desired().await;
    assert!(desired.is_whole);
    assert_eq!(desired.revision, before.revision);
    assert_eq!(desired.routers.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_switched_off_keeps_what_it_has() {
    let ground = Ground::serving(PATIENT).await;
    let (mut agent, _) = settled(&ground, "one").await;
    let nodes = ground.database.texts("SELECT id FROM nodes").expect("read");
    let body = json!({"admin_state_up": false});
    let updated = parse::update(Kind::Agent, body.as_object().expect("an object")).expect("read");
    ground.control.update_agent(&ground.admin, &nodes[0], updated).await.expect("changed");
    ground.add_router().await;
    ground.change(json!({"mtu": 1400})).await;
    assert_eq!(agent.plan().await.tunnels[0].mtu, 1400, "it still runs what it has, and gets no more");
}

fn ring(tx: &mut karez_store::Tx<'_>) -> Result<(), karez_store::Error> {
    tx.ring();
    Ok(())
}
