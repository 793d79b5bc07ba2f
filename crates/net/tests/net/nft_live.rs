use anyhow::Result;
use karez_net::nft::{
    Action, Chain, Condition, Count, Hook, Pair, Pairs, Rule, Table, counters, exists, priority, remove,
};
use karez_net::{Error, Namespace};

use crate::scratch::Scratch;
use crate::traffic::{arrives, udp};

pub fn pairs(texts: &[(&str, &str)]) -> Pairs {
    let pair = |(from, to): &(&str, &str)| {
        Pair::new(from.parse().expect("a network"), to.parse().expect("a network")).expect("one family")
    };
    texts.iter().map(pair).collect()
}

fn counting(networks: &[(&str, &str)]) -> Table {
    let mut table = Table::new("karez-test");
    let set = table.add_pairs("watched", pairs(networks));
    let rule = Rule::new([Condition::Between(set)], Action::Nothing).counted("seen");
    table.add_chain(Chain::filter("output", Hook::Output, priority::FILTER).rule(rule));
    table
}

#[tokio::test]
async fn a_table_is_applied_once_replaced_when_it_changes_and_removed_once() -> Result<()> {
    let scratch = Scratch::new("life").await?;
    let inside = &scratch.namespace;
    assert!(!exists(inside, "karez-test").await?);
    assert!(counting(&[("10.0.0.0/8", "10.0.0.0/8")]).ensure(inside).await?);
    assert!(!counting(&[("10.0.0.0/8", "10.0.0.0/8")]).ensure(inside).await?);
    assert!(exists(inside, "karez-test").await?);
    assert!(counting(&[("10.0.0.0/8", "10.0.0.0/9")]).ensure(inside).await?);
    assert!(
        counting(&[("10.0.0.0/8", "10.0.0.0/8")]).ensure(inside).await?,
        "what was before is not remembered"
    );
    assert!(remove(inside, "karez-test").await?);
    assert!(!remove(inside, "karez-test").await?);
    assert!(!exists(inside, "karez-test").await?);
    assert_eq!(scratch.output(std::process::Command::new("nft").args(["list", "ruleset"]))?, "");
    Ok(())
}

#[tokio::test]
async fn a_table_that_somebody_emptied_or_removed_is_applied_again() -> Result<()> {
    let scratch = Scratch::new("tampered").await?;
    let table = counting(&[("10.0.0.0/8", "10.0.0.0/8")]);
    table.ensure(&scratch.namespace).await?;
    scratch.foreign_nft("flush ruleset")?;
    assert!(table.ensure(&scratch.namespace).await?);
    Ok(())
}

#[tokio::test]
async fn tables_of_others_stay() -> Result<()> {
    let scratch = Scratch::new("others").await?;
    let foreign = "table inet karez-other {\n\tchain c {\n\t}\n}\n";
    scratch.foreign_nft("add table inet karez-other { chain c { }; }")?;
    let ruleset = || scratch.output(std::process::Command::new("nft").args(["list", "ruleset"]));
    let before = ruleset()?;
    assert_eq!(before, foreign);
    let table = counting(&[("10.0.0.0/8", "10.0.0.0/8")]);
    table.ensure(&scratch.namespace).await?;
    assert!(ruleset()?.starts_with(foreign));
    remove(&scratch.namespace, table.name()).await?;
    assert_eq!(ruleset()?, before);
    Ok(())
}

#[tokio::test]
async fn counters_count_both_families_and_only_what_is_between_the_pairs() -> Result<()> {
    let scratch = Scratch::new("counters").await?;
    scratch
        .address("lo", &["10.0.0.1/32", "10.0.0.2/32", "10.9.0.1/32", "fd01::1/128", "fd01::2/128"])
        .await?;
    let table = counting(&[("10.0.0.0/24", "10.0.0.0/24"), ("fd01::1/128", "fd01::2/128")]);
    table.ensure(&scratch.namespace).await?;
    let read = async || counters(&scratch.namespace, "karez-test").await.map(|all| all.get("seen").copied());
    assert_eq!(read().await?, Some(Count::default()));
    for (from, to, counted) in [
        ("10.0.0.1", "10.0.0.2", 1),
        ("10.0.0.1", "10.9.0.1", 1),
        ("fd01::1", "fd01::2", 2),
        ("fd01::2", "fd01::1", 2),
    ] {
        assert!(arrives(&udp(&scratch, from)?, &udp(&scratch, to)?)?);
        assert_eq!(read().await?.map(|count| count.packets), Some(counted), "{from} to {to}");
    }
    assert!(!table.ensure(&scratch.namespace).await?);
    let bytes = (20 + 8 + 5) + (40 + 8 + 5);
    assert_eq!(read().await?, Some(Count { packets: 2, bytes }), "what is not replaced goes on counting");
    Ok(())
}

#[tokio::test]
async fn pairs_that_overlap_are_no_trouble_and_ten_thousand_are_not_either() -> Result<()> {
    let scratch = Scratch::new("many").await?;
    counting(&[
        ("10.0.0.0/8", "172.16.1.0/24"),
        ("10.0.1.0/24", "172.16.0.0/16"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("fd00::/8", "fd01::/16"),
        ("fd01::/16", "fd00::/8"),
    ])
    .ensure(&scratch.namespace)
    .await?;
    counting(&[
        ("10.0.0.0/8", "172.16.1.0/24"),
        ("10.0.1.0/24", "172.16.0.0/16"),
        ("10.0.1.1/32", "172.16.1.1/32"),
    ])
    .ensure(&scratch.namespace)
    .await?;
    let texts: Vec<_> = (0..10_000_u32)
        .map(|n| (format!("10.{}.{}.0/24", n / 100, n % 100), format!("fd{:02x}:{n:x}::/64", n % 7)))
        .map(|(v4, _)| (v4.clone(), v4.replacen("10.", "172.", 1)))
        .collect();
    let many: Vec<_> = texts.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    let table = counting(&many);
    assert!(table.ensure(&scratch.namespace).await?);
    assert!(!table.ensure(&scratch.namespace).await?);
    Ok(())
}

#[tokio::test]
async fn what_nft_refuses_is_explained() -> Result<()> {
    let scratch = Scratch::new("refused").await?;
    let mut table = Table::new("karez-test");
    let rule = Rule::new([], Action::Masquerade);
    table.add_chain(Chain::filter("forward", Hook::Forward, priority::FILTER).rule(rule));
    let refused = table.ensure(&scratch.namespace).await;
    let Err(error @ Error::Nft { .. }) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("apply table karez-test"), "{error}");
    assert!(error.to_string().contains(scratch.namespace.name()), "{error}");
    assert!(!exists(&scratch.namespace, "karez-test").await?, "all or nothing");
    assert_eq!(counters(&scratch.namespace, "karez-test").await?, [].into());
    assert!(Namespace::exists(scratch.namespace.name())?);
    Ok(())
}
