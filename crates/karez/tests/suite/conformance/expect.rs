//! Compares an answer with what a step expects of it.

use super::case::Expected;
use super::path;
use anyhow::Context;
use serde_json::{Map, Value as Json};

/// What the server answered.
#[derive(Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub text: String,
    /// The body as JSON; null when it is none.
    pub json: Json,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Everything in which the answer is not as expected, in words. An error is a mistake in the case.
pub fn complaints(expected: &Expected, answer: &Answer) -> anyhow::Result<Vec<String>> {
    let mut complaints = Vec::new();
    if let Some(status) = &expected.status {
        demand(&mut complaints, status.accepts(answer.status), || format!("status {status:?}"));
    }
    error_body(expected, answer, &mut complaints);
    values(expected, answer, &mut complaints)?;
    shapes(expected, answer, &mut complaints)?;
    for (name, value) in &expected.header {
        let found = answer.header(name);
        let holds = match value.strip_prefix('<').and_then(|shape| shape.strip_suffix('>')) {
            Some("absent") => found.is_none(),
            Some(shape) => found.is_some_and(|found| has_shape(shape, &found.into()).unwrap_or(false)),
            None => found == Some(value),
        };
        demand(&mut complaints, holds, || format!("header {name}: {value}; there is {found:?}"));
    }
    if let Some(text) = &expected.text {
        demand(&mut complaints, answer.text == *text, || format!("body {text:?}"));
    }
    Ok(complaints)
}

fn error_body(expected: &Expected, answer: &Answer, complaints: &mut Vec<String>) {
    if let Some(error) = &expected.error {
        let found = &answer.json["NeutronError"];
        demand(complaints, found["type"] == *error.as_str(), || format!("type {error}"));
        demand(complaints, found["detail"] == "", || "NeutronError.detail that is empty".to_owned());
        demand(complaints, found["message"].as_str().is_some_and(|text| !text.is_empty()), || {
            "a message".to_owned()
        });
    }
    for part in &expected.message {
        let message = answer.json["NeutronError"]["message"].as_str().unwrap_or_default();
        demand(complaints, message.contains(part.as_str()), || format!("a message with {part:?}"));
    }
}

fn values(expected: &Expected, answer: &Answer, complaints: &mut Vec<String>) -> anyhow::Result<()> {
    for (path, value) in facts(expected.equals.as_deref())? {
        let found = path::at(&answer.json, &path);
        demand(complaints, found.clone().map(unmarked) == Some(unmarked(value.clone())), || {
            format!("{path} = {value}; there is {}", shown(found.as_ref()))
        });
    }
    for (path, value) in facts(expected.contains.as_deref())? {
        let found = path::at(&answer.json, &path);
        let holds = found.as_ref().and_then(|found| contains(found, &value)).unwrap_or(false);
        demand(complaints, holds, || {
            format!("{path} with {value} in it; there is {}", shown(found.as_ref()))
        });
    }
    for (path, value) in facts(expected.lacks.as_deref())? {
        let found = path::at(&answer.json, &path);
        let holds = found.as_ref().and_then(|found| contains(found, &value)) == Some(false);
        demand(complaints, holds, || {
            format!("{path} without {value} in it; there is {}", shown(found.as_ref()))
        });
    }
    for (path, value) in facts(expected.every.as_deref())? {
        let found = path::at(&answer.json, &path);
        let elements = found.as_ref().and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let holds = !elements.is_empty() && elements.iter().all(|element| *element == value);
        demand(complaints, holds, || format!("{path} all {value}; there is {}", shown(found.as_ref())));
    }
    for (path, values) in facts(expected.one_of.as_deref())? {
        let found = path::at(&answer.json, &path);
        let holds = found.as_ref().and_then(|found| contains(&values, found)).unwrap_or(false);
        demand(complaints, holds, || format!("{path} among {values}; there is {}", shown(found.as_ref())));
    }
    Ok(())
}

/// A whole object without the mark that no agent serves it: the server sets it each two seconds, so
/// that it may come between two answers. A case about the mark names its attributes.
fn unmarked(mut value: Json) -> Json {
    if let Some(object) = value.as_object_mut()
        && object.get("status_reason").is_none_or(|reason| reason.is_null() || reason == "no_agent")
    {
        object.remove("status_reason");
        object.remove("status_detail");
    }
    value
}

fn shapes(expected: &Expected, answer: &Answer, complaints: &mut Vec<String>) -> anyhow::Result<()> {
    for path in &expected.absent {
        let found = path::at(&answer.json, path);
        demand(complaints, found.is_none(), || {
            format!("nothing at {path}; there is {}", shown(found.as_ref()))
        });
    }
    for (path, keys) in &expected.keys {
        let mut wanted: Vec<&str> = keys.split_whitespace().collect();
        wanted.sort_unstable();
        let found = path::at(&answer.json, path);
        let objects = match &found {
            Some(Json::Array(elements)) => elements.as_slice(),
            found => found.as_slice(),
        };
        let holds =
            !objects.is_empty() && objects.iter().all(|object| sorted_keys(object).as_ref() == Some(&wanted));
        demand(complaints, holds, || {
            format!("{path} with exactly the keys {wanted:?}; there is {}", shown(found.as_ref()))
        });
    }
    for (path, length) in &expected.length {
        let found = path::at(&answer.json, path).as_ref().and_then(Json::as_array).map(Vec::len);
        demand(complaints, found == Some(*length), || {
            format!("{length} elements at {path}; there are {found:?}")
        });
    }
    for (path, shape) in &expected.shape {
        let found = path::at(&answer.json, path);
        let holds = found.as_ref().map(|found| has_shape(shape, found)).transpose()?.unwrap_or(false);
        demand(complaints, holds, || format!("{path} of shape {shape}; there is {}", shown(found.as_ref())));
    }
    for (one, other) in &expected.same {
        let (found, same) = (path::at(&answer.json, one), path::at(&answer.json, other));
        demand(complaints, found.is_some() && found == same, || format!("the same at {one} and {other}"));
    }
    Ok(())
}

/// Whether a list has the element, or a text the part; nothing when it is neither.
fn contains(found: &Json, value: &Json) -> Option<bool> {
    match found {
        Json::Array(elements) => Some(elements.contains(value)),
        Json::String(text) => Some(text.contains(value.as_str()?)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    }
}

fn sorted_keys(object: &Json) -> Option<Vec<&str>> {
    let mut keys: Vec<&str> = object.as_object()?.keys().map(String::as_str).collect();
    keys.sort_unstable();
    Some(keys)
}

fn has_shape(shape: &str, value: &Json) -> anyhow::Result<bool> {
    let text = value.as_str();
    Ok(match shape {
        "uuid" => text.is_some_and(is_uuid),
        "request-id" => text.and_then(|text| text.strip_prefix("req-")).is_some_and(is_uuid),
        "url" => text.is_some_and(|text| text.starts_with("http://127.0.0.1:")),
        "text" => text.is_some_and(|text| !text.is_empty()),
        "string" => value.is_string(),
        "number" => value.is_i64(),
        "list" => value.is_array(),
        "object" => value.is_object(),
        "ipv4" => text.is_some_and(|text| text.parse::<std::net::Ipv4Addr>().is_ok()),
        "ipv6" => text.is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok()),
        _ => anyhow::bail!("no shape is called {shape}"),
    })
}

/// Textual form with hyphens, in lower case.
fn is_uuid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok_and(|id| id.hyphenated().to_string() == text)
}

fn facts(text: Option<&str>) -> anyhow::Result<Map<String, Json>> {
    text.map_or_else(|| Ok(Map::new()), |text| serde_json::from_str(text).with_context(|| text.to_owned()))
}

fn shown(found: Option<&Json>) -> String {
    found.map_or_else(|| "nothing".to_owned(), Json::to_string)
}

fn demand(complaints: &mut Vec<String>, holds: bool, what: impl FnOnce() -> String) {
    if !holds {
        complaints.push(what());
    }
}

#[cfg(test)]
mod tests;
