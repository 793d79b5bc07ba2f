//! The machine as the router.

use crate::gateways::cloud::{guard, plan, tunnel};
use crate::gateways::scratch::{Scratch, join};
use anyhow::Result;
use karez_agent::gateway::{Gateway, Host, HostOptions};
use karez_engine::{Datapath, Place, RouterId, RouterPlan};

/// A machine with one leg: the hosts behind it, the world and the machine itself are on one link.
async fn machine() -> Result<(Scratch, Scratch, RouterPlan)> {
    let (machine, neighbour) = (Scratch::new("machine").await?, Scratch::new("neighbour").await?);
    join(&neighbour.netlink, "eth0", &machine.netlink, "eth0").await?;
    machine.address("eth0", &["10.0.1.1/24", "fd01::1/64"]).await?;
    neighbour.address("eth0", &["10.0.1.9/24", "fd01::9/64"]).await?;
    let plan = RouterPlan { tunnels: vec![tunnel("10.0.1.1", "198.51.100.1")], ..plan() };
    Ok((machine, neighbour, plan))
}

fn gateway(machine: &Scratch, router_id: RouterId) -> Host {
    Host::new(HostOptions { node_namespace: Some(machine.name()), router_id })
}

#[tokio::test]
async fn forwarding_is_switched_on_for_tunnels_and_off_again_by_whoever_comes_after() -> Result<()> {
    let (machine, _neighbour, plan) = machine().await?;
    let (before, tables) = (machine.dump()?, machine.tables()?);
    let host = gateway(&machine, plan.id);
    assert_eq!(host.found().await?, [plan.id]);
    let guards = [guard(&["10.0.1.0/24"], &["20.0.0.0/24"])];

    let made = host.make(&plan, &guards, Datapath::Userspace).await?;
    assert_eq!(made.place, Place { namespace: Some(machine.name()) });
    assert_eq!(machine.namespace.sysctl("net/ipv4/ip_forward")?, "1");
    assert_eq!(machine.namespace.sysctl("net/ipv6/conf/all/forwarding")?, "0", "no tunnel needs it");
    assert!(!host.make(&plan, &guards, Datapath::Userspace).await?.has_changed);

    let another = gateway(&machine, plan.id);
    assert!(!another.make(&plan, &guards, Datapath::Userspace).await?.has_changed);
    assert_eq!(another.present().await?, [plan.id]);
    another.remove(plan.id).await?;
    another.remove(plan.id).await?;

    assert_eq!(machine.dump()?.since(&before), [""; 0]);
    assert_eq!(machine.tables()?, tables);
    assert_eq!(another.present().await?, []);
    Ok(())
}

#[tokio::test]
async fn what_forwarded_before_forwards_afterwards() -> Result<()> {
    let (machine, _neighbour, plan) = machine().await?;
    machine.namespace.set_sysctl("net/ipv4/ip_forward", "1")?;
    let host = gateway(&machine, plan.id);

    host.make(&plan, &[guard(&["10.0.1.0/24"], &["20.0.0.0/24"])], Datapath::Userspace).await?;
    host.make(&plan, &[], Datapath::Userspace).await?;

    assert_eq!(machine.namespace.sysctl("net/ipv4/ip_forward")?, "1");
    assert!(!machine.tables()?.contains("karez"), "without tunnels there is no table");
    Ok(())
}

#[tokio::test]
async fn with_all_the_world_behind_the_tunnel_neighbours_still_reach_the_machine() -> Result<()> {
    let (machine, neighbour, plan) = machine().await?;
    let host = gateway(&machine, plan.id);
    let guards = [guard(&["10.0.1.0/24"], &["0.0.0.0/0"]), guard(&["fd01::/64"], &["::/0"])];

    host.make(&plan, &guards, Datapath::Userspace).await?;

    assert!(neighbour.pings("10.0.1.1")? && machine.pings("10.0.1.9")?);
    assert!(neighbour.pings("fd01::1")? && machine.pings("fd01::9")?);
    neighbour.address("lo", &["198.51.100.9/32"]).await?;
    machine.default_via(&["10.0.1.9"]).await?;
    assert!(!machine.pings("198.51.100.9")?, "all else has to take the tunnel");
    Ok(())
}

#[tokio::test]
async fn another_router_is_refused() -> Result<()> {
    let (machine, _neighbour, plan) = machine().await?;
    let host = gateway(&machine, RouterId(uuid::Uuid::new_v4()));

    let error = host.make(&plan, &[], Datapath::Userspace).await.expect_err("another router");

    assert!(error.to_string().contains("can be no other"), "{error}");
    Ok(())
}
