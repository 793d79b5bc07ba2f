//! From the JSON of a request to typed values, by the attribute tables.
//!
//! The order of checks is Neutron's: unknown and forbidden attributes, then missing ones, then
//! each value. Every fault names the attribute, the value and what is allowed; the value of a
//! secret is never named.

mod scalar;

use crate::attribute::{Attribute, Field, Post, Preset, Type};
use crate::object::Changes;
use crate::{Fault, Kind, Object, Reason, Resource, Secret, Value, address};
use serde_json::{Map, Value as Json};

pub use scalar::{boolean, clip};

/// Most entries that a list attribute may have.
pub const MAX_LIST: usize = 1000;

/// A parsed POST.
#[derive(Clone)]
pub struct Created {
    /// The object with its defaults; what the server makes is null.
    pub object: Object,
    /// The attributes that the caller gave.
    pub given: Vec<&'static Attribute>,
    /// What the answer shows instead of the stored value: see [`Attribute::echo`].
    pub echo: Echo,
}

impl Created {
    /// Whether the caller gave this attribute.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.given.iter().any(|attribute| attribute.name == name)
    }
}

/// A parsed PUT.
#[derive(Clone, Default, PartialEq)]
pub struct Updated {
    /// What is to change.
    pub changes: Changes,
    /// What the answer shows instead of the stored value: see [`Attribute::echo`].
    pub echo: Echo,
}

/// Attributes with the JSON that stands in the answer to a write.
pub type Echo = Vec<(&'static str, Map<String, Json>)>;

/// Parses what a POST has under its envelope.
///
/// # Errors
/// [`Reason::HTTPBadRequest`], or [`Reason::InvalidInput`] for what cannot be converted.
pub fn create(kind: Kind, body: &Map<String, Json>) -> Result<Created, Fault> {
    let resource = kind.resource();
    let body = by_name(resource, body)?;
    refuse(resource, &body, "cannot be set", |attribute| attribute.post == Post::Forbidden)?;
    let missing: Vec<_> = resource
        .attributes
        .iter()
        .filter(|attribute| {
            attribute.post == Post::Required && !body.iter().any(|(given, ..)| given.name == attribute.name)
        })
        .map(|attribute| attribute.name)
        .collect();
    if !missing.is_empty() {
        return Err(Fault::bad_request(format!(
            "{}: {} is required and was not given",
            resource.member,
            missing.join(", ")
        )));
    }
    let mut object = Object::empty(kind);
    let mut echo = Echo::new();
    for attribute in resource.attributes {
        let Post::Default(preset) = attribute.post else { continue };
        object.set(attribute.name, default(attribute, preset));
    }
    let mut given = Vec::with_capacity(body.len());
    for (attribute, _, json) in body {
        if counts_as_absent(attribute, json) {
            continue;
        }
        given.push(attribute);
        let value = value(attribute, json)?;
        note_echo(attribute, json, &mut echo);
        object.apply(&Changes(vec![(position(resource, attribute), value)]));
    }
    Ok(Created { object, given, echo })
}

/// Parses what a PUT has under its envelope.
///
/// # Errors
/// [`Reason::HTTPBadRequest`], or [`Reason::InvalidInput`] for what cannot be converted.
pub fn update(kind: Kind, body: &Map<String, Json>) -> Result<Updated, Fault> {
    let resource = kind.resource();
    let body = by_name(resource, body)?;
    refuse(resource, &body, "cannot be changed", |attribute| !attribute.put)?;
    let mut updated = Updated::default();
    for (attribute, _, json) in body {
        if json.is_null() && matches!(attribute.ty, Type::Object(_)) {
            continue;
        }
        let value = value(attribute, json)?;
        note_echo(attribute, json, &mut updated.echo);
        updated.changes.0.push((position(resource, attribute), value));
    }
    Ok(updated)
}

/// Converts the values of a filter (`?name=value&name=value`) to what is stored.
///
/// # Errors
/// [`Reason::InvalidInput`] for booleans and numbers that are none.
pub fn filter(attribute: &Attribute, text: &str) -> Result<Value, Fault> {
    match attribute.ty {
        Type::Bool => scalar::bool_value(attribute, &Json::from(text)),
        Type::Int(..) => {
            let number = text.parse().map_err(|_| scalar::not_a_number(attribute, &Json::from(text)))?;
            Ok(Value::Int(number))
        }
        Type::Mac => Ok(Value::from(address::mac(text).unwrap_or_else(|_| text.to_owned()))),
        Type::Secret(..) => Ok(Value::Secret(Secret::new(text.to_owned()))),
        Type::Uuid
        | Type::Name(_)
        | Type::Text(_)
        | Type::Line(_)
        | Type::Enum(_)
        | Type::Address
        | Type::Cidr
        | Type::Cidrs
        | Type::Texts
        | Type::Anything
        | Type::Object(_)
        | Type::Custom(..)
        | Type::Derived
        | Type::Time => Ok(Value::from(text)),
    }
}

type Given<'a> = Vec<(&'static Attribute, &'a str, &'a Json)>;

/// Finds the attribute of each key. Both spellings of one attribute may be given when they agree.
fn by_name<'a>(resource: &'static Resource, body: &'a Map<String, Json>) -> Result<Given<'a>, Fault> {
    let mut given: Given<'a> = Vec::with_capacity(body.len());
    let mut unknown = Vec::new();
    for (key, json) in body {
        match resource.attribute(key) {
            Some(attribute) if key != "tenant_id" || resource.is_owned() => {
                let earlier = given.iter().find(|(other, ..)| other.name == attribute.name);
                if earlier.is_some_and(|(_, _, other)| *other != json) {
                    return Err(Fault::bad_request(format!(
                        "{} is given twice, with different values; {} means the same",
                        attribute.name,
                        attribute.alias.unwrap_or(attribute.name)
                    )));
                }
                if earlier.is_none() {
                    given.push((attribute, key, json));
                }
            }
            Some(_) | None => unknown.push(key),
        }
    }
    if unknown.is_empty() {
        return Ok(given);
    }
    let names: Vec<&str> = resource.attributes.iter().map(|attribute| attribute.name).collect();
    Err(Fault::bad_request(format!(
        "{}: Unrecognized attribute(s) {}; its attributes are {}",
        resource.member,
        first_few(&unknown),
        names.join(", ")
    )))
}

/// Names that a caller made up, as many as a message can bear.
fn first_few(names: &[&String]) -> String {
    const MOST: usize = 3;
    let shown: Vec<_> = names.iter().take(MOST).map(|name| format!("'{}'", clip(name))).collect();
    match names.len().saturating_sub(MOST) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn refuse(
    resource: &Resource,
    body: &Given<'_>,
    why: &str,
    is_refused: impl Fn(&Attribute) -> bool,
) -> Result<(), Fault> {
    let refused: Vec<&str> =
        body.iter().filter(|(attribute, ..)| is_refused(attribute)).map(|(_, key, _)| *key).collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "{}: {} {why}, it is read-only here",
        resource.member,
        refused.join(", ")
    )))
}

/// Clients that leave a value empty send null for what they mean to leave out.
fn counts_as_absent(attribute: &Attribute, json: &Json) -> bool {
    json.is_null()
        && (matches!(attribute.ty, Type::Object(_))
            || matches!(attribute.name, "project_id" | "admin_state_up"))
}

fn default(attribute: &Attribute, preset: Preset) -> Value {
    match (preset, attribute.ty) {
        (Preset::Null, _) => Value::Null,
        (Preset::Bool(value), _) => Value::Bool(value),
        (Preset::Int(value), _) => Value::Int(value),
        (Preset::Text(text), Type::Custom(..)) => Value::Json(Json::from(text)),
        (Preset::Text(text), _) => Value::from(text),
        (Preset::Empty, _) => Value::Json(Json::Array(Vec::new())),
        (Preset::Fields, Type::Object(fields)) => Value::Json(Json::Object(field_defaults(fields))),
        (Preset::Fields, _) => Value::Null,
    }
}

fn field_defaults(fields: &[Field]) -> Map<String, Json> {
    let default = |field: &Field| match field.default {
        Preset::Bool(value) => Json::from(value),
        Preset::Int(value) => Json::from(value),
        Preset::Text(text) => Json::from(text),
        Preset::Null | Preset::Empty | Preset::Fields => Json::Null,
    };
    fields.iter().map(|field| (field.name.to_owned(), default(field))).collect()
}

fn value(attribute: &Attribute, json: &Json) -> Result<Value, Fault> {
    if json.is_null() {
        return match attribute.post {
            Post::Default(Preset::Empty) if attribute.nullable => Ok(Value::Json(Json::Array(Vec::new()))),
            _ if attribute.nullable => Ok(Value::Null),
            _ if matches!(attribute.ty, Type::Bool | Type::Int(..)) => {
                Err(Fault::new(Reason::InvalidInput, format!("{} cannot be null", attribute.name)))
            }
            _ => Err(Fault::bad_request(format!("{} cannot be null", attribute.name))),
        };
    }
    match attribute.ty {
        Type::Object(fields) => nested(attribute, fields, json),
        Type::Cidrs | Type::Texts | Type::Anything => scalar::list(attribute, json),
        Type::Custom(convert, _) => {
            let wrong = |why| Fault::bad_request(format!("{}: {why}", attribute.name));
            scalar::no_nul(attribute, json)?;
            Ok(match convert(json).map_err(wrong)? {
                Json::Null => Value::Null,
                json => Value::Json(json),
            })
        }
        Type::Uuid
        | Type::Name(_)
        | Type::Text(_)
        | Type::Line(_)
        | Type::Secret(..)
        | Type::Enum(_)
        | Type::Bool
        | Type::Int(..)
        | Type::Address
        | Type::Cidr
        | Type::Mac
        | Type::Derived
        | Type::Time => scalar::value(attribute, json),
    }
}

/// The keys of a nested object that were given; the rest is merged in by [`Object::apply`].
fn nested(attribute: &Attribute, fields: &[Field], json: &Json) -> Result<Value, Fault> {
    let names = || fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", ");
    let Some(given) = json.as_object() else {
        return Err(Fault::bad_request(format!(
            "{} is {}; it must be an object with the keys {}",
            attribute.name,
            clip(&json.to_string()),
            names()
        )));
    };
    let mut out = Map::new();
    for (key, json) in given {
        let field = fields.iter().find(|field| field.name == key || field.alias == Some(key));
        let Some(field) = field else {
            return Err(Fault::bad_request(format!(
                "{} has no key '{}'; its keys are {}",
                attribute.name,
                clip(key),
                names()
            )));
        };
        let value = scalar::field(attribute, field, json)?;
        let earlier = out.insert(field.name.to_owned(), value.clone());
        if earlier.is_some_and(|earlier| earlier != value) {
            return Err(Fault::bad_request(format!(
                "{}.{} is given twice, with different values; {} means the same",
                attribute.name,
                field.name,
                field.alias.unwrap_or(field.name)
            )));
        }
    }
    Ok(Value::Json(Json::Object(out)))
}

fn note_echo(attribute: &Attribute, json: &Json, echo: &mut Echo) {
    let (true, Some(given)) = (attribute.echo, json.as_object()) else { return };
    let texts = given.iter().filter(|(key, json)| json.is_string() && *key != "units");
    let texts: Map<_, _> = texts.map(|(key, json)| (key.clone(), json.clone())).collect();
    if !texts.is_empty() {
        echo.push((attribute.name, texts));
    }
}

fn position(resource: &Resource, attribute: &Attribute) -> usize {
    resource.position(attribute.name).unwrap_or_default()
}

#[cfg(test)]
mod tests;
