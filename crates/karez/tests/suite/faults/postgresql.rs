//! PostgreSQL goes away and comes back, whole or in parts.

use super::ledger::{Ledger, must_be_sound, must_not_have_panicked};
use crate::support::StoreKind::Postgresql;
use crate::support::{Caller, Cluster, Launch, Server, wait};
use anyhow::ensure;
use reqwest::Method;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(30);

#[test]
fn a_server_that_finds_no_database_says_so_until_there_is_one() -> anyhow::Result<()> {
    let cluster = Arc::new(Cluster::start()?);
    let mut server = Launch::new(Postgresql).start_on(Arc::clone(&cluster))?;
    let (log, client) = (server.state().join("log"), server.client().clone());
    server.kill()?;
    cluster.stop()?;
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| server.start_again());
        let there = wait::until("a word about the database", Duration::from_secs(30), || {
            let log = std::fs::read_to_string(&log)?;
            let line = log.lines().find(|line| line.contains("the database is away"));
            let listen = line.and_then(|line| line.split("listen=").nth(1)?.split_whitespace().next());
            Ok(listen.map(|listen| format!("http://{listen}")))
        });
        let answers = there.and_then(|base| {
            let ask = |path: &str| client.get(format!("{base}{path}")).send();
            ensure!(ask("/healthcheck")?.status() == 200, "the process itself is well");
            ensure!(ask("/readyz")?.status() == 503);
            let read = ask("/v2.0/vpn/ikepolicies")?;
            ensure!(read.status() == 503 && read.headers().contains_key("retry-after"), "{read:?}");
            Ok(())
        });
        let begun = cluster.start_again();
        starting.join().map_err(|_| anyhow::anyhow!("a panic"))??;
        answers.and(begun)
    })?;
    ensure!(Ledger::default().create(&server)?, "it is there");
    Ok(())
}

#[test]
fn a_database_that_is_away_is_answered_with_503_until_it_is_back() -> anyhow::Result<()> {
    let cluster = Arc::new(Cluster::start()?);
    let mut server = Launch::new(Postgresql).start_on(Arc::clone(&cluster))?;
    let ledger = Ledger::default();
    under_load(&server, &ledger, || {
        for _ in 0..2 {
            more_than(ledger.acknowledged(), || ledger.acknowledged(), 50)?;
            cluster.stop()?;
            more_than(ledger.refused(), || ledger.refused(), 50)?;
            let health = server.client().get(format!("{}/healthcheck", server.base())).send()?;
            ensure!(health.status() == 200, "the process itself is well");
            let ready = server.client().get(format!("{}/readyz", server.base())).send()?;
            ensure!(ready.status() == 503, "{}", ready.status());
            let parts = ready.text()?;
            ensure!(
                parts.contains("\"identity\":\"ok\"") && !parts.contains("\"database\":\"ok\""),
                "{parts}"
            );
            let read = Caller::member("p").request(&server, Method::GET, "/v2.0/vpn/ikepolicies").send()?;
            ensure!(read.status() == 503, "{}", read.status());
            cluster.start_again()?;
            more_than(ledger.acknowledged(), || ledger.acknowledged(), 50)?;
        }
        Ok(())
    })?;
    for _ in 0..50 {
        ensure!(ledger.create(&server)?, "it is not wholly back");
    }
    ensure!(server.is_alive()?);
    ledger.must_be_kept(&server)?;
    must_be_sound(&server)?;
    must_not_have_panicked(&server)
}

#[test]
fn connections_that_are_cut_under_load_are_replaced() -> anyhow::Result<()> {
    let cluster = Arc::new(Cluster::start()?);
    let mut server = Launch::new(Postgresql).start_on(Arc::clone(&cluster))?;
    let ledger = Ledger::default();
    under_load(&server, &ledger, || {
        for _ in 0..10 {
            more_than(ledger.acknowledged(), || ledger.acknowledged(), 20)?;
            let cut = server.database().number(
                "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'karez'",
            )?;
            ensure!(cut > 0, "there was no connection to cut");
        }
        more_than(ledger.acknowledged(), || ledger.acknowledged(), 20)
    })?;
    for _ in 0..50 {
        ensure!(ledger.create(&server)?, "it is not wholly back");
    }
    ensure!(server.is_alive()?);
    ledger.must_be_kept(&server)?;
    must_not_have_panicked(&server)
}

/// Runs `events` while eight clients create objects.
fn under_load(
    server: &Server,
    ledger: &Ledger,
    events: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| ledger.create_until_the_end(server))).collect();
        let happened = events();
        ledger.end();
        for client in clients {
            client.join().unwrap_or_else(|_| anyhow::bail!("a client panicked"))?;
        }
        happened
    })
}

/// Waits until a count has grown by so much.
fn more_than(before: usize, count: impl Fn() -> usize, by: usize) -> anyhow::Result<()> {
    wait::until("requests", BOUND, || Ok((count() >= before + by).then_some(())))
}
