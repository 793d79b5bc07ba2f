//! Objects as JSON.

use karez_control::Control;
use karez_model::parse::Echo;
use karez_model::{Attribute, Caller, Object, Type, Value};
use karez_store::{Filter, Stored};
use serde_json::Value as Json;
use time::OffsetDateTime;
use time::macros::format_description;

/// What of an object is to be shown, and to whom.
pub(crate) struct View<'a> {
    pub control: &'a Control,
    pub caller: &'a Caller,
    /// Only these keys; all of them when there are none.
    pub fields: &'a [String],
}

impl View<'_> {
    /// Appends a stored object. The usual case, everything shown, is rendered once an object.
    pub(crate) fn stored(&self, stored: &Stored, out: &mut Vec<u8>) {
        let sees_all = |attribute: &Attribute| self.control.unveils(self.caller, &stored.object, attribute);
        if self.fields.is_empty() && stored.resource().attributes.iter().all(sees_all) {
            out.extend_from_slice(stored.face(|object| {
                let mut face = Vec::with_capacity(1024);
                write_object(object, &mut face, |_| true);
                face
            }));
        } else {
            self.object(&stored.object, out);
        }
    }

    /// Whether an object passes filters on secrets. Who may not see a secret finds nothing by it.
    pub(crate) fn passes_secrets(&self, filters: &[Filter], stored: &Stored) -> bool {
        filters.iter().all(|filter| {
            let is_wanted = |value: &Value| value == stored.get(filter.attribute.name);
            self.control.unveils(self.caller, &stored.object, filter.attribute)
                && filter.values.iter().any(is_wanted)
        })
    }

    /// Appends an object that was just written.
    pub(crate) fn object(&self, object: &Object, out: &mut Vec<u8>) {
        let is_wanted = |name: &str| self.fields.is_empty() || self.fields.iter().any(|field| field == name);
        write_object(object, out, |key| match key {
            Key::Attribute(attribute) => {
                is_wanted(attribute.name) && self.control.unveils(self.caller, object, attribute)
            }
            Key::Other(name) => is_wanted(name),
        });
    }

    /// An object that was just written, as JSON, with numbers echoed as the caller sent them.
    pub(crate) fn written(&self, object: &Object, echo: &Echo) -> Json {
        let mut bytes = Vec::with_capacity(1024);
        self.object(object, &mut bytes);
        let mut json: Json = serde_json::from_slice(&bytes).unwrap_or_default();
        for (name, keys) in echo {
            if let Some(Json::Object(nested)) = json.get_mut(*name) {
                nested.extend(keys.clone());
            }
        }
        json
    }
}

/// What an object shows.
#[derive(Clone, Copy)]
enum Key {
    Attribute(&'static Attribute),
    Other(&'static str),
}

fn write_object(object: &Object, out: &mut Vec<u8>, is_shown: impl Fn(Key) -> bool) {
    let resource = object.resource();
    out.push(b'{');
    let start = out.len();
    for (attribute, value) in object.iter() {
        if is_shown(Key::Attribute(attribute)) {
            write_key(attribute.name, out, start);
            write_value(attribute, value, out);
        }
    }
    if resource.has_bookkeeping() {
        for (name, micros) in [("created_at", object.meta.created_at), ("updated_at", object.meta.updated_at)]
        {
            if is_shown(Key::Other(name)) {
                write_key(name, out, start);
                write_text(&timestamp(micros), out);
            }
        }
        if is_shown(Key::Other("revision_number")) {
            write_key("revision_number", out, start);
            out.extend_from_slice(object.meta.rev.to_string().as_bytes());
        }
    }
    if resource.is_owned() && is_shown(Key::Other("tenant_id")) {
        write_key("tenant_id", out, start);
        write_text(object.project_id(), out);
    }
    out.push(b'}');
}

fn write_key(name: &str, out: &mut Vec<u8>, start: usize) {
    if out.len() > start {
        out.push(b',');
    }
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_value(attribute: &Attribute, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(micros) if matches!(attribute.ty, Type::Time) => write_text(&agent_time(*micros), out),
        Value::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Text(text) => write_text(text, out),
        Value::Json(json) => out.extend_from_slice(json.to_string().as_bytes()),
        Value::Secret(secret) => write_text(secret.expose(), out),
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

/// ISO 8601 in UTC, to the microsecond.
pub(crate) fn precise_time(micros: i64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let fraction = time::Duration::microseconds(micros.rem_euclid(1_000_000));
    (utc(micros) + fraction).format(format).unwrap_or_default()
}

fn timestamp(micros: i64) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    utc(micros).format(format).unwrap_or_default()
}

/// Agents show their times without zone, in UTC.
fn agent_time(micros: i64) -> String {
    utc(micros)
        .format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second]"))
        .unwrap_or_default()
}

fn utc(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(micros.div_euclid(1_000_000)).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
