use std::time::Duration;

use anyhow::{Context, Result};
use karez_net::{Changed, Events, LinkSettings, Route, RoutingRule};
use tokio::time::timeout;

use crate::scratch::{Scratch, nets};

const BOUND: Duration = Duration::from_secs(30);

/// Waits for a word that meets the condition; others may come before it.
async fn heard(events: &mut Events, wanted: impl Fn(Changed) -> bool) -> Result<()> {
    let heard = async { while !wanted(events.next().await.expect("the kernel goes on")) {} };
    timeout(BOUND, heard).await.context("nothing was heard")
}

#[tokio::test]
async fn whoever_listens_hears_of_links_addresses_routes_rules_and_settings() -> Result<()> {
    let scratch = Scratch::new("events").await?;
    let mut events = Events::open(&scratch.namespace).await?;
    scratch.netlink.ensure_bridge("br0", &LinkSettings::up()).await?;
    heard(&mut events, |changed| changed.links).await?;
    scratch.netlink.ensure_addresses("br0", &nets(&["10.0.0.1/24"])).await?;
    heard(&mut events, |changed| changed.addresses).await?;
    scratch.netlink.ensure_route(&Route::over("10.7.0.0/16".parse()?, "br0")).await?;
    heard(&mut events, |changed| changed.routes).await?;
    let [from, to] = ["10.1.0.0/24", "10.2.0.0/24"].map(|net| net.parse().expect("a net"));
    let rule = RoutingRule { priority: 100, from, to, table: 77 };
    scratch.netlink.ensure_rules(&[rule].into()).await?;
    heard(&mut events, |changed| changed.routes).await?;
    for value in ["0", "1"] {
        scratch.namespace.set_sysctl("net/ipv4/ip_forward", value)?;
    }
    heard(&mut events, |changed| changed.settings).await?;
    Ok(())
}

#[tokio::test]
async fn many_changes_are_one_word() -> Result<()> {
    let scratch = Scratch::new("burst").await?;
    scratch.netlink.ensure_bridge("br0", &LinkSettings::up()).await?;
    let mut events = Events::open(&scratch.namespace).await?;
    for last in 1..50 {
        scratch.netlink.ensure_addresses("br0", &nets(&[&format!("10.0.0.{last}/24")])).await?;
    }
    let mut words = 0;
    while timeout(Duration::from_millis(200), events.next()).await.is_ok() {
        words += 1;
    }
    assert!((1..10).contains(&words), "{words} words");
    Ok(())
}

#[tokio::test]
async fn another_namespaces_changes_are_not_heard() -> Result<()> {
    let (quiet, loud) = (Scratch::new("quiet").await?, Scratch::new("loud").await?);
    let mut events = Events::open(&quiet.namespace).await?;
    loud.netlink.ensure_bridge("br0", &LinkSettings::up()).await?;
    quiet.netlink.ensure_route(&Route::over("10.7.0.0/16".parse()?, "lo")).await?;
    let first = timeout(BOUND, events.next()).await?.context("the kernel goes on")?;
    assert_eq!((first.links, first.routes), (false, true));
    Ok(())
}

/// While nobody reads, the socket runs over, and what happened meanwhile is lost: so anything may have.
#[tokio::test]
async fn what_was_lost_in_an_overrun_counts_as_changed() -> Result<()> {
    let scratch = Scratch::new("overrun").await?;
    scratch.netlink.ensure_bridge("br0", &LinkSettings::up()).await?;
    let mut events = Events::open(&scratch.namespace).await?;
    while timeout(Duration::from_millis(200), events.next()).await.is_ok() {}
    let lines: String = (0..5000)
        .map(|number| {
            let verb = if number % 2 == 0 { "add" } else { "del" };
            format!("address {verb} 10.0.0.1/24 dev br0\n")
        })
        .collect();
    // This thread is the only one that reads, and it waits for the program.
    scratch.batch(&lines)?;
    heard(&mut events, |changed| changed.links && changed.settings).await
}
