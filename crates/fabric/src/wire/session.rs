//! What is said in a session, and plans as a whole.

use super::parse::{WireError, choice, each, id, ids, missing, required, same_names};
use super::v1;
use crate::message as own;
use crate::{Desired, FromAgent, Held, Hello, ToAgent, Welcome};
use karez_engine::{RouterId, RouterPlan, ServiceId, ServicePlan};
use std::time::Duration;

impl From<FromAgent> for v1::FromAgent {
    fn from(message: FromAgent) -> Self {
        use v1::from_agent::Message;
        let message = match message {
            FromAgent::Hello(hello) => Message::Hello(hello.into()),
            FromAgent::Applied { revision } => Message::Applied(v1::Applied { revision }),
            FromAgent::Routers(reports) => {
                Message::Routers(v1::RouterReports { reports: reports.into_iter().map(Into::into).collect() })
            }
            FromAgent::Tunnels(reports) => {
                Message::Tunnels(v1::TunnelReports { reports: reports.into_iter().map(Into::into).collect() })
            }
            FromAgent::Found(routers) => Message::Found(v1::Found { routers: bytes_of(routers) }),
            FromAgent::Heartbeat => Message::Heartbeat(v1::Heartbeat {}),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::FromAgent> for FromAgent {
    type Error = WireError;

    fn try_from(wire: v1::FromAgent) -> Result<Self, WireError> {
        use v1::from_agent::Message;
        Ok(match wire.message.ok_or_else(|| missing("message"))? {
            Message::Hello(hello) => Self::Hello(required("hello", Some(hello))?),
            Message::Applied(v1::Applied { revision }) => Self::Applied { revision },
            Message::Routers(routers) => Self::Routers(each("routers", routers.reports)?),
            Message::Tunnels(tunnels) => Self::Tunnels(each("tunnels", tunnels.reports)?),
            Message::Found(found) => Self::Found(ids("found", &found.routers, RouterId)?),
            Message::Heartbeat(v1::Heartbeat {}) => Self::Heartbeat,
        })
    }
}

impl From<Hello> for v1::Hello {
    fn from(hello: Hello) -> Self {
        let Hello { host, session, version, engine, zone, shape, found, applied, held, gives_way, told_in } =
            hello;
        Self {
            host,
            session: session.into(),
            version,
            engine,
            zone,
            shape: v1::Shape::from(shape).into(),
            found: bytes_of(found),
            applied,
            held: held.into_iter().map(Into::into).collect(),
            gives_way,
            told_in,
        }
    }
}

impl TryFrom<v1::Hello> for Hello {
    type Error = WireError;

    fn try_from(wire: v1::Hello) -> Result<Self, WireError> {
        Ok(Self {
            host: wire.host,
            session: id("session", &wire.session)?,
            version: wire.version,
            engine: wire.engine,
            zone: wire.zone,
            shape: choice("shape", wire.shape)?,
            found: ids("found", &wire.found, RouterId)?,
            applied: wire.applied,
            held: each("held", wire.held)?,
            gives_way: wire.gives_way,
            told_in: wire.told_in,
        })
    }
}

impl From<Held> for v1::Held {
    fn from(held: Held) -> Self {
        let Held { router, generation, revision } = held;
        Self { router: router.0.into(), generation, revision }
    }
}

impl TryFrom<v1::Held> for Held {
    type Error = WireError;

    fn try_from(wire: v1::Held) -> Result<Self, WireError> {
        let router = id("router", &wire.router).map(RouterId)?;
        Ok(Self { router, generation: wire.generation, revision: wire.revision })
    }
}

impl From<ToAgent> for v1::ToAgent {
    fn from(message: ToAgent) -> Self {
        use v1::to_agent::Message;
        let message = match message {
            ToAgent::Welcome(welcome) => Message::Welcome(welcome.into()),
            ToAgent::Desired(desired) => Message::Desired(desired.into()),
            ToAgent::Renewed { taken } => Message::Renewed(v1::Renewed { taken }),
            ToAgent::Replaced => Message::Replaced(v1::Replaced {}),
        };
        Self { message: Some(message) }
    }
}

impl TryFrom<v1::ToAgent> for ToAgent {
    type Error = WireError;

    fn try_from(wire: v1::ToAgent) -> Result<Self, WireError> {
        use v1::to_agent::Message;
        Ok(match wire.message.ok_or_else(|| missing("message"))? {
            Message::Welcome(welcome) => Self::Welcome(required("welcome", Some(welcome))?),
            Message::Desired(desired) => Self::Desired(required("desired", Some(desired))?),
            Message::Renewed(v1::Renewed { taken }) => Self::Renewed { taken },
            Message::Replaced(v1::Replaced {}) => Self::Replaced,
        })
    }
}

impl From<Welcome> for v1::Welcome {
    fn from(welcome: Welcome) -> Self {
        let Welcome { node, epoch, lease, counts } = welcome;
        let lease = u64::try_from(lease.as_micros()).unwrap_or(u64::MAX);
        Self { node: node.into(), epoch, lease, counts }
    }
}

impl TryFrom<v1::Welcome> for Welcome {
    type Error = WireError;

    fn try_from(wire: v1::Welcome) -> Result<Self, WireError> {
        Ok(Self {
            node: id("node", &wire.node)?,
            epoch: wire.epoch,
            lease: Duration::from_micros(wire.lease),
            counts: wire.counts,
        })
    }
}

impl From<Desired> for v1::Desired {
    fn from(desired: Desired) -> Self {
        let Desired { revision, is_whole, routers, gone } = desired;
        let routers = routers.into_iter().map(Into::into).collect();
        Self { revision, is_whole, routers, gone: bytes_of(gone) }
    }
}

impl TryFrom<v1::Desired> for Desired {
    type Error = WireError;

    fn try_from(wire: v1::Desired) -> Result<Self, WireError> {
        Ok(Self {
            revision: wire.revision,
            is_whole: wire.is_whole,
            routers: each("routers", wire.routers)?,
            gone: ids("gone", &wire.gone, RouterId)?,
        })
    }
}

impl From<RouterPlan> for v1::RouterPlan {
    fn from(plan: RouterPlan) -> Self {
        let RouterPlan { id, generation, revision, gateway, services, tunnels } = plan;
        let service =
            |service: ServicePlan| v1::ServicePlan { id: service.id.0.into(), is_up: service.is_up };
        Self {
            id: id.0.into(),
            generation,
            revision,
            gateway: Some(gateway.into()),
            services: services.into_iter().map(service).collect(),
            tunnels: tunnels.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::RouterPlan> for RouterPlan {
    type Error = WireError;

    fn try_from(wire: v1::RouterPlan) -> Result<Self, WireError> {
        Ok(Self {
            id: id("id", &wire.id).map(RouterId)?,
            generation: wire.generation,
            revision: wire.revision,
            gateway: required("gateway", wire.gateway)?,
            services: each("services", wire.services)?,
            tunnels: each("tunnels", wire.tunnels)?,
        })
    }
}

impl TryFrom<v1::ServicePlan> for ServicePlan {
    type Error = WireError;

    fn try_from(wire: v1::ServicePlan) -> Result<Self, WireError> {
        Ok(Self { id: id("id", &wire.id).map(ServiceId)?, is_up: wire.is_up })
    }
}

fn bytes_of(routers: Vec<RouterId>) -> Vec<Vec<u8>> {
    routers.into_iter().map(|router| router.0.into()).collect()
}

same_names!(own::Shape, Managed, Attached, Host);
