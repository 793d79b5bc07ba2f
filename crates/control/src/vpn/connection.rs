//! IPsec site connections.

use super::{selectors, service};
use crate::context::{Context, not_found};
use crate::resolve::{Peer, Peers};
use crate::{Failure, Status};
use karez_model::{Kind, Object, Reason};
use std::net::IpAddr;

/// The checks of a new connection, in the order in which Neutron reports them.
pub(crate) fn before_create(
    context: &mut Context<'_, '_>,
    connection: &mut Object,
    peers: &Peers,
) -> Result<(), Failure> {
    let service_id = connection.text("vpnservice_id");
    if context.tx.get(Kind::VpnService, service_id)?.is_none() {
        return Err(not_found(Kind::VpnService, service_id));
    }
    // Held, so that they stay what was checked until the connection refers to them.
    context.tx.hold(Kind::IpsecPolicy, connection.text("ipsecpolicy_id"))?;
    context.tx.hold(Kind::IkePolicy, connection.text("ikepolicy_id"))?;
    let policy = context.visible(Kind::IpsecPolicy, connection.text("ipsecpolicy_id"))?;
    if policy.text("transform_protocol") == "ah-esp" {
        return Err(Failure::fault(
            Reason::IpsecValidationFailure,
            format!(
                "transform_protocol of the ipsecpolicy {} is ah-esp, which no engine can do; use esp or ah",
                policy.id()
            ),
        ));
    }
    let service = context.visible(Kind::VpnService, service_id)?;
    context.visible(Kind::IkePolicy, connection.text("ikepolicy_id"))?;
    check(context, connection, &service, peers)?;
    connection.set("route_mode", "static");
    connection.set("auth_mode", "psk");
    connection.set("status", Status::PendingCreate.as_str());
    Ok(())
}

/// Checks the connection as it would be after the change. `peers` has the peer's address only when
/// it is to change.
pub(crate) fn before_update(
    context: &mut Context<'_, '_>,
    new: &Object,
    peers: &Peers,
) -> Result<(), Failure> {
    let service = context.existing(Kind::VpnService, new.text("vpnservice_id"))?;
    check(context, new, &service, peers)
}

/// Something about the connection has changed: the router's node has work.
pub(crate) fn touch(context: &mut Context<'_, '_>, connection: Object) -> Result<Object, Failure> {
    let service = context.existing(Kind::VpnService, connection.text("vpnservice_id"))?;
    context.tx.bump_router(service.text("router_id"))?;
    Ok(connection)
}

fn check(
    context: &mut Context<'_, '_>,
    connection: &Object,
    service: &Object,
    peers: &Peers,
) -> Result<(), Failure> {
    let is_v6 = selectors::inner_version(context, connection, service)?;
    check_dpd(connection)?;
    check_mtu(connection, is_v6)?;
    match peers.get(connection.text("peer_address")) {
        Some(peer) => check_peer(context, connection, service, peer),
        None => Ok(()),
    }
}

fn check_dpd(connection: &Object) -> Result<(), Failure> {
    let dpd = connection.json("dpd");
    let seconds = |key: &str| dpd.get(key).and_then(serde_json::Value::as_i64).unwrap_or_default();
    let (interval, timeout) = (seconds("interval"), seconds("timeout"));
    if timeout > interval {
        return Ok(());
    }
    Err(Failure::fault(
        Reason::IPsecSiteConnectionDpdIntervalValueError,
        format!("dpd.timeout is {timeout} s and dpd.interval {interval} s; the timeout must be greater"),
    ))
}

/// RFC 791, section 3.2, and RFC 8200, section 5, say how small a link may be. 0 means no limit.
fn check_mtu(connection: &Object, is_v6: bool) -> Result<(), Failure> {
    let (least, version) = if is_v6 { (1280, 6) } else { (68, 4) };
    let mtu = connection.int("mtu");
    if mtu == 0 || mtu >= least {
        return Ok(());
    }
    Err(Failure::fault(
        Reason::IPsecSiteConnectionMtuError,
        format!("mtu is {mtu}; it must be at least {least} for ipv{version}"),
    ))
}

/// The peer has an address, and the router's gateway has one of the same IP version.
fn check_peer(
    context: &mut Context<'_, '_>,
    connection: &Object,
    service: &Object,
    peer: &Peer,
) -> Result<(), Failure> {
    let name = karez_model::parse::clip(connection.text("peer_address"));
    let addresses = peer.as_ref().map_err(|why| {
        Failure::fault(
            Reason::VPNPeerAddressNotResolved,
            format!("peer_address '{name}' is neither an IP address nor a host name that has one: {why}"),
        )
    })?;
    let protected = &context.settings.bounds.protected;
    let is_protected = |ip: &IpAddr| protected.iter().any(|net| net.contains(ip));
    if !addresses.is_empty() && addresses.iter().all(is_protected) {
        return Err(Failure::fault(
            Reason::IpsecValidationFailure,
            format!(
                "peer_address '{name}' is where no tunnel may lead to. Give another, or ask the operator"
            ),
        ));
    }
    let router = context.existing(Kind::Router, service.text("router_id"))?;
    let (v4, v6) = service::gateway_addresses(&router).unwrap_or_default();
    let is_served = |ip: &IpAddr| if ip.is_ipv6() { v6.is_some() } else { v4.is_some() };
    if addresses.iter().any(is_served) {
        return Ok(());
    }
    let version = if addresses.iter().any(IpAddr::is_ipv6) { 6 } else { 4 };
    Err(Failure::fault(
        Reason::ExternalNetworkHasNoSubnet,
        format!(
            "peer_address '{name}' is IPv{version}, and the gateway of the router {} has no IPv{version} address",
            router.id()
        ),
    ))
}
