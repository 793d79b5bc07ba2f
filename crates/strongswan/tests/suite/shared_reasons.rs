//! Tunnels between the same two gateways share an IKE SA: what is said of one is about that one.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{Lab, Site, tunnel};
use karez_engine::{Code, ConnectionId, EventKind, Identity, IkeVersion, Initiator, TunnelPlan, TunnelState};
use std::time::Duration;

/// Both ends, and their plans of each tunnel.
struct Ends {
    _lab: Lab,
    a: Site,
    b: Site,
    plans: Vec<[TunnelPlan; 2]>,
}

impl Ends {
    /// So many tunnels, which share an IKE SA.
    async fn new(count: usize) -> Self {
        let lab = Lab::new();
        let (a, b) = (lab.site("a"), lab.site("b"));
        let pair = |octet: usize| {
            let mut pair = ["a", "b"].map(|end| tunnel(end, IkeVersion::V2));
            let nets =
                pair.iter_mut().flat_map(|plan| plan.local_subnets.iter_mut().chain(&mut plan.peer_subnets));
            nets.for_each(|net| {
                *net = net.to_string().replace(".0.0/24", &format!(".{octet}.0/24")).parse().unwrap()
            });
            pair
        };
        let mut ends = Self { _lab: lab, a, b, plans: (0..count).map(pair).collect() };
        // One end alone begins, so that there is one IKE SA from the beginning.
        ends.plans.iter_mut().for_each(|pair| pair[1].initiator = Initiator::ResponseOnly);
        ends.apply().await;
        for pair in &ends.plans {
            ends.a.wait_up(pair[0].id).await;
            ends.b.wait_up(pair[1].id).await;
        }
        ends.plans.iter_mut().for_each(|pair| pair[1].initiator = Initiator::BiDirectional);
        ends.apply().await;
        let spis: Vec<_> = (0..count).map(|at| ends.ike_at_a(at)).collect();
        assert!(spis.iter().all(|spi| spi.is_some() && *spi == spis[0]), "{spis:?}");
        (ends.a.events, ends.b.events) = (Vec::new(), Vec::new());
        ends
    }

    async fn apply(&self) {
        for (end, site) in [(1, &self.b), (0, &self.a)] {
            site.apply(&self.plans.iter().map(|pair| pair[end].clone()).collect::<Vec<_>>()).await;
        }
    }

    fn ike_at_a(&mut self, at: usize) -> Option<String> {
        self.a.status(self.plans[at][0].id).ike.map(|ike| ike.initiator_spi)
    }
}

fn told(site: &Site, id: ConnectionId) -> Vec<String> {
    // A slow answer is nobody's fault.
    let own = site.events.iter().filter(|(of, event)| *of == id && event.kind != EventKind::Retransmit);
    own.map(|(_, event)| format!("{:?}: {}", event.kind, event.message)).collect()
}

#[tokio::test]
async fn one_that_the_peer_has_deleted_says_so_although_the_peer_answers_that_it_does_not_agree() {
    let mut ends = Ends::new(3).await;
    let [kept, other, gone] = [0, 1, 2].map(|at| ends.plans[at][0].id);
    let of_b: Vec<TunnelPlan> = ends.plans.iter().take(2).map(|pair| pair[1].clone()).collect();
    ends.b.apply(&of_b).await;
    let is_told = |status: &karez_engine::TunnelStatus| {
        let reason = status.reason.as_ref();
        reason.is_some_and(|reason| reason.code == Code::PeerDeleted && reason.message.contains("any more"))
    };
    ends.a.wait(gone, "that it was deleted", is_told).await;
    // Asked once more, the peer says the same.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(is_told(&ends.a.status(gone)));
    for id in [kept, other] {
        assert_eq!(ends.a.status(id).state, TunnelState::Up);
        assert_eq!(told(&ends.a, id), [""; 0]);
    }
}

#[tokio::test]
async fn a_peer_that_asks_for_other_subnets_is_quoted_to_the_tunnel_that_it_means() {
    let mut ends = Ends::new(3).await;
    for (at, net) in [(1, "10.78.0.0/24"), (2, "10.77.0.0/24")] {
        ends.plans[at][0].peer_subnets = vec![net.parse().unwrap()];
    }
    ends.apply().await;
    for (at, theirs) in [(1, "10.1.1.0/24 === 10.2.1.0/24"), (2, "10.1.2.0/24 === 10.2.2.0/24")] {
        let id = ends.plans[at][0].id;
        let is_quoted = |status: &karez_engine::TunnelStatus| {
            let theirs = Some(&serde_json::Value::from(theirs));
            status.state == TunnelState::Down
                && status.reason.as_ref().is_some_and(|reason| reason.evidence.get("theirs") == theirs)
        };
        ends.a.wait(id, "the peer's wish", is_quoted).await;
    }
    for (at, others) in [(0, "agree"), (1, "10.2.2.0"), (2, "10.2.1.0")] {
        let told = told(&ends.a, ends.plans[at][0].id);
        assert!(!told.iter().any(|told| told.contains(others)), "{told:#?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_to_the_tunnel_that_was_asked_for_alone() {
    let mut ends = Ends::new(3).await;
    ends.plans[1][0].initiator = Initiator::ResponseOnly;
    ends.plans[1][1].is_up = false;
    ends.apply().await;
    let [waits, refused] = [1, 2].map(|at| ends.plans[at][0].id);
    ends.a.wait(waits, "down", |status| status.state == TunnelState::Down).await;
    ends.plans[2][0].peer_subnets = vec!["10.77.0.0/24".parse().unwrap()];
    ends.apply().await;
    ends.a.wait_code(refused, TunnelState::Down, Code::SelectorMismatch).await;
    let told = told(&ends.a, waits);
    assert!(!told.iter().any(|told| told.contains("agree")), "{told:#?}");
}

#[tokio::test]
async fn one_that_the_peer_gets_a_moment_later_is_not_down_in_between() {
    let mut ends = Ends::new(2).await;
    ends.a.apply(&[ends.plans[0][0].clone()]).await;
    ends.b.apply(&[ends.plans[0][1].clone()]).await;
    let fresh = |plan: &TunnelPlan| TunnelPlan { id: ConnectionId(uuid::Uuid::new_v4()), ..plan.clone() };
    ends.plans[1] = [fresh(&ends.plans[1][0]), fresh(&ends.plans[1][1])];
    let [of_a, of_b] = [0, 1].map(|end| [ends.plans[0][end].clone(), ends.plans[1][end].clone()]);
    ends.a.apply(&of_a).await;
    let refused = |status: &karez_engine::TunnelStatus| {
        status.reason.as_ref().is_some_and(|reason| reason.code == Code::SelectorMismatch)
    };
    let status = ends.a.wait(of_a[1].id, "the peer's refusal", refused).await;
    assert_eq!(status.state, TunnelState::Pending);
    ends.b.apply(&of_b).await;
    ends.a.wait_up(of_a[1].id).await;
    let at = |kind| {
        let own = ends.a.events.iter().filter(|(id, event)| *id == of_a[1].id && event.kind == kind);
        own.map(|(_, event)| event.at).next_back().unwrap()
    };
    // A machine that is too busy may take longer than the patience with a peer that refuses.
    if at(EventKind::State) - at(EventKind::Refused) < 1_500_000 {
        let of_it =
            ends.a.events.iter().filter(|(id, event)| *id == of_a[1].id && event.kind == EventKind::State);
        assert_eq!(of_it.map(|(_, event)| event.message.as_str()).collect::<Vec<_>>(), ["up"]);
    }
}

#[tokio::test]
async fn one_that_has_nothing_in_the_ike_sa_of_others_any_more_does_not_show_it() {
    let mut ends = Ends::new(2).await;
    ends.plans[1][0].peer_id = Identity::Fqdn("somebody.else".into());
    ends.apply().await;
    let changed = ends.plans[1][0].id;
    ends.a
        .wait(changed, "no IKE SA", |status| status.state == TunnelState::Down && status.ike.is_none())
        .await;
    assert_eq!(ends.a.status(ends.plans[0][0].id).state, TunnelState::Up);
}
