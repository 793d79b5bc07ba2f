//! Tables that are changed by what differs from the one before.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result};
use karez_net::nft::{
    Action, Chain, Change, Condition, Hook, Pair, Rule, Table, clamp_mss, counters, keep_source, priority,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use crate::scratch::Scratch;
use crate::traffic::{arrives, udp};

/// What of tunnels is in a table.
#[derive(Debug, Clone)]
struct Tunnel {
    name: String,
    pairs: Vec<Pair>,
    mss: u16,
}

fn tunnel(name: &str, pairs: &[(&str, &str)]) -> Tunnel {
    let pair = |(from, to): &(&str, &str)| {
        Pair::new(from.parse().expect("a network"), to.parse().expect("a network")).expect("one family")
    };
    Tunnel { name: name.to_owned(), pairs: pairs.iter().map(pair).collect(), mss: 1300 }
}

/// With all that depends on tunnels: sets that come and go, rules that do, counters of each.
fn table(tunnels: &[Tunnel]) -> Table {
    let mut table = Table::new("karez-test");
    let pairs = || tunnels.iter().flat_map(|tunnel| tunnel.pairs.clone());
    let selected = table.add_pairs("selected", pairs().collect());
    let counted = |tunnel: &Tunnel| {
        let name = format!("seen-{}", tunnel.name);
        tunnel.pairs.clone().into_iter().map(move |pair| (pair, name.clone()))
    };
    let counted = table.add_counters("seen", tunnels.iter().flat_map(counted).collect());
    let mut by_mss: BTreeMap<u16, Vec<Pair>> = BTreeMap::new();
    for tunnel in tunnels {
        by_mss.entry(tunnel.mss).or_default().extend(&tunnel.pairs);
    }
    let mut clamp = Chain::filter("clamp", Hook::Postrouting, priority::MANGLE);
    for (mss, pairs) in by_mss {
        let set = table.add_pairs(format!("mss-{mss}"), pairs.into_iter().collect());
        clamp = clamp.rules(clamp_mss(&set, mss));
    }
    table.add_chain(
        Chain::nat("exempt", Hook::Postrouting, priority::NAT_EXEMPTION).rule(keep_source(&selected)),
    );
    table.add_chain(clamp);
    let chain = |name, hook| Chain::filter(name, hook, priority::FILTER);
    let any = || Rule::new([], Action::Nothing);
    table.add_chain(
        chain("out", Hook::Output)
            .rule(Rule::new([Condition::NotBetween(selected.clone())], Action::Accept))
            .rule(any().counted_between(&counted)),
    );
    table.add_chain(
        chain("in", Hook::Forward)
            .rule(Rule::new([Condition::NotBetweenReversed(selected)], Action::Accept))
            .rule(any().counted_between_reversed(&counted)),
    );
    table
}

/// What the kernel has, without what tells one from an equal one: rules in their order, all else by name.
fn listing(scratch: &Scratch) -> Result<(Vec<String>, BTreeSet<String>)> {
    let text = scratch.output(Command::new("nft").args(["-j", "list", "table", "inet", "karez-test"]))?;
    let listing: Value = serde_json::from_str(&text)?;
    let (mut in_order, mut by_name) = (Vec::new(), BTreeSet::new());
    for object in listing["nftables"].as_array().context("a listing")? {
        let (kind, content) = object.as_object().and_then(|object| object.iter().next()).context("one")?;
        let mut content = content.clone();
        if let Some(content) = content.as_object_mut() {
            content.remove("handle");
        }
        if let Some(elements) = content.get_mut("elem").and_then(Value::as_array_mut) {
            elements.sort_by_key(Value::to_string);
        }
        let line = format!("{kind} {content}");
        match kind.as_str() {
            "rule" | "chain" => in_order.push(line),
            _ => {
                by_name.insert(line);
            }
        }
    }
    Ok((in_order, by_name))
}

/// The number that the kernel gave to the table; another one is another table.
fn handle(scratch: &Scratch) -> Result<u64> {
    let text = scratch.output(Command::new("nft").args(["-j", "list", "tables"]))?;
    let listing: Value = serde_json::from_str(&text)?;
    let objects = listing["nftables"].as_array().context("a listing")?;
    let tables = objects.iter().filter_map(|object| object.get("table"));
    let ours = tables.into_iter().find(|table| table["name"] == "karez-test").context("the table")?;
    ours["handle"].as_u64().context("a handle")
}

/// Few networks, so that they are equal and overlap often; and both families.
fn tunnels() -> impl Strategy<Value = Vec<Tunnel>> {
    let network = || (0_u32..8, 0_u8..=3);
    let pair = (network(), network(), any::<bool>()).prop_map(|(source, destination, is_v6)| {
        let net = |(bits, length): (u32, u8)| match is_v6 {
            false => format!("{}/{length}", std::net::Ipv4Addr::from_bits(bits << 29)),
            true => format!("{}/{length}", std::net::Ipv6Addr::from_bits(u128::from(bits) << 125)),
        };
        let parsed = |net: String| net.parse().expect("a network");
        Pair::new(parsed(net(source)), parsed(net(destination))).expect("one family")
    });
    let tunnel = (0_u8..6, prop::collection::vec(pair, 1..3), 0_u16..3);
    let tunnel =
        tunnel.prop_map(|(name, pairs, mss)| Tunnel { name: name.to_string(), pairs, mss: 1300 + mss });
    prop::collection::vec(tunnel, 0..6)
}

#[test]
fn what_is_reached_by_differences_is_what_is_reached_at_once() -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let (by_differences, at_once) = runtime
        .block_on(async { anyhow::Ok((Scratch::new("steps").await?, Scratch::new("once").await?)) })?;
    let mut runner = TestRunner::new(Config { cases: 16, failure_persistence: None, ..Config::default() });
    let sequence = prop::collection::vec(tunnels(), 2..5);
    runner.run(&sequence, |sequence| {
        let outcome = runtime.block_on(async {
            let mut before: Option<Table> = None;
            for tunnels in sequence {
                let table = table(&tunnels);
                table.ensure_after(&by_differences.namespace, before.as_ref()).await?;
                let again = table.ensure_after(&by_differences.namespace, before.as_ref()).await?;
                anyhow::ensure!(again == Change::None, "{again:?}");
                table.ensure(&at_once.namespace).await?;
                anyhow::ensure!(
                    listing(&by_differences)? == listing(&at_once)?,
                    "{:#?} {:#?}",
                    listing(&by_differences)?,
                    listing(&at_once)?
                );
                before = Some(table);
            }
            anyhow::Ok(())
        });
        outcome.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    })?;
    Ok(())
}

#[tokio::test]
async fn an_edit_of_one_tunnel_changes_no_more_than_that() -> Result<()> {
    let scratch = Scratch::new("edit").await?;
    let inside = &scratch.namespace;
    let mut tunnels =
        vec![tunnel("a", &[("10.0.1.0/24", "10.1.1.0/24")]), tunnel("b", &[("10.0.2.0/24", "10.1.2.0/24")])];
    let mut before = table(&tunnels);
    assert_eq!(before.ensure_after(inside, None).await?, Change::Replacement);
    let first = handle(&scratch)?;
    let edits: [fn(&mut Vec<Tunnel>); 5] = [
        |tunnels| tunnels[0].mss = 1200,
        |tunnels| tunnels[1].pairs = tunnel("", &[("10.0.2.0/24", "10.1.3.0/24")]).pairs,
        |tunnels| tunnels.push(tunnel("c", &[("fd01::/64", "fd02::/64")])),
        |tunnels| tunnels.push(tunnel("d", &[("10.0.0.0/16", "10.1.1.0/24")])),
        |tunnels| drop(tunnels.remove(2)),
    ];
    for edit in edits {
        edit(&mut tunnels);
        let now = table(&tunnels);
        assert_eq!(now.ensure_after(inside, Some(&before)).await?, Change::Difference, "{tunnels:?}");
        assert_eq!(now.ensure_after(inside, Some(&before)).await?, Change::None);
        before = now;
    }
    assert_eq!(handle(&scratch)?, first, "it is the same table still");
    Ok(())
}

#[tokio::test]
async fn counters_count_on_through_changes_and_replacements() -> Result<()> {
    let scratch = Scratch::new("count-on").await?;
    scratch.address("lo", &["10.0.1.1/32", "10.1.1.1/32", "10.1.2.1/32"]).await?;
    let read = async |name: &str| -> Result<Option<u64>> {
        Ok(counters(&scratch.namespace, "karez-test").await?.get(name).map(|count| count.packets))
    };
    let send = |to: &str| -> Result<bool> { arrives(&udp(&scratch, "10.0.1.1")?, &udp(&scratch, to)?) };
    let a = tunnel("a", &[("10.0.1.0/24", "10.1.1.0/24")]);
    let b = tunnel("b", &[("10.0.1.0/24", "10.1.2.0/24")]);
    let one = table(std::slice::from_ref(&a));
    one.ensure(&scratch.namespace).await?;
    assert!(send("10.1.1.1")?);
    assert_eq!((read("seen-a").await?, read("seen-b").await?), (Some(1), None));

    let two = table(&[a.clone(), b]);
    assert_eq!(two.ensure_after(&scratch.namespace, Some(&one)).await?, Change::Difference);
    assert!(send("10.1.1.1")? && send("10.1.2.1")?);
    assert_eq!((read("seen-a").await?, read("seen-b").await?), (Some(2), Some(1)));

    // Somebody who remembers nothing.
    let again = table(std::slice::from_ref(&a));
    assert_eq!(again.ensure_after(&scratch.namespace, None).await?, Change::Replacement);
    assert!(send("10.1.1.1")?);
    assert_eq!((read("seen-a").await?, read("seen-b").await?), (Some(3), None));
    Ok(())
}

#[tokio::test]
async fn of_two_tunnels_that_overlap_one_counts_and_the_other_does_when_it_is_gone() -> Result<()> {
    let scratch = Scratch::new("overlap").await?;
    scratch.address("lo", &["10.0.1.1/32", "10.1.1.1/32", "10.1.2.1/32"]).await?;
    let wide = tunnel("wide", &[("10.0.0.0/16", "10.1.1.0/24")]);
    let narrow = tunnel("narrow", &[("10.0.1.0/24", "10.1.0.0/16")]);
    let send = |to: &str| -> Result<bool> { arrives(&udp(&scratch, "10.0.1.1")?, &udp(&scratch, to)?) };
    let seen = async || -> Result<Vec<(String, u64)>> {
        let counters = counters(&scratch.namespace, "karez-test").await?;
        Ok(counters.into_iter().map(|(name, count)| (name, count.packets)).collect())
    };
    let both = table(&[wide.clone(), narrow.clone()]);
    both.ensure(&scratch.namespace).await?;
    assert!(send("10.1.1.1")? && send("10.1.2.1")?);
    assert_eq!(seen().await?, [("seen-narrow".to_owned(), 1), ("seen-wide".to_owned(), 1)]);

    let one = table(std::slice::from_ref(&narrow));
    assert_eq!(one.ensure_after(&scratch.namespace, Some(&both)).await?, Change::Difference);
    assert!(send("10.1.1.1")? && send("10.1.2.1")?);
    assert_eq!(seen().await?, [("seen-narrow".to_owned(), 3)]);
    Ok(())
}

#[tokio::test]
async fn of_two_equal_tunnels_the_other_counts_when_the_first_is_gone() -> Result<()> {
    let scratch = Scratch::new("equal").await?;
    scratch.address("lo", &["10.0.1.1/32", "10.1.1.1/32"]).await?;
    let [a, b] = ["a", "b"].map(|name| tunnel(name, &[("10.0.1.0/24", "10.1.1.0/24")]));
    let both = table(&[a, b.clone()]);
    both.ensure(&scratch.namespace).await?;
    let send = || -> Result<bool> { arrives(&udp(&scratch, "10.0.1.1")?, &udp(&scratch, "10.1.1.1")?) };
    assert!(send()?);

    table(&[b]).ensure_after(&scratch.namespace, Some(&both)).await?;

    assert!(send()?);
    let counters = counters(&scratch.namespace, "karez-test").await?;
    let counted: Vec<_> = counters.iter().map(|(name, count)| (name.as_str(), count.packets)).collect();
    assert_eq!(counted, [("seen-b", 1)]);
    Ok(())
}

#[tokio::test]
async fn what_somebody_else_changed_is_put_right_with_the_next_look() -> Result<()> {
    let scratch = Scratch::new("foreign").await?;
    let tunnels =
        [tunnel("a", &[("10.0.1.0/24", "10.1.1.0/24")]), tunnel("b", &[("10.0.2.0/24", "10.1.2.0/24")])];
    let now = table(&tunnels);
    now.ensure(&scratch.namespace).await?;
    let right = listing(&scratch)?;
    for change in [
        "flush ruleset",
        "delete table inet karez-test",
        "flush table inet karez-test",
        "flush chain inet karez-test out",
        "add rule inet karez-test out drop",
        "add chain inet karez-test more",
    ] {
        scratch.foreign_nft(change)?;
        let done = now.ensure_after(&scratch.namespace, Some(&now)).await?;
        assert_ne!(done, Change::None, "{change}");
        assert_eq!(listing(&scratch)?, right, "{change}");
    }
    Ok(())
}

#[tokio::test]
async fn where_the_difference_does_not_fit_the_table_is_replaced() -> Result<()> {
    let scratch = Scratch::new("misfit").await?;
    let a = tunnel("a", &[("10.0.1.0/24", "10.1.1.0/24")]);
    let b = tunnel("b", &[("10.0.2.0/24", "10.1.2.0/24")]);
    let (both, one) = (table(&[a.clone(), b]), table(&[a]));
    one.ensure(&scratch.namespace).await?;
    let right = listing(&scratch)?;
    both.ensure(&scratch.namespace).await?;
    scratch.foreign_nft("delete element inet karez-test selected-4 { 10.0.2.0/24 . 10.1.2.0/24 }")?;

    assert_eq!(one.ensure_after(&scratch.namespace, Some(&both)).await?, Change::Replacement);

    assert_eq!(listing(&scratch)?, right);
    Ok(())
}

#[tokio::test]
async fn a_packet_never_meets_half_a_change() -> Result<()> {
    let scratch = Scratch::new("half").await?;
    scratch.address("lo", &["10.0.1.1/32", "10.1.1.1/32"]).await?;
    // The packets are covered by a narrower and a wider pair in turn.
    let with = |mss: u16, other: &str| {
        let source = if mss.is_multiple_of(2) { "10.0.0.0/16" } else { "10.0.1.0/24" };
        let mut stays = tunnel("stays", &[(source, "10.1.1.0/24")]);
        stays.mss = mss;
        table(&[stays, tunnel("other", &[("10.0.2.0/24", other)])])
    };
    let mut before = with(1300, "10.1.2.0/24");
    before.ensure(&scratch.namespace).await?;
    let sender = udp(&scratch, "10.0.1.1")?;
    let receiver = udp(&scratch, "10.1.1.1")?;
    let mut sent = 0_u64;
    for round in 0..10_u16 {
        let now = with(1200 + round, &format!("10.1.{}.0/24", 10 + round));
        {
            let mut change = std::pin::pin!(now.ensure_after(&scratch.namespace, Some(&before)));
            // Packets go all the time while it is changed.
            let pause = std::time::Duration::from_micros(100);
            let change = loop {
                match tokio::time::timeout(pause, &mut change).await {
                    Ok(change) => break change?,
                    Err(_) => assert!(arrives(&sender, &receiver)?),
                }
                sent += 1;
            };
            assert_eq!(change, Change::Difference);
        }
        before = now;
    }
    let seen = async || counters(&scratch.namespace, "karez-test").await;
    assert!(sent > 0);
    assert_eq!(seen().await?["seen-stays"].packets, sent);
    Ok(())
}
