//! Which rules belong to which kind.

use crate::context::Context;
use crate::resolve::Peers;
use crate::{Failure, core, flavors, vpn};
use karez_model::object::Changes;
use karez_model::parse::Created;
use karez_model::{Kind, Object};
use karez_store::Datum;

/// Checks a new object and fills in what the server makes.
pub(crate) fn before_create(
    context: &mut Context<'_, '_>,
    created: &Created,
    object: &mut Object,
    peers: &Peers,
) -> Result<(), Failure> {
    match object.kind() {
        Kind::IkePolicy | Kind::IpsecPolicy => vpn::policy::check(context, object),
        Kind::VpnService => vpn::service::before_create(context, object),
        Kind::EndpointGroup => vpn::group::before_create(context, object),
        Kind::IpsecSiteConnection => vpn::connection::before_create(context, object, peers),
        Kind::Network => core::network::before_create(context, object),
        Kind::Subnet => core::subnet::before_create(context, created, object),
        Kind::Port => core::port::before_create(context, created, object),
        Kind::Router => core::router::before_create(context, object),
        Kind::FloatingIp => core::floating_ip::before_create(context, object),
        Kind::SecurityGroup => core::security_group::before_create(context, object),
        Kind::SecurityGroupRule => core::security_group_rule::before_create(context, object),
        Kind::Flavor => flavors::before_create_flavor(object),
        Kind::ServiceProfile => flavors::before_create_profile(object),
        Kind::Agent => Err(crate::context::hidden()),
    }
}

/// Does what follows from a new object, and returns the object as it is then.
pub(crate) fn after_create(context: &mut Context<'_, '_>, object: Object) -> Result<Object, Failure> {
    match object.kind() {
        Kind::VpnService => vpn::service::touch(context, object),
        Kind::EndpointGroup => vpn::group::after_create(context, object),
        Kind::IpsecSiteConnection => vpn::connection::touch(context, object),
        Kind::Subnet => core::subnet::after_create(context, object),
        Kind::Port => core::port::after_create(context, object),
        Kind::FloatingIp => core::floating_ip::after_create(context, object),
        Kind::SecurityGroup => core::security_group::after_create(context, object),
        Kind::SecurityGroupRule => core::security_group_rule::after_create(context, object),
        Kind::Router => {
            // It has no node yet.
            context.tx.ring();
            Ok(object)
        }
        Kind::IkePolicy
        | Kind::IpsecPolicy
        | Kind::Network
        | Kind::Flavor
        | Kind::ServiceProfile
        | Kind::Agent => Ok(object),
    }
}

/// Checks a change. `new` is the object with the changes applied.
pub(crate) fn before_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: &mut Object,
    changes: &Changes,
    peers: &Peers,
) -> Result<(), Failure> {
    match old.kind() {
        Kind::IkePolicy | Kind::IpsecPolicy => vpn::policy::before_update(context, old, new),
        Kind::VpnService | Kind::EndpointGroup | Kind::Agent => Ok(()),
        Kind::IpsecSiteConnection => vpn::connection::before_update(context, new, peers),
        Kind::Network => core::network::before_update(context, old, new),
        Kind::Subnet => core::subnet::before_update(context, old, new),
        Kind::Port => core::port::before_update(context, old, new, changes),
        Kind::Router => core::router::before_update(context, old, new, changes),
        Kind::FloatingIp => core::floating_ip::before_update(context, old, new, changes),
        Kind::SecurityGroup => core::security_group::before_update(old, new),
        Kind::SecurityGroupRule => Ok(()),
        Kind::Flavor | Kind::ServiceProfile => flavors::before_update(context, old),
    }
}

/// Does what follows from a change, and returns the object as it is then.
pub(crate) fn after_update(
    context: &mut Context<'_, '_>,
    old: &Object,
    new: Object,
) -> Result<Object, Failure> {
    match new.kind() {
        Kind::VpnService => vpn::service::touch(context, new),
        Kind::IpsecSiteConnection => vpn::connection::touch(context, new),
        Kind::Router => core::router::after_update(context, old, new),
        Kind::Port => core::port::after_update(context, old, new),
        Kind::Network => core::network::after_update(context, old, new),
        Kind::IkePolicy
        | Kind::IpsecPolicy
        | Kind::EndpointGroup
        | Kind::Subnet
        | Kind::FloatingIp
        | Kind::SecurityGroup
        | Kind::SecurityGroupRule
        | Kind::Flavor
        | Kind::ServiceProfile
        | Kind::Agent => Ok(new),
    }
}

/// Holds the rows that others hold before an object of this kind, so that its removal, which needs
/// them too, does not wait for somebody who waits for it.
pub(crate) fn hold_before_delete(context: &mut Context<'_, '_>, kind: Kind, id: &str) -> Result<(), Failure> {
    let sql = match kind {
        Kind::Subnet => "SELECT id FROM networks WHERE id = (SELECT network_id FROM subnets WHERE id = $1)",
        Kind::Port => "SELECT id FROM floatingips WHERE port_id = $1 ORDER BY id",
        Kind::SecurityGroup => {
            "SELECT project_id FROM quota_locks
             WHERE project_id = (SELECT project_id FROM security_groups WHERE id = $1)"
        }
        Kind::SecurityGroupRule => {
            "SELECT id FROM security_groups
             WHERE id = (SELECT security_group_id FROM security_group_rules WHERE id = $1)"
        }
        Kind::IkePolicy
        | Kind::IpsecPolicy
        | Kind::VpnService
        | Kind::EndpointGroup
        | Kind::IpsecSiteConnection
        | Kind::Network
        | Kind::Router
        | Kind::FloatingIp
        | Kind::Flavor
        | Kind::ServiceProfile
        | Kind::Agent => return Ok(()),
    };
    context.tx.query_for_update(sql, &[Datum::from(id)])?;
    Ok(())
}

/// Checks whether the object may go, and removes what hangs on it.
pub(crate) fn before_delete(context: &mut Context<'_, '_>, object: &Object) -> Result<(), Failure> {
    match object.kind() {
        Kind::IkePolicy | Kind::IpsecPolicy => vpn::policy::check_unused(context, object),
        Kind::VpnService => vpn::service::before_delete(context, object),
        Kind::EndpointGroup => vpn::group::before_delete(context, object),
        Kind::IpsecSiteConnection => Ok(()),
        Kind::Network => core::network::before_delete(context, object),
        Kind::Subnet => core::subnet::before_delete(context, object),
        Kind::Port => core::port::before_delete(context, object),
        Kind::Router => core::router::before_delete(context, object),
        Kind::FloatingIp => Ok(()),
        Kind::SecurityGroup => core::security_group::before_delete(context, object),
        Kind::SecurityGroupRule => Ok(()),
        Kind::Flavor | Kind::ServiceProfile => flavors::before_delete(context, object),
        Kind::Agent => Err(crate::context::hidden()),
    }
}

/// Does what follows from a removal.
pub(crate) fn after_delete(context: &mut Context<'_, '_>, object: &Object) -> Result<(), Failure> {
    match object.kind() {
        Kind::VpnService => vpn::service::touch(context, object.clone()).map(drop),
        Kind::IpsecSiteConnection => vpn::connection::touch(context, object.clone()).map(drop),
        Kind::Subnet => core::subnet::after_delete(context, object),
        Kind::FloatingIp => core::floating_ip::after_delete(context, object),
        Kind::SecurityGroupRule => core::security_group_rule::after_delete(context, object),
        Kind::IkePolicy
        | Kind::IpsecPolicy
        | Kind::EndpointGroup
        | Kind::Network
        | Kind::Port
        | Kind::Router
        | Kind::SecurityGroup
        | Kind::Flavor
        | Kind::ServiceProfile
        | Kind::Agent => Ok(()),
    }
}
