//! One connection with its service and policies, as a tunnel.

use super::parts::Parts;
use super::{bug, parsed};
use crate::Failure;
use ipnet::IpNet;
use karez_engine::{
    ChildPlan, Code, Dpd, DpdAction, Identity, IkeMode, IkePlan, IkeVersion, Initiator, IpsecMode,
    IpsecProtocol, Peer, Reason, TunnelPlan,
};
use karez_model::{Object, Value, address};
use karez_store::Stored;
use serde_json::Value as Json;
use std::net::IpAddr;
use std::sync::Arc;

/// None when something that the connection needs has been deleted meanwhile, and while there is an
/// [`obstacle`].
pub(super) fn of_connection(parts: &Parts, connection: &Object) -> Result<Option<TunnelPlan>, Failure> {
    let service = parts.services.get(connection.text("vpnservice_id"));
    let ike = parts.ike_policies.get(connection.text("ikepolicy_id"));
    let ipsec = parts.ipsec_policies.get(connection.text("ipsecpolicy_id"));
    let (Some(service), Some(ike), Some(ipsec)) = (service, ike, ipsec) else { return Ok(None) };
    let peer = peer(connection);
    let Some(local) = local_address(service, &peer) else { return Ok(None) };
    let Value::Secret(psk) = connection.get("psk") else { return Err(bug(connection, "psk")) };
    let local_subnets = local_subnets(parts, service, connection)?;
    let peer_subnets = peer_subnets(parts, connection)?;
    if local_subnets.is_empty() || peer_subnets.is_empty() {
        return Ok(None);
    }
    let is_up = [&parts.router.object, &service.object, connection];
    let is_up = is_up.iter().all(|object| object.flag("admin_state_up"));
    Ok(Some(TunnelPlan {
        id: parsed(connection, "id")?,
        service: parsed(service, "id")?,
        is_up,
        local,
        peer,
        local_id: match connection.text("local_id") {
            "" => Identity::Address(local),
            text => Identity::parse(text),
        },
        peer_id: Identity::parse(connection.text("peer_id")),
        psk: psk.clone(),
        initiator: match connection.text("initiator") {
            "response-only" => Initiator::ResponseOnly,
            _ => Initiator::BiDirectional,
        },
        ike: IkePlan {
            version: match (ike.text("ike_version"), ike.text("phase1_negotiation_mode")) {
                ("v2", _) => IkeVersion::V2,
                (_, "aggressive") => IkeVersion::V1(IkeMode::Aggressive),
                _ => IkeVersion::V1(IkeMode::Main),
            },
            encryption: parsed(ike, "encryption_algorithm")?,
            integrity: parsed(ike, "auth_algorithm")?,
            group: parsed(ike, "pfs")?,
            lifetime: lifetime(ike),
        },
        child: ChildPlan {
            protocol: match ipsec.text("transform_protocol") {
                "ah" => IpsecProtocol::Ah,
                _ => IpsecProtocol::Esp,
            },
            mode: match ipsec.text("encapsulation_mode") {
                "transport" => IpsecMode::Transport,
                _ => IpsecMode::Tunnel,
            },
            encryption: parsed(ipsec, "encryption_algorithm")?,
            integrity: parsed(ipsec, "auth_algorithm")?,
            group: parsed(ipsec, "pfs")?,
            lifetime: lifetime(ipsec),
        },
        dpd: dpd(connection),
        mtu: u32::try_from(connection.int("mtu")).unwrap_or_default(),
        local_subnets,
        peer_subnets,
    }))
}

/// Why there can be no tunnel for a connection, as the gateway of its router is now.
pub(crate) fn obstacle(service: &Object, connection: &Object) -> Option<Reason> {
    let peer = peer(connection);
    if local_address(service, &peer).is_some() {
        return None;
    }
    let (what, name) = match peer {
        Peer::Address(IpAddr::V4(ip)) => ("IPv4 address", ip.to_string()),
        Peer::Address(IpAddr::V6(ip)) => ("IPv6 address", ip.to_string()),
        Peer::Host(name) => ("address", name),
    };
    let message = format!(
        "The router's gateway has no {what} any more to reach the peer {name} from. Give the gateway one, or the \
         connection another peer_address."
    );
    Some(Reason::new(Code::LocalError, message))
}

fn peer(connection: &Object) -> Peer {
    let text = connection.text("peer_address");
    text.parse().map_or_else(|_| Peer::Host(text.to_owned()), Peer::Address)
}

/// The service's address of the peer's IP version. A host name is looked up by IPv4 when the router
/// has such an address.
fn local_address(service: &Object, peer: &Peer) -> Option<IpAddr> {
    let address = |name: &str| service.opt_text(name).and_then(|text| text.parse().ok());
    let (v4, v6) = (address("external_v4_ip"), address("external_v6_ip"));
    match peer {
        Peer::Address(IpAddr::V4(_)) => v4,
        Peer::Address(IpAddr::V6(_)) => v6,
        Peer::Host(_) => v4.or(v6),
    }
}

fn local_subnets(parts: &Parts, service: &Object, connection: &Object) -> Result<Vec<IpNet>, Failure> {
    let ids: Vec<&str> = match (service.opt_text("subnet_id"), connection.opt_text("local_ep_group_id")) {
        (Some(subnet), _) => vec![subnet],
        (None, Some(group)) => endpoints(parts, group).collect(),
        (None, None) => Vec::new(),
    };
    let subnets = ids.into_iter().filter_map(|id| parts.subnets.get(id));
    let cidr = |subnet: &Arc<Stored>| address::cidr(subnet.text("cidr")).map_err(|_| bug(subnet, "cidr"));
    subnets.map(cidr).collect()
}

fn peer_subnets(parts: &Parts, connection: &Object) -> Result<Vec<IpNet>, Failure> {
    let texts: Vec<&str> = match connection.opt_text("peer_ep_group_id") {
        Some(group) => endpoints(parts, group).collect(),
        None => connection.texts("peer_cidrs").collect(),
    };
    texts.iter().map(|text| address::cidr(text).map_err(|_| bug(connection, "peer_cidrs"))).collect()
}

fn endpoints<'a>(parts: &'a Parts, group: &str) -> impl Iterator<Item = &'a str> {
    parts.endpoint_groups.get(group).into_iter().flat_map(|group| group.texts("endpoints"))
}

fn lifetime(policy: &Object) -> u32 {
    let value = policy.json("lifetime").get("value").and_then(Json::as_u64);
    value.and_then(|value| u32::try_from(value).ok()).unwrap_or(3600)
}

fn dpd(connection: &Object) -> Dpd {
    let dpd = connection.json("dpd");
    let seconds = |key: &str, default| {
        dpd.get(key).and_then(Json::as_u64).and_then(|value| u32::try_from(value).ok()).unwrap_or(default)
    };
    let action = match dpd.get("action").and_then(Json::as_str) {
        Some("clear") => DpdAction::Clear,
        Some("restart") => DpdAction::Restart,
        Some("disabled") => DpdAction::Disabled,
        Some("restart-by-peer") => DpdAction::RestartByPeer,
        Some(_) | None => DpdAction::Hold,
    };
    Dpd { action, interval: seconds("interval", 30), timeout: seconds("timeout", 120) }
}
