//! What has to be true once everybody is done, by the API and by the database itself.

use super::ground::Ground;
use super::project::{PROJECT, Project, text};
use super::storm::{CONNECTIONS, IKE_POLICIES, IPSEC_POLICIES, SERVICES, Storm};
use crate::support::{Server, wait};
use anyhow::{Context, ensure};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::Duration;

const BOUND: Duration = Duration::from_secs(20);

/// Each counts rows that must not be there.
const ORPHANS: &[(&str, &str)] = &[
    (
        "addresses of no port",
        "SELECT count(*) FROM ip_allocations WHERE port_id NOT IN (SELECT id FROM ports)",
    ),
    (
        "addresses of no subnet of their network",
        "SELECT count(*) FROM ip_allocations a WHERE NOT EXISTS
            (SELECT 1 FROM subnets s WHERE s.id = a.subnet_id AND s.network_id = a.network_id)",
    ),
    (
        "addresses on another network than their port",
        "SELECT count(*) FROM ip_allocations a JOIN ports p ON p.id = a.port_id WHERE p.network_id <> a.network_id",
    ),
    ("ports of no network", "SELECT count(*) FROM ports WHERE network_id NOT IN (SELECT id FROM networks)"),
    (
        "subnets of no network",
        "SELECT count(*) FROM subnets WHERE network_id NOT IN (SELECT id FROM networks)",
    ),
    (
        "router ports of no router",
        "SELECT count(*) FROM ports WHERE device_owner LIKE 'network:router_%'
            AND device_id NOT IN (SELECT id FROM routers)",
    ),
    (
        "services of no router",
        "SELECT count(*) FROM vpnservices WHERE router_id NOT IN (SELECT id FROM routers)",
    ),
    (
        "services whose subnet is not connected to their router",
        "SELECT count(*) FROM vpnservices v WHERE NOT EXISTS
            (SELECT 1 FROM ports p JOIN ip_allocations a ON a.port_id = p.id
             WHERE p.device_id = v.router_id AND a.subnet_id = v.subnet_id)",
    ),
    (
        "connections of no service",
        "SELECT count(*) FROM ipsec_site_connections WHERE vpnservice_id NOT IN (SELECT id FROM vpnservices)",
    ),
    (
        "connections without their IKE policy",
        "SELECT count(*) FROM ipsec_site_connections WHERE ikepolicy_id NOT IN (SELECT id FROM ikepolicies)",
    ),
    (
        "connections without their IPsec policy",
        "SELECT count(*) FROM ipsec_site_connections WHERE ipsecpolicy_id NOT IN (SELECT id FROM ipsecpolicies)",
    ),
    (
        "placements of no router",
        "SELECT count(*) FROM placements WHERE router_id NOT IN (SELECT id FROM routers)",
    ),
];

pub fn no_address_is_given_twice(server: &Server) -> anyhow::Result<()> {
    let mut by_api = BTreeSet::new();
    for port in Project::admin(server).list("ports")? {
        for fixed_ip in port["fixed_ips"].as_array().context("a port has no fixed_ips")? {
            let place = format!("{} {}", text(&port, "network_id")?, text(fixed_ip, "ip_address")?);
            ensure!(by_api.insert(place.clone()), "two ports have the address {place}");
        }
    }
    let twice = server.database().number(
        "SELECT count(*) FROM (SELECT 1 AS one FROM ip_allocations GROUP BY network_id, ip_address HAVING count(*) > 1) twice",
    )?;
    ensure!(twice == 0, "{twice} addresses are allocated twice");
    let allocated = server.database().texts("SELECT network_id || ' ' || ip_address FROM ip_allocations")?;
    let allocated: BTreeSet<String> = allocated.into_iter().collect();
    ensure!(!by_api.is_empty(), "there is no address at all");
    ensure!(
        by_api == allocated,
        "ports show other addresses than are allocated: {:?}",
        by_api.symmetric_difference(&allocated)
    );
    Ok(())
}

pub fn nothing_is_orphaned(server: &Server) -> anyhow::Result<()> {
    for (what, query) in ORPHANS {
        let count = server.database().number(query).context(*what)?;
        ensure!(count == 0, "{count} {what}");
    }
    let member = Project::member(server);
    let ids = |path: &str| -> anyhow::Result<BTreeSet<String>> {
        member.list(path)?.iter().map(|object| Ok(text(object, "id")?.to_owned())).collect()
    };
    let parts =
        [("vpnservice_id", SERVICES), ("ikepolicy_id", IKE_POLICIES), ("ipsecpolicy_id", IPSEC_POLICIES)];
    let connections = member.list(CONNECTIONS)?;
    ensure!(!connections.is_empty(), "no connection is left to look at");
    for (attribute, path) in parts {
        let existing = ids(path)?;
        let orphan = connections
            .iter()
            .find(|connection| !existing.contains(text(connection, attribute).unwrap_or_default()));
        ensure!(orphan.is_none(), "the {attribute} of {orphan:?} does not exist");
    }
    networks_know_their_subnets(&member)
}

/// The server may keep objects in memory; what it shows must be what the database has.
pub fn lists_show_what_is_stored(server: &Server) -> anyhow::Result<()> {
    let member = Project::member(server);
    let tables = [
        (IKE_POLICIES, "ikepolicies", "name"),
        (IPSEC_POLICIES, "ipsecpolicies", "name"),
        (SERVICES, "vpnservices", "status"),
        (CONNECTIONS, "ipsec_site_connections", "status"),
        ("networks", "networks", "name"),
        ("ports", "ports", "name"),
        ("routers", "routers", "name"),
    ];
    for (path, table, column) in tables {
        let query = format!("SELECT id || ' ' || {column} FROM {table} WHERE project_id = '{PROJECT}'");
        let stored =
            || anyhow::Ok(server.database().texts(&query)?.into_iter().collect::<BTreeSet<String>>());
        // The server may still say of a router that no node runs it; what it says between two readings is not compared.
        let (stored, shown) = wait::until("the end of what the server says by itself", BOUND, || {
            let before = stored()?;
            let shown = member.list(path)?;
            Ok((before == stored()?).then_some((before, shown)))
        })?;
        let own = shown.iter().filter(|object| object["project_id"] == PROJECT);
        let shown: BTreeSet<String> = own
            .map(|object| Ok(format!("{} {}", text(object, "id")?, text(object, column)?)))
            .collect::<anyhow::Result<_>>()?;
        ensure!(
            shown == stored,
            "{path} does not show what is stored: {:?}",
            shown.symmetric_difference(&stored).collect::<Vec<_>>()
        );
    }
    Ok(())
}

pub fn revision_covers_every_write(
    server: &Server,
    ground: &Ground,
    storm: &Storm<'_>,
) -> anyhow::Result<()> {
    let writes = storm.connection_writes();
    let grown = ground.revision(server)? - 1;
    ensure!(writes > 0, "no connection was written");
    ensure!(grown >= writes, "desired_rev grew by {grown} in {writes} writes of connections");
    Ok(())
}

fn networks_know_their_subnets(member: &Project<'_>) -> anyhow::Result<()> {
    let subnets = member.list("subnets")?;
    for network in member.list("networks")?.iter().filter(|network| network["project_id"] == PROJECT) {
        let of_network = subnets.iter().filter(|subnet| subnet["network_id"] == network["id"]);
        let existing: BTreeSet<&str> = of_network.filter_map(|subnet| subnet["id"].as_str()).collect();
        let shown = network["subnets"].as_array().context("a network has no subnets")?;
        let shown: BTreeSet<&str> = shown.iter().filter_map(Json::as_str).collect();
        ensure!(
            shown == existing,
            "the network {} shows the subnets {shown:?} and has {existing:?}",
            network["id"]
        );
    }
    Ok(())
}
