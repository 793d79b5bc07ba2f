//! What the figures are held against: what we aim at, and what the Python reference does.
//!
//! The reference's figures are quoted. They were measured once, on the same kind of machine (two
//! cores shared with the load), with two API workers on MariaDB, at concurrency 8; nothing of
//! the reference runs when this program does.

use crate::suite::{CHAIN, CREATE, DELETE, LIST, SHOW};

/// At which concurrency the reference was measured.
pub const REFERENCE_CONCURRENCY: usize = 8;
/// Resident memory of the reference's API processes, in MiB: idle, and after the load.
pub const REFERENCE_MEMORY: (u64, u64) = (361, 487);
/// The reference's time to start, in seconds: shortest and longest.
pub const REFERENCE_START: (u64, u64) = (3, 15);

/// The 99th percentile we aim to stay under at the largest concurrency, in milliseconds.
pub const LATENCY_AIM: u64 = 10;
/// The resident memory that we aim to stay under after the run, in MiB.
pub const MEMORY_AIM: u64 = 60;
/// The time from start to first answer that we aim to stay under, in milliseconds.
pub const START_AIM: u64 = 100;

/// What the reference does in a second, quoted.
pub fn reference_per_second(scenario: &str, concurrency: usize) -> Option<u32> {
    if concurrency != REFERENCE_CONCURRENCY {
        return None;
    }
    match scenario {
        LIST => Some(48),
        SHOW => Some(368),
        CREATE => Some(127),
        CHAIN => Some(10),
        DELETE => Some(128),
        _ => None,
    }
}

/// What we aim to do in a second, once enough clients ask.
pub fn aim_per_second(store: &str, scenario: &str, concurrency: usize) -> Option<u32> {
    if concurrency < REFERENCE_CONCURRENCY {
        return None;
    }
    match (scenario, store) {
        (LIST, _) => Some(8_000),
        (SHOW, _) => Some(20_000),
        (CREATE, "sqlite") => Some(5_000),
        (CREATE, _) => Some(2_000),
        (CHAIN, "sqlite") => Some(1_000),
        _ => None,
    }
}
