//! Of two connections of a router that select the same pair of subnets one carries, and the other says which.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{Lab, tunnel};
use karez_engine::{Code, ConnectionId, IkeMode, IkeVersion, Initiator, Peer, TunnelPlan, TunnelState};
use uuid::Uuid;

fn id(number: u128) -> ConnectionId {
    ConnectionId(Uuid::from_u128(number))
}

/// The one that was there first, although its id is the higher one, and one that comes later.
fn two(end: &str, version: IkeVersion) -> [TunnelPlan; 2] {
    [2, 1].map(|number| TunnelPlan { id: id(number), ..tunnel(end, version) })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_keeps_its_packets_and_the_second_takes_over_when_it_goes() {
    for version in [IkeVersion::V2, IkeVersion::V1(IkeMode::Main)] {
        let lab = Lab::new();
        let (mut a, b) = (lab.site("a"), lab.site("b"));
        let [first, second] = two("a", version);
        let mut at_b = tunnel("b", version);
        at_b.initiator = Initiator::ResponseOnly;
        b.apply(std::slice::from_ref(&at_b)).await;
        a.apply(std::slice::from_ref(&first)).await;
        a.wait_up(first.id).await;

        let ping = lab.begin_ping("a", "10.1.0.1", "10.2.0.1", 100);
        a.apply(&[first.clone(), second.clone()]).await;
        let status = a.wait_code(second.id, TunnelState::Error, Code::Unsupported).await;
        let reason = status.reason.unwrap();
        assert!(reason.message.contains(&first.id.to_string()), "{}", reason.message);
        assert!(reason.message.contains("10.1.0.0/24 to 10.2.0.0/24"), "{}", reason.message);
        assert_eq!(ping.received(), 100, "{}", a.story());
        assert_eq!(a.status(first.id).state, TunnelState::Up);

        // Whichever way the first one goes.
        let mut down = first.clone();
        down.is_up = false;
        a.apply(&[down, second.clone()]).await;
        a.wait_up(second.id).await;
        assert!((0..100).any(|_| lab.ping("a", "10.1.0.1", "10.2.0.1", 1) == 1));
        a.apply(&[first.clone(), second.clone()]).await;
        a.wait_code(first.id, TunnelState::Error, Code::Unsupported).await;
        a.apply(std::slice::from_ref(&first)).await;
        a.wait_up(first.id).await;
    }
}

#[tokio::test]
async fn of_two_new_ones_the_lower_id_carries_also_after_a_restart_of_the_agent() {
    let lab = Lab::new();
    let (mut a, b) = (lab.site("a"), lab.site("b"));
    let [other, mut one] = two("a", IkeVersion::V2);
    // Another peer, which is not there.
    one.peer = Peer::Address("192.0.2.9".parse().unwrap());
    b.apply(&[tunnel("b", IkeVersion::V2)]).await;
    a.apply(&[one.clone(), other.clone()]).await;
    a.wait_code(other.id, TunnelState::Error, Code::Unsupported).await;
    a.apply(std::slice::from_ref(&other)).await;
    a.wait_up(other.id).await;
    a.apply(&[one.clone(), other.clone()]).await;
    a.wait_code(one.id, TunnelState::Error, Code::Unsupported).await;

    drop(a.engine.take());
    a.restart();
    a.apply(&[one.clone(), other.clone()]).await;
    a.wait_up(other.id).await;
    a.wait_code(one.id, TunnelState::Error, Code::Unsupported).await;
}

#[tokio::test]
async fn what_contradicts_itself_is_told_and_nothing_is_negotiated() {
    let lab = Lab::new();
    let mut a = lab.site("a");
    let usual = tunnel("a", IkeVersion::V2);
    let same = TunnelPlan { peer_subnets: usual.local_subnets.clone(), ..usual.clone() };
    let inside = TunnelPlan { peer: Peer::Address("10.1.0.77".parse().unwrap()), ..usual.clone() };
    for (mut plan, word) in
        [(same, "10.1.0.0/24 is a local subnet"), (inside, "10.1.0.77 is in the local subnet")]
    {
        plan.id = ConnectionId(Uuid::new_v4());
        a.apply(std::slice::from_ref(&plan)).await;
        let status = a.wait_code(plan.id, TunnelState::Error, Code::Unsupported).await;
        let message = status.reason.unwrap().message;
        assert!(message.contains(word), "{message}");
        assert!(status.ike.is_none());
    }
}
