//! Those who look on while the storm rages: one counts what quotas limit, one reads the node's
//! revision, and one sets statuses as an agent's reports would, behind the server's back.

use super::ground::Ground;
use super::project::Project;
use super::storm::{IKE_POLICIES, Storm};
use crate::support::Server;
use anyhow::{Context, ensure};
use std::thread;
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(50);
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// The most that was seen of what has a quota.
pub struct Watched {
    pub ike_policies: usize,
    pub ports: usize,
}

/// Runs `storm` and looks on until `end`.
pub fn during<T>(
    server: &Server,
    ground: &Ground,
    writes: &Storm<'_>,
    end: Instant,
    storm: impl FnOnce() -> T,
) -> (anyhow::Result<Watched>, T) {
    thread::scope(|scope| {
        let quotas = scope.spawn(move || count(server, end));
        let revision = scope.spawn(move || follow_revision(server, ground, writes, end));
        let agent = scope.spawn(move || report(server, end));
        let answer = storm();
        let joined = |result: thread::Result<anyhow::Result<()>>| {
            result.unwrap_or_else(|_| anyhow::bail!("an onlooker panicked"))
        };
        let watched = joined(revision.join())
            .context("the revision")
            .and(joined(agent.join()).context("the agent"))
            .and(quotas.join().unwrap_or_else(|_| anyhow::bail!("the counter panicked")));
        (watched, answer)
    })
}

fn count(server: &Server, end: Instant) -> anyhow::Result<Watched> {
    let member = Project::member(server);
    let mut most = Watched { ike_policies: 0, ports: 0 };
    while Instant::now() < end {
        most.ike_policies = most.ike_policies.max(member.list(IKE_POLICIES)?.len());
        most.ports = most.ports.max(member.list("ports")?.len());
        thread::sleep(LOOK_EVERY);
    }
    Ok(most)
}

/// What has been acknowledged before a look must be in what the look sees: the revision goes up in
/// the same transaction.
fn follow_revision(server: &Server, ground: &Ground, storm: &Storm<'_>, end: Instant) -> anyhow::Result<()> {
    let first = ground.revision(server)?;
    let mut last = first;
    while Instant::now() < end {
        let acknowledged = storm.connection_writes();
        let revision = ground.revision(server)?;
        ensure!(revision >= last, "desired_rev went from {last} back to {revision}");
        ensure!(
            revision - first >= acknowledged,
            "desired_rev grew by {} and {acknowledged} writes had been acknowledged before",
            revision - first
        );
        last = revision;
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn report(server: &Server, end: Instant) -> anyhow::Result<()> {
    while Instant::now() < end {
        for table in ["vpnservices", "ipsec_site_connections"] {
            let reported = server.database().execute(&format!(
                "UPDATE {table} SET status = 'ACTIVE', rev = rev + 1 WHERE status = 'PENDING_CREATE'"
            ));
            // One statement for all rows takes them in any order, which the server's writers do not:
            // PostgreSQL may choose this one as the victim. The next round does what it did not.
            match reported {
                Err(error) if format!("{error:#}").contains("deadlock detected") => {}
                reported => reported?,
            }
        }
        thread::sleep(REPORT_EVERY);
    }
    Ok(())
}
