//! Many clients change one project at once, on both stores. Whatever order their requests come to
//! be done in, no request fails with a fault of the server, quotas hold exactly, no address is given
//! twice, nothing is left that belongs to nothing, and the revision of the node that runs the
//! routers goes up with each change that concerns it.

#![allow(clippy::disallowed_methods, reason = "real clients race in real time")]
#![allow(clippy::print_stdout, reason = "cargo shows it for a failed test, and with --no-capture")]

pub mod bursts;
pub mod ground;
pub mod project;
pub mod storm;
pub mod truth;
pub mod watch;

use self::ground::{Ground, IKE_POLICY_QUOTA, PORT_QUOTA};
use self::project::Project;
use self::storm::Storm;
use crate::support::StoreKind::{Postgresql, Sqlite};
use crate::support::{Launch, StoreKind};
use anyhow::ensure;

pub const CLIENTS: u64 = 32;

#[test]
fn many_clients_at_once_leave_a_sound_project_on_sqlite() -> anyhow::Result<()> {
    many_clients_at_once_leave_a_sound_project(Sqlite)
}

#[test]
fn many_clients_at_once_leave_a_sound_project_on_postgresql() -> anyhow::Result<()> {
    many_clients_at_once_leave_a_sound_project(Postgresql)
}

fn many_clients_at_once_leave_a_sound_project(store: StoreKind) -> anyhow::Result<()> {
    let server = Launch::new(store).start()?;
    let ground = Ground::prepare(&server)?;
    let project = Project::member_among_others(&server);
    let storm = Storm::new(&project, &ground);

    let before = ground.revision(&server)?;
    let (watched, failures) = watch::during(&server, &ground, &storm, before, || storm.rage(CLIENTS));

    println!("{store:?}: {} requests\n{}", project.tally().count(), project.tally());
    ensure!(failures.is_empty(), "{} faults, among them:\n{}", failures.len(), first(&failures));
    let watched = watched?;
    ensure!(watched.ike_policies <= IKE_POLICY_QUOTA, "{} IKE policies were seen", watched.ike_policies);
    ensure!(watched.ports <= PORT_QUOTA, "{} ports were seen", watched.ports);
    storm.must_have_been_one()?;
    ensure!(!server.log()?.contains("panicked"), "the server panicked:\n{}", server.log()?);

    truth::no_address_is_given_twice(&server)?;
    truth::nothing_is_orphaned(&server)?;
    truth::lists_show_what_is_stored(&server)?;
    truth::revision_covers_every_write(&server, &ground, &storm)?;

    let project = Project::member(&server);
    bursts::clear(&project)?;
    bursts::exactly_the_quota_of_ike_policies_can_be_created(&project)?;
    bursts::one_of_many_gets_the_address_that_all_ask_for(&project, &ground)?;
    bursts::exactly_the_quota_of_ports_can_be_created(&project, &ground)?;
    truth::no_address_is_given_twice(&server)
}

fn first(failures: &[String]) -> String {
    failures.iter().take(10).map(|failure| format!("  {failure}\n")).collect()
}
