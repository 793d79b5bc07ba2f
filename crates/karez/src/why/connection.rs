//! What is known of one connection, read from what the API answers and made fit for a terminal.

use super::remedy::{Remedy, remedy};
use crate::text::clean;
use karez_engine::Code;
use serde_json::{Map, Value as Json, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The attributes that are asked for; the pre-shared key is not among them.
pub(super) const FIELDS: [&str; 8] = [
    "id",
    "name",
    "project_id",
    "peer_address",
    "admin_state_up",
    "status",
    "status_reason",
    "status_detail",
];

/// A connection and how it is. Two are equal when there is nothing new to say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Connection {
    pub id: String,
    pub name: String,
    project_id: String,
    pub peer_address: String,
    pub status: String,
    is_on: bool,
    pub reason: Option<Reason>,
    /// Pairs of a local and a peer subnet that have no tunnel.
    pub missing: Vec<(String, String)>,
    /// Since when it has been in this state; none before the first report, or when the report is about another state.
    pub since: Option<OffsetDateTime>,
    /// When the last report came, if nobody speaks for the connection any more.
    pub last_report: Option<OffsetDateTime>,
}

/// Why a connection is as it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reason {
    /// As the API shows it.
    pub code: String,
    /// Nothing for a code that this version does not know.
    known: Option<Code>,
    pub message: String,
    /// What it is concluded from.
    pub evidence: Map<String, Json>,
}

impl Connection {
    /// From an entry of the list and, where there is one, the `connection_status` of the same connection.
    pub(super) fn read(listed: &Json, status: Option<&Json>) -> Self {
        let known = |name: &str| match status.map(|status| &status[name]) {
            None | Some(Json::Null) => &listed[name],
            Some(newer) => newer,
        };
        let reason = match status.map(|status| &status["reason"]) {
            // It has no reason any more, whatever the list said a moment ago.
            Some(Json::Null) => None,
            Some(reason) => Reason::read(&reason["code"], &reason["message"], reason["evidence"].as_object()),
            None => Reason::read(&listed["status_reason"], &listed["status_detail"], None),
        };
        let name_of = |pair: &Json, name: &str| text(&pair[name]);
        let missing = status.and_then(|status| status["missing"].as_array()).into_iter().flatten();
        let shown = text(known("status"));
        let details = status.unwrap_or(&Json::Null);
        let is_about_it = matches!(
            (details["state"].as_str(), shown.as_str()),
            (Some("up"), "ACTIVE")
                | (Some("down" | "pending"), "DOWN" | "PENDING_CREATE")
                | (Some("error"), "ERROR")
        );
        Self {
            id: text(&listed["id"]),
            name: text(&listed["name"]),
            project_id: text(&listed["project_id"]),
            peer_address: text(&listed["peer_address"]),
            is_on: listed["admin_state_up"] != false,
            reason,
            missing: missing
                .map(|pair| (name_of(pair, "local_subnet"), name_of(pair, "peer_subnet")))
                .collect(),
            since: time(&details["since"]).filter(|_| is_about_it),
            last_report: time(&details["reported_at"]).filter(|_| details["agent_alive"] == false),
            status: shown,
        }
    }

    /// Whether nothing has to be done: it is up, or somebody has switched it off.
    pub(super) fn is_well(&self) -> bool {
        let is_switched_off =
            !self.is_on || self.reason.as_ref().is_some_and(|reason| reason.known == Some(Code::AdminDown));
        self.status == "ACTIVE" || is_switched_off
    }

    /// What mends it.
    pub(super) fn remedy(&self) -> Remedy {
        let known = self.reason.as_ref().and_then(|reason| reason.known);
        known.map_or(Remedy { here: None, peer: None }, remedy)
    }

    /// For programs. `now` is when it was asked for.
    pub(super) fn json(&self, now: OffsetDateTime) -> Json {
        let reason = self.reason.as_ref();
        let Remedy { here, peer } = self.remedy();
        let missing = self.missing.iter();
        let missing = missing.map(|(local, peer)| json!({"local_subnet": local, "peer_subnet": peer}));
        json!({
            "id": self.id,
            "name": self.name,
            "project_id": self.project_id,
            "peer_address": self.peer_address,
            "admin_state_up": self.is_on,
            "status": self.status,
            "is_well": self.is_well(),
            "since": self.since.map(written),
            "seconds": self.since.map(|since| (now - since).whole_seconds().max(0)),
            "reason": reason.map(|reason| &reason.code),
            "detail": reason.map(|reason| &reason.message),
            "evidence": reason.map(|reason| &reason.evidence),
            "missing": missing.collect::<Vec<_>>(),
            "fix_here": here,
            "fix_at_peer": peer,
            "last_report": self.last_report.map(written),
            "asked_at": written(now),
        })
    }
}

impl Reason {
    fn read(code: &Json, message: &Json, evidence: Option<&Map<String, Json>>) -> Option<Self> {
        let code = clean(code.as_str()?);
        let evidence = evidence.into_iter().flatten();
        Some(Self {
            known: code.parse().ok(),
            code,
            message: text(message),
            evidence: evidence.map(|(name, value)| (clean(name), cleaned(value))).collect(),
        })
    }
}

fn text(value: &Json) -> String {
    clean(value.as_str().unwrap_or_default())
}

/// A value whose texts, at any depth, are fit for a terminal.
fn cleaned(value: &Json) -> Json {
    match value {
        Json::Null | Json::Bool(_) | Json::Number(_) => value.clone(),
        Json::String(text) => clean(text).into(),
        Json::Array(values) => values.iter().map(cleaned).collect(),
        Json::Object(values) => {
            values.iter().map(|(name, value)| (clean(name), cleaned(value))).collect::<Map<_, _>>().into()
        }
    }
}

fn time(value: &Json) -> Option<OffsetDateTime> {
    let time = OffsetDateTime::parse(value.as_str()?, &Rfc3339).ok()?;
    time.checked_to_offset(time::UtcOffset::UTC)
}

fn written(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests;
