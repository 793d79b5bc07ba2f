//! SAs are renewed in time: nothing is lost, and nothing is ever down.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{Lab, processes_in, tunnel};
use karez_engine::{EventKind, IkeMode, IkeVersion, TunnelState};
use std::process::Command;

/// Seconds: half of the shortest that the API takes, so that the test takes half as long. It leaves three for an attempt.
const LIFETIME: u32 = 30;

/// One each 50 ms, over more than a lifetime.
const PINGS: u32 = 700;

#[tokio::test]
async fn of_ikev2_lose_nothing() {
    outlive(IkeVersion::V2).await;
}

#[tokio::test]
async fn of_ikev1_lose_nothing() {
    outlive(IkeVersion::V1(IkeMode::Main)).await;
}

async fn outlive(version: IkeVersion) {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let mut plans = [tunnel("a", version), tunnel("b", version)];
    for plan in &mut plans {
        (plan.ike.lifetime, plan.child.lifetime) = (LIFETIME, LIFETIME);
    }
    if version != IkeVersion::V2 {
        // Where both ends of an IKEv1 tunnel renew it at the same moment, one of them may be down for some milliseconds.
        (plans[1].ike.lifetime, plans[1].child.lifetime) = (4 * LIFETIME, 4 * LIFETIME);
    }
    b.apply(&plans[1..]).await;
    a.apply(&plans[..1]).await;
    let before = a.wait_up(plans[0].id).await;
    b.wait_up(plans[1].id).await;
    a.events.clear();
    b.events.clear();
    let ping = lab.begin_ping_each("0.05", "a", "10.1.0.1", "10.2.0.1", PINGS);
    let received = tokio::task::spawn_blocking(move || ping.received()).await.unwrap();
    for (site, plan) in [(&mut a, &plans[0]), (&mut b, &plans[1])] {
        let status = site.status(plan.id);
        assert_eq!(status.state, TunnelState::Up, "{}", site.story());
        let falls = [EventKind::State, EventKind::IkeDown, EventKind::ChildDown];
        assert!(!site.events.iter().any(|(_, event)| falls.contains(&event.kind)), "{}", site.story());
        assert!(site.events.iter().any(|(_, event)| event.kind == EventKind::Rekeyed), "{}", site.story());
    }
    let after = a.status(plans[0].id);
    let renewed = after.ike.as_ref().unwrap();
    assert_ne!(before.ike.unwrap().initiator_spi, renewed.initiator_spi, "{}", a.story());
    assert_ne!(before.children[0].spi_in, after.children[0].spi_in, "{}", a.story());
    // A busy machine may keep one back.
    assert!(received >= PINGS - 1, "{received}\n{}\n{}", a.story(), b.story());

    // What was renewed is known again when the peer has lost it.
    let old = renewed.initiator_spi.clone();
    let [daemon] = processes_in(&b.namespace)[..] else { panic!("one daemon") };
    kill(daemon);
    a.wait(plans[0].id, "another IKE SA", |status| {
        status.state == TunnelState::Up && status.ike.as_ref().is_some_and(|ike| ike.initiator_spi != old)
    })
    .await;
    b.wait_up(plans[1].id).await;
    assert!(lab.ping("a", "10.1.0.1", "10.2.0.1", 10) > 5, "{}\n{}", a.story(), b.story());
}

fn kill(process: i32) {
    assert!(Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap().success());
}
