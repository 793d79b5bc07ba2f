//! Several nodes and many routers on one machine.

use crate::gateways::cloud::{Cloud, plan, usual_guards};
use anyhow::Result;
use karez_agent::gateway::{Gateway, Managed};
use karez_engine::{Datapath, RouterId};
use karez_net::Namespace;
use uuid::Uuid;

#[tokio::test]
async fn two_nodes_do_not_disturb_each_other() -> Result<()> {
    let (one, mut two) = (Cloud::new().await?, Cloud::new().await?);
    // The same networks, ports and addresses, as two clouds made alike have them.
    two.plan.gateway = one.plan.gateway.clone();
    let guards = usual_guards();
    one.make(&guards).await?;
    two.make(&guards).await?;
    let (here, there) = (one.host(1).await?, two.host(1).await?);
    here.address("eth0", &["10.0.1.8/24"]).await?;

    assert_eq!(one.gateway.present().await?, [one.plan.id]);
    assert_eq!(two.gateway.present().await?, [two.plan.id]);
    assert!(here.pings("10.0.1.1")? && there.pings("10.0.1.1")?);
    assert!(!there.pings("10.0.1.8")?, "their networks are not one");

    one.gateway.remove(two.plan.id).await?;
    assert!(Namespace::exists(&Managed::namespace(two.plan.id))?, "it is not theirs to remove");
    let taken = one.gateway.make(&two.plan, &[], Datapath::Userspace).await;
    assert!(taken.expect_err("it is in use").to_string().contains("another node"));

    one.gateway.remove(one.plan.id).await?;
    assert!(there.pings("10.0.1.1")?);
    assert!(!two.make(&guards).await?, "nothing had to be put right");
    Ok(())
}

#[tokio::test]
async fn routers_on_one_network_come_and_go_at_the_same_time() -> Result<()> {
    let cloud = Cloud::new().await?;
    let before = cloud.node.dump()?;
    let network = Uuid::new_v4();
    let plans: Vec<_> = (0..8)
        .map(|number| {
            let mut plan = plan();
            plan.gateway.external = None;
            plan.gateway.internal.truncate(1);
            plan.gateway.internal[0].network = network;
            plan.gateway.internal[0].addresses =
                vec![crate::gateways::scratch::net(&format!("10.9.0.{}/24", number + 1))];
            plan
        })
        .collect();
    let gateway = std::sync::Arc::new(Managed::new(crate::gateways::cloud::options(&cloud.node)));

    for _ in 0..2 {
        let mut tasks = tokio::task::JoinSet::new();
        for plan in plans.clone() {
            let gateway = std::sync::Arc::clone(&gateway);
            tasks.spawn(async move {
                gateway.make(&plan, &[], Datapath::Userspace).await?;
                gateway.remove(plan.id).await?;
                gateway.make(&plan, &[], Datapath::Userspace).await
            });
        }
        while let Some(made) = tasks.join_next().await {
            made??;
        }
    }
    let mut present = gateway.present().await?;
    present.sort();
    let mut wanted: Vec<RouterId> = plans.iter().map(|plan| plan.id).collect();
    wanted.sort();
    assert_eq!(present, wanted);

    for plan in &plans {
        gateway.remove(plan.id).await?;
    }
    assert_eq!(cloud.node.dump()?.since(&before), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn without_the_external_bridge_the_error_says_what_to_do() -> Result<()> {
    let cloud = Cloud::new().await?;
    cloud.node.netlink.remove_link("br-ex").await?;

    let error = cloud.make(&[]).await.expect_err("nowhere to join").to_string();

    assert!(error.contains("no bridge br-ex") && error.contains("make it"), "{error}");
    Ok(())
}
