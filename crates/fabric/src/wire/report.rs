//! Reports: what an agent says about routers and tunnels.

use super::parse::{WireError, choice, each, id, optional, required, same_names};
use super::v1;
use karez_engine::{self as own, Code, Event, Reason, RouterId, RouterReport, TunnelReport};
use serde_json::Map;

impl From<RouterReport> for v1::RouterReport {
    fn from(report: RouterReport) -> Self {
        let RouterReport { router, generation, trouble } = report;
        Self { router: router.0.into(), generation, trouble: trouble.map(Into::into) }
    }
}

impl TryFrom<v1::RouterReport> for RouterReport {
    type Error = WireError;

    fn try_from(wire: v1::RouterReport) -> Result<Self, WireError> {
        Ok(Self {
            router: id("router", &wire.router).map(RouterId)?,
            generation: wire.generation,
            trouble: optional("trouble", wire.trouble)?,
        })
    }
}

/// The generation of the router's plan goes with it.
impl From<(i64, TunnelReport)> for v1::TunnelReport {
    fn from((generation, report): (i64, TunnelReport)) -> Self {
        let TunnelReport { router, status, events } = report;
        Self {
            generation,
            router: router.0.into(),
            status: Some(status.into()),
            events: events.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::TunnelReport> for (i64, TunnelReport) {
    type Error = WireError;

    fn try_from(wire: v1::TunnelReport) -> Result<Self, WireError> {
        let report = TunnelReport {
            router: id("router", &wire.router).map(RouterId)?,
            status: required("status", wire.status)?,
            events: each("events", wire.events)?,
        };
        Ok((wire.generation, report))
    }
}

impl From<Reason> for v1::Reason {
    fn from(reason: Reason) -> Self {
        let Reason { code, message, evidence } = reason;
        let evidence =
            if evidence.is_empty() { String::new() } else { serde_json::Value::Object(evidence).to_string() };
        Self { code: code.as_str().to_owned(), message, evidence }
    }
}

impl TryFrom<v1::Reason> for Reason {
    type Error = WireError;

    fn try_from(wire: v1::Reason) -> Result<Self, WireError> {
        let evidence = if wire.evidence.is_empty() {
            Map::new()
        } else {
            serde_json::from_str(&wire.evidence).map_err(|error| WireError::new("evidence", error))?
        };
        Ok(Self { code: code(&wire.code)?, message: wire.message, evidence })
    }
}

impl From<Event> for v1::Event {
    fn from(event: Event) -> Self {
        let Event { at, kind, code, message } = event;
        let code = code.map(|code| code.as_str().to_owned());
        Self { at, kind: v1::EventKind::from(kind).into(), code, message }
    }
}

impl TryFrom<v1::Event> for Event {
    type Error = WireError;

    fn try_from(wire: v1::Event) -> Result<Self, WireError> {
        Ok(Self {
            at: wire.at,
            kind: choice("kind", wire.kind)?,
            code: wire.code.as_deref().map(code).transpose()?,
            message: wire.message,
        })
    }
}

fn code(name: &str) -> Result<Code, WireError> {
    name.parse().map_err(|()| WireError::new("code", format_args!("'{name}' is none")))
}

same_names!(
    own::EventKind,
    Configured,
    State,
    Attempt,
    Refused,
    Retransmit,
    IkeUp,
    IkeDown,
    ChildUp,
    ChildDown,
    Rekeyed,
    Engine,
);
