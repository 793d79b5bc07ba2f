//! Clients that create, change and delete whatever comes to hand, also what another one is about to
//! use or to delete.

mod network;
mod pool;
mod vpn;

use super::ground::{Attached, Ground};
use super::project::{Answer, Project};
use crate::support::dice::Dice;
use pool::Pool;
use serde_json::{Value as Json, json};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

pub const IKE_POLICIES: &str = "vpn/ikepolicies";
pub const IPSEC_POLICIES: &str = "vpn/ipsecpolicies";
pub const SERVICES: &str = "vpn/vpnservices";
pub const CONNECTIONS: &str = "vpn/ipsec-site-connections";

/// So many objects of a kind without a quota, at most, so that lists stay short.
const ENOUGH: usize = 40;
/// It goes on until it has been one; see [`Storm::must_have_been_one`].
const STORM: Duration = Duration::from_secs(10);
/// By then a machine that does anything has done everything.
const LONGEST_STORM: Duration = Duration::from_secs(120);
/// So many faults are kept; by then it is clear that the server is not sound.
const MOST_FAULTS: usize = 100;

type Action<'a> = fn(&Storm<'a>, &mut Dice) -> anyhow::Result<()>;

/// See the module.
pub struct Storm<'a> {
    project: &'a Project<'a>,
    ground: &'a Ground,
    ike_policies: Pool<String>,
    ipsec_policies: Pool<String>,
    /// Services on routers that stay; connections are made on these only, so that every one of them
    /// concerns the node.
    services: Pool<String>,
    /// Services on routers that come and go.
    passing_services: Pool<String>,
    connections: Pool<String>,
    networks: Pool<String>,
    subnets: Pool<String>,
    ports: Pool<String>,
    routers: Pool<String>,
    attached: Pool<Attached>,
    connection_writes: AtomicI64,
    begun: Instant,
    /// It is clear by now that the server is not sound.
    has_failed: AtomicBool,
}

impl<'a> Storm<'a> {
    /// What clients do, and how often in proportion.
    const ACTIONS: [(usize, Action<'a>); 25] = [
        (10, Self::create_ike_policy),
        (5, Self::update_ike_policy),
        (6, Self::delete_ike_policy),
        (7, Self::create_ipsec_policy),
        (4, Self::update_ipsec_policy),
        (4, Self::delete_ipsec_policy),
        (6, Self::create_service),
        (4, Self::update_service),
        (4, Self::delete_service),
        (14, Self::create_connection),
        (7, Self::update_connection),
        (9, Self::delete_connection),
        (3, Self::create_network),
        (2, Self::delete_network),
        (4, Self::create_subnet),
        (3, Self::delete_subnet),
        (12, Self::create_port),
        (4, Self::update_port),
        (8, Self::delete_port),
        (4, Self::create_router),
        (3, Self::delete_router),
        (6, Self::attach),
        (4, Self::detach),
        (3, Self::create_passing_service),
        (3, Self::delete_passing_service),
    ];

    pub fn new(project: &'a Project<'a>, ground: &'a Ground) -> Self {
        Self {
            project,
            ground,
            ike_policies: Pool::default(),
            ipsec_policies: Pool::default(),
            services: Pool::default(),
            passing_services: Pool::default(),
            connections: Pool::default(),
            networks: Pool::default(),
            subnets: Pool::default(),
            ports: Pool::default(),
            routers: Pool::default(),
            attached: Pool::default(),
            connection_writes: AtomicI64::new(0),
            begun: Instant::now(),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Whether it has still to rage: for a while, and then until it has been one.
    pub fn goes_on(&self) -> bool {
        let age = self.begun.elapsed();
        !self.has_failed.load(Ordering::SeqCst)
            && (age < STORM || age < LONGEST_STORM && self.must_have_been_one().is_err())
    }

    /// Lets all clients work while it goes on; answers what went wrong.
    pub fn rage(&self, clients: u64) -> Vec<String> {
        let faults = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for client in 0..clients {
                let faults = &faults;
                scope.spawn(move || {
                    let mut dice = Dice::new(client);
                    while self.goes_on() {
                        let Err(fault) = self.act(&mut dice) else { continue };
                        let mut faults = lock(faults);
                        faults.push(format!("{fault:#}"));
                        if faults.len() > MOST_FAULTS {
                            self.has_failed.store(true, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        lock(&faults).split_off(0)
    }

    /// How many creations, changes and deletions of connections have been acknowledged.
    pub fn connection_writes(&self) -> i64 {
        self.connection_writes.load(Ordering::SeqCst)
    }

    /// Fails unless everything was done at least once and limits were run into.
    pub fn must_have_been_one(&self) -> anyhow::Result<()> {
        let tally = self.project.tally();
        for path in [IKE_POLICIES, IPSEC_POLICIES, SERVICES, CONNECTIONS, "ports"] {
            for verb in ["POST", "PUT", "DELETE"] {
                tally.must_have(&format!("{verb} {path}"), "done")?;
            }
        }
        for path in ["networks", "subnets", "routers"] {
            for verb in ["POST", "DELETE"] {
                tally.must_have(&format!("{verb} {path}"), "done")?;
            }
        }
        tally.must_have("PUT routers/add_router_interface", "done")?;
        tally.must_have("PUT routers/remove_router_interface", "done")?;
        tally.must_have(&format!("POST {IKE_POLICIES}"), "OverQuota")?;
        tally.must_have("POST ports", "OverQuota")?;
        tally.must_have("POST ports", "IpAddressAlreadyAllocated")
    }

    fn act(&self, dice: &mut Dice) -> anyhow::Result<()> {
        let mut point = dice.below(Self::ACTIONS.iter().map(|(share, _)| share).sum());
        for (share, action) in Self::ACTIONS {
            if point < share {
                return action(self, dice);
            }
            point -= share;
        }
        Ok(())
    }

    /// Deletes one of a pool, which another client may be doing at the same time.
    fn delete(
        &self,
        path: &str,
        pool: &Pool<String>,
        dice: &mut Dice,
        not_found: &str,
        in_use: &[&str],
    ) -> anyhow::Result<Option<Answer>> {
        let Some(id) = pool.pick(dice) else { return Ok(None) };
        let answer = self.project.delete(path, &id, &[&[not_found], in_use].concat())?;
        match &answer {
            Answer::Refused(reason) if reason != not_found => {}
            Answer::Refused(_) | Answer::Done(_) => pool.remove(&id),
        }
        Ok(Some(answer))
    }
}

fn renaming(dice: &mut Dice) -> Json {
    json!({"name": format!("storm-{}", dice.below(1000))})
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
