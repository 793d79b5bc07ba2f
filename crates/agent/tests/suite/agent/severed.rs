//! Tunnels of routers that packets cannot get out of.

use crate::agent::bench::{Bench, Control, router, status, timed};
use karez_engine::{Code, Event, EventKind, RouterPlan, TunnelReport, TunnelState};
use karez_fabric::FromAgent;
use std::time::Duration;
use tokio::time::sleep;

/// A router with two tunnels, of which the first is up.
async fn running() -> (Bench, Control, RouterPlan) {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(2);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    bench.report(plan.id, status(plan.tunnels[0].id, TunnelState::Up)).await;
    control.tunnels().await;
    (bench, control, plan)
}

fn sever(bench: &Bench, plan: &RouterPlan, trouble: Option<&str>) {
    let severed = trouble.map(|trouble| (plan.tunnels[0].id, trouble.to_owned()));
    *bench.node.severed.lock().unwrap() = severed.into_iter().collect();
    bench.node.change();
}

/// Somebody changes something around routers for ever.
async fn churn(bench: &Bench) {
    loop {
        bench.node.change();
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_severed_is_told_to_be_down_within_a_second_and_up_when_it_is_healed() {
    let (bench, mut control, plan) = running().await;

    sever(&bench, &plan, Some("the bridge br-ex is down"));
    let (told, waited) = timed(control.tunnels()).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert_eq!(told.len(), 1, "the other tunnel is not concerned");
    let TunnelReport { status, events, .. } = &told[0].1;
    let reason = status.reason.as_ref().expect("a reason");
    assert_eq!((status.state, reason.code), (TunnelState::Down, Code::LocalError));
    assert_eq!(reason.message, "Packets cannot get out of the router: the bridge br-ex is down.");
    assert_eq!((events.len(), events[0].code), (1, Some(Code::LocalError)));

    sever(&bench, &plan, None);
    let (told, waited) = timed(control.tunnels()).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    let TunnelReport { status, events, .. } = &told[0].1;
    assert_eq!((status.state, &status.reason), (TunnelState::Up, &None));
    assert_eq!((events.len(), events[0].code), (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_fails_does_not_make_an_up_tunnel_down() {
    let (bench, mut control, plan) = running().await;
    bench.node.failing.lock().unwrap().insert(plan.id);
    bench.node.change();
    let mut troubles = 0;
    while troubles < 5 {
        let FromAgent::Routers(reports) = control.next().await else {
            panic!("something is said of tunnels")
        };
        troubles += reports.iter().filter(|report| report.trouble.is_some()).count();
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_told_within_a_second_also_while_the_daemon_does_not_answer() {
    let (bench, mut control, plan) = running().await;
    *bench.node.delay.lock().unwrap() = Duration::from_secs(60);

    for trouble in [Some("the bridge br-ex is down"), None, Some("the bridge br-ex is not there"), None] {
        sever(&bench, &plan, trouble);
        let (told, waited) = timed(control.tunnels()).await;
        assert!(waited < Duration::from_secs(1), "{trouble:?}: {waited:?}");
        let reason = told[0].1.status.reason.as_ref().map(|reason| reason.message.as_str());
        assert_eq!(reason.is_some(), trouble.is_some());
        assert!(
            trouble.is_none_or(|trouble| reason.is_some_and(|reason| reason.contains(trouble))),
            "{reason:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_router_that_fails_again_and_again_amid_changes_is_tried_ever_less_often_and_told_once() {
    let (bench, mut control, plan) = running().await;
    bench.node.failing.lock().unwrap().insert(plan.id);
    bench.node.deeds();
    let listen = async {
        loop {
            let FromAgent::Routers(reports) = control.next().await else { panic!("not about routers") };
            if reports[0].trouble.is_some() {
                break;
            }
        }
        assert!(control.is_silent_for(Duration::from_secs(120)).await, "it is no news");
    };
    tokio::select! {
        () = churn(&bench) => {}
        () = listen => {}
    }
    let tried = bench.node.made().len();
    assert!((5..15).contains(&tried), "{tried}");

    sever(&bench, &plan, Some("the bridge br-ex is down"));
    tokio::select! {
        () = churn(&bench) => {}
        (told, waited) = timed(control.tunnels()) => {
            assert_eq!(told[0].1.status.state, TunnelState::Down);
            assert!(waited < Duration::from_secs(1), "{waited:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_session_is_told_what_the_last_one_may_not_have_taken() {
    let (bench, mut control, plan) = running().await;
    for at in 1..=3 {
        let event = Event { at, kind: EventKind::State, code: None, message: String::new() };
        let status = status(plan.tunnels[0].id, TunnelState::Up);
        let report = TunnelReport { router: plan.id, status, events: vec![event] };
        bench.reports.send(report).await.expect("an agent that listens");
        assert_eq!(control.tunnels().await[0].1.events.len(), 1);
    }
    // The report before these is the first.
    control.renew(3).await;
    assert!(control.is_silent_for(Duration::from_secs(10)).await);
    drop(control);

    let (mut control, _) = bench.session().await;
    let events: Vec<i64> = control.tunnels().await[0].1.events.iter().map(|event| event.at).collect();
    assert_eq!(events, [3], "the first two were taken");
}

#[tokio::test(start_paused = true)]
async fn an_older_control_plane_is_told_in_a_new_session_only_what_no_session_was_told() {
    for (counts, again) in [(true, 1), (false, 0)] {
        let (bench, mut control, plan) = running().await;
        control.welcome(counts).await;
        sever(&bench, &plan, Some("the bridge br-ex is down"));
        assert_eq!(control.tunnels().await[0].1.events.len(), 1);
        control.renew(0).await;
        drop(control);

        let (mut control, _) = bench.session().await;
        assert_eq!(control.tunnels().await[0].1.events.len(), again);
    }
}
