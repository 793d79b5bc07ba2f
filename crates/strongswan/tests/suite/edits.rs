//! A change of one tunnel comes into force, and the tunnels beside it lose nothing: not a packet, not an SA.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{Lab, Ping, Site, tunnel};
use karez_engine::{
    ConnectionId, DpdAction, Identity, IkeVersion, Initiator, Integrity, TunnelPlan, TunnelStatus,
};
use karez_model::Secret;
use std::time::Duration;

/// More than there is time for: sixty to a hundred in a second.
const PINGS: u32 = 20_000;

/// Two tunnels between the same two gateways: `edited`, and `beside`, through which a ping runs all the time.
struct Stage {
    lab: Lab,
    a: Site,
    b: Site,
    edited: [TunnelPlan; 2],
    beside: [TunnelPlan; 2],
    ping: Ping,
}

impl Stage {
    async fn new(version: IkeVersion) -> Self {
        let lab = Lab::new();
        let (mut a, mut b) = (lab.site("a"), lab.site("b"));
        let edited = [tunnel("a", version), tunnel("b", version)];
        let mut beside = [tunnel("a", IkeVersion::V2), tunnel("b", IkeVersion::V2)];
        let nets = ["10.1.1.0/24", "10.2.1.0/24"];
        for (own, plan) in beside.iter_mut().enumerate() {
            let name = |end: usize| Identity::Fqdn(format!("beside-{end}"));
            (plan.local_id, plan.peer_id) = (name(own), name(1 - own));
            plan.local_subnets = vec![nets[own].parse().unwrap()];
            plan.peer_subnets = vec![nets[1 - own].parse().unwrap()];
        }
        // Of two IKE SAs that both ends have begun one would end.
        beside[1].initiator = Initiator::ResponseOnly;
        a.apply(&[edited[0].clone(), beside[0].clone()]).await;
        b.apply(&[edited[1].clone(), beside[1].clone()]).await;
        for id in [edited[0].id, beside[0].id] {
            a.wait_up(id).await;
        }
        for id in [edited[1].id, beside[1].id] {
            b.wait_up(id).await;
        }
        let ping = lab.begin_ping("a", "10.1.1.1", "10.2.1.1", PINGS);
        Self { lab, a, b, edited, beside, ping }
    }

    /// Edits both ends, waits until the edited tunnel is as wanted and alone, and gives its status at `a`.
    async fn edit(
        &mut self,
        what: &str,
        change: impl Fn(&mut TunnelPlan),
        wanted: impl Fn(&TunnelStatus) -> bool,
    ) -> TunnelStatus {
        let beside = self.a.status(self.beside[0].id);
        self.edited.iter_mut().for_each(change);
        self.b.apply(&[self.edited[1].clone(), self.beside[1].clone()]).await;
        self.a.apply(&[self.edited[0].clone(), self.beside[0].clone()]).await;
        let is_whole = |status: &TunnelStatus| {
            status.children.len() == 1
                && status.reason.is_none()
                && status.missing.is_empty()
                && status.ike.is_some()
                && wanted(status)
        };
        let status = self.a.wait(self.edited[0].id, what, &is_whole).await;
        self.b.wait(self.edited[1].id, what, &is_whole).await;
        let after = self.a.status(self.beside[0].id);
        assert_eq!(spis(&after), spis(&beside), "the tunnel beside was touched by: {what}");
        status
    }

    /// The ping that has gone on through all edits has lost nothing, nor does it for a moment after.
    async fn nothing_was_lost(self) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let lost = self.ping.lost();
        assert!(lost.is_empty(), "{lost:?}");
        drop(self.lab);
    }
}

fn spis(status: &TunnelStatus) -> (Option<String>, Vec<String>) {
    let ike = status.ike.as_ref().map(|ike| ike.initiator_spi.clone());
    (ike, status.children.iter().map(|child| child.spi_in.clone()).collect())
}

fn other_ike(before: &TunnelStatus) -> impl Fn(&TunnelStatus) -> bool {
    let old = before.ike.as_ref().map(|ike| ike.initiator_spi.clone());
    move |status| status.ike.as_ref().map(|ike| ike.initiator_spi.clone()) != old
}

// The engine goes on while a test waits for its ping: hence the threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_pre_shared_key() {
    for version in [IkeVersion::V2, IkeVersion::V1(karez_engine::IkeMode::Main)] {
        let mut stage = Stage::new(version).await;
        let before = stage.a.status(stage.edited[0].id);
        stage.edit("the key", |plan| plan.psk = Secret::new("another".into()), other_ike(&before)).await;
        stage.nothing_was_lost().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_selectors() {
    let mut stage = Stage::new(IkeVersion::V2).await;
    let before = stage.a.status(stage.edited[0].id);
    let other = |plan: &mut TunnelPlan| {
        for net in plan.local_subnets.iter_mut().chain(&mut plan.peer_subnets) {
            *net = net.to_string().replace(".0.0/24", ".2.0/24").parse().unwrap();
        }
    };
    let status = stage
        .edit("the selectors", other, |status| {
            status.children[0].local_subnets[0].to_string().contains(".2.0")
        })
        .await;
    assert_eq!(status.ike.unwrap().initiator_spi, before.ike.unwrap().initiator_spi, "the IKE SA stays");
    assert_eq!(stage.lab.ping("a", "10.1.2.1", "10.2.2.1", 3), 3);
    stage.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_the_proposals() {
    let mut stage = Stage::new(IkeVersion::V2).await;
    let before = stage.a.status(stage.edited[0].id);
    let status = stage
        .edit(
            "the IPsec proposal",
            |plan| plan.child.encryption = "aes-256-gcm-16".parse().unwrap(),
            |status| status.children[0].suite.starts_with("aes-256-gcm-16"),
        )
        .await;
    assert_eq!(spis(&status).0, spis(&before).0, "the IKE SA stays");
    stage
        .edit(
            "the IKE proposal",
            |plan| plan.ike.integrity = Integrity::Sha256,
            |status| status.ike.as_ref().is_some_and(|ike| ike.suite == "aes-128/sha256/group5"),
        )
        .await;
    assert_eq!(stage.lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
    stage.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_lifetimes_and_dead_peer_detection() {
    let mut stage = Stage::new(IkeVersion::V2).await;
    let within =
        |at: Option<i64>, from: i64, seconds: i64| at.is_some_and(|at| at - from <= seconds * 1_000_000);
    stage
        .edit(
            "the lifetime of child SAs",
            |plan| plan.child.lifetime = 600,
            |status| within(status.children[0].expires_at, status.children[0].installed_at, 602),
        )
        .await;
    stage
        .edit(
            "the lifetime of IKE SAs",
            |plan| plan.ike.lifetime = 900,
            |status| status.ike.as_ref().is_some_and(|ike| within(ike.rekey_at, ike.established_at, 900)),
        )
        .await;
    let before = stage.a.status(stage.edited[0].id);
    stage.edit("dead peer detection", |plan| plan.dpd.interval = 5, other_ike(&before)).await;
    stage.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn that_change_nothing_in_the_daemon() {
    let mut stage = Stage::new(IkeVersion::V2).await;
    let before = stage.a.status(stage.edited[0].id);
    let id: ConnectionId = stage.edited[0].id;
    stage.edit("nothing", |plan| plan.dpd.action = DpdAction::Restart, |_| true).await;
    assert_eq!(spis(&stage.a.status(id)), spis(&before));
    stage.nothing_was_lost().await;
}
