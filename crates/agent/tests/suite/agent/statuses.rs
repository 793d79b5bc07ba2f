//! What becomes of the engine's reports.

use crate::agent::bench::{Bench, Deed, edited, router, status, timed};
use karez_engine::{ChildSa, ConnectionId, Event, EventKind, RouterPlan, Traffic, TunnelReport, TunnelState};
use karez_fabric::FromAgent;
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

#[tokio::test(start_paused = true)]
async fn a_report_goes_on_at_once() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = edited(&router(2));
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;

    bench.report(plan.id, status(plan.tunnels[1].id, TunnelState::Up)).await;
    let (message, waited) = timed(control.next()).await;

    let FromAgent::Tunnels(told) = message else { panic!("not about tunnels") };
    assert_eq!(waited, Duration::ZERO);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].0, told[0].1.router, told[0].1.status.id), (1, plan.id, plan.tunnels[1].id));
}

#[tokio::test(start_paused = true)]
async fn reports_about_what_is_not_planned_are_left_out() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;

    bench.report(plan.id, status(ConnectionId(Uuid::new_v4()), TunnelState::Up)).await;
    bench.report(router(0).id, status(plan.tunnels[0].id, TunnelState::Up)).await;

    assert!(control.is_silent_for(Duration::from_secs(60)).await);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_that_is_gone_is_not_told_of_again() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let mut plan = router(2);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    for tunnel in &plan.tunnels {
        bench.report(plan.id, status(tunnel.id, TunnelState::Up)).await;
        control.next().await;
    }

    let kept = plan.tunnels[0].id;
    plan.tunnels.truncate(1);
    control.difference(2, &[edited(&plan)], &[]).await;
    control.applied(2).await;
    drop(control);
    let (mut control, _) = bench.session().await;
    let FromAgent::Routers(_) = control.next().await else { panic!("not about routers") };
    let FromAgent::Tunnels(told) = control.next().await else { panic!("not about tunnels") };

    assert_eq!(told.iter().map(|(_, report)| report.status.id).collect::<Vec<_>>(), [kept]);
}

#[tokio::test(start_paused = true)]
async fn what_was_negotiated_decides_on_the_size_of_segments() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    let [Deed::Gateway(_, _, before), ..] = &bench.node.deeds()[..] else { panic!("no gateway was made") };
    let before = before[0].expect("a size");

    let mut up = status(plan.tunnels[0].id, TunnelState::Up);
    up.children.push(child(&plan.tunnels[0].local_subnets, &plan.tunnels[0].peer_subnets));
    bench.report(plan.id, up.clone()).await;
    sleep(Duration::from_secs(1)).await;
    let [Deed::Gateway(_, _, after), ..] = &bench.node.deeds()[..] else { panic!("no gateway was made") };
    assert!(after[0] > Some(before), "without UDP around ESP there is more room");

    up.children[0].traffic.bytes_in += 1;
    bench.report(plan.id, up).await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.node.deeds(), [], "counters are no reason to touch the router");
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_nobody_listened_is_told_later_but_not_without_end() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    drop(control);
    sleep(Duration::from_secs(1)).await;

    for at in 0..250 {
        let event = Event { at, kind: EventKind::Configured, code: None, message: at.to_string() };
        let status = status(plan.tunnels[0].id, TunnelState::Down);
        let report = TunnelReport { router: plan.id, status, events: vec![event] };
        bench.reports.send(report).await.expect("an agent that listens");
    }
    sleep(Duration::from_secs(1)).await;
    let (mut control, _) = bench.session().await;
    control.next().await;
    let FromAgent::Tunnels(told) = control.next().await else { panic!("not about tunnels") };

    let at: Vec<_> = told[0].1.events.iter().map(|event| event.at).collect();
    assert_eq!(at, (150..250).collect::<Vec<_>>(), "the last hundred");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_told_again_when_the_router_was_taken_away_and_given_back() {
    let bench = Bench::new();
    let (mut control, _) = bench.session().await;
    let plan = router(1);
    control.whole(1, std::slice::from_ref(&plan)).await;
    control.applied(1).await;
    bench.report(plan.id, status(plan.tunnels[0].id, TunnelState::Up)).await;
    control.next().await;

    let given_back = RouterPlan { generation: plan.generation + 1, ..edited(&plan) };
    control.difference(2, std::slice::from_ref(&given_back), &[]).await;

    let told = loop {
        if let FromAgent::Tunnels(told) = control.next().await {
            break told;
        }
    };
    assert_eq!((told[0].0, told[0].1.status.id), (given_back.generation, plan.tunnels[0].id));
}

fn child(local: &[ipnet::IpNet], peer: &[ipnet::IpNet]) -> ChildSa {
    ChildSa {
        protocol: "esp".to_owned(),
        mode: "tunnel".to_owned(),
        is_encapsulated: false,
        spi_in: "00000001".to_owned(),
        spi_out: "00000002".to_owned(),
        suite: "aes-128/sha256".to_owned(),
        local_subnets: local.to_vec(),
        peer_subnets: peer.to_vec(),
        traffic: Traffic::default(),
        installed_at: 0,
        rekey_at: None,
        expires_at: None,
    }
}
