//! Leases: who counts as alive, and for how long.

use super::ground::{Ground, eventually, hello};
use karez_dispatch::Options;
use karez_engine::TunnelState;
use karez_fabric::{FromAgent, Hello, ToAgent};
use std::time::Duration;

pub const BRIEF: Options = Options { lease: Duration::from_secs(6), look: Duration::from_millis(50) };

#[tokio::test(flavor = "multi_thread")]
async fn who_is_heard_stays_alive_beyond_his_first_lease() {
    let ground = Ground::serving(BRIEF).await;
    let mut agent = ground.dial(hello("one")).await;
    let node = agent.welcome().await.node;
    let mut renewed = 0;
    // Six thirds are two leases.
    while renewed < 6 {
        agent.say(FromAgent::Heartbeat).await;
        match agent.hear().await {
            Some(ToAgent::Renewed { .. }) => renewed += 1,
            Some(_) => {}
            None => panic!("it was cut"),
        }
    }
    assert!(ground.is_alive(node).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_silent_is_cut_and_dead_once_his_lease_is_over() {
    let ground = Ground::serving(BRIEF).await;
    let mut agent = ground.dial(hello("one")).await;
    let node = agent.welcome().await.node;
    let mut renewed = 0;
    while let Some(message) = agent.hear().await {
        renewed += usize::from(matches!(message, ToAgent::Renewed { .. }));
    }
    assert_eq!(renewed, 0, "a lease was renewed for an agent that said nothing");
    eventually("it is dead", async || !ground.is_alive(node).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_agent_ran_says_so_until_it_comes_back() {
    let ground = Ground::serving(BRIEF).await;
    let mut agent = ground.dial(hello("one")).await;
    agent.welcome().await;
    let generation = loop {
        match agent.hear().await {
            Some(ToAgent::Desired(desired)) if !desired.routers.is_empty() => {
                break desired.routers[0].generation;
            }
            Some(_) => {}
            None => panic!("it was cut"),
        }
    };
    let up = || FromAgent::Tunnels(vec![(generation, ground.tunnel(TunnelState::Up))]);
    agent.say(up()).await;
    eventually("it is active", async || ground.status().await == ("ACTIVE".into(), String::new())).await;
    agent.is_cut().await;
    let is_lost = async || ground.status().await == ("ACTIVE".into(), "agent_lost".into());
    eventually("it says that the agent is lost", is_lost).await;
    let again = ground.dial(hello("one")).await;
    again.say(up()).await;
    eventually("it is as it was", async || ground.status().await == ("ACTIVE".into(), String::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_gives_way_gets_a_session_only_when_nobody_else_has_one() {
    let ground = Ground::serving(BRIEF).await;
    let mut other = ground.dial(hello("one")).await;
    let first = other.welcome().await;
    let polite = || Hello { gives_way: true, ..hello("one") };
    let mut agent = ground.dial(polite()).await;
    assert!(matches!(agent.hear().await, Some(ToAgent::Replaced)));
    agent.must_be_cut().await;
    drop(other);
    eventually("the end of the lease", async || !ground.is_alive(first.node).await).await;
    let mut agent = ground.dial(polite()).await;
    assert_eq!(agent.welcome().await.epoch, first.epoch + 1);
}
