//! Servers of one PostgreSQL hear of each other's commits.

use super::ground::Ground;
use karez_store::Store;
use std::thread;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Far more than a ring takes, and less than would be a coincidence of looks: there are none in a store.
const BOUND: Duration = Duration::from_secs(20);

/// Within this, nothing should have rung.
const QUIET: Duration = Duration::from_millis(300);

/// Who listens shows so in the database.
const LISTENERS: &str = "pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'";

pub fn a_ring_is_heard_by_the_other_servers(ground: &Ground) {
    let other = ground.open_again().expect("another store");
    let mut doorbell = heard_at_the_start(ground, &other);
    ring(ground);
    rings(ground, &mut doorbell);
    // What rings nowhere is heard by nobody.
    ground.write(|_| Ok(())).expect("written");
    ground.run(async { timeout(QUIET, doorbell.changed()).await }).expect_err("nothing has rung");
}

pub fn a_listener_whose_connection_is_cut_listens_again(ground: &Ground) {
    let other = ground.open_again().expect("another store");
    let mut doorbell = heard_at_the_start(ground, &other);
    let cut = format!("SELECT pg_terminate_backend(pid) FROM {LISTENERS}");
    ground.database.execute(&cut).expect("cut");
    // Something may have been missed meanwhile.
    rings(ground, &mut doorbell);
    ring(ground);
    rings(ground, &mut doorbell);
}

/// Each store rings once as it begins to listen.
fn heard_at_the_start(ground: &Ground, other: &Store) -> watch::Receiver<u64> {
    let mut doorbell = other.doorbell();
    let count = format!("SELECT count(*) FROM {LISTENERS}");
    let both_listen = (0..1000).any(|_| {
        thread::sleep(Duration::from_millis(20));
        ground.database.number(&count).expect("counted") == 2
    });
    assert!(both_listen);
    let first = ground.run(async { timeout(BOUND, doorbell.wait_for(|rings| *rings > 0)).await.map(drop) });
    first.expect("a ring");
    doorbell
}

fn ring(ground: &Ground) {
    ground
        .write(|tx| {
            tx.ring();
            Ok(())
        })
        .expect("written");
}

fn rings(ground: &Ground, doorbell: &mut watch::Receiver<u64>) {
    ground
        .run(async { timeout(BOUND, doorbell.changed()).await })
        .expect("a ring")
        .expect("the store is there");
}
