//! Both ends begin at the same moment: they agree on one tunnel, and stay with it.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{BOUND, Lab, tunnel};
use karez_engine::{IkeMode, IkeVersion, Initiator, TunnelStatus};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Each begins a little later at one end than at the other than the round before, so that other messages cross.
const ROUNDS: u64 = 10;

/// How long what they agree on is watched. In IKEv1, charon ends ten seconds later what it has taken for replaced.
const STAYS: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(12)];

const LOOK: Duration = Duration::from_millis(50);

#[tokio::test]
async fn of_ikev2_ends_in_one_tunnel() {
    rounds(IkeVersion::V2).await;
}

#[tokio::test]
async fn of_ikev1_ends_in_one_tunnel() {
    rounds(IkeVersion::V1(IkeMode::Main)).await;
}

async fn rounds(version: IkeVersion) {
    let mut under_way = JoinSet::new();
    for number in 0..ROUNDS {
        under_way.spawn(round(version, Duration::from_millis(3 * number)));
    }
    while let Some(outcome) = under_way.join_next().await {
        outcome.unwrap();
    }
}

async fn round(version: IkeVersion, lead: Duration) {
    let stays = STAYS[usize::from(version != IkeVersion::V2)];
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let plans = [tunnel("a", version), tunnel("b", version)];
    // With their daemons there, they begin when told.
    let mut down = plans.clone();
    for plan in &mut down {
        plan.peer_subnets = vec!["10.9.0.0/24".parse().unwrap()];
        plan.initiator = Initiator::ResponseOnly;
    }
    tokio::join!(a.apply(&down[..1]), b.apply(&down[1..]));
    tokio::join!(
        async {
            sleep(lead).await;
            a.apply(&plans[..1]).await;
        },
        b.apply(&plans[1..])
    );
    tokio::join!(a.wait(plans[0].id, "a report", |_| true), b.wait(plans[1].id, "a report", |_| true));
    let mut agreed: Option<Vec<String>> = None;
    let (mut looks, mut unchanged) = (0, 0);
    while LOOK * unchanged < stays {
        let (of_a, of_b) = (a.status(plans[0].id), b.status(plans[1].id));
        let now = agreement(&of_a, &of_b);
        unchanged = if now.is_some() && now == agreed { unchanged + 1 } else { 0 };
        agreed = now;
        assert!(
            LOOK * looks < BOUND + stays,
            "no agreement; a: {of_a:#?} {}\nb: {of_b:#?} {}",
            a.story(),
            b.story()
        );
        looks += 1;
        sleep(LOOK).await;
    }
    // So many daemons at once may keep a packet from one of them.
    assert!(lab.ping("a", "10.1.0.1", "10.2.0.1", 10) > 5, "{}\n{}", a.story(), b.story());
}

/// What both ends have, when they are up on the same IKE SA.
///
/// In IKEv1, quick modes that cross in it leave each end with both child SAs, and each takes the other one for renewed
/// (RFC 2409 says nothing of it). Both stay installed at both ends, so that it is of no consequence which one each uses.
fn agreement(a: &TunnelStatus, b: &TunnelStatus) -> Option<Vec<String>> {
    let ([of_a], [of_b]) = (a.children.as_slice(), b.children.as_slice()) else { return None };
    let (ike_of_a, ike_of_b) = (a.ike.as_ref()?, b.ike.as_ref()?);
    let is_crossed = of_a.spi_in == of_b.spi_out && of_a.spi_out == of_b.spi_in;
    (ike_of_a.initiator_spi == ike_of_b.initiator_spi && (is_crossed || ike_of_a.version == 1))
        .then(|| vec![ike_of_a.initiator_spi.clone(), of_a.spi_in.clone(), of_b.spi_in.clone()])
}
