//! Gateways: interfaces, addresses, routes.

use super::parse::{WireError, each, id, optional, text, texts};
use super::v1;
use karez_engine::{External, Floating, GatewayPlan, Internal, StaticRoute};

impl From<GatewayPlan> for v1::GatewayPlan {
    fn from(plan: GatewayPlan) -> Self {
        let GatewayPlan { is_up, external, internal, routes, floating } = plan;
        Self {
            is_up,
            external: external.map(Into::into),
            internal: internal.into_iter().map(Into::into).collect(),
            routes: routes.into_iter().map(Into::into).collect(),
            floating: floating.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::GatewayPlan> for GatewayPlan {
    type Error = WireError;

    fn try_from(wire: v1::GatewayPlan) -> Result<Self, WireError> {
        Ok(Self {
            is_up: wire.is_up,
            external: optional("external", wire.external)?,
            internal: each("internal", wire.internal)?,
            routes: each("routes", wire.routes)?,
            floating: each("floating", wire.floating)?,
        })
    }
}

impl From<External> for v1::External {
    fn from(external: External) -> Self {
        let External { port, network, mac, mtu, addresses, next_hops, has_snat } = external;
        Self {
            port: port.into(),
            network: network.into(),
            mac,
            mtu,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            next_hops: next_hops.iter().map(ToString::to_string).collect(),
            has_snat,
        }
    }
}

impl TryFrom<v1::External> for External {
    type Error = WireError;

    fn try_from(wire: v1::External) -> Result<Self, WireError> {
        Ok(Self {
            port: id("port", &wire.port)?,
            network: id("network", &wire.network)?,
            mac: wire.mac,
            mtu: wire.mtu,
            addresses: texts("addresses", &wire.addresses)?,
            next_hops: texts("next_hops", &wire.next_hops)?,
            has_snat: wire.has_snat,
        })
    }
}

impl From<Internal> for v1::Internal {
    fn from(internal: Internal) -> Self {
        let Internal { port, network, mac, mtu, addresses } = internal;
        Self {
            port: port.into(),
            network: network.into(),
            mac,
            mtu,
            addresses: addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<v1::Internal> for Internal {
    type Error = WireError;

    fn try_from(wire: v1::Internal) -> Result<Self, WireError> {
        Ok(Self {
            port: id("port", &wire.port)?,
            network: id("network", &wire.network)?,
            mac: wire.mac,
            mtu: wire.mtu,
            addresses: texts("addresses", &wire.addresses)?,
        })
    }
}

impl From<StaticRoute> for v1::StaticRoute {
    fn from(route: StaticRoute) -> Self {
        let StaticRoute { destination, next_hop } = route;
        Self { destination: destination.to_string(), next_hop: next_hop.to_string() }
    }
}

impl TryFrom<v1::StaticRoute> for StaticRoute {
    type Error = WireError;

    fn try_from(wire: v1::StaticRoute) -> Result<Self, WireError> {
        Ok(Self {
            destination: text("destination", &wire.destination)?,
            next_hop: text("next_hop", &wire.next_hop)?,
        })
    }
}

impl From<Floating> for v1::Floating {
    fn from(floating: Floating) -> Self {
        let Floating { external, internal } = floating;
        Self { external: external.to_string(), internal: internal.to_string() }
    }
}

impl TryFrom<v1::Floating> for Floating {
    type Error = WireError;

    fn try_from(wire: v1::Floating) -> Result<Self, WireError> {
        Ok(Self { external: text("external", &wire.external)?, internal: text("internal", &wire.internal)? })
    }
}
