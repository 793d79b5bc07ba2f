//! Tunnels between two engines: they come up, and carry packets.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{Lab, Site, tunnel, tunnel_v6};
use karez_engine::{
    Code, DpdAction, Identity, IkeMode, IkeVersion, Initiator, Integrity, IpsecMode, Peer, TunnelPlan,
    TunnelState,
};
use std::time::Duration;

const V1: IkeVersion = IkeVersion::V1(IkeMode::Main);
const V2: IkeVersion = IkeVersion::V2;

/// Both ends with the same change; up at both; packets pass.
async fn comes_up(version: IkeVersion, change: impl Fn(&mut TunnelPlan)) {
    let plans = ["a", "b"].map(|end| {
        let mut plan = tunnel(end, version);
        change(&mut plan);
        plan
    });
    up(plans, &[("10.1.0.1", "10.2.0.1")]).await;
}

async fn up(plans: [TunnelPlan; 2], pings: &[(&str, &str)]) -> (Lab, Site, Site) {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    a.apply(&plans[..1]).await;
    b.apply(&plans[1..]).await;
    let status = a.wait_up(plans[0].id).await;
    b.wait_up(plans[1].id).await;
    assert_eq!(status.reason, None);
    for (from, to) in pings {
        assert_eq!(lab.ping("a", from, to, 3), 3, "from {from} to {to}");
    }
    (lab, a, b)
}

#[tokio::test]
async fn ikev2_with_the_default_suite() {
    comes_up(V2, |_| {}).await;
}

#[tokio::test]
async fn ikev1_main_mode_with_the_default_suite() {
    comes_up(V1, |_| {}).await;
}

#[tokio::test]
async fn ikev1_aggressive_mode() {
    comes_up(IkeVersion::V1(IkeMode::Aggressive), |_| {}).await;
}

#[tokio::test]
async fn authenticated_encryption_with_a_modern_group() {
    comes_up(V2, |plan| {
        plan.ike.encryption = "aes-256-gcm-16".parse().unwrap();
        plan.ike.integrity = Integrity::Sha384;
        plan.ike.group = "group20".parse().unwrap();
        plan.child.encryption = "aes-256-gcm-16".parse().unwrap();
        plan.child.group = "group31".parse().unwrap();
    })
    .await;
}

#[tokio::test]
async fn every_other_kind_of_algorithm() {
    for (encryption, integrity, group) in [
        ("aes-192-ctr", Integrity::AesXcbc, "group24"),
        ("aes-128-ccm-12", Integrity::AesCmac, "group28"),
        ("3des", Integrity::Sha512, "group2"),
    ] {
        comes_up(V2, |plan| {
            (plan.ike.encryption, plan.child.encryption) =
                (encryption.parse().unwrap(), encryption.parse().unwrap());
            (plan.ike.integrity, plan.child.integrity) = (integrity, integrity);
            (plan.ike.group, plan.child.group) = (group.parse().unwrap(), group.parse().unwrap());
        })
        .await;
    }
}

#[tokio::test]
async fn identities_of_every_type_in_main_mode_too() {
    for version in [V1, V2] {
        let mut plans = [tunnel("a", version), tunnel("b", version)];
        let ids = [Identity::KeyId(vec![0, 1, 0xff]), Identity::Email("ops@b.example.org".into())];
        (plans[0].local_id, plans[0].peer_id) = (ids[0].clone(), ids[1].clone());
        (plans[1].local_id, plans[1].peer_id) = (ids[1].clone(), ids[0].clone());
        up(plans, &[("10.1.0.1", "10.2.0.1")]).await;
    }
}

#[tokio::test]
async fn several_subnets_on_both_sides() {
    for version in [V1, V2] {
        let mut plans = [tunnel("a", version), tunnel("b", version)];
        let (own, other) = (["10.1.0.0/24", "10.1.1.0/24"], ["10.2.0.0/24", "10.2.1.0/24"]);
        let nets = |nets: [&str; 2]| nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<_>>();
        (plans[0].local_subnets, plans[0].peer_subnets) = (nets(own), nets(other));
        (plans[1].local_subnets, plans[1].peer_subnets) = (nets(other), nets(own));
        up(
            plans,
            &[
                ("10.1.0.1", "10.2.0.1"),
                ("10.1.1.1", "10.2.0.1"),
                ("10.1.0.1", "10.2.1.1"),
                ("10.1.1.1", "10.2.1.1"),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn ipv6_inside_and_outside() {
    let nets: [&[&str]; 2] = [&["fd01::/64"], &["fd02::/64"]];
    up([tunnel_v6("a", V2, nets), tunnel_v6("b", V2, nets)], &[("fd01::1", "fd02::1")]).await;
}

#[tokio::test]
async fn ipv4_inside_of_ipv6_and_back() {
    let nets: [&[&str]; 2] = [&["10.1.0.0/24"], &["10.2.0.0/24"]];
    up([tunnel_v6("a", V2, nets), tunnel_v6("b", V2, nets)], &[("10.1.0.1", "10.2.0.1")]).await;
    let mut plans = [tunnel("a", V2), tunnel("b", V2)];
    for (own, plan) in plans.iter_mut().enumerate() {
        let nets = ["fd01::/64", "fd02::/64"];
        (plan.local_subnets, plan.peer_subnets) =
            (vec![nets[own].parse().unwrap()], vec![nets[1 - own].parse().unwrap()]);
    }
    up(plans, &[("fd01::1", "fd02::1")]).await;
}

#[tokio::test]
async fn a_host_name_is_resolved() {
    let mut plans = [tunnel("a", V2), tunnel("b", V2)];
    // Resolved without a server: the resolver takes it as the address that it is.
    plans[0].peer = Peer::Host("192.0.2.2".into());
    up(plans, &[("10.1.0.1", "10.2.0.1")]).await;
}

#[tokio::test]
async fn a_peer_that_narrows_gets_the_missing_pairs_one_by_one_or_is_named() {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let (mut of_a, of_b) = (tunnel("a", V2), tunnel("b", V2));
    of_a.peer_subnets.push("10.2.1.0/24".parse().unwrap());
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    let status = a.wait_code(of_a.id, TunnelState::Up, Code::Narrowed).await;
    assert_eq!(status.missing, [("10.1.0.0/24".parse().unwrap(), "10.2.1.0/24".parse().unwrap())]);
    b.wait_up(of_b.id).await;
    // The peer learns of the second subnet; now the pair comes without anybody's doing.
    let mut of_b = of_b;
    of_b.local_subnets.push("10.2.1.0/24".parse().unwrap());
    b.apply(std::slice::from_ref(&of_b)).await;
    a.wait_up(of_a.id).await;
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.1.1", 3), 3);
}

/// Of IKEv1 each pair is negotiated by itself. The first that are asked for are none of the peer's.
#[tokio::test]
async fn pairs_that_a_peer_has_come_up_beside_many_that_it_has_not() {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let (mut of_a, mut of_b) = (tunnel("a", V1), tunnel("b", V1));
    let nets =
        |thirds: std::ops::Range<u8>| thirds.map(|third| format!("10.2.{third}.0/24").parse().unwrap());
    of_a.peer_subnets = nets(100..112).chain(nets(0..2)).collect();
    of_b.local_subnets = nets(0..2).collect();
    of_b.initiator = Initiator::ResponseOnly;
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    b.wait_up(of_b.id).await;
    let status = a.wait_code(of_a.id, TunnelState::Up, Code::Narrowed).await;
    let missing: Vec<_> = status.missing.iter().map(|(_, peer)| *peer).collect();
    assert_eq!(missing, nets(100..112).collect::<Vec<_>>(), "those that the peer has not");
    // One that has too many is told so, and nobody else's tunnel notices.
    let mut many = tunnel("a", V1);
    many.local_subnets = vec!["10.3.0.0/24".parse().unwrap(), "10.4.0.0/24".parse().unwrap()];
    many.peer_subnets = (0..=255).map(|third| format!("10.9.{third}.0/24").parse().unwrap()).collect();
    let since = a.status(of_a.id).since;
    a.apply(&[of_a.clone(), many.clone()]).await;
    let status = a.wait_code(many.id, TunnelState::Error, Code::Unsupported).await;
    let why = status.reason.map(|reason| reason.message).unwrap_or_default();
    assert!(why.contains("512") && why.contains("256 pairs may be joined"), "{why}");
    assert_eq!(a.status(of_a.id).since, since);
}

#[tokio::test]
async fn a_dead_peer_is_noticed_in_the_time_that_the_plan_says_and_comes_back_by_itself() {
    for version in [V1, V2] {
        let mut plans = [tunnel("a", version), tunnel("b", version)];
        for plan in &mut plans {
            plan.dpd.interval = 1;
            plan.dpd.timeout = 4;
            plan.dpd.action = DpdAction::Hold;
        }
        plans[1].initiator = Initiator::ResponseOnly;
        let ids = [plans[0].id, plans[1].id];
        let (lab, mut a, mut b) = up(plans, &[]).await;
        lab.wire(false);
        a.wait_code(ids[0], TunnelState::Down, Code::PeerLost).await;
        b.wait_code(ids[1], TunnelState::Down, Code::PeerLost).await;
        lab.wire(true);
        a.wait_up(ids[0]).await;
        b.wait_up(ids[1]).await;
        assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
    }
}

#[tokio::test]
async fn a_peer_that_was_lost_is_not_called_again_when_the_plan_leaves_that_to_it() {
    for version in [V1, V2] {
        let mut plans = [tunnel("a", version), tunnel("b", version)];
        for plan in &mut plans {
            (plan.dpd.interval, plan.dpd.timeout, plan.dpd.action) = (1, 4, DpdAction::Clear);
        }
        plans[1].initiator = Initiator::ResponseOnly;
        let ids = [plans[0].id, plans[1].id];
        let (lab, mut a, mut b) = up(plans.clone(), &[]).await;
        lab.wire(false);
        let status = a.wait_code(ids[0], TunnelState::Down, Code::PeerLost).await;
        assert!(status.reason.unwrap().message.contains("action is clear"));
        b.wait_code(ids[1], TunnelState::Down, Code::PeerLost).await;
        lab.wire(true);
        a.events.clear();
        tokio::time::sleep(Duration::from_secs(5)).await;
        let status = a.status(ids[0]);
        assert_eq!(status.reason.map(|reason| reason.code), Some(Code::PeerLost), "{}", a.story());
        assert!(a.events.is_empty(), "{}", a.story());
        // An edit has us begin again.
        plans[0].dpd.action = DpdAction::Hold;
        a.apply(&plans[..1]).await;
        a.wait_up(ids[0]).await;
    }
}

#[tokio::test]
async fn an_ike_sa_that_carries_nothing_is_not_waited_for_until_its_peer_counts_as_dead() {
    for version in [V1, V2] {
        let lab = Lab::new();
        let (mut a, b) = (lab.site("a"), lab.site("b"));
        let (right, mut of_b) = (tunnel("a", version), tunnel("b", version));
        of_b.initiator = Initiator::ResponseOnly;
        let mut wrong = right.clone();
        wrong.peer_subnets = vec!["10.9.0.0/24".parse().unwrap()];
        b.apply(std::slice::from_ref(&of_b)).await;
        a.apply(std::slice::from_ref(&wrong)).await;
        let status = a.wait_code(wrong.id, TunnelState::Down, Code::SelectorMismatch).await;
        assert!(status.ike.is_some(), "{status:?}");
        lab.wire(false);
        a.apply(std::slice::from_ref(&right)).await;
        // Dead peer detection would take two minutes.
        let status = a.wait_code(right.id, TunnelState::Down, Code::PeerLost).await;
        assert!(status.reason.unwrap().message.contains("begun anew"));
        a.wait(right.id, "that IKE SA to end", |status| status.ike.is_none()).await;
        lab.wire(true);
        a.wait_up(right.id).await;
        assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
    }
}

#[tokio::test]
async fn transport_mode_needs_the_kernel_and_says_so() {
    let lab = Lab::new();
    let mut a = lab.site("a");
    let mut plan = tunnel("a", V2);
    plan.child.mode = IpsecMode::Transport;
    a.apply(std::slice::from_ref(&plan)).await;
    let status = a.wait_code(plan.id, TunnelState::Error, Code::Unsupported).await;
    assert!(status.reason.unwrap().message.contains("Use the encapsulation mode tunnel"));
}

#[tokio::test]
async fn two_tunnels_between_the_same_ends_share_an_ike_sa_and_can_be_ended_one_by_one() {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let mut first = [tunnel("a", V2), tunnel("b", V2)];
    let mut second = [tunnel("a", V2), tunnel("b", V2)];
    // Of two IKE SAs that both ends have begun one would end.
    (first[1].initiator, second[1].initiator) = (Initiator::ResponseOnly, Initiator::ResponseOnly);
    for (own, plan) in second.iter_mut().enumerate() {
        let nets = ["10.1.1.0/24", "10.2.1.0/24"];
        (plan.local_subnets, plan.peer_subnets) =
            (vec![nets[own].parse().unwrap()], vec![nets[1 - own].parse().unwrap()]);
    }
    b.apply(&[first[1].clone(), second[1].clone()]).await;
    a.apply(&[first[0].clone(), second[0].clone()]).await;
    let one = a.wait_up(first[0].id).await;
    let other = a.wait_up(second[0].id).await;
    assert_eq!(one.ike.unwrap().initiator_spi, other.ike.unwrap().initiator_spi);
    a.apply(&first[..1]).await;
    b.wait_code(second[1].id, TunnelState::Down, Code::PeerDeleted).await;
    assert_eq!(a.status(first[0].id).children, one.children);
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
}
