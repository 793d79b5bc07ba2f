//! What holds for every body that a client may send. The fuzz target and the replay of the corpus
//! (`crates/model/tests/corpus.rs`) both call [`check`].
//!
//! The first byte of an input says what the body is sent for: its low five bits are the kind, in
//! the order of [`Kind::ALL`] beginning at 1, and 32 stands for PUT. So `A{"ikepolicy":{}}` is a
//! POST of the first kind and `a{"ikepolicy":{}}` a PUT.

use karez_model::attribute::Field;
use karez_model::object::Changes;
use karez_model::parse::{self, Created, MAX_LIST, Updated};
use karez_model::{Attribute, Fault, Kind, Object, Post, Reason, Type, Value, address};
use serde_json::{Map, Value as Json};

/// Stands in place of a secret to see whether a fault shows it.
const MARK: &str = "Th1sIsTheSecretThatNobodyMaySee";
/// The same for a client that sends a number where the secret should be.
const MARKED_NUMBER: i64 = 918_273_645_546_372_819;
/// Bytes that no fault needs to say what is wrong.
const MOST_MESSAGE: usize = 2048;
/// Characters of the longest text in a structured attribute: a service profile's metainfo.
const MOST_TEXT: usize = 4096;

/// What became of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There is no object of this kind in it, so nobody reads further.
    NoObject,
    /// It was answered with a fault.
    Refused,
    /// It was understood.
    Taken,
}

/// What a body is sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// To create.
    Post,
    /// To change.
    Put,
}

/// What the first byte of an input stands for.
pub fn addressed(byte: u8) -> (Kind, Verb) {
    let at = usize::from((byte & 31).saturating_sub(1));
    (Kind::ALL[at % Kind::ALL.len()], if byte & 32 == 0 { Verb::Post } else { Verb::Put })
}

/// Reads one input as the server would. Panics when something does not hold.
pub fn check(data: &[u8]) -> Verdict {
    let Some((first, body)) = data.split_first() else { return Verdict::NoObject };
    let (kind, verb) = addressed(*first);
    let Ok(Json::Object(mut body)) = serde_json::from_slice(body) else { return Verdict::NoObject };
    let Some(Json::Object(given)) = body.remove(kind.resource().member) else { return Verdict::NoObject };
    no_fault_shows_a_secret(kind, verb, &given);
    match verb {
        Verb::Post => {
            parse::create(kind, &given).map(|created| a_created_object_is_sound(kind, &given, &created))
        }
        Verb::Put => parse::update(kind, &given).map(|updated| changes_are_sound(kind, &updated)),
    }
    .map_or_else(
        |fault| {
            a_fault_is_fit_to_be_shown(&fault);
            Verdict::Refused
        },
        |()| Verdict::Taken,
    )
}

fn a_created_object_is_sound(kind: Kind, given: &Map<String, Json>, created: &Created) {
    for (attribute, value) in created.object.iter() {
        match attribute.post {
            Post::Forbidden => assert!(*value == Value::Null, "{} was set by a caller", attribute.name),
            Post::Required | Post::Default(_) => {
                assert!(conforms(attribute, value), "{} is {}", attribute.name, value.to_json());
            }
        }
        if let (Type::Object(fields), Value::Json(json)) = (attribute.ty, value) {
            let is_whole = fields.iter().all(|field| json.get(field.name).is_some());
            assert!(is_whole, "{} lacks a key: {json}", attribute.name);
        }
        assert!(!holds_nul(&value.to_json()), "{} holds U+0000", attribute.name);
    }
    for attribute in &created.given {
        let was_sent = given.keys().any(|key| attribute.is_called(key));
        assert!(was_sent && attribute.post != Post::Forbidden, "{} was not given", attribute.name);
    }
    let again = parse::create(kind, &shown(&created.object));
    let again = again.unwrap_or_else(|fault| panic!("what is shown is refused: {fault}"));
    assert!(again.object == created.object, "what is shown is read as something else");
    assert!(again.echo.is_empty(), "numbers are echoed as texts");
}

fn changes_are_sound(kind: Kind, updated: &Updated) {
    let attributes = kind.resource().attributes;
    let mut body = Map::new();
    for (at, value) in &updated.changes.0 {
        let attribute = &attributes[*at];
        assert!(attribute.put, "{} was changed", attribute.name);
        assert!(conforms(attribute, value), "{} is {}", attribute.name, value.to_json());
        assert!(!holds_nul(&value.to_json()), "{} holds U+0000", attribute.name);
        let earlier = body.insert(attribute.name.to_owned(), value.to_json());
        assert!(earlier.is_none(), "{} is changed twice", attribute.name);
    }
    let again = parse::update(kind, &body);
    let again = again.unwrap_or_else(|fault| panic!("what was taken is refused: {fault}"));
    assert!(again.changes == updated.changes, "what was taken is read as something else");
    applying_changes_twice_is_applying_them_once(kind, &updated.changes);
}

fn applying_changes_twice_is_applying_them_once(kind: Kind, changes: &Changes) {
    let mut object = Object::empty(kind);
    object.apply(changes);
    let once = object.clone();
    object.apply(changes);
    assert!(object == once, "the same changes have another outcome");
}

fn a_fault_is_fit_to_be_shown(fault: &Fault) {
    assert!(matches!(fault.reason, Reason::HTTPBadRequest | Reason::InvalidInput), "{fault}");
    assert!(fault.message.len() < MOST_MESSAGE, "{} bytes: {fault}", fault.message.len());
    assert!(!fault.message.is_empty() && !fault.message.contains(char::is_control), "{fault:?}");
}

fn no_fault_shows_a_secret(kind: Kind, verb: Verb, given: &Map<String, Json>) {
    let shows = |text: &str| text.contains(MARK) || text.contains(&MARKED_NUMBER.to_string());
    let mut given = given.clone();
    for (key, json) in &mut given {
        let attribute = kind.resource().attribute(key);
        if attribute.is_some_and(|attribute| matches!(attribute.ty, Type::Secret(..))) {
            *json = marked(json);
        } else if shows(key) || shows(&json.to_string()) {
            // Fuzzers learn what they are compared with. What is no secret may be shown.
            return;
        }
    }
    let fault = match verb {
        Verb::Post => parse::create(kind, &given).err(),
        Verb::Put => parse::update(kind, &given).err(),
    };
    if let Some(fault) = fault {
        assert!(!shows(&fault.message), "a secret is shown: {fault}");
    }
}

fn marked(json: &Json) -> Json {
    match json {
        Json::Null | Json::Bool(_) => json.clone(),
        Json::Number(_) => Json::from(MARKED_NUMBER),
        Json::String(text) => Json::from(format!("{MARK}{text}")),
        Json::Array(list) => list.iter().map(marked).collect(),
        Json::Object(map) => map.iter().map(|(key, json)| (format!("{MARK}{key}"), marked(json))).collect(),
    }
}

/// What a client may send back of an object that it was shown.
fn shown(object: &Object) -> Map<String, Json> {
    let settable = object.iter().filter(|(attribute, _)| attribute.post != Post::Forbidden);
    settable.map(|(attribute, value)| (attribute.name.to_owned(), value.to_json())).collect()
}

fn conforms(attribute: &Attribute, value: &Value) -> bool {
    match (attribute.ty, value) {
        (Type::Derived | Type::Time, _) => false,
        (_, Value::Null) => attribute.nullable,
        (Type::Uuid, Value::Text(text)) => address::uuid(text).as_ref() == Ok(text),
        (Type::Name(most), Value::Text(text)) => fits(text, most) && is_line(text) && text.trim() == text,
        (Type::Text(most), Value::Text(text)) => fits(text, most),
        (Type::Line(most), Value::Text(text)) => fits(text, most) && is_line(text),
        (Type::Secret(least, most), Value::Secret(secret)) => {
            (least..=most).contains(&secret.expose().chars().count())
        }
        (Type::Enum(words), Value::Text(text)) => words.contains(&text.as_str()),
        (Type::Bool, Value::Bool(_)) => true,
        (Type::Int(least, most), Value::Int(number)) => (least..=most).contains(number),
        (Type::Address, Value::Text(text)) => address::ip(text).is_ok_and(|ip| ip.to_string() == *text),
        (Type::Cidr, Value::Text(text)) => address::cidr(text).is_ok_and(|net| net.to_string() == *text),
        (Type::Mac, Value::Text(text)) => address::mac(text).as_ref() == Ok(text),
        (Type::Cidrs, Value::Json(list)) => is_set_of(list, |text| address::cidr(text).is_ok()),
        (Type::Texts, Value::Json(list)) => is_set_of(list, |text| fits(text, 255)),
        (Type::Anything, Value::Json(Json::Array(list))) => list.len() <= MAX_LIST,
        (Type::Object(fields), Value::Json(Json::Object(map))) => map.iter().all(|(key, json)| {
            fields.iter().any(|field| field.name == key && conforms_to_field(field, json))
        }),
        (Type::Custom(..), Value::Json(json)) => is_bounded(json),
        _ => false,
    }
}

fn conforms_to_field(field: &Field, json: &Json) -> bool {
    match field.ty {
        Type::Enum(words) => json.as_str().is_some_and(|text| words.contains(&text)),
        Type::Int(least, most) => json.as_i64().is_some_and(|number| (least..=most).contains(&number)),
        _ => false,
    }
}

fn is_set_of(list: &Json, holds: impl Fn(&str) -> bool) -> bool {
    let Some(list) = list.as_array() else { return false };
    let is_new = |(at, entry): (usize, &Json)| !list[..at].contains(entry);
    list.len() <= MAX_LIST
        && list.iter().all(|entry| entry.as_str().is_some_and(&holds))
        && list.iter().enumerate().all(is_new)
}

fn is_bounded(json: &Json) -> bool {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => true,
        Json::String(text) => fits(text, MOST_TEXT),
        Json::Array(list) => list.len() <= MAX_LIST && list.iter().all(is_bounded),
        Json::Object(map) => map.values().all(is_bounded),
    }
}

fn holds_nul(json: &Json) -> bool {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
        Json::String(text) => text.contains('\0'),
        Json::Array(list) => list.iter().any(holds_nul),
        Json::Object(map) => map.iter().any(|(key, json)| key.contains('\0') || holds_nul(json)),
    }
}

fn fits(text: &str, most: usize) -> bool {
    text.chars().count() <= most
}

fn is_line(text: &str) -> bool {
    !text.contains(char::is_control)
}
