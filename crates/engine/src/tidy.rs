//! What a node says, with bounds and without what is no text: a node may be in others' hands, and what it says is stored and
//! shown.

use crate::{ChildSa, Event, IkeSa, Reason, RouterReport, TunnelReport, TunnelStatus};
use serde_json::{Map, Value as Json};

/// The characters of a sentence.
pub const SENTENCE: usize = 1024;
/// The characters of a name: an identity, a suite, an SPI.
pub const NAME: usize = 256;
/// The pieces of evidence of a reason, and the entries of a list in one.
pub const PIECES: usize = 64;
/// The octets of a reason's evidence as JSON: what does not fit is left out.
pub const EVIDENCE: usize = 16 << 10;
/// Lists and objects within each other in a piece of evidence.
const LEVELS: usize = 2;
/// The child SAs of a tunnel, and its pairs without one: what a connection may have, and each renewed once.
pub const SAS: usize = 2048;
/// The subnets of one side of a child SA.
pub const NETS: usize = 255;
/// The events of a report: no more are kept.
pub const EVENTS: usize = 100;

/// How far ahead of us a node's clock may be, microseconds.
const AHEAD: i64 = 60_000_000;

impl TunnelReport {
    /// The report within its bounds, at `now` in microseconds since 1970 UTC. Of too many events the newest are left.
    #[must_use]
    pub fn tidy(mut self, now: i64) -> Self {
        self.status.tidy(now);
        self.events.drain(..self.events.len().saturating_sub(EVENTS));
        self.events.iter_mut().for_each(|event| event.tidy(now));
        self
    }
}

impl RouterReport {
    /// The report within its bounds.
    #[must_use]
    pub fn tidy(mut self) -> Self {
        self.trouble.iter_mut().for_each(Reason::tidy);
        self
    }
}

impl TunnelStatus {
    fn tidy(&mut self, now: i64) {
        self.since = self.since.min(now.saturating_add(AHEAD));
        self.reason.iter_mut().for_each(Reason::tidy);
        self.ike.iter_mut().for_each(|ike| ike.tidy(now));
        self.children.truncate(SAS);
        self.children.iter_mut().for_each(|child| child.tidy(now));
        self.missing.truncate(SAS);
    }
}

impl IkeSa {
    fn tidy(&mut self, now: i64) {
        self.established_at = self.established_at.min(now.saturating_add(AHEAD));
        let texts = [&mut self.local_id, &mut self.peer_id, &mut self.suite];
        for text in texts.into_iter().chain([&mut self.initiator_spi, &mut self.responder_spi]) {
            clean(text, NAME);
        }
    }
}

impl ChildSa {
    fn tidy(&mut self, now: i64) {
        self.installed_at = self.installed_at.min(now.saturating_add(AHEAD));
        let texts = [&mut self.protocol, &mut self.mode, &mut self.suite];
        for text in texts.into_iter().chain([&mut self.spi_in, &mut self.spi_out]) {
            clean(text, NAME);
        }
        self.local_subnets.truncate(NETS);
        self.peer_subnets.truncate(NETS);
    }
}

impl Event {
    fn tidy(&mut self, now: i64) {
        self.at = self.at.min(now.saturating_add(AHEAD));
        clean(&mut self.message, SENTENCE);
    }
}

impl Reason {
    fn tidy(&mut self) {
        clean(&mut self.message, SENTENCE);
        let mut room = EVIDENCE;
        let piece = |(mut name, value): (String, Json)| {
            clean(&mut name, NAME);
            let value = plain(value, LEVELS)?;
            room = room.checked_sub(name.len() + value.to_string().len())?;
            Some((name, value))
        };
        let evidence = std::mem::take(&mut self.evidence);
        self.evidence = evidence.into_iter().take(PIECES).filter_map(piece).collect::<Map<_, _>>();
    }
}

/// A scalar, or a list or an object of such, with so many of them within each other.
fn plain(value: Json, levels: usize) -> Option<Json> {
    match value {
        Json::String(mut text) => {
            clean(&mut text, SENTENCE);
            Some(text.into())
        }
        Json::Array(_) | Json::Object(_) if levels == 0 => None,
        Json::Array(list) => {
            let entries = list.into_iter().take(PIECES).filter_map(|entry| plain(entry, levels - 1));
            Some(Json::Array(entries.collect()))
        }
        Json::Object(map) => {
            let entry = |(mut name, value): (String, Json)| {
                clean(&mut name, NAME);
                Some((name, plain(value, levels - 1)?))
            };
            Some(Json::Object(map.into_iter().take(PIECES).filter_map(entry).collect()))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => Some(value),
    }
}

/// Takes out what acts on a terminal instead of being shown on it, and cuts off what is longer than so many characters.
pub fn clean(text: &mut String, longest: usize) {
    let acts = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(acts) {
        text.retain(|letter| !acts(letter));
    }
    if let Some((end, _)) = text.char_indices().nth(longest) {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, ConnectionId, EventKind, RouterId, TunnelState};
    use uuid::Uuid;

    const NOW: i64 = 1_800_000_000_000_000;

    fn report(reason: Reason, events: usize) -> TunnelReport {
        let event =
            |at| Event { at: NOW + at, kind: EventKind::State, code: None, message: format!("\x1b[2J{at}") };
        TunnelReport {
            router: RouterId(Uuid::nil()),
            status: TunnelStatus {
                id: ConnectionId(Uuid::nil()),
                state: TunnelState::Down,
                reason: Some(reason),
                since: i64::MAX,
                ike: None,
                children: Vec::new(),
                missing: vec![("10.0.0.0/24".parse().unwrap(), "10.1.0.0/24".parse().unwrap()); SAS + 1],
            },
            events: (0..events as i64).map(event).collect(),
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_acts_on_a_terminal_is_taken_out() {
        let deep: Json = serde_json::json!([["x"], {"y": 1}, 3, "a\u{202e}b"]);
        let reason = Reason::new(Code::LocalError, format!("a\x1b]0;title\x07{}\r\nb", "ü".repeat(3 << 20)))
            .with("list", deep)
            .with("object", serde_json::json!({"ours": "aes-128", "deep": {"deeper": {}, "n": 1}}))
            .with("much", vec!["x".repeat(5000); 1000])
            .with("many", vec!["x"; 1000]);
        let tidy = report(reason, 150).tidy(NOW);
        let reason = tidy.status.reason.as_ref().unwrap();
        assert!(
            reason.message.starts_with("a]0;titleüü") && reason.message.ends_with('…'),
            "{}",
            reason.message
        );
        assert_eq!(reason.message.chars().count(), SENTENCE + 1);
        assert_eq!(reason.evidence["list"], serde_json::json!([["x"], {"y": 1}, 3, "ab"]));
        assert_eq!(reason.evidence["object"], serde_json::json!({"ours": "aes-128", "deep": {"n": 1}}));
        assert_eq!(reason.evidence.get("much"), None);
        assert_eq!(reason.evidence["many"].as_array().map(Vec::len), Some(PIECES));
        assert_eq!((tidy.status.since, tidy.status.missing.len()), (NOW + AHEAD, SAS));
        assert_eq!((tidy.events.len(), tidy.events[0].message.as_str()), (EVENTS, "[2J50"));
        assert_eq!(tidy.clone().tidy(NOW), tidy, "once is enough");
    }

    #[test]
    fn what_is_usual_stays_as_it_is() {
        let mut usual =
            report(Reason::new(Code::Narrowed, "The peer — 192.0.2.1 — says „no“.").with("n", 3), 0);
        usual.status.since = NOW;
        usual.status.missing.truncate(SAS);
        assert_eq!(usual.clone().tidy(NOW), usual);
    }
}
