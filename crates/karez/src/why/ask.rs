//! Asks for the connections that are meant, and for what is known of each.

use super::connection::{Connection, FIELDS};
use super::session::{Session, Trouble};
use crate::text::clean;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use uuid::Uuid;

const CONNECTIONS: &str = "vpn/ipsec-site-connections";

/// Which connections are meant.
pub(super) enum Wanted {
    /// One, by its name or its id.
    One(String),
    /// Those of the token's project.
    Project,
    /// All that the caller may see.
    Everything,
}

/// What was known at the last look, by id: the entry of the list, and what was made of it.
pub(super) type Known = BTreeMap<String, (Json, Connection)>;

/// The connections as they are now, by name. Of many, only those whose entry in the list has changed are asked about
/// again.
///
/// # Errors
/// [`Trouble::Lasting`] also when the one that is meant is not there, or there are several.
pub(super) fn ask(
    session: &mut Session,
    wanted: &Wanted,
    known: &mut Known,
) -> Result<Vec<Connection>, Trouble> {
    let listed = match wanted {
        Wanted::One(word) => vec![one(session, word)?],
        Wanted::Project => {
            let project = session.project()?;
            list(session, &[("project_id", project.as_str())])?
        }
        Wanted::Everything => list(session, &[])?,
    };
    let is_one = listed.len() == 1;
    let mut now = Known::new();
    for entry in listed {
        let id = entry["id"].as_str().unwrap_or_default().to_owned();
        let before = known.remove(&id).filter(|(before, _)| *before == entry && !is_one);
        let connection = match before {
            Some((_, connection)) => connection,
            None => {
                let path = format!("{CONNECTIONS}/{}/status", escaped(&id));
                let status = session.get(&path, &[])?;
                Connection::read(&entry, status.as_ref().map(|answer| &answer["connection_status"]))
            }
        };
        now.insert(id, (entry, connection));
    }
    *known = now;
    let mut connections: Vec<Connection> = known.values().map(|(_, connection)| connection.clone()).collect();
    connections.sort_by(|one, two| (&one.name, &one.id).cmp(&(&two.name, &two.id)));
    Ok(connections)
}

fn one(session: &mut Session, word: &str) -> Result<Json, Trouble> {
    let mut found = match Uuid::parse_str(word) {
        Ok(_) => list(session, &[("id", word)])?,
        Err(_) => Vec::new(),
    };
    if found.is_empty() {
        found = list(session, &[("name", word)])?;
    }
    chosen(found, word)
}

/// The only one of those that are called so.
fn chosen(mut found: Vec<Json>, word: &str) -> Result<Json, Trouble> {
    let id = |entry: &Json| clean(entry["id"].as_str().unwrap_or_default());
    match (found.pop(), found.as_slice()) {
        (Some(only), []) => Ok(only),
        (Some(last), others) => {
            let mut ids: Vec<String> = others.iter().chain([&last]).map(id).collect();
            ids.sort_unstable();
            let (count, ids) = (ids.len(), ids.join(", "));
            Err(Trouble::Lasting(format!(
                "{count} connections have the name {word:?}; say the id of one: {ids}"
            )))
        }
        (None, _) => Err(Trouble::Lasting(format!(
            "there is no connection with the name or id {word:?} that you may see"
        ))),
    }
}

/// The whole list, also from a server that gives it in pages.
fn list(session: &mut Session, filters: &[(&str, &str)]) -> Result<Vec<Json>, Trouble> {
    const MOST_PAGES: usize = 10_000;
    let fields = FIELDS.map(|field| ("fields", field));
    let mut all: Vec<Json> = Vec::new();
    for _ in 0..MOST_PAGES {
        let marker = all.last().and_then(|entry| entry["id"].as_str()).map(str::to_owned);
        let marker = marker.iter().map(|id| ("marker", id.as_str()));
        let query: Vec<(&str, &str)> = filters.iter().copied().chain(fields).chain(marker).collect();
        let Some(mut answer) = session.get(CONNECTIONS, &query)? else {
            return Err(Trouble::Lasting(
                "the server has no VPN service: it answers 404 to the list of connections".to_owned(),
            ));
        };
        let has_next = answer["ipsec_site_connections_links"]
            .as_array()
            .is_some_and(|links| links.iter().any(|link| link["rel"] == "next"));
        let Json::Array(page) = answer["ipsec_site_connections"].take() else {
            return Err(Trouble::Lasting("the server answers without ipsec_site_connections".to_owned()));
        };
        let is_last = page.is_empty() || !has_next;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
    Err(Trouble::Lasting("the list of connections has no end".to_owned()))
}

/// An id in a path, whatever the server calls an id.
fn escaped(id: &str) -> String {
    let is_plain = |character: &char| character.is_ascii_alphanumeric() || *character == '-';
    id.chars().filter(is_plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn several_of_one_name_are_told_by_their_ids() {
        let error = chosen(vec![json!({"id": "b"}), json!({"id": "a"})], "twin").unwrap_err();
        assert_eq!(error.to_string(), "2 connections have the name \"twin\"; say the id of one: a, b");
        assert_eq!(chosen(vec![json!({"id": "a"})], "one").unwrap()["id"], "a");
        let none = chosen(Vec::new(), "none\u{1b}[2J").unwrap_err().to_string();
        assert!(none.contains("no connection") && !none.contains('\u{1b}'), "{none}");
    }
}
