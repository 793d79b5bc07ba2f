//! What breaks a router under its tunnels is heard at once, and named when it is not ours to repair.

use crate::gateways::attached::Foreign;
use crate::gateways::cloud::{Cloud, tunnel, usual_guards};
use crate::gateways::scratch::{Scratch, join};
use anyhow::{Context, Result, ensure};
use karez_agent::gateway::{Gateway, Host, HostOptions, Managed, paths};
use karez_agent::{Severed, Watch};
use karez_engine::{Bounds, Datapath, RouterPlan};
use karez_net::{LinkSettings, Namespace, Route};
use std::time::Duration;
use tokio::time::timeout;

/// Far less than the time from look to look. The kernel may keep back for a second what a carrier does.
const BOUND: Duration = Duration::from_secs(10);

/// Waits for a word, and tells whether there will be more.
async fn heard(watch: &mut Watch, what: &str) -> Result<bool> {
    timeout(BOUND, watch.changed()).await.with_context(|| format!("it was not heard: {what}"))
}

/// Waits until there will be no more words.
async fn ended(watch: &mut Watch, what: &str) -> Result<()> {
    let words = async { while watch.changed().await {} };
    timeout(BOUND, words).await.with_context(|| format!("it goes on after: {what}"))
}

/// Lets what was done so far be heard and forgotten.
async fn quiet(watch: &mut Watch) {
    while timeout(Duration::from_millis(500), watch.changed()).await.is_ok_and(|goes_on| goes_on) {}
}

async fn severed(gateway: &impl Gateway, plan: &RouterPlan) -> Result<Severed> {
    Ok(gateway.severed(plan, &paths(plan, &Bounds::default(), |_| None)).await?)
}

/// What is said of the plan's only tunnel.
async fn trouble(gateway: &impl Gateway, plan: &RouterPlan) -> Result<String> {
    let severed = severed(gateway, plan).await?;
    Ok(severed.get(&plan.tunnels[0].id).context("it is as if nothing was missing")?.clone())
}

#[tokio::test]
async fn in_somebody_elses_router_each_part_that_is_missing_is_heard_of_and_named() -> Result<()> {
    let foreign = Foreign::new().await?;
    let (gateway, plan) = (&foreign.gateway, &foreign.plan);
    assert_eq!(severed(gateway, plan).await?, Severed::new());
    let mut watch = gateway.watch(plan).await?;
    let (router, beyond) = (&foreign.router, &foreign.beyond);
    let broken: [(&Scratch, &str, &str, &str); 6] = [
        (
            router,
            "link set qg-1 down",
            "link qg-1, which has the address 203.0.113.1, is down",
            "link set qg-1 up",
        ),
        (router, "route del default", "no route to the peer's address 198.51.100.1", ""),
        (
            router,
            "rule add to 198.51.100.1 prohibit",
            "no route to the peer's address 198.51.100.1",
            "rule del to 198.51.100.1 prohibit",
        ),
        (
            router,
            "route add 198.51.100.1 dev lo",
            "the route to the peer's address 198.51.100.1 leads back into",
            "route del 198.51.100.1 dev lo",
        ),
        (
            beyond,
            "link set eth0 down",
            "link qg-1, which leads to the peer's address 198.51.100.1, has no carrier",
            "link set eth0 up",
        ),
        (
            router,
            "addr del 203.0.113.1/24 dev qg-1",
            "has no address 203.0.113.1",
            "addr add 203.0.113.1/24 dev qg-1",
        ),
    ];
    for (place, breaks, says, mends) in broken {
        quiet(&mut watch).await;
        place.ip(breaks)?;
        assert!(heard(&mut watch, breaks).await?);
        let said = trouble(gateway, plan).await?;
        ensure!(said.contains(says) && said.contains(&router.name()), "{breaks}: {said}");
        quiet(&mut watch).await;
        if !mends.is_empty() {
            place.ip(mends)?;
        }
        if router.output(std::process::Command::new("ip").args(["route", "show", "default"]))?.is_empty() {
            router.ip("route add default via 203.0.113.2")?;
        }
        assert!(heard(&mut watch, "that it was mended").await?);
        assert_eq!(severed(gateway, plan).await?, Severed::new(), "after {breaks}");
    }

    Namespace::delete(&router.name())?;
    quiet(&mut watch).await;
    ended(&mut watch, "the end of the namespace").await?;
    assert!(trouble(gateway, plan).await?.contains("there is no namespace"));
    Ok(())
}

#[tokio::test]
async fn in_somebody_elses_router_forwarding_that_is_switched_off_is_heard_of_and_named() -> Result<()> {
    let mut foreign = Foreign::new().await?;
    foreign.plan.tunnels[0].local_subnets = vec!["10.0.1.0/24".parse()?];
    let mut watch = foreign.gateway.watch(&foreign.plan).await?;
    quiet(&mut watch).await;
    foreign.router.namespace.set_sysctl("net/ipv4/ip_forward", "0")?;
    assert!(heard(&mut watch, "that forwarding was switched off").await?);
    let said = trouble(&foreign.gateway, &foreign.plan).await?;
    ensure!(said.contains("forwarding of ipv4 is off") && said.contains(&foreign.router.name()), "{said}");

    let mut between_gateways = foreign.plan.clone();
    let tunnel = &mut between_gateways.tunnels[0];
    tunnel.local_subnets = vec![tunnel.local.into()];
    assert_eq!(severed(&foreign.gateway, &between_gateways).await?, Severed::new());

    quiet(&mut watch).await;
    foreign.router.namespace.set_sysctl("net/ipv4/ip_forward", "1")?;
    assert!(heard(&mut watch, "that it was switched on again").await?);
    assert_eq!(severed(&foreign.gateway, &foreign.plan).await?, Severed::new());
    Ok(())
}

#[tokio::test]
async fn a_tunnel_that_is_fine_is_told_from_one_beside_it_that_is_not() -> Result<()> {
    let mut foreign = Foreign::new().await?;
    foreign.plan.tunnels.push(tunnel("203.0.113.77", "198.51.100.1"));
    foreign.plan.tunnels.push(tunnel("203.0.113.78", "198.51.100.1"));
    foreign.plan.tunnels[2].is_up = false;

    let severed = severed(&foreign.gateway, &foreign.plan).await?;

    assert_eq!(severed.into_keys().collect::<Vec<_>>(), [foreign.plan.tunnels[1].id]);
    Ok(())
}

#[tokio::test]
async fn an_address_on_a_link_without_carrier_will_do_when_another_link_leads_to_the_peer() -> Result<()> {
    let foreign = Foreign::new().await?;
    let aside = Scratch::new("aside").await?;
    join(&aside.netlink, "eth0", &foreign.router.netlink, "other").await?;
    foreign.router.address("other", &["192.0.2.1/32"]).await?;
    aside.ip("link set eth0 down")?;
    let plan = RouterPlan { tunnels: vec![tunnel("192.0.2.1", "198.51.100.1")], ..foreign.plan.clone() };

    assert_eq!(severed(&foreign.gateway, &plan).await?, Severed::new());
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_also_on_a_link_that_is_down_will_do() -> Result<()> {
    let foreign = Foreign::new().await?;
    // Whichever of two the kernel lists last.
    for name in ["aside-1", "aside-2"] {
        let aside = Scratch::new("aside").await?;
        join(&aside.netlink, "eth0", &foreign.router.netlink, name).await?;
        foreign.router.address(name, &["203.0.113.1/32"]).await?;
        foreign.router.ip(&format!("link set {name} down"))?;
        assert_eq!(severed(&foreign.gateway, &foreign.plan).await?, Severed::new());
    }

    foreign.router.ip("link set qg-1 down")?;
    assert!(trouble(&foreign.gateway, &foreign.plan).await?.contains("has the address 203.0.113.1, is down"));
    Ok(())
}

#[tokio::test]
async fn a_rule_that_leads_only_packets_of_ike_to_the_peer_is_heeded() -> Result<()> {
    let foreign = Foreign::new().await?;
    foreign.router.ip("route del default")?;
    foreign.router.ip("route add default via 203.0.113.2 table 77")?;
    foreign.router.ip("rule add ipproto udp dport 500 lookup 77")?;

    assert_eq!(severed(&foreign.gateway, &foreign.plan).await?, Severed::new());
    Ok(())
}

#[tokio::test]
async fn on_a_machine_that_is_the_router_it_is_the_same() -> Result<()> {
    let (machine, beyond) = (Scratch::new("machine").await?, Scratch::new("beyond").await?);
    join(&beyond.netlink, "eth0", &machine.netlink, "eth0").await?;
    machine.address("eth0", &["203.0.113.1/24"]).await?;
    machine.default_via(&["203.0.113.2"]).await?;
    let plan =
        RouterPlan { tunnels: vec![tunnel("203.0.113.1", "198.51.100.1")], ..crate::gateways::cloud::plan() };
    let gateway = Host::new(HostOptions { node_namespace: Some(machine.name()), router_id: plan.id });
    assert_eq!(severed(&gateway, &plan).await?, Severed::new());
    let mut watch = gateway.watch(&plan).await?;

    machine.ip("route del default")?;
    assert!(heard(&mut watch, "the route").await?);
    assert!(trouble(&gateway, &plan).await?.contains("no route to the peer's address"));
    quiet(&mut watch).await;
    beyond.ip("link set eth0 down")?;
    assert!(heard(&mut watch, "the carrier").await?);
    quiet(&mut watch).await;
    machine.ip("addr flush dev eth0")?;
    assert!(heard(&mut watch, "the address").await?);
    assert!(trouble(&gateway, &plan).await?.contains("the machine has no address 203.0.113.1"));
    Ok(())
}

#[tokio::test]
async fn what_the_operator_does_to_the_external_bridge_is_heard_of_and_named() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    cloud.plan.tunnels = vec![tunnel("203.0.113.1", "198.51.100.1")];
    let (gateway, plan) = (&cloud.gateway, &cloud.plan);
    let guards = usual_guards();
    cloud.make(&guards).await?;
    assert_eq!(severed(gateway, plan).await?, Severed::new());
    let mut watch = gateway.watch(plan).await?;

    cloud.node.ip("link set br-ex down")?;
    assert!(heard(&mut watch, "the bridge is down").await?);
    assert!(!cloud.make(&guards).await?, "it is the operator's");
    assert_eq!(trouble(gateway, plan).await?, "the bridge br-ex is down");
    cloud.node.ip("link set br-ex up")?;
    quiet(&mut watch).await;
    assert_eq!(severed(gateway, plan).await?, Severed::new());

    cloud.node.ip("link del br-ex")?;
    assert!(heard(&mut watch, "the bridge is gone").await?);
    assert!(cloud.make(&guards).await.is_err());
    assert_eq!(trouble(gateway, plan).await?, "the bridge br-ex is not there");
    quiet(&mut watch).await;
    cloud.node.netlink.ensure_bridge("br-ex", &LinkSettings::up()).await?;
    assert!(heard(&mut watch, "there is a bridge again").await?);
    cloud.make(&guards).await?;
    assert_eq!(severed(gateway, plan).await?, Severed::new());
    Ok(())
}

#[tokio::test]
async fn what_somebody_does_to_a_router_of_ours_is_heard_of_and_repaired() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    cloud.plan.tunnels = vec![tunnel("203.0.113.1", "198.51.100.1")];
    let guards = usual_guards();
    let (gateway, plan) = (&cloud.gateway, &cloud.plan);
    let mut watch = gateway.watch(plan).await?;
    cloud.make(&guards).await?;
    quiet(&mut watch).await;
    // From now on there is more to listen to.
    ended(&mut watch, "there is a namespace now").await?;
    let port = plan.gateway.external.as_ref().expect("one").port.to_string();
    let outside = format!("kx-{}", &port[..11]);
    let netlink = cloud.inside().await?;
    let inside = Scratch { namespace: netlink.namespace().clone(), netlink };

    for command in ["route del default", "link set qg down", "addr flush dev qg"] {
        let mut watch = gateway.watch(plan).await?;
        inside.ip(&command.replace("qg", &format!("qg-{}", &port[..11])))?;
        assert!(heard(&mut watch, command).await?);
        assert!(severed(gateway, plan).await?.contains_key(&plan.tunnels[0].id), "{command}");
        assert!(cloud.make(&guards).await?);
        assert_eq!(severed(gateway, plan).await?, Severed::new());
        // The kernel itself has something to say of links for a second or more.
        let mut looks = 0;
        loop {
            assert!(!cloud.make(&guards).await?);
            match timeout(Duration::from_millis(500), watch.changed()).await {
                Ok(goes_on) => assert!(goes_on, "after {looks} words of {command}"),
                Err(_) => break,
            }
            looks += 1;
            assert!(looks < 50, "each look is heard");
        }
    }
    let mut watch = gateway.watch(plan).await?;
    cloud.node.ip(&format!("link set {outside} nomaster"))?;
    assert!(heard(&mut watch, "the node's end has left the bridge").await?);
    assert!(cloud.make(&guards).await?);
    quiet(&mut watch).await;
    cloud.node.ip(&format!("link del {outside}"))?;
    assert!(heard(&mut watch, "the node's end is gone").await?);
    assert!(cloud.make(&guards).await?);

    quiet(&mut watch).await;
    Namespace::delete(&Managed::namespace(plan.id))?;
    ended(&mut watch, "the namespace is gone").await?;
    assert!(cloud.gateway.make(plan, &guards, Datapath::Userspace).await?.has_changed);
    assert_eq!(severed(gateway, plan).await?, Severed::new());
    Ok(())
}

#[tokio::test]
async fn that_a_router_of_ours_was_deleted_is_seen_while_routes_of_its_node_come_and_go() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.make(&[]).await?;
    cloud.node.address("br-ex", &["192.0.2.1/24"]).await?;
    let mut watch = cloud.gateway.watch(&cloud.plan).await?;
    let node = cloud.node.netlink.clone();
    let route = Route::via("198.51.100.0/24".parse()?, "192.0.2.2".parse()?);
    let churn = tokio::spawn(async move {
        while node.ensure_route(&route).await.is_ok() && node.remove_route(&route).await.is_ok() {}
    });

    quiet(&mut watch).await;
    Namespace::delete(&Managed::namespace(cloud.plan.id))?;
    ended(&mut watch, "the namespace is gone").await?;
    assert!(!churn.is_finished());
    churn.abort();
    Ok(())
}

#[tokio::test]
async fn after_a_whole_routing_table_was_loaded_changes_are_still_heard() -> Result<()> {
    let foreign = Foreign::new().await?;
    let (gateway, plan) = (&foreign.gateway, &foreign.plan);
    let mut watch = gateway.watch(plan).await?;
    let route = |number: u32| {
        let [_, a, b, c] = number.to_be_bytes();
        format!("route add 100.{a}.{b}.{c}/32 via 203.0.113.2\n")
    };
    let batch = tempfile(&(0..50_000).map(route).collect::<String>())?;
    foreign.router.ip(&format!("-batch {}", batch.display()))?;
    std::fs::remove_file(&batch)?;
    quiet(&mut watch).await;
    // More may have been said than could be heard, and then one has to listen anew.
    if !watch.catch_up() {
        watch = gateway.watch(plan).await?;
    }

    foreign.router.ip("link set qg-1 down")?;
    assert!(heard(&mut watch, "the link").await?);
    assert!(trouble(gateway, plan).await?.contains("is down"));
    Ok(())
}

fn tempfile(text: &str) -> Result<std::path::PathBuf> {
    let file = std::env::temp_dir().join(crate::gateways::scratch::unused_name("batch"));
    std::fs::write(&file, text)?;
    Ok(file)
}
