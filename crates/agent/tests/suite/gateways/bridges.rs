//! Bridges of internal networks go with whatever was plugged in last.

use crate::gateways::cloud::{Cloud, attach, internal};
use crate::gateways::scratch::{Scratch, eventually};
use anyhow::Result;
use karez_agent::gateway::Gateway;
use karez_engine::{Datapath, RouterId, RouterPlan};
use karez_net::LinkSettings;

fn bridge(plan: &RouterPlan) -> String {
    format!("kbr-{}", &plan.gateway.internal[0].network.to_string()[..11])
}

fn is_there(node: &Scratch, bridge: &str) -> Result<bool> {
    Ok(node.output(std::process::Command::new("ip").args(["-br", "link"]))?.contains(bridge))
}

#[tokio::test]
async fn a_bridge_that_a_host_has_kept_goes_when_the_host_does() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.make(&[]).await?;
    let other = RouterPlan { id: RouterId(uuid::Uuid::new_v4()), ..cloud.plan.clone() };
    let _watch = cloud.gateway.watch(&other).await?;
    let host = cloud.host(1).await?;
    let bridge = bridge(&cloud.plan);

    cloud.gateway.remove(cloud.plan.id).await?;
    assert!(is_there(&cloud.node, &bridge)?, "the host is still on its network");
    host.ip("link del eth0")?;
    eventually("the bridge is removed", || Ok(!is_there(&cloud.node, &bridge)?)).await
}

#[tokio::test]
async fn a_bridge_that_was_left_while_no_agent_ran_goes_when_one_looks_what_is_there() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.make(&[]).await?;
    let host = cloud.host(1).await?;
    cloud.gateway.remove(cloud.plan.id).await?;
    host.ip("link del eth0")?;
    assert!(is_there(&cloud.node, &bridge(&cloud.plan))?);

    cloud.gateway.present().await?;
    assert!(!is_there(&cloud.node, &bridge(&cloud.plan))?);
    Ok(())
}

#[tokio::test]
async fn a_bridge_of_an_agent_that_wrote_nothing_on_it_goes_with_its_last_port() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.make(&[]).await?;
    let bridge = bridge(&cloud.plan);
    let port = cloud.plan.gateway.internal[0].port.to_string();
    for link in [&bridge, &format!("kr-{}", &port[..11])] {
        // Without more it takes back what was written.
        let mut ip = std::process::Command::new("ip");
        cloud.node.output(ip.args(["link", "set", link, "alias", ""]))?;
        assert_eq!(cloud.node.netlink.existing_link(link).await?.alias, None);
    }

    cloud.gateway.present().await?;
    cloud.make(&[]).await?;
    cloud.gateway.remove(cloud.plan.id).await?;

    assert!(!is_there(&cloud.node, &bridge)?);
    Ok(())
}

#[tokio::test]
async fn a_bridge_that_somebody_else_has_made_stays() -> Result<()> {
    let mut cloud = Cloud::new().await?;
    cloud.plan.gateway.internal = vec![internal(1)];
    let bridge = bridge(&cloud.plan);
    cloud.node.netlink.ensure_bridge(&bridge, &LinkSettings::up()).await?;

    cloud.gateway.make(&cloud.plan, &[], Datapath::Userspace).await?;
    cloud.gateway.present().await?;
    let host = Scratch::new("host").await?;
    attach(&cloud.node, &bridge, &host.netlink, "host1").await?;
    cloud.gateway.remove(cloud.plan.id).await?;
    host.ip("link del eth0")?;
    cloud.gateway.present().await?;

    assert!(is_there(&cloud.node, &bridge)?);
    Ok(())
}
