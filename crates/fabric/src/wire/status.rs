//! Tunnels as they are.

use super::parse::{WireError, choice, each, id, optional, required, same_names, text, texts};
use super::v1;
use ipnet::IpNet;
use karez_engine::{self as own, ChildSa, ConnectionId, IkeSa, Traffic, TunnelStatus};

impl From<TunnelStatus> for v1::TunnelStatus {
    fn from(status: TunnelStatus) -> Self {
        let TunnelStatus { id, state, reason, since, ike, children, missing } = status;
        let pair = |(local, peer): (IpNet, IpNet)| v1::SubnetPair {
            local: local.to_string(),
            peer: peer.to_string(),
        };
        Self {
            id: id.0.into(),
            state: v1::TunnelState::from(state).into(),
            reason: reason.map(Into::into),
            since,
            ike: ike.map(Into::into),
            children: children.into_iter().map(Into::into).collect(),
            missing: missing.into_iter().map(pair).collect(),
        }
    }
}

impl TryFrom<v1::TunnelStatus> for TunnelStatus {
    type Error = WireError;

    fn try_from(wire: v1::TunnelStatus) -> Result<Self, WireError> {
        let pair = |pair: v1::SubnetPair| {
            Ok((text("missing.local", &pair.local)?, text("missing.peer", &pair.peer)?))
        };
        Ok(Self {
            id: id("id", &wire.id).map(ConnectionId)?,
            state: choice("state", wire.state)?,
            reason: optional("reason", wire.reason)?,
            since: wire.since,
            ike: optional("ike", wire.ike)?,
            children: each("children", wire.children)?,
            missing: wire.missing.into_iter().map(pair).collect::<Result<_, WireError>>()?,
        })
    }
}

impl From<IkeSa> for v1::IkeSa {
    fn from(sa: IkeSa) -> Self {
        let IkeSa { version, is_initiator, local, peer, local_id, peer_id, initiator_spi, .. } = sa;
        let IkeSa { responder_spi, suite, has_nat, established_at, rekey_at, .. } = sa;
        Self {
            version: version.into(),
            is_initiator,
            local: local.to_string(),
            peer: peer.to_string(),
            local_id,
            peer_id,
            initiator_spi,
            responder_spi,
            suite,
            has_nat,
            established_at,
            rekey_at,
        }
    }
}

impl TryFrom<v1::IkeSa> for IkeSa {
    type Error = WireError;

    fn try_from(wire: v1::IkeSa) -> Result<Self, WireError> {
        let version = match wire.version {
            1 => 1,
            2 => 2,
            other => return Err(WireError::new("version", format_args!("there is no IKEv{other}"))),
        };
        Ok(Self {
            version,
            is_initiator: wire.is_initiator,
            local: text("local", &wire.local)?,
            peer: text("peer", &wire.peer)?,
            local_id: wire.local_id,
            peer_id: wire.peer_id,
            initiator_spi: wire.initiator_spi,
            responder_spi: wire.responder_spi,
            suite: wire.suite,
            has_nat: wire.has_nat,
            established_at: wire.established_at,
            rekey_at: wire.rekey_at,
        })
    }
}

impl From<ChildSa> for v1::ChildSa {
    fn from(sa: ChildSa) -> Self {
        let ChildSa { protocol, mode, is_encapsulated, spi_in, spi_out, suite, .. } = sa;
        let ChildSa { local_subnets, peer_subnets, traffic, installed_at, rekey_at, expires_at, .. } = sa;
        Self {
            protocol,
            mode,
            is_encapsulated,
            spi_in,
            spi_out,
            suite,
            local_subnets: local_subnets.iter().map(ToString::to_string).collect(),
            peer_subnets: peer_subnets.iter().map(ToString::to_string).collect(),
            traffic: Some(traffic.into()),
            installed_at,
            rekey_at,
            expires_at,
        }
    }
}

impl TryFrom<v1::ChildSa> for ChildSa {
    type Error = WireError;

    fn try_from(wire: v1::ChildSa) -> Result<Self, WireError> {
        Ok(Self {
            protocol: wire.protocol,
            mode: wire.mode,
            is_encapsulated: wire.is_encapsulated,
            spi_in: wire.spi_in,
            spi_out: wire.spi_out,
            suite: wire.suite,
            local_subnets: texts("local_subnets", &wire.local_subnets)?,
            peer_subnets: texts("peer_subnets", &wire.peer_subnets)?,
            traffic: required("traffic", wire.traffic)?,
            installed_at: wire.installed_at,
            rekey_at: wire.rekey_at,
            expires_at: wire.expires_at,
        })
    }
}

impl From<Traffic> for v1::Traffic {
    fn from(traffic: Traffic) -> Self {
        let Traffic { bytes_in, bytes_out, packets_in, packets_out } = traffic;
        Self { bytes_in, bytes_out, packets_in, packets_out }
    }
}

impl TryFrom<v1::Traffic> for Traffic {
    type Error = WireError;

    fn try_from(wire: v1::Traffic) -> Result<Self, WireError> {
        let v1::Traffic { bytes_in, bytes_out, packets_in, packets_out } = wire;
        Ok(Self { bytes_in, bytes_out, packets_in, packets_out })
    }
}

same_names!(own::TunnelState, Pending, Up, Down, Error);
