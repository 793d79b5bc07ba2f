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
