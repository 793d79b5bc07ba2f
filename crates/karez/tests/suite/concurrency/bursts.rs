//! All clients ask for the same at the same moment, and exactly as many get it as there is of it.

use super::ground::{Ground, IKE_POLICY_QUOTA, PORT_QUOTA};
use super::project::{Answer, Project, text};
use super::storm::{CONNECTIONS, IKE_POLICIES, IPSEC_POLICIES, SERVICES};
use crate::concurrency::CLIENTS;
use anyhow::{Context, ensure};
use serde_json::{Value as Json, json};
use std::sync::Barrier;
use std::thread;

/// Deletes, all clients at once, everything that the storm has left and that can be deleted.
pub fn clear(project: &Project<'_>) -> anyhow::Result<()> {
    for path in [CONNECTIONS, SERVICES, IKE_POLICIES, IPSEC_POLICIES] {
        delete_all(project, path, project.list(path)?)?;
        ensure!(project.list(path)?.is_empty(), "{path} are left after all were deleted");
    }
    delete_free_ports(project)
}

pub fn exactly_the_quota_of_ike_policies_can_be_created(project: &Project<'_>) -> anyhow::Result<()> {
    let create = || project.create(IKE_POLICIES, json!({"name": "burst"}), &["OverQuota"]);
    let created = created_at_once(1, create)?;
    ensure!(created.len() == IKE_POLICY_QUOTA, "{} IKE policies could be created", created.len());
    ensure!(project.list(IKE_POLICIES)?.len() == IKE_POLICY_QUOTA, "the list has another number of them");

    project.delete(IKE_POLICIES, text(&created[0], "id")?, &[])?;
    ensure!(create()?.done().is_some(), "a place that became free cannot be taken");
    ensure!(create()?.done().is_none(), "the quota does not hold any more");
    Ok(())
}

pub fn one_of_many_gets_the_address_that_all_ask_for(
    project: &Project<'_>,
    ground: &Ground,
) -> anyhow::Result<()> {
    let fields = json!({"network_id": ground.narrow.network, "fixed_ips": [{"ip_address": "10.1.0.9"}]});
    let created =
        created_at_once(1, || project.create("ports", fields.clone(), &["IpAddressAlreadyAllocated"]))?;
    ensure!(created.len() == 1, "{} ports have the same address", created.len());
    let fixed_ips = json!([{"subnet_id": ground.narrow.subnet, "ip_address": "10.1.0.9"}]);
    ensure!(created[0]["fixed_ips"] == fixed_ips, "it is another address: {}", created[0]);
    delete_free_ports(project)
}

pub fn exactly_the_quota_of_ports_can_be_created(
    project: &Project<'_>,
    ground: &Ground,
) -> anyhow::Result<()> {
    let before = project.list("ports")?.len();
    let fields = json!({"network_id": ground.roomy.network});
    let created = created_at_once(2, || project.create("ports", fields.clone(), &["OverQuota"]))?;
    ensure!(
        created.len() == PORT_QUOTA - before,
        "{} ports besides {before} could be created",
        created.len()
    );
    ensure!(project.list("ports")?.len() == PORT_QUOTA, "the list has another number of them");
    Ok(())
}

/// Each client does this so many times, beginning together; answers what was created.
fn created_at_once(
    times: usize,
    create: impl Fn() -> anyhow::Result<Answer> + Sync,
) -> anyhow::Result<Vec<Json>> {
    let barrier = Barrier::new(CLIENTS as usize);
    let answers: Vec<anyhow::Result<Vec<Json>>> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    barrier.wait();
                    let answers = (0..times).map(|_| create().map(Answer::done));
                    answers.filter_map(Result::transpose).collect()
                })
            })
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")))
            .collect()
    });
    Ok(answers.into_iter().collect::<anyhow::Result<Vec<_>>>()?.concat())
}

/// Those that are not a router's.
fn delete_free_ports(project: &Project<'_>) -> anyhow::Result<()> {
    let ports = project.list("ports")?.into_iter().filter(|port| port["device_owner"] == "");
    delete_all(project, "ports", ports.collect())
}

fn delete_all(project: &Project<'_>, path: &str, objects: Vec<Json>) -> anyhow::Result<()> {
    thread::scope(|scope| {
        let deletions: Vec<_> = objects
            .iter()
            .map(|object| scope.spawn(move || project.delete(path, text(object, "id")?, &[]).map(drop)))
            .collect();
        deletions.into_iter().try_for_each(|deletion| {
            deletion.join().unwrap_or_else(|_| anyhow::bail!("a client panicked")).context("clearing up")
        })
    })
}
