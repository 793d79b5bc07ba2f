//! What the agent says of itself, and that it goes on without anybody to say it to.

use crate::agent::bench::{Bench, LOOK, edited, router, status};
use karez_engine::{RouterId, TunnelState};
use karez_fabric::{FromAgent, Held};
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

#[tokio::test(start_paused = true)]
async fn a_new_session_begins_with_what_the_agent_has() {
    let bench = Bench::new();
    let (mut control, hello) = bench.session().await;
    assert_eq!((hello.applied, hello.held.len()), (None, 0), "nothing yet");
    let plan = edited(&router(1));
    control.whole(5, std::slice::from_ref(&plan)).await;
    control.applied(5).await;

    drop(control);
    let (_control, again) = bench.session().await;

    assert_eq!(again.applied, Some(5));
    assert_eq!(again.held, [Held { router: plan.id, generation: 1, revision: 2 }]);
    assert_ne!(again.session, hello.session);
}

#[tokio::test(start_paused = true)]
async fn after_a_loss_everything_is_told_again() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    let tunnel = plan.tunnels[0].id;
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    drop(control);
    sleep(Duration::from_secs(1)).await;
    bench.report(plan.id, status(tunnel, TunnelState::Down)).await;
    bench.report(plan.id, status(tunnel, TunnelState::Up)).await;
    sleep(Duration::from_secs(1)).await;

    let (mut control, _) = bench.session().await;
    let FromAgent::Routers(routers) = control.next().await else { panic!("not about routers") };
    let FromAgent::Tunnels(tunnels) = control.next().await else { panic!("not about tunnels") };
    let FromAgent::Applied { revision } = control.next().await else { panic!("not what it has worked on") };

    assert_eq!(routers[0].router, plan.id);
    assert_eq!((tunnels[0].0, tunnels[0].1.status.state), (1, TunnelState::Up), "the newest, once");
    assert_eq!(tunnels.len(), 1);
    assert_eq!(revision, 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_control_plane_routers_are_looked_after() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    bench.node.deeds();

    drop(control);
    sleep(LOOK * 3).await;

    assert!(bench.node.made().len() >= 2);
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_does_not_listen_holds_nothing_up() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    // Heartbeats alone fill whatever lies between.
    sleep(LOOK / 2).await;
    bench.node.deeds();

    control.difference(2, &[edited(&plan)], &[]).await;
    sleep(Duration::from_secs(10)).await;

    assert_eq!(bench.node.made(), [plan.id]);
}

#[tokio::test(start_paused = true)]
async fn routers_that_others_make_are_told_when_they_come_and_go() {
    let bench = Bench::new();
    let (mut control, hello) = bench.session().await;
    assert_eq!(hello.found, []);
    let found = vec![RouterId(Uuid::new_v4())];

    bench.node.found.lock().unwrap().clone_from(&found);
    let FromAgent::Found(told) = control.next().await else { panic!("not what was found") };
    assert_eq!(told, found);
    assert!(control.is_silent_for(Duration::from_secs(60)).await, "it is told once");

    drop(control);
    let (_control, hello) = bench.session().await;
    assert_eq!(hello.found, found);
}
