//! What agents report, and trouble on the way into the store.

use super::ground::{Agent, Ground, PATIENT, eventually, hello};
use super::liveness::BRIEF;
use karez_engine::{Code, Event, EventKind, Reason, RouterReport, TunnelState};
use karez_fabric::{FromAgent, ToAgent};
use karez_model::Kind;
use karez_store::Operation;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The generation of the router's plan, once the agent has got it.
async fn generation(agent: &mut Agent) -> i64 {
    loop {
        match agent.hear().await {
            Some(ToAgent::Desired(desired)) if !desired.routers.is_empty() => {
                return desired.routers[0].generation;
            }
            Some(_) => {}
            None => panic!("it was cut"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_is_seen() {
    let ground = Ground::serving(PATIENT).await;
    let mut agent = ground.dial(hello("one")).await;
    let node = agent.welcome().await.node.to_string();
    let generation = generation(&mut agent).await;
    let revision = ground.database.number("SELECT desired_rev FROM nodes").expect("read");
    agent.say(FromAgent::Tunnels(vec![(generation, ground.tunnel(TunnelState::Up))])).await;
    agent.say(FromAgent::Applied { revision }).await;
    eventually("it is active", async || ground.status().await.0 == "ACTIVE").await;
    let is_in_sync = async || {
        let shown = ground.control.show(&ground.admin, Kind::Agent, &node).await;
        shown.expect("shown").flag("resources_synced")
    };
    eventually("the node is in sync", is_in_sync).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_that_wait_are_taken_over_in_one_go_and_in_their_order() {
    let (ground, serving) = Ground::waiting(PATIENT).await;
    // The router is on the node already, so that its generation is known before anything is served.
    let control = &ground.control;
    control.open_session(&hello("one"), false, PATIENT.lease).await.expect("a session");
    control.schedule().await.expect("scheduled");
    let generation = ground.database.number("SELECT generation FROM placements").expect("read");
    let agent = ground.dial(hello("one")).await;
    for number in 0..60 {
        let state = if number % 2 == 0 { TunnelState::Up } else { TunnelState::Down };
        let mut report = ground.tunnel(state);
        let message = number.to_string();
        report.events = vec![Event { at: number, kind: EventKind::State, code: None, message }];
        agent.say(FromAgent::Tunnels(vec![(generation, report)])).await;
    }
    let writes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&writes);
    control.store().observe(Box::new(move |operation, _| {
        counter.fetch_add(usize::from(operation == Operation::Write), Ordering::Relaxed);
    }));
    tokio::spawn(serving);
    eventually("all are taken over", async || {
        let seen = control.connection_status(&ground.admin, ground.connection.id()).await;
        seen.expect("seen").events.len() == 60
    })
    .await;
    assert_eq!(ground.status().await.0, "DOWN", "the last one counts");
    let seen = control.connection_status(&ground.admin, ground.connection.id()).await.expect("seen");
    let times: Vec<i64> = seen.events.iter().map(|event| event.at).collect();
    assert_eq!(times, (0..60).collect::<Vec<_>>());
    let writes = writes.load(Ordering::Relaxed);
    assert!(writes < 10, "{writes} transactions for sixty reports");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_in_trouble_is_an_error_of_what_is_pending_in_whatever_order_it_is_reported() {
    let (ground, serving) = Ground::waiting(PATIENT).await;
    let control = &ground.control;
    control.open_session(&hello("one"), false, PATIENT.lease).await.expect("a session");
    control.schedule().await.expect("scheduled");
    let generation = ground.database.number("SELECT generation FROM placements").expect("read");
    let agent = ground.dial(hello("one")).await;
    let router = ground.router.id().parse().expect("an id");
    let trouble = Some(Reason::new(Code::LocalError, "The package strongswan is missing"));
    agent.say(FromAgent::Routers(vec![RouterReport { router, generation, trouble }])).await;
    agent.say(FromAgent::Tunnels(vec![(generation, ground.tunnel(TunnelState::Pending))])).await;
    tokio::spawn(serving);
    let is_error = async || ground.status().await == ("ERROR".into(), "local_error".into());
    eventually("the connection is an error", is_error).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trouble_with_the_store_ends_the_session_and_not_the_server() {
    let ground = Ground::serving(PATIENT).await;
    let mut agent = ground.dial(hello("one")).await;
    agent.welcome().await;
    generation(&mut agent).await;
    let sql = "CREATE TRIGGER trouble BEFORE UPDATE OF applied_rev ON nodes BEGIN SELECT RAISE(ABORT, 'trouble'); END";
    ground.database.execute(sql).expect("a trigger");
    agent.say(FromAgent::Applied { revision: 1 }).await;
    agent.is_cut().await;
    ground.database.execute("DROP TRIGGER trouble").expect("dropped");
    let mut again = ground.dial(hello("one")).await;
    assert_eq!(again.welcome().await.epoch, 2);
    generation(&mut again).await;
    ground.change(json!({"mtu": 1400})).await;
    assert_eq!(again.plan().await.tunnels[0].mtu, 1400);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_told_what_was_taken_over_and_what_it_repeats_is_not_seen_twice() {
    let ground = Ground::serving(BRIEF).await;
    let mut agent = ground.dial(hello("one")).await;
    agent.welcome().await;
    let at_first = generation(&mut agent).await;
    let report = |times: std::ops::Range<i64>| {
        let event = |at| Event { at, kind: EventKind::State, code: None, message: String::new() };
        karez_engine::TunnelReport { events: times.map(event).collect(), ..ground.tunnel(TunnelState::Up) }
    };
    for times in [0..2, 2..4] {
        agent.say(FromAgent::Tunnels(vec![(at_first, report(times))])).await;
    }
    let taken = loop {
        agent.say(FromAgent::Heartbeat).await;
        match agent.hear().await {
            // It may come between the two reports.
            Some(ToAgent::Renewed { taken }) if taken > 1 => break taken,
            Some(_) => {}
            None => panic!("it was cut"),
        }
    };
    assert_eq!(taken, 2);

    let mut again = ground.dial(hello("one")).await;
    again.welcome().await;
    let generation = generation(&mut again).await;
    again.say(FromAgent::Tunnels(vec![(generation, report(2..6))])).await;

    let times = async || {
        let seen = ground.control.connection_status(&ground.admin, ground.connection.id()).await;
        seen.expect("seen").events.iter().map(|event| event.at).collect::<Vec<_>>()
    };
    eventually("the new ones are seen", async || times().await.len() >= 6).await;
    assert_eq!(times().await, [0, 1, 2, 3, 4, 5]);
}
