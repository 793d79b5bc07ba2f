//! Daemons outlive the agent, come back when they die, and leave nothing when they are removed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by a panic")]

use crate::lab::{Lab, pair, processes_in, tunnel};
use karez_engine::{Code, Engine, IkeVersion, Initiator, Peer, TunnelState};
use std::fs;
use std::process::Command;

#[tokio::test]
async fn a_new_agent_adopts_the_daemon_and_its_tunnels_untouched() {
    let lab = Lab::new();
    let (mut a, _b, of_a, _) = pair(&lab).await;
    let before = a.status(of_a.id);
    let processes = processes_in(&a.namespace);
    a.restart();
    assert_eq!(a.engine.as_ref().unwrap().present().await.unwrap(), [a.router]);
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
    a.apply(std::slice::from_ref(&of_a)).await;
    let after = a.wait_up(of_a.id).await;
    assert_eq!(processes_in(&a.namespace), processes);
    let spis = |status: &karez_engine::TunnelStatus| {
        let child = &status.children[0];
        (child.spi_in.clone(), child.spi_out.clone(), status.ike.as_ref().unwrap().initiator_spi.clone())
    };
    assert_eq!(spis(&after), spis(&before));
    assert!(a.story().contains("adopted"), "{}", a.story());
}

#[tokio::test]
async fn a_key_that_was_changed_while_no_agent_ran_comes_into_force() {
    let lab = Lab::new();
    let (mut a, mut b, mut of_a, mut of_b) = pair(&lab).await;
    let before = a.status(of_a.id);
    for plan in [&mut of_a, &mut of_b] {
        plan.psk = karez_model::Secret::new("another key".into());
    }
    a.restart();
    b.restart();
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    let old = before.ike.unwrap().initiator_spi;
    a.wait(of_a.id, "a new IKE SA alone", |status| {
        status.state == TunnelState::Up && status.ike.as_ref().is_some_and(|ike| ike.initiator_spi != old)
    })
    .await;
    b.wait_up(of_b.id).await;
}

#[tokio::test]
async fn a_daemon_that_is_killed_comes_back_with_its_tunnels() {
    let lab = Lab::new();
    let (mut a, _b, of_a, _) = pair(&lab).await;
    let [process] = processes_in(&a.namespace)[..] else { panic!("one daemon") };
    assert!(Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap().success());
    a.wait(of_a.id, "down", |status| status.state == TunnelState::Down).await;
    a.wait_up(of_a.id).await;
    assert!(a.story().contains("has died"), "{}", a.story());
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
}

#[tokio::test]
async fn a_removed_router_leaves_no_process_and_no_file_and_its_peer_knows() {
    let lab = Lab::new();
    let (a, mut b, _, of_b) = pair(&lab).await;
    let engine = a.engine.as_ref().unwrap();
    engine.remove(a.router).await.unwrap();
    assert!(processes_in(&a.namespace).is_empty());
    assert_eq!(fs::read_dir(&a.state).unwrap().count(), 0);
    assert!(engine.present().await.unwrap().is_empty());
    engine.remove(a.router).await.unwrap();
    b.wait_code(of_b.id, TunnelState::Down, Code::PeerDeleted).await;
}

#[tokio::test]
async fn a_tunnel_that_is_taken_out_of_the_plan_ends_and_the_others_stay() {
    let lab = Lab::new();
    let (mut a, mut b, of_a, of_b) = pair(&lab).await;
    let before = a.status(of_a.id);
    let mut more = tunnel("a", IkeVersion::V2);
    more.peer_subnets = vec!["10.2.1.0/24".parse().unwrap()];
    let mut answer = tunnel("b", IkeVersion::V2);
    answer.local_subnets = more.peer_subnets.clone();
    for plan in [&mut more, &mut answer] {
        for id in [&mut plan.local_id, &mut plan.peer_id] {
            *id = karez_engine::Identity::Fqdn(format!("{id}.more"));
        }
    }
    b.apply(&[of_b.clone(), answer.clone()]).await;
    a.apply(&[of_a.clone(), more.clone()]).await;
    a.wait_up(more.id).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    b.wait(answer.id, "down", |status| status.state == TunnelState::Down).await;
    assert_eq!(a.status(of_a.id).children[0].spi_in, before.children[0].spi_in);
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
}

#[tokio::test]
async fn a_daemon_whose_agent_died_while_it_started_does_not_stay_beside_another() {
    let lab = Lab::new();
    let (mut a, _b, of_a, _) = pair(&lab).await;
    let [first] = processes_in(&a.namespace)[..] else { panic!("one daemon") };
    let run = a.state.join(a.router.to_string()).join("run");
    // As it is until charon has opened its socket.
    fs::remove_file(run.join("charon.vici")).unwrap();
    a.restart();
    a.apply(std::slice::from_ref(&of_a)).await;
    a.wait_up(of_a.id).await;
    let [second] = processes_in(&a.namespace)[..] else { panic!("{:?}", processes_in(&a.namespace)) };
    assert_ne!(first, second);
    fs::remove_file(run.join("charon.vici")).unwrap();
    a.restart();
    a.engine.as_ref().unwrap().remove(a.router).await.unwrap();
    assert!(processes_in(&a.namespace).is_empty());
}

#[tokio::test]
async fn a_daemon_that_does_not_answer_for_a_while_keeps_its_tunnels() {
    let lab = Lab::new();
    let (mut a, b) = (lab.site("a"), lab.site("b"));
    let (of_a, mut of_b) = (tunnel("a", IkeVersion::V2), tunnel("b", IkeVersion::V2));
    of_b.initiator = Initiator::ResponseOnly;
    b.apply(std::slice::from_ref(&of_b)).await;
    a.apply(std::slice::from_ref(&of_a)).await;
    let before = a.wait_up(of_a.id).await;
    let mut absent = tunnel("a", IkeVersion::V2);
    absent.peer = Peer::Address("192.0.2.77".parse().unwrap());
    absent.peer_subnets = vec!["10.2.2.0/24".parse().unwrap()];
    a.apply(&[of_a.clone(), absent.clone()]).await;
    let [process] = processes_in(&a.namespace)[..] else { panic!("one daemon") };
    signal(process, "-STOP");
    // Nothing has to be asked of it for that. Here the daemon is who encrypts.
    for id in [of_a.id, absent.id] {
        a.wait_code(id, TunnelState::Down, Code::LocalError).await;
    }
    let mut more = tunnel("a", IkeVersion::V2);
    more.peer_subnets = vec!["10.2.1.0/24".parse().unwrap()];
    let plans = [of_a.clone(), absent.clone(), more.clone()];
    let engine = a.engine.as_ref().unwrap();
    let late = engine.apply(a.router, &a.place(), &plans).await.unwrap_err();
    assert!(late.to_string().contains("answer"), "{late}");
    signal(process, "-CONT");
    // The plan comes into force without being told again.
    a.wait(more.id, "an answer of the peer to the second tunnel", |status| {
        status.reason.as_ref().is_some_and(|reason| reason.code == Code::SelectorMismatch)
    })
    .await;
    a.wait_code(absent.id, TunnelState::Down, Code::PeerUnreachable).await;
    assert_eq!(processes_in(&a.namespace), [process]);
    let after = a.wait_up(of_a.id).await;
    assert_eq!(after.children[0].spi_in, before.children[0].spi_in, "{}", a.story());
    assert_eq!(lab.ping("a", "10.1.0.1", "10.2.0.1", 3), 3);
}

#[tokio::test]
async fn a_daemon_inherits_nothing_and_has_a_log_that_is_bounded_and_without_keys() {
    let lab = Lab::new();
    let (a, _b, mut of_a, _) = pair(&lab).await;
    let [process] = processes_in(&a.namespace)[..] else { panic!("one daemon") };
    let environment = fs::read_to_string(format!("/proc/{process}/environ")).unwrap();
    let mut names: Vec<&str> =
        environment.split_terminator('\0').map(|entry| entry.split('=').next().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["PATH", "STRONGSWAN_CONF"]);

    let log = a.state.join(a.router.to_string()).join("run/charon.log");
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("established"), "{text}");
    assert!(!text.contains(of_a.psk.expose()));
    let filler = vec![b'\n'; 2 << 20];
    std::io::Write::write_all(&mut fs::OpenOptions::new().append(true).open(&log).unwrap(), &filler).unwrap();
    of_a.child.lifetime = 600;
    a.apply(std::slice::from_ref(&of_a)).await;
    // The counters are read every ten seconds, and the log is looked at with them.
    let is_cut = async {
        while fs::metadata(&log).unwrap().len() > 1 << 20 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(crate::lab::BOUND, is_cut).await.expect("it is cut");
    assert!(fs::metadata(log.with_extension("log.old")).unwrap().len() > 2 << 20);
}

fn signal(process: i32, signal: &str) {
    assert!(Command::new("kill").args([signal, &process.to_string()]).status().unwrap().success());
}
