//! What a router is connected to, and routes over it.

use super::allocation::parsed;
use super::device;
use crate::Failure;
use crate::context::Context;
use ipnet::IpNet;
use karez_model::Reason;
use karez_model::resource::Route;
use std::net::IpAddr;

/// A subnet that a router has an address on.
pub(crate) struct Connected {
    pub subnet_id: String,
    pub net: IpNet,
    /// The router's own address there.
    pub ip: IpAddr,
}

/// The subnets of a router's interfaces and of its gateway.
pub(crate) fn connected(context: &mut Context<'_, '_>, router_id: &str) -> Result<Vec<Connected>, Failure> {
    let sql = "SELECT s.id, s.cidr, a.ip_address FROM ports p
        JOIN ip_allocations a ON a.port_id = p.id JOIN subnets s ON s.id = a.subnet_id
        WHERE p.device_id = $1 AND p.device_owner IN ($2, $3)
        ORDER BY s.id";
    let params = [router_id.into(), device::ROUTER_INTERFACE.into(), device::ROUTER_GATEWAY.into()];
    let rows = context.tx.query(sql, &params)?;
    let connected = rows.iter().map(|row| {
        Ok(Connected {
            subnet_id: row.text(0)?.to_owned(),
            net: parsed(row.text(1)?)?,
            ip: parsed(row.text(2)?)?,
        })
    });
    connected.collect()
}

/// Refuses another subnet of a router that has it already, or that has one with the same addresses.
pub(crate) fn check_distinct(connected: &[Connected], subnet_id: &str, net: IpNet) -> Result<(), Failure> {
    let message = if connected.iter().any(|other| other.subnet_id == subnet_id) {
        format!("The router has a port on the subnet {subnet_id} already")
    } else if let Some(other) =
        connected.iter().find(|other| other.net.contains(&net) || net.contains(&other.net))
    {
        format!(
            "The range {net} of the subnet {subnet_id} overlaps with {} of the subnet {}, which the router has a port on",
            other.net, other.subnet_id
        )
    } else {
        return Ok(());
    };
    Err(Failure::fault(Reason::BadRequest, message))
}

/// Refuses routes whose next hop the router cannot reach, or is itself.
pub(crate) fn check(connected: &[Connected], routes: &[Route]) -> Result<(), Failure> {
    for Route { destination, nexthop } in routes {
        let why = if !connected.iter().any(|subnet| subnet.net.contains(nexthop)) {
            "is on no subnet that the router is connected to"
        } else if connected.iter().any(|subnet| subnet.ip == *nexthop) {
            "is the router itself"
        } else {
            continue;
        };
        let message = format!("The route to {destination}: its next hop {nexthop} {why}");
        return Err(Failure::fault(Reason::InvalidRoutes, message));
    }
    Ok(())
}
