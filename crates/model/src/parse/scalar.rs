//! Single values and lists of them.

use super::MAX_LIST;
use crate::address;
use crate::attribute::{Attribute, Field, Type};
use crate::{Fault, Reason, Secret, Value};
use serde_json::Value as Json;

/// A short form of a caller's text for a message: one line of at most 80 characters and `…`.
#[must_use]
pub fn clip(text: &str) -> String {
    const MOST: usize = 80;
    let mut out = String::new();
    let mut length = 0;
    for c in text.chars() {
        let shown = c.escape_debug();
        length += shown.len();
        if length > MOST {
            out.push('…');
            break;
        }
        match c {
            // What is meant stays legible: JSON has its own quotes and backslashes.
            '"' | '\'' | '\\' => out.push(c),
            _ => out.extend(shown),
        }
    }
    out
}

/// A truth in any of the spellings that Neutron takes.
#[must_use]
pub fn boolean(json: &Json) -> Option<bool> {
    match json {
        Json::Bool(value) => Some(*value),
        Json::Number(number) => match number.as_i64()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        Json::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "t" | "y" => Some(true),
            "false" | "no" | "off" | "0" | "f" | "n" => Some(false),
            _ => None,
        },
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

/// The value of an attribute whose type is a single value.
pub(super) fn value(attribute: &Attribute, json: &Json) -> Result<Value, Fault> {
    match attribute.ty {
        Type::Bool => bool_value(attribute, json),
        Type::Int(least, most) => whole_number(attribute, json, least, most).map(Value::Int),
        Type::Secret(least, most) => secret(attribute, json, least, most),
        Type::Uuid => converted(attribute, json, address::uuid),
        Type::Mac => converted(attribute, json, address::mac),
        Type::Address => converted(attribute, json, |text| address::ip(text).map(|ip| ip.to_string())),
        Type::Cidr => converted(attribute, json, |text| address::cidr(text).map(|net| net.to_string())),
        Type::Enum(words) => one_of(attribute.name, words, json).map(Value::from),
        Type::Name(most) | Type::Text(most) | Type::Line(most) => {
            let text = text(attribute, json)?;
            sized(attribute, text, most)?;
            let is_name = matches!(attribute.ty, Type::Name(_));
            if is_name && text.trim() != text {
                return Err(wrong(attribute, json, "it must not begin or end with white space"));
            }
            if !matches!(attribute.ty, Type::Text(_)) && !text.chars().all(is_printable) {
                return Err(wrong(attribute, json, "it must be one line of printable characters"));
            }
            Ok(Value::from(text))
        }
        Type::Cidrs
        | Type::Texts
        | Type::Anything
        | Type::Object(_)
        | Type::Custom(..)
        | Type::Derived
        | Type::Time => Err(wrong(attribute, json, "it cannot be set")),
    }
}

pub(super) fn bool_value(attribute: &Attribute, json: &Json) -> Result<Value, Fault> {
    boolean(json).map(Value::Bool).ok_or_else(|| {
        let message = format!("{} is {}; it must be true or false", attribute.name, clip(&json.to_string()));
        Fault::new(Reason::InvalidInput, message)
    })
}

pub(super) fn not_a_number(attribute: &Attribute, json: &Json) -> Fault {
    let message = format!("{} is {}; it must be a whole number", attribute.name, clip(&json.to_string()));
    Fault::new(Reason::InvalidInput, message)
}

/// A key of a nested object. Numbers may come as text.
pub(super) fn field(attribute: &Attribute, field: &Field, json: &Json) -> Result<Json, Fault> {
    let name = format!("{}.{}", attribute.name, field.name);
    match field.ty {
        Type::Enum(words) => one_of(&name, words, json).map(Json::from),
        Type::Int(least, most) => {
            let number = number(json).ok_or_else(|| {
                Fault::bad_request(format!(
                    "{name} is {}; it must be a whole number",
                    clip(&json.to_string())
                ))
            })?;
            bounded(&name, number, least, most).map(Json::from)
        }
        _ => Err(Fault::bad_request(format!("{name} cannot be set"))),
    }
}

/// What a person can see on one line: no control or format characters, no separators but the space,
/// as Python's `isprintable` has it for the characters in use.
fn is_printable(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{a0}' | '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{1680}' | '\u{180e}'
            | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}' | '\u{e0000}'..='\u{e007f}')
}

/// A list in the order given. One bare value counts as a list of one.
pub(super) fn list(attribute: &Attribute, json: &Json) -> Result<Value, Fault> {
    no_nul(attribute, json)?;
    let given = match json {
        Json::Array(list) => list.as_slice(),
        Json::String(_) => std::slice::from_ref(json),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => {
            return Err(wrong(attribute, json, "it must be a list"));
        }
    };
    if given.len() > MAX_LIST {
        return Err(Fault::bad_request(format!(
            "{} has {} entries; at most {MAX_LIST} are allowed",
            attribute.name,
            given.len()
        )));
    }
    if matches!(attribute.ty, Type::Anything) {
        return Ok(Value::Json(Json::Array(given.to_vec())));
    }
    let mut out: Vec<Json> = Vec::with_capacity(given.len());
    for entry in given {
        let Some(text) = entry.as_str() else {
            return Err(wrong(attribute, entry, "each entry must be a text"));
        };
        if matches!(attribute.ty, Type::Cidrs) {
            address::cidr(text).map_err(|why| Fault::bad_request(format!("{}: {why}", attribute.name)))?;
        }
        sized(attribute, text, 255)?;
        if out.contains(entry) {
            return Err(wrong(attribute, entry, "each entry may be given once"));
        }
        out.push(entry.clone());
    }
    Ok(Value::Json(Json::Array(out)))
}

/// PostgreSQL cannot keep U+0000 in a text.
pub(super) fn no_nul(attribute: &Attribute, json: &Json) -> Result<(), Fault> {
    let has_nul = |text: &str| text.contains('\0');
    let found = match json {
        Json::String(text) => has_nul(text),
        Json::Array(list) => return list.iter().try_for_each(|entry| no_nul(attribute, entry)),
        Json::Object(map) => {
            return map.iter().try_for_each(|(key, entry)| {
                if has_nul(key) {
                    return Err(Fault::bad_request(format!("{} must not hold U+0000", attribute.name)));
                }
                no_nul(attribute, entry)
            });
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    };
    if found { Err(Fault::bad_request(format!("{} must not hold U+0000", attribute.name))) } else { Ok(()) }
}

fn whole_number(attribute: &Attribute, json: &Json, least: i64, most: i64) -> Result<i64, Fault> {
    let number = number(json).ok_or_else(|| not_a_number(attribute, json))?;
    bounded(attribute.name, number, least, most)
}

/// Floats are refused even when whole: a client that sends 1e3 is mistaken about the attribute.
fn number(json: &Json) -> Option<i64> {
    match json {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => text.trim().parse().ok(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => None,
    }
}

fn bounded(name: &str, number: i64, least: i64, most: i64) -> Result<i64, Fault> {
    if (least..=most).contains(&number) {
        return Ok(number);
    }
    Err(Fault::bad_request(format!("{name} is {number}; it must be from {least} to {most}")))
}

fn one_of(name: &str, words: &[&'static str], json: &Json) -> Result<&'static str, Fault> {
    let given = json.as_str();
    words.iter().find(|word| Some(**word) == given).copied().ok_or_else(|| {
        Fault::bad_request(format!(
            "{name} is {}; it must be one of {}",
            clip(&json.to_string()),
            words.join(", ")
        ))
    })
}

fn converted(
    attribute: &Attribute,
    json: &Json,
    convert: impl Fn(&str) -> Result<String, String>,
) -> Result<Value, Fault> {
    let text = text(attribute, json)?;
    convert(text).map(Value::Text).map_err(|why| Fault::bad_request(format!("{}: {why}", attribute.name)))
}

fn secret(attribute: &Attribute, json: &Json, least: usize, most: usize) -> Result<Value, Fault> {
    let name = attribute.name;
    let Some(text) = json.as_str() else {
        return Err(Fault::bad_request(format!("{name} must be a text of {least} to {most} characters")));
    };
    let length = text.chars().count();
    if length < least || length > most {
        return Err(Fault::bad_request(format!(
            "{name} has {length} characters; it must have {least} to {most}"
        )));
    }
    if text.contains('\0') {
        return Err(Fault::bad_request(format!("{name} must not hold U+0000")));
    }
    Ok(Value::Secret(Secret::new(text.to_owned())))
}

fn text<'a>(attribute: &Attribute, json: &'a Json) -> Result<&'a str, Fault> {
    no_nul(attribute, json)?;
    json.as_str().ok_or_else(|| wrong(attribute, json, "it must be a text"))
}

fn sized(attribute: &Attribute, text: &str, most: usize) -> Result<(), Fault> {
    let length = text.chars().count();
    if length <= most {
        return Ok(());
    }
    Err(Fault::bad_request(format!("{} has {length} characters; at most {most} are allowed", attribute.name)))
}

fn wrong(attribute: &Attribute, json: &Json, allowed: &str) -> Fault {
    Fault::bad_request(format!("{} is {}; {allowed}", attribute.name, clip(&json.to_string())))
}
