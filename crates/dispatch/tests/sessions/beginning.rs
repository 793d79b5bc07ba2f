//! How a session begins, and who is refused.

use super::ground::{Ground, PATIENT, hello};
use karez_fabric::{Authority, Claim, Enrolments, FromAgent, ToAgent, Token};
use std::time::SystemTime;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_welcomed_and_told_everything() {
    let ground = Ground::serving(PATIENT).await;
    let mut agent = ground.dial(hello("one")).await;
    let welcome = agent.welcome().await;
    assert_eq!((welcome.epoch, welcome.lease), (1, PATIENT.lease));
    assert!(ground.is_alive(welcome.node).await);
    let desired = agent.desired().await;
    assert!(desired.is_whole);
    // The router may have been placed before or after the first look at what the node should run.
    let plan = match desired.routers.into_iter().next() {
        Some(plan) => plan,
        None => agent.plan().await,
    };
    assert_eq!(plan.id.to_string(), ground.router.id());
    assert_eq!(plan.tunnels.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_certificate_of_another_host_is_refused() {
    let ground = Ground::serving(PATIENT).await;
    let mut impostor = ground.dial_as(Some("two")).await;
    impostor.say(FromAgent::Hello(hello("one"))).await;
    impostor.must_be_cut().await;
    assert_eq!(ground.database.number("SELECT COUNT(*) FROM nodes").expect("read"), 0);
    let mut removed = ground.dial_as(Some("one")).await;
    removed.say(FromAgent::Hello(hello("one"))).await;
    removed.must_be_cut().await;
    let token = Token::mint(Authority::generate(SystemTime::UNIX_EPOCH).expect("an authority").fingerprint());
    ground.control.keep_token(token.id(), token.digest(), None, PATIENT.lease).await.expect("kept");
    let host = "one".parse().expect("a name");
    let claim = Claim { token: token.id(), digest: token.digest(), host, key: [1; 32] };
    ground.control.redeem(claim).await.expect("enrolled");
    let mut agent = ground.dial_as(Some("one")).await;
    agent.say(FromAgent::Hello(hello("one"))).await;
    assert_eq!(agent.welcome().await.epoch, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_something_else_first_is_refused() {
    let ground = Ground::serving(PATIENT).await;
    let mut agent = ground.dial_as(None).await;
    agent.say(FromAgent::Heartbeat).await;
    agent.must_be_cut().await;
}

#[tokio::test(start_paused = true)]
async fn who_does_not_say_who_it_is_is_not_waited_for() {
    let ground = Ground::serving(PATIENT).await;
    let mut agent = ground.dial_as(None).await;
    agent.must_be_cut().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_sessions_of_one_host_the_older_is_cut_at_once() {
    let ground = Ground::serving(PATIENT).await;
    let mut old = ground.dial(hello("one")).await;
    let first = old.welcome().await;
    let mut new = ground.dial(hello("one")).await;
    let second = new.welcome().await;
    assert_eq!((second.node, second.epoch), (first.node, first.epoch + 1));
    loop {
        match old.hear().await {
            Some(ToAgent::Replaced) => break,
            Some(_) => {}
            None => panic!("it was not told why"),
        }
    }
    old.must_be_cut().await;
    // The newer one goes on.
    while new.desired().await.routers.is_empty() {}
    ground.change(serde_json::json!({"mtu": 1400})).await;
    assert_eq!(new.plan().await.tunnels[0].mtu, 1400);
}
