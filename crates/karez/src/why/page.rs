//! What is printed, for people.

use super::connection::{Connection, Reason};
use crate::text::wrapped;
use serde_json::Value as Json;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

/// Columns of a line, and of what stands before it.
const WIDTH: usize = 110;
const MARGIN: usize = 15;

/// All connections, one after another. `now` is when they were asked for.
pub(super) fn page(connections: &[Connection], now: OffsetDateTime) -> String {
    if connections.is_empty() {
        return "There are no connections.\n".to_owned();
    }
    connections.iter().map(|connection| entry(connection, now)).collect::<Vec<_>>().join("\n")
}

/// A time in UTC, as people read it.
pub(super) fn said(time: OffsetDateTime) -> String {
    time.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC")).unwrap_or_default()
}

fn entry(connection: &Connection, now: OffsetDateTime) -> String {
    let Connection { id, name, peer_address, status, reason, missing, since, last_report, .. } = connection;
    let mut lines = Lines::default();
    lines.0.push(if name.is_empty() { id.clone() } else { format!("{name} ({id})") });
    lines.add("peer", peer_address);
    lines.add("state", status);
    if let Some(since) = since {
        lines.add("since", &format!("{} ({})", said(*since), lasting(now - *since)));
    }
    match reason {
        Some(reason) => explain(&mut lines, reason),
        None if status == "ACTIVE" => {}
        None => lines.add("reason", "the server gives none"),
    }
    for (local, peer) in missing {
        lines.add("no tunnel for", &format!("{local} === {peer}"));
    }
    if let Some(time) = last_report {
        lines.add("last report", &format!("{} ({} ago)", said(*time), lasting(now - *time)));
    }
    let remedy = connection.remedy();
    for (label, text) in [("fix here", remedy.here), ("fix at peer", remedy.peer)] {
        if let Some(text) = text {
            lines.add(label, text);
        }
    }
    lines.0.join("\n") + "\n"
}

fn explain(lines: &mut Lines, reason: &Reason) {
    lines.add("reason", &reason.code);
    lines.add("evidence", &reason.message);
    for (name, value) in &reason.evidence {
        lines.add("", &format!("{name}: {}", plain(value)));
    }
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    fn add(&mut self, label: &str, text: &str) {
        let mut label = format!("  {label}");
        for line in wrapped(text, WIDTH - MARGIN) {
            self.0.push(format!("{label:<MARGIN$}  {line}"));
            label.clear();
        }
    }
}

/// `a, b` for a list, `x: a, y: b` for a mapping.
fn plain(value: &Json) -> String {
    match value {
        Json::Null => "nothing".to_owned(),
        Json::Bool(_) | Json::Number(_) => value.to_string(),
        Json::String(text) => text.clone(),
        Json::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Json::Object(values) => {
            let pairs = values.iter().map(|(name, value)| format!("{name}: {}", plain(value)));
            pairs.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The two greatest units of a time; a clock that is behind makes it zero.
fn lasting(time: Duration) -> String {
    let seconds = time.whole_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests;
