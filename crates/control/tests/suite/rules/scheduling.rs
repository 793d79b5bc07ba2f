//! Which node runs which router.

use super::ground::{Ground, refusal};
use super::site::{HOUR, hello};
use karez_control::Lease;
use karez_fabric::{Hello, Shape};
use karez_model::{Kind, Object, Reason, parse};
use serde_json::json;
use std::time::Duration;

async fn open(ground: &Ground, hello: Hello) -> Lease {
    ground.control.open_session(&hello, false, HOUR).await.expect("a session")
}

async fn schedule(ground: &Ground) -> usize {
    ground.control.schedule().await.expect("scheduled")
}

/// The hosts of the agent that runs the router: one or none.
async fn host(ground: &Ground, router: &Object) -> Option<String> {
    let agents = ground.control.router_agents(&ground.admin, router.id()).await.expect("listed");
    assert!(agents.len() < 2, "on two nodes");
    agents.first().map(|agent| agent.text("host").to_owned())
}

async fn zoned(ground: &Ground, zone: &str) -> Object {
    let body = json!({"availability_zone_hints": [zone]});
    ground.create(&ground.member, Kind::Router, body).await.expect("a router")
}

#[tokio::test(flavor = "multi_thread")]
async fn routers_are_spread_over_the_nodes() {
    let ground = Ground::with_quotas(&[("router", -1)]);
    let (one, two) = (open(&ground, hello("one")).await, open(&ground, hello("two")).await);
    for _ in 0..5 {
        ground.router(None).await;
    }
    assert_eq!(schedule(&ground).await, 5);
    assert_eq!(schedule(&ground).await, 0, "all have a node");
    let mut loads = Vec::new();
    for lease in [&one, &two] {
        loads.push(ground.control.agent_routers(&ground.admin, &lease.node).await.expect("listed").len());
    }
    loads.sort_unstable();
    assert_eq!(loads, [2, 3]);
    open(&ground, hello("three")).await;
    let router = ground.router(None).await;
    schedule(&ground).await;
    assert_eq!(host(&ground, &router).await.as_deref(), Some("three"), "it had none");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_routers_wait() {
    let ground = Ground::new();
    let router = ground.router(None).await;
    assert_eq!(schedule(&ground).await, 0);
    open(&ground, hello("one")).await;
    assert_eq!(schedule(&ground).await, 1);
    assert_eq!(host(&ground, &router).await.as_deref(), Some("one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_with_hints_is_placed_in_one_of_those_zones() {
    let ground = Ground::new();
    open(&ground, hello("plain")).await;
    open(&ground, Hello { zone: Some("east".into()), ..hello("eastern") }).await;
    open(&ground, Hello { zone: Some("west".into()), ..hello("western") }).await;
    let (west, default) = (zoned(&ground, "west").await, zoned(&ground, "nova").await);
    schedule(&ground).await;
    assert_eq!(host(&ground, &west).await.as_deref(), Some("western"));
    assert_eq!(host(&ground, &default).await.as_deref(), Some("plain"), "a node without zone is in nova");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_is_not_placed_outside_of_its_zone() {
    let ground = Ground::new();
    open(&ground, Hello { zone: Some("east".into()), ..hello("eastern") }).await;
    let router = zoned(&ground, "nova").await;
    assert_eq!(schedule(&ground).await, 0);
    assert_eq!(host(&ground, &router).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_make_no_routers_take_those_that_are_found_on_them() {
    for shape in [Shape::Attached, Shape::Host] {
        let ground = Ground::new();
        let (there, elsewhere) = (ground.router(None).await, ground.router(None).await);
        let found = vec![there.id().parse().expect("an id")];
        let lease = open(&ground, Hello { shape, found, ..hello("one") }).await;
        assert_eq!(schedule(&ground).await, 1);
        assert_eq!(host(&ground, &there).await.as_deref(), Some("one"));
        assert_eq!(host(&ground, &elsewhere).await, None);
        let found = [&there, &elsewhere].map(|router| router.id().parse().expect("an id"));
        ground.control.found(&lease, found.to_vec()).await.expect("noted");
        assert_eq!(schedule(&ground).await, 1);
        assert_eq!(host(&ground, &elsewhere).await.as_deref(), Some("one"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_is_found_somewhere_is_not_made_elsewhere() {
    let ground = Ground::new();
    let router = ground.router(None).await;
    open(&ground, hello("managed")).await;
    let found = vec![router.id().parse().expect("an id")];
    open(&ground, Hello { shape: Shape::Attached, found, ..hello("attached") }).await;
    schedule(&ground).await;
    assert_eq!(host(&ground, &router).await.as_deref(), Some("attached"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_that_an_operator_took_away_is_left_alone_until_he_gives_it_back() {
    let ground = Ground::new();
    let router = ground.router(None).await;
    let lease = open(&ground, hello("one")).await;
    schedule(&ground).await;
    ground.control.displace_router(&ground.admin, &lease.node, router.id()).await.expect("displaced");
    assert_eq!(schedule(&ground).await, 0);
    assert_eq!(host(&ground, &router).await, None);
    ground.control.place_router(&ground.admin, &lease.node, router.id()).await.expect("placed");
    assert_eq!(host(&ground, &router).await.as_deref(), Some("one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_nodes_and_those_that_are_switched_off_get_no_router() {
    let ground = Ground::new();
    let router = ground.router(None).await;
    ground.control.open_session(&hello("dead"), false, Duration::ZERO).await.expect("a session");
    let off = open(&ground, hello("off")).await;
    let body = json!({"admin_state_up": false});
    let updated = parse::update(Kind::Agent, body.as_object().expect("an object")).expect("read");
    ground.control.update_agent(&ground.admin, &off.node, updated).await.expect("changed");
    assert_eq!(schedule(&ground).await, 0);
    assert_eq!(host(&ground, &router).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_stays_on_a_node_that_is_silent() {
    let ground = Ground::new();
    let router = ground.router(None).await;
    let lease = open(&ground, hello("one")).await;
    schedule(&ground).await;
    ground.control.renew(vec![lease], Duration::ZERO).await.expect("renewed");
    open(&ground, hello("two")).await;
    assert_eq!(schedule(&ground).await, 0, "its tunnels go on there");
    assert_eq!(host(&ground, &router).await.as_deref(), Some("one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routers_of_an_agent_that_is_removed_are_placed_anew() {
    let ground = Ground::new();
    let router = ground.router(None).await;
    let one = open(&ground, hello("one")).await;
    schedule(&ground).await;
    let refused = ground.control.delete_agent(&ground.admin, &one.node).await;
    assert_eq!(refusal(refused), Reason::Conflict, "it is alive");
    ground.control.renew(vec![one.clone()], Duration::ZERO).await.expect("renewed");
    let two = open(&ground, hello("two")).await;
    ground.control.delete_agent(&ground.admin, &one.node).await.expect("removed");
    assert_eq!(schedule(&ground).await, 1);
    assert_eq!(host(&ground, &router).await.as_deref(), Some("two"));
    let desired = ground.control.desired(&two, None).await.expect("read");
    assert!(desired.routers[0].generation > 1, "it was placed before");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_at_once_place_each_router_once() {
    let ground = Ground::with_quotas(&[("router", -1)]);
    open(&ground, hello("one")).await;
    for _ in 0..12 {
        ground.router(None).await;
    }
    let scheduler = || {
        let control = ground.control.clone();
        tokio::spawn(async move { control.schedule().await })
    };
    let both = [scheduler(), scheduler()];
    let mut placed = 0;
    for one in both {
        placed += one.await.expect("no panic").expect("scheduled");
    }
    assert_eq!(placed, 12);
}
