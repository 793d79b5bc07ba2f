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
    context.refuse_if_found(
        "SELECT id FROM vpnservices WHERE router_id = $1 AND subnet_id = $2 ORDER BY id",
        &params,
        Reason::SubnetInUseByVPNService,
        |services| {
            format!("The subnet {subnet_id} is used by the VPN service(s) {services}; delete them first")
        },
    )?;
    context.refuse_if_found(
        "SELECT id FROM ipsec_site_connections
         WHERE vpnservice_id IN (SELECT id FROM vpnservices WHERE router_id = $1)
         AND local_ep_group_id IN (SELECT endpoint_group_id FROM endpoint_group_subnets WHERE subnet_id = $2)
         ORDER BY id",
        &params,
        Reason::SubnetInUseByIPsecSiteConnection,
        |users| {
            format!(
                "The subnet {subnet_id} is a local endpoint of the connection(s) {users}; delete them first"
            )
        },
    )
}

/// Refuses what a router must not lose while it has VPN services: gateway, or itself.
pub(crate) fn gateway(context: &mut Context<'_, '_>, router: &Object) -> Result<(), Failure> {
    let sql = "SELECT id FROM vpnservices WHERE router_id = $1 ORDER BY id";
    context.refuse_if_found(sql, &[Datum::from(router.id())], Reason::RouterInUse, |services| {
        let plural = if services.contains(',') { "s" } else { "" };
        format!(
            "Router {} is currently used by VPN service{plural} ({services}); delete them first",
            router.id()
        )
    })
}

/// Refuses to delete a subnet that is an endpoint of a group.
pub(crate) fn subnet(context: &mut Context<'_, '_>, subnet_id: &str) -> Result<(), Failure> {
    let sql = "SELECT endpoint_group_id FROM endpoint_group_subnets WHERE subnet_id = $1 ORDER BY endpoint_group_id";
    context.refuse_if_found(sql, &[Datum::from(subnet_id)], Reason::SubnetInUse, |groups| {
        format!("The subnet {subnet_id} is used by the endpoint group(s) {groups}; delete them first")
    })
}
