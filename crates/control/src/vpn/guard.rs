//! What core operations must leave alone because VPN uses it.

use crate::Failure;
use crate::context::Context;
use karez_model::{Object, Reason};
use karez_store::Datum;

/// Refuses unless the subnet has a port on the router.
pub(crate) fn check_connected(
    context: &mut Context<'_, '_>,
    router_id: &str,
    subnet_id: &str,
) -> Result<(), Failure> {
    let sql = "SELECT port_id FROM ip_allocations WHERE subnet_id = $1
        AND port_id IN (SELECT id FROM ports WHERE device_id = $2) LIMIT 1";
    if context.exists(sql, &[Datum::from(subnet_id), Datum::from(router_id)])? {
        return Ok(());
    }
    Err(Failure::fault(
        Reason::SubnetIsNotConnectedToRouter,
        format!(
            "The subnet {subnet_id} is not connected to the router {router_id}; add it as an interface first"
        ),
    ))
}

/// Refuses to take the subnet away from the router while VPN services or connections use it there.
pub(crate) fn router_interface(
    context: &mut Context<'_, '_>,
    router: &Object,
    subnet_id: &str,
) -> Result<(), Failure> {
    let params = [Datum::from(router.id()), Datum::from(subnet_id)];
    let services = context
        .column("SELECT id FROM vpnservices WHERE router_id = $1 AND subnet_id = $2 ORDER BY id", &params)?;
    if !services.is_empty() {
        return Err(Failure::fault(
            Reason::SubnetInUseByVPNService,
            format!(
                "The subnet {subnet_id} is used by the VPN service(s) {}; delete them first",
                services.join(", ")
            ),
        ));
    }
    let connections = context.column(
        "SELECT id FROM ipsec_site_connections
         WHERE vpnservice_id IN (SELECT id FROM vpnservices WHERE router_id = $1)
         AND local_ep_group_id IN (SELECT endpoint_group_id FROM endpoint_group_subnets WHERE subnet_id = $2)
         ORDER BY id",
        &params,
    )?;
    if connections.is_empty() {
        return Ok(());
    }
    Err(Failure::fault(
        Reason::SubnetInUseByIPsecSiteConnection,
        format!(
            "The subnet {subnet_id} is a local endpoint of the connection(s) {}; delete them first",
            connections.join(", ")
        ),
    ))
}

/// Refuses what a router must not lose while it has VPN services: gateway, or itself.
pub(crate) fn gateway(context: &mut Context<'_, '_>, router: &Object) -> Result<(), Failure> {
    let services = context
        .column("SELECT id FROM vpnservices WHERE router_id = $1 ORDER BY id", &[Datum::from(router.id())])?;
    if services.is_empty() {
        return Ok(());
    }
    let plural = if services.len() == 1 { "" } else { "s" };
    Err(Failure::fault(
        Reason::RouterInUse,
        format!(
            "Router {} is currently used by VPN service{plural} ({}); delete them first",
            router.id(),
            services.join(", ")
        ),
    ))
}

/// Refuses to delete a subnet that is an endpoint of a group.
pub(crate) fn subnet(context: &mut Context<'_, '_>, subnet_id: &str) -> Result<(), Failure> {
    let groups = context.column(
        "SELECT endpoint_group_id FROM endpoint_group_subnets WHERE subnet_id = $1 ORDER BY endpoint_group_id",
        &[Datum::from(subnet_id)],
    )?;
    if groups.is_empty() {
        return Ok(());
    }
    Err(Failure::fault(
        Reason::SubnetInUse,
        format!(
            "The subnet {subnet_id} is used by the endpoint group(s) {}; delete them first",
            groups.join(", ")
        ),
    ))
}
