//! What the agent does to routers, and what not.

use crate::agent::bench::{Bench, Control, Deed, LONGEST_PAUSE, LOOK, edited, router, timed};
use karez_engine::{Code, RouterPlan};
use karez_fabric::FromAgent;
use std::time::Duration;
use tokio::time::sleep;

#[tokio::test(start_paused = true)]
async fn each_router_of_a_desired_state_is_worked_on_once() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plans = [router(1), router(0)];

    control.whole(7, &plans).await;
    let told = control.applied(7).await;

    assert_eq!(told.len(), 2);
    assert!(told.values().all(|report| report.trouble.is_none() && report.generation == 1));
    let deeds = bench.node.deeds();
    assert_eq!(deeds.len(), 4, "{deeds:?}");
    assert!(deeds.contains(&Deed::Engine(plans[0].id, 1)));
    assert!(deeds.contains(&Deed::EngineRemoved(plans[1].id)), "without tunnels there is no daemon");
    for plan in &plans {
        let at = |wanted: &dyn Fn(&Deed) -> bool| deeds.iter().position(wanted);
        let gateway = at(&|deed| matches!(deed, Deed::Gateway(id, ..) if *id == plan.id));
        let engine =
            at(&|deed| matches!(deed, Deed::Engine(id, _) | Deed::EngineRemoved(id) if *id == plan.id));
        assert!(gateway < engine, "the guards come first");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_not_changed_is_only_looked_at_from_time_to_time() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    bench.node.deeds();

    control.whole(2, std::slice::from_ref(&plan)).await;
    control.applied(2).await;
    sleep(LOOK / 2).await;
    assert_eq!(bench.node.made(), [], "the same plan again is no reason");

    sleep(LOOK / 2 + Duration::from_secs(1)).await;
    assert_eq!(bench.node.made(), [plan.id], "but somebody may have changed the machine");
}

#[tokio::test(start_paused = true)]
async fn a_difference_concerns_its_routers_only() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let (one, two, three) = (router(1), router(1), router(1));
    control.whole(1, &[one.clone(), two.clone(), three.clone()]).await;
    control.applied(1).await;
    bench.node.deeds();

    control.difference(2, &[edited(&one)], &[two.id]).await;
    control.applied(2).await;

    let deeds = bench.node.deeds();
    assert!(deeds.iter().any(|deed| matches!(deed, Deed::Gateway(id, 2, _) if *id == one.id)), "{deeds:?}");
    assert!(deeds.contains(&Deed::GatewayRemoved(two.id)), "{deeds:?}");
    assert_eq!(deeds.len(), 4, "{deeds:?}");
    let mut left = [one.id, three.id];
    left.sort();
    assert_eq!(bench.node.present(), left);
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_agent_left_goes_when_the_whole_is_known() {
    let bench = Bench::new();
    let (wanted, orphan) = (router(1), router(1));
    bench.node.leave(wanted.id);
    bench.node.leave(orphan.id);
    let (mut control, _) = bench.session().await;

    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.node.deeds(), [], "until then nobody knows what is an orphan");
    control.whole(1, std::slice::from_ref(&wanted)).await;
    control.applied(1).await;

    let deeds = bench.node.deeds();
    assert!(
        deeds.contains(&Deed::EngineRemoved(orphan.id)) && deeds.contains(&Deed::GatewayRemoved(orphan.id))
    );
    assert_eq!(bench.node.present(), [wanted.id]);
}

#[tokio::test(start_paused = true)]
async fn trouble_is_told_and_tried_again_with_growing_pauses() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let (good, bad) = (router(1), router(1));
    bench.node.failing.lock().unwrap().insert(bad.id);

    control.whole(1, &[good.clone(), bad.clone()]).await;
    let told = control.applied(1).await;
    let trouble = told[&bad.id].trouble.as_ref().expect("trouble");
    assert_eq!(trouble.code, Code::LocalError);
    assert!(trouble.message.contains("out of order"));
    assert!(told[&good.id].trouble.is_none(), "the neighbour is fine");

    let mut pauses = Vec::new();
    for _ in 0..9 {
        let (message, pause) = timed(control.next()).await;
        let FromAgent::Routers(reports) = message else { panic!("not about routers") };
        assert!(reports.iter().all(|report| report.router == bad.id));
        pauses.push(pause);
    }
    let doubles = |pair: &[Duration]| pair[1] >= pair[0] * 3 / 2 || pair[1] >= LONGEST_PAUSE;
    assert!(pauses[0] < Duration::from_secs(1) && pauses.windows(2).all(doubles), "{pauses:?}");
    assert!(pauses[8] <= LONGEST_PAUSE + Duration::from_secs(1), "{pauses:?}");

    bench.node.failing.lock().unwrap().clear();
    let FromAgent::Routers(reports) = control.next().await else { panic!("not about routers") };
    assert_eq!(reports[0].trouble, None);
}

/// A router that has failed for so long that the pauses are long.
async fn failing() -> (Bench, Control, RouterPlan) {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    bench.node.failing.lock().unwrap().insert(plan.id);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    sleep(Duration::from_secs(120)).await;
    (bench, control, plan)
}

#[tokio::test(start_paused = true)]
async fn an_edit_does_not_wait_for_the_pause_after_a_failure() {
    let (bench, mut control, plan) = failing().await;
    bench.node.failing.lock().unwrap().clear();

    control.difference(2, &[edited(&plan)], &[]).await;
    let (told, waited) = timed(control.applied(2)).await;

    assert!(told[&plan.id].trouble.is_none());
    assert!(waited < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_router_that_is_wanted_again_while_it_goes_comes_back() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    bench.node.removals.forget_permits(usize::MAX);
    bench.node.deeds();

    control.difference(2, &[], &[plan.id]).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.node.deeds(), [Deed::EngineRemoved(plan.id)], "it is on its way out");
    control.difference(3, &[edited(&plan)], &[]).await;
    sleep(Duration::from_secs(1)).await;
    bench.node.removals.add_permits(1);
    let told = control.applied(3).await;

    assert!(told[&plan.id].trouble.is_none());
    assert_eq!(bench.node.present(), [plan.id]);
    let deeds = bench.node.deeds();
    assert!(
        matches!(deeds[..], [Deed::GatewayRemoved(_), Deed::Gateway(_, 2, _), Deed::Engine(_, 1)]),
        "{deeds:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_around_a_router_has_it_looked_at_within_a_second() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plans = [router(1)];
    control.whole(1, &plans).await;
    control.applied(1).await;
    bench.node.deeds();

    bench.node.change();
    sleep(Duration::from_millis(900)).await;
    assert_eq!(bench.node.made(), [plans[0].id]);
    assert!(control.is_silent_for(LOOK / 2).await, "it has outlived the change");
    assert_eq!(bench.node.made(), [], "once is enough");
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_changes_does_not_make_the_agent_spin() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plans = [router(1)];
    control.whole(1, &plans).await;
    control.applied(1).await;
    bench.node.deeds();

    for _ in 0..2000 {
        bench.node.change();
        sleep(Duration::from_millis(1)).await;
    }
    let made = bench.node.made().len();
    assert!((2..=10).contains(&made), "{made} passes in two seconds");

    bench.node.is_restless.store(true, std::sync::atomic::Ordering::Relaxed);
    bench.node.change();
    sleep(Duration::from_secs(10)).await;
    let made = bench.node.made().len();
    assert!((10..=50).contains(&made), "{made} passes in ten seconds, each of which is a change to somebody");
}

#[tokio::test(start_paused = true)]
async fn a_change_ends_the_pause_after_a_failure() {
    let (bench, mut control, _) = failing().await;
    while !control.is_silent_for(Duration::from_secs(5)).await {}

    bench.node.failing.lock().unwrap().clear();
    bench.node.change();
    let (message, waited) = timed(control.next()).await;
    let FromAgent::Routers(reports) = message else { panic!("not about routers") };
    assert_eq!(reports[0].trouble, None);
    assert!(waited < Duration::from_secs(1), "{waited:?}");
}
