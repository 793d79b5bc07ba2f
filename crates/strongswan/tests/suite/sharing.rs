//! Two tunnels between the same two gateways share an IKE SA: whatever is done to one, the other loses nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{BOUND, Lab, Site, processes_in, tunnel};
use karez_engine::{EventKind, IkeMode, IkeVersion, Initiator, TunnelPlan, TunnelState, TunnelStatus};
use std::process::Command;
use std::time::Duration;
use tokio::time::timeout;

const V1: IkeVersion = IkeVersion::V1(IkeMode::Main);
const V2: IkeVersion = IkeVersion::V2;

/// Some ten to sixteen milliseconds each.
const PINGS: u32 = 150;

struct Pair {
    lab: Lab,
    a: Site,
    b: Site,
    touched: [TunnelPlan; 2],
    beside: [TunnelPlan; 2],
}

impl Pair {
    async fn new(version: IkeVersion) -> Self {
        let lab = Lab::new();
        let (mut a, mut b) = (lab.site("a"), lab.site("b"));
        let mut touched = [tunnel("a", version), tunnel("b", version)];
        let mut beside = [tunnel("a", version), tunnel("b", version)];
        beside.iter_mut().for_each(|plan| third_octet(plan, 1));
        // One end alone begins, so that there is one IKE SA and not two for a while.
        (touched[1].initiator, beside[1].initiator) = (Initiator::ResponseOnly, Initiator::ResponseOnly);
        b.apply(&[touched[1].clone(), beside[1].clone()]).await;
        a.apply(&[touched[0].clone(), beside[0].clone()]).await;
        for at in 0..2 {
            let site = if at == 0 { &mut a } else { &mut b };
            let (one, other) = (site.wait_up(touched[at].id).await, site.wait_up(beside[at].id).await);
            assert_eq!(ike(&one), ike(&other), "they share an IKE SA");
        }
        Self { lab, a, b, touched, beside }
    }

    /// Applies these plans beside the untouched one at `a`, and waits until the touched one is as wanted there.
    async fn at_a(&mut self, plans: &[TunnelPlan], wanted: impl Fn(&TunnelStatus) -> bool) {
        let before = self.a.status(self.beside[0].id);
        let ping = self.lab.begin_ping("a", "10.1.1.1", "10.2.1.1", PINGS);
        let all: Vec<TunnelPlan> = plans.iter().chain([&self.beside[0]]).cloned().collect();
        self.a.apply(&all).await;
        if let Some(plan) = plans.first() {
            self.a.wait(plan.id, "as wanted", wanted).await;
        }
        assert_eq!(ping.received(), PINGS);
        let after = self.a.status(self.beside[0].id);
        assert_eq!(ike(&after), ike(&before), "{}", self.a.story());
        assert_eq!(after.children[0].spi_in, before.children[0].spi_in);
        assert_eq!(after.children[0].spi_out, before.children[0].spi_out);
    }
}

fn third_octet(plan: &mut TunnelPlan, octet: u8) {
    for net in plan.local_subnets.iter_mut().chain(&mut plan.peer_subnets) {
        *net = net.to_string().replace(".0.0/24", &format!(".{octet}.0/24")).parse().unwrap();
    }
}

fn ike(status: &TunnelStatus) -> Option<String> {
    status.ike.as_ref().map(|ike| ike.initiator_spi.clone())
}

// The engine goes on while a test waits for its ping: hence the threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_one_is_taken_down_and_up_again_and_removed_the_other_stays() {
    for version in [V2, V1] {
        let mut pair = Pair::new(version).await;
        let mut plan = pair.touched[0].clone();
        plan.is_up = false;
        pair.at_a(&[plan.clone()], |status| status.state == TunnelState::Down).await;
        pair.b.wait(pair.touched[1].id, "down", |status| status.state == TunnelState::Down).await;
        plan.is_up = true;
        pair.at_a(&[plan.clone()], |status| status.state == TunnelState::Up).await;
        pair.at_a(&[], |_| true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_subnets_of_one_change_the_other_stays() {
    for version in [V2, V1] {
        let mut pair = Pair::new(version).await;
        pair.touched.iter_mut().for_each(|plan| third_octet(plan, 2));
        pair.b.apply(&[pair.touched[1].clone(), pair.beside[1].clone()]).await;
        let plan = pair.touched[0].clone();
        pair.at_a(&[plan], |status| {
            let nets = |net: &ipnet::IpNet| net.to_string() == "10.1.2.0/24";
            status.children.len() == 1 && status.children[0].local_subnets.iter().all(nets)
        })
        .await;
        assert_eq!(pair.lab.ping("a", "10.1.2.1", "10.2.2.1", 3), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_daemon_of_one_end_has_died_both_come_back_once() {
    for version in [V2, V1] {
        let mut pair = Pair::new(version).await;
        for plans in [&mut pair.touched, &mut pair.beside] {
            plans[1].initiator = Initiator::BiDirectional;
        }
        pair.b.apply(&[pair.touched[1].clone(), pair.beside[1].clone()]).await;
        let before = pair.a.status(pair.touched[0].id);
        let [process] = processes_in(&pair.a.namespace)[..] else { panic!("one daemon") };
        assert!(Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap().success());
        for id in [pair.touched[0].id, pair.beside[0].id] {
            let is_new = |status: &TunnelStatus| {
                status.state == TunnelState::Up && status.missing.is_empty() && ike(status) != ike(&before)
            };
            pair.a.wait(id, "another IKE SA", is_new).await;
        }
        for id in [pair.touched[1].id, pair.beside[1].id] {
            let is_alone = |status: &TunnelStatus| status.children.len() == 1 && ike(status) != ike(&before);
            pair.b.wait(id, "the new SAs alone", is_alone).await;
        }
        (pair.a.events, pair.b.events) = (Vec::new(), Vec::new());
        // Longer than until SAs that are there twice are cleared up.
        let ping = pair.lab.begin_ping("a", "10.1.1.1", "10.2.1.1", 600);
        assert_eq!(ping.received(), 600);
        for (end, site) in [(0, &mut pair.a), (1, &mut pair.b)] {
            for id in [pair.touched[end].id, pair.beside[end].id] {
                assert_eq!(site.status(id).state, TunnelState::Up);
            }
            let falls = site.events.iter().filter(|(_, event)| event.kind == EventKind::State);
            assert_eq!(falls.count(), 0, "{}", site.story());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_peer_detection_of_one_that_waits_for_its_peer_changes_and_both_stay() {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let (of_a, mut of_b) = (tunnel("a", V2), tunnel("b", V2));
    of_b.initiator = Initiator::ResponseOnly;
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    a.wait_up(of_a.id).await;
    let before = b.wait_up(of_b.id).await;
    let ping = lab.begin_ping("a", "10.1.0.1", "10.2.0.1", PINGS);
    (of_b.dpd.interval, of_b.dpd.timeout) = (5, 60);
    b.apply(std::slice::from_ref(&of_b)).await;
    // Also an agent that has only begun leaves it.
    b.restart();
    b.apply(std::slice::from_ref(&of_b)).await;
    assert_eq!(ping.received(), PINGS);
    let after = b.wait_up(of_b.id).await;
    assert_eq!(ike(&after), ike(&before));
    assert_eq!(after.children[0].spi_in, before.children[0].spi_in);
    // When it is for us to begin, it is negotiated anew with the new times, before the old one ends.
    let ping = lab.begin_ping("a", "10.1.0.1", "10.2.0.1", PINGS);
    of_b.initiator = Initiator::BiDirectional;
    b.apply(std::slice::from_ref(&of_b)).await;
    let old = ike(&before);
    b.wait(of_b.id, "another IKE SA alone", |status| ike(status) != old && status.children.len() == 1).await;
    assert!(ping.received() > PINGS - 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_both_have_begun_in_vain_ends_once_both_wait_for_their_peer() {
    let lab = Lab::new();
    let a = lab.site("a");
    let mut plans = [tunnel("a", V2), tunnel("a", V2)];
    third_octet(&mut plans[1], 1);
    a.apply(&plans).await;
    let run = a.state.join(a.router.to_string()).join("run");
    let uri = format!("unix://{}/charon.vici", run.display());
    let attempts = || {
        let listed = Command::new("swanctl").args(["--list-sas", "--uri", &uri]).output().unwrap();
        String::from_utf8_lossy(&listed.stdout).matches("CONNECTING").count()
    };
    let count_becomes = async |is_wanted: fn(usize) -> bool| {
        while !is_wanted(attempts()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(BOUND, count_becomes(|count| count > 0)).await.unwrap();
    plans[0].initiator = Initiator::ResponseOnly;
    plans[1].initiator = Initiator::ResponseOnly;
    a.apply(&plans).await;
    timeout(BOUND, count_becomes(|count| count == 0)).await.unwrap();
}
