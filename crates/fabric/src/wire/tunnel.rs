//! Tunnels as planned.

use super::parse::{WireError, choice, id, missing, required, same_names, text, texts};
use super::v1;
use karez_engine::{
    self as own, ChildPlan, ConnectionId, Dpd, Identity, IkeMode, IkePlan, IkeVersion, Peer, ServiceId,
    TunnelPlan,
};
use karez_model::Secret;
use std::mem::take;

impl From<TunnelPlan> for v1::TunnelPlan {
    fn from(plan: TunnelPlan) -> Self {
        let TunnelPlan { id, service, is_up, local, peer, local_id, peer_id, psk, initiator, .. } = plan;
        let TunnelPlan { ike, child, dpd, mtu, local_subnets, peer_subnets, .. } = plan;
        Self {
            id: id.0.into(),
            service: service.0.into(),
            is_up,
            local: local.to_string(),
            peer: Some(peer.into()),
            local_id: Some(local_id.into()),
            peer_id: Some(peer_id.into()),
            // The agent needs it, and it goes through TLS.
            psk: psk.expose().to_owned(),
            initiator: v1::Initiator::from(initiator).into(),
            ike: Some(ike.into()),
            child: Some(child.into()),
            dpd: Some(dpd.into()),
            mtu,
            local_subnets: local_subnets.iter().map(ToString::to_string).collect(),
            peer_subnets: peer_subnets.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<v1::TunnelPlan> for TunnelPlan {
    type Error = WireError;

    fn try_from(mut wire: v1::TunnelPlan) -> Result<Self, WireError> {
        Ok(Self {
            // First, and by moving it, so that there is one copy and whatever follows wipes it.
            psk: Secret::new(take(&mut wire.psk)),
            id: id("id", &wire.id).map(ConnectionId)?,
            service: id("service", &wire.service).map(ServiceId)?,
            is_up: wire.is_up,
            local: text("local", &wire.local)?,
            peer: required("peer", wire.peer.take())?,
            local_id: required("local_id", wire.local_id.take())?,
            peer_id: required("peer_id", wire.peer_id.take())?,
            initiator: choice("initiator", wire.initiator)?,
            ike: required("ike", wire.ike.take())?,
            child: required("child", wire.child.take())?,
            dpd: required("dpd", wire.dpd.take())?,
            mtu: wire.mtu,
            local_subnets: texts("local_subnets", &wire.local_subnets)?,
            peer_subnets: texts("peer_subnets", &wire.peer_subnets)?,
        })
    }
}

impl From<Peer> for v1::Peer {
    fn from(peer: Peer) -> Self {
        let place = match peer {
            Peer::Address(address) => v1::peer::Place::Address(address.to_string()),
            Peer::Host(name) => v1::peer::Place::Host(name),
        };
        Self { place: Some(place) }
    }
}

impl TryFrom<v1::Peer> for Peer {
    type Error = WireError;

    fn try_from(wire: v1::Peer) -> Result<Self, WireError> {
        match wire.place.ok_or_else(|| missing("place"))? {
            v1::peer::Place::Address(address) => text("address", &address).map(Self::Address),
            v1::peer::Place::Host(name) => Ok(Self::Host(name)),
        }
    }
}

impl From<Identity> for v1::Identity {
    fn from(identity: Identity) -> Self {
        use v1::identity::Kind;
        let kind = match identity {
            Identity::Address(address) => Kind::Address(address.to_string()),
            Identity::Fqdn(name) => Kind::Fqdn(name),
            Identity::Email(address) => Kind::Email(address),
            Identity::KeyId(bytes) => Kind::KeyId(bytes),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Identity> for Identity {
    type Error = WireError;

    fn try_from(wire: v1::Identity) -> Result<Self, WireError> {
        use v1::identity::Kind;
        match wire.kind.ok_or_else(|| missing("kind"))? {
            Kind::Address(address) => text("address", &address).map(Self::Address),
            Kind::Fqdn(name) => Ok(Self::Fqdn(name)),
            Kind::Email(address) => Ok(Self::Email(address)),
            Kind::KeyId(bytes) => Ok(Self::KeyId(bytes)),
        }
    }
}

impl From<IkePlan> for v1::IkePlan {
    fn from(plan: IkePlan) -> Self {
        let IkePlan { version, encryption, integrity, group, lifetime } = plan;
        let exchange = match version {
            IkeVersion::V1(IkeMode::Main) => v1::IkeExchange::V1Main,
            IkeVersion::V1(IkeMode::Aggressive) => v1::IkeExchange::V1Aggressive,
            IkeVersion::V2 => v1::IkeExchange::V2,
        };
        Self {
            exchange: exchange.into(),
            encryption: encryption.to_string(),
            integrity: integrity.to_string(),
            group: group.to_string(),
            lifetime,
        }
    }
}

impl TryFrom<v1::IkePlan> for IkePlan {
    type Error = WireError;

    fn try_from(wire: v1::IkePlan) -> Result<Self, WireError> {
        let version = match v1::IkeExchange::try_from(wire.exchange) {
            Ok(v1::IkeExchange::V1Main) => IkeVersion::V1(IkeMode::Main),
            Ok(v1::IkeExchange::V1Aggressive) => IkeVersion::V1(IkeMode::Aggressive),
            Ok(v1::IkeExchange::V2) => IkeVersion::V2,
            Ok(v1::IkeExchange::Unspecified) | Err(_) => {
                return Err(WireError::new("exchange", format_args!("there is no {}", wire.exchange)));
            }
        };
        Ok(Self {
            version,
            encryption: text("encryption", &wire.encryption)?,
            integrity: text("integrity", &wire.integrity)?,
            group: text("group", &wire.group)?,
            lifetime: wire.lifetime,
        })
    }
}

impl From<ChildPlan> for v1::ChildPlan {
    fn from(plan: ChildPlan) -> Self {
        let ChildPlan { protocol, mode, encryption, integrity, group, lifetime } = plan;
        Self {
            protocol: v1::IpsecProtocol::from(protocol).into(),
            mode: v1::IpsecMode::from(mode).into(),
            encryption: encryption.to_string(),
            integrity: integrity.to_string(),
            group: group.to_string(),
            lifetime,
        }
    }
}

impl TryFrom<v1::ChildPlan> for ChildPlan {
    type Error = WireError;

    fn try_from(wire: v1::ChildPlan) -> Result<Self, WireError> {
        Ok(Self {
            protocol: choice("protocol", wire.protocol)?,
            mode: choice("mode", wire.mode)?,
            encryption: text("encryption", &wire.encryption)?,
            integrity: text("integrity", &wire.integrity)?,
            group: text("group", &wire.group)?,
            lifetime: wire.lifetime,
        })
    }
}

impl From<Dpd> for v1::Dpd {
    fn from(dpd: Dpd) -> Self {
        let Dpd { action, interval, timeout } = dpd;
        Self { action: v1::DpdAction::from(action).into(), interval, timeout }
    }
}

impl TryFrom<v1::Dpd> for Dpd {
    type Error = WireError;

    fn try_from(wire: v1::Dpd) -> Result<Self, WireError> {
        let action = choice("action", wire.action)?;
        Ok(Self { action, interval: wire.interval, timeout: wire.timeout })
    }
}

same_names!(own::Initiator, BiDirectional, ResponseOnly);
same_names!(own::IpsecProtocol, Esp, Ah);
same_names!(own::IpsecMode, Tunnel, Transport);
same_names!(own::DpdAction, Hold, Clear, Restart, Disabled, RestartByPeer);
