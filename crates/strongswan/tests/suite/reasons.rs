//! What is wrong is said, at both ends, with the code that it deserves. Each sentence of charon's log that reasons are
//! read from is provoked here with the real daemon.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::lab::{Lab, tunnel};
use karez_engine::{
    Code, ConnectionId, Identity, IkeMode, IkeVersion, Initiator, Integrity, Peer, TunnelPlan, TunnelState,
};
use karez_model::Secret;
use uuid::Uuid;

const V1: IkeVersion = IkeVersion::V1(IkeMode::Main);
const AGGRESSIVE: IkeVersion = IkeVersion::V1(IkeMode::Aggressive);
const V2: IkeVersion = IkeVersion::V2;

/// Makes a tunnel in which site `a` is as `change` says and begins, while `b` only answers, and expects these codes.
async fn fails(version: IkeVersion, change: impl Fn(&mut TunnelPlan), at_a: Code, at_b: Code) {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let (mut of_a, mut of_b) = (tunnel("a", version), tunnel("b", version));
    change(&mut of_a);
    of_b.initiator = Initiator::ResponseOnly;
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    let status = a.wait_code(of_a.id, TunnelState::Down, at_a).await;
    assert!(status.ike.is_none() || at_a == at_b, "{status:?}");
    let status = b.wait_code(of_b.id, TunnelState::Down, at_b).await;
    let reason = status.reason.unwrap();
    for secret in ["a key that nobody guesses", "another key"] {
        assert!(
            !reason.message.contains(secret) && !a.story().contains(secret) && !b.story().contains(secret)
        );
    }
    if at_b == Code::ProposalMismatch {
        assert!(reason.evidence.contains_key("first_mismatch"), "{reason:?}");
    }
}

fn other_key(plan: &mut TunnelPlan) {
    plan.psk = Secret::new("another key".into());
}

fn other_id(plan: &mut TunnelPlan) {
    plan.local_id = Identity::Fqdn("somebody.example.org".into());
}

fn other_ike_proposal(plan: &mut TunnelPlan) {
    plan.ike.integrity = Integrity::Sha256;
}

fn other_child_proposal(plan: &mut TunnelPlan) {
    plan.child.encryption = "aes-256".parse().unwrap();
}

fn other_selectors(plan: &mut TunnelPlan) {
    plan.peer_subnets = vec!["10.9.0.0/24".parse().unwrap()];
}

#[tokio::test]
async fn different_keys_with_ikev2() {
    fails(V2, other_key, Code::AuthenticationFailed, Code::AuthenticationFailed).await;
}

#[tokio::test]
async fn different_keys_with_ikev1() {
    fails(V1, other_key, Code::AuthenticationFailed, Code::AuthenticationFailed).await;
}

#[tokio::test]
async fn different_keys_in_aggressive_mode() {
    fails(AGGRESSIVE, other_key, Code::AuthenticationFailed, Code::AuthenticationFailed).await;
}

#[tokio::test]
async fn different_ike_proposals_with_ikev2() {
    fails(V2, other_ike_proposal, Code::ProposalMismatch, Code::ProposalMismatch).await;
}

#[tokio::test]
async fn different_ike_proposals_with_ikev1() {
    fails(V1, other_ike_proposal, Code::ProposalMismatch, Code::ProposalMismatch).await;
}

#[tokio::test]
async fn different_ipsec_proposals_with_ikev2() {
    fails(V2, other_child_proposal, Code::ProposalMismatch, Code::ProposalMismatch).await;
}

#[tokio::test]
async fn different_ipsec_proposals_with_ikev1() {
    fails(V1, other_child_proposal, Code::ProposalMismatch, Code::ProposalMismatch).await;
}

#[tokio::test]
async fn different_selectors_with_ikev2() {
    fails(V2, other_selectors, Code::SelectorMismatch, Code::SelectorMismatch).await;
}

#[tokio::test]
async fn different_selectors_with_ikev1() {
    fails(V1, other_selectors, Code::SelectorMismatch, Code::SelectorMismatch).await;
}

#[tokio::test]
async fn another_identity_with_ikev2() {
    fails(V2, other_id, Code::AuthenticationFailed, Code::IdentityMismatch).await;
}

#[tokio::test]
async fn another_identity_with_ikev1() {
    fails(V1, other_id, Code::AuthenticationFailed, Code::IdentityMismatch).await;
}

#[tokio::test]
async fn another_identity_of_the_peer_that_answers() {
    let expects = |plan: &mut TunnelPlan| plan.peer_id = Identity::Fqdn("somebody.example.org".into());
    fails(V2, expects, Code::AuthenticationFailed, Code::IdentityMismatch).await;
}

#[tokio::test]
async fn another_version() {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let (of_a, of_b) = (tunnel("a", V1), tunnel("b", V2));
    a.apply(std::slice::from_ref(&of_a)).await;
    b.apply(std::slice::from_ref(&of_b)).await;
    let status = a.wait_code(of_a.id, TunnelState::Down, Code::VersionMismatch).await;
    assert_eq!(status.reason.unwrap().evidence["theirs"], "IKEv2");
    let status = b.wait_code(of_b.id, TunnelState::Down, Code::VersionMismatch).await;
    assert_eq!(status.reason.unwrap().evidence["theirs"], "IKEv1 in main mode");
}

#[tokio::test]
async fn another_mode() {
    let lab = Lab::new();
    let (mut a, mut b) = (lab.site("a"), lab.site("b"));
    let (of_a, of_b) = (tunnel("a", V1), tunnel("b", AGGRESSIVE));
    a.apply(std::slice::from_ref(&of_a)).await;
    b.apply(std::slice::from_ref(&of_b)).await;
    a.wait_code(of_a.id, TunnelState::Down, Code::VersionMismatch).await;
    b.wait_code(of_b.id, TunnelState::Down, Code::VersionMismatch).await;
}

#[tokio::test]
async fn a_peer_that_is_not_there() {
    let lab = Lab::new();
    let mut a = lab.site("a");
    let plan = tunnel("a", V2);
    a.apply(std::slice::from_ref(&plan)).await;
    let status = a.wait_code(plan.id, TunnelState::Down, Code::PeerUnreachable).await;
    let evidence = status.reason.unwrap().evidence;
    assert_eq!((evidence["peer"].as_str(), evidence["heard"].as_u64()), (Some("192.0.2.2"), Some(0)));
    assert!(evidence["sent"].as_u64() >= Some(4));
}

#[tokio::test]
async fn a_host_name_without_an_address() {
    let lab = Lab::new();
    let mut a = lab.site("a");
    let mut plan = tunnel("a", V2);
    plan.peer = Peer::Host("nobody.invalid".into());
    a.apply(std::slice::from_ref(&plan)).await;
    a.wait_code(plan.id, TunnelState::Down, Code::PeerNotResolved).await;
}

#[tokio::test]
async fn two_ends_that_wait_for_each_other() {
    let lab = Lab::new();
    let mut a = lab.site("a");
    let mut plan = tunnel("a", V2);
    plan.initiator = Initiator::ResponseOnly;
    a.apply(std::slice::from_ref(&plan)).await;
    a.wait_code(plan.id, TunnelState::Pending, Code::WaitingForPeer).await;
    plan.is_up = false;
    a.apply(std::slice::from_ref(&plan)).await;
    a.wait_code(plan.id, TunnelState::Down, Code::AdminDown).await;
}

#[tokio::test]
async fn what_this_data_path_cannot_do() {
    let lab = Lab::new();
    let mut a = lab.site("a");
    let mut plan = tunnel("a", V2);
    plan.child.protocol = karez_engine::IpsecProtocol::Ah;
    let mut aead = tunnel("a", V1);
    aead.ike.encryption = "aes-128-gcm-16".parse().unwrap();
    // The daemon would take it for a pattern.
    let mut anybody = tunnel("a", V2);
    anybody.peer_id = karez_engine::Identity::Fqdn("*.example.org".into());
    let plans = [plan, aead, anybody];
    a.apply(&plans).await;
    for plan in &plans {
        a.wait_code(plan.id, TunnelState::Error, Code::Unsupported).await;
    }
}

#[tokio::test]
async fn of_two_with_the_same_identities_and_different_keys_the_one_that_works_goes_on() {
    let lab = Lab::new();
    let (mut a, b) = (lab.site("a"), lab.site("b"));
    let (mut of_a, mut of_b) = (tunnel("a", V2), tunnel("b", V2));
    of_b.initiator = Initiator::ResponseOnly;
    of_a.id = ConnectionId(Uuid::from_u128(2));
    let mut newcomer = tunnel("a", V2);
    newcomer.id = ConnectionId(Uuid::from_u128(1));
    newcomer.psk = Secret::new("another key".into());
    newcomer.peer_subnets = vec!["10.2.1.0/24".parse().unwrap()];
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    let before = a.wait_up(of_a.id).await;
    for is_restarted in [false, true] {
        if is_restarted {
            a.restart();
        }
        a.apply(&[newcomer.clone(), of_a.clone()]).await;
        let status = a.wait_code(newcomer.id, TunnelState::Error, Code::Unsupported).await;
        assert_eq!(status.reason.unwrap().evidence["other"], of_a.id.to_string());
        let after = a.wait_up(of_a.id).await;
        assert_eq!(after.children[0].spi_in, before.children[0].spi_in);
    }
    // When the other one goes, its turn has come.
    a.apply(std::slice::from_ref(&newcomer)).await;
    a.wait(newcomer.id, "an attempt", |status| status.state != TunnelState::Error).await;
}
