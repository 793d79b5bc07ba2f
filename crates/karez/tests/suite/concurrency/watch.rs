//! Those who look on while the storm rages: one counts what quotas limit, one reads the node's
//! revision, and one sets statuses as an agent's reports would, behind the server's back.

use super::ground::Ground;
use super::project::Project;
use super::storm::{IKE_POLICIES, Storm};
use crate::support::Server;
use anyhow::{Context, ensure};
use std::thread;
use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(50);
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// The most that was seen of what has a quota.
pub struct Watched {
    pub ike_policies: usize,
    pub ports: usize,
}

/// Runs `rage` and looks on while the storm goes on; `first` is the node's revision before it.
pub fn during<T>(
    server: &Server,
    ground: &Ground,
    storm: &Storm<'_>,
    first: i64,
    rage: impl FnOnce() -> T,
) -> (anyhow::Result<Watched>, T) {
    thread::scope(|scope| {
        let quotas = scope.spawn(move || count(server, storm));
        let revision = scope.spawn(move || follow_revision(server, ground, storm, first));
        let agent = scope.spawn(move || report(server, storm));
        let answer = rage();
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

fn count(server: &Server, storm: &Storm<'_>) -> anyhow::Result<Watched> {
    let member = Project::member(server);
    let mut most = Watched { ike_policies: 0, ports: 0 };
    while storm.goes_on() {
        most.ike_policies = most.ike_policies.max(member.list(IKE_POLICIES)?.len());
        most.ports = most.ports.max(member.list("ports")?.len());
        thread::sleep(LOOK_EVERY);
    }
    Ok(most)
}

/// What has been acknowledged before a look must be in what the look sees: the revision goes up in
/// the same transaction.
fn follow_revision(server: &Server, ground: &Ground, storm: &Storm<'_>, first: i64) -> anyhow::Result<()> {
    let mut last = first;
    while storm.goes_on() {
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

fn report(server: &Server, storm: &Storm<'_>) -> anyhow::Result<()> {
    while storm.goes_on() {
        for table in ["vpnservices", "ipsec_site_connections"] {
            let reported = server.database().execute(&format!(
                "UPDATE {table} SET status = 'ACTIVE', rev = rev + 1 WHERE status = 'PENDING_CREATE'"
            ));
            // One statement for all rows takes them in any order, which the server's writers do not:
            // PostgreSQL may choose this one as the victim. SQLite lets a second process in only while the server's
            // writer pauses. The next round does what this one did not.
            match reported {
                Err(error) if is_contention(&error) => {}
                reported => reported?,
            }
        }
        thread::sleep(REPORT_EVERY);
    }
    Ok(())
}

fn is_contention(error: &anyhow::Error) -> bool {
    let error = format!("{error:#}");
    error.contains("deadlock detected") || error.contains("database is locked")
}
