//! The body of a request: JSON, taken apart with errors that name the field, the value and what
//! is allowed. The value of a secret is never named.

use super::error::Error;
use bytes::Bytes;
use karez_model::parse::clip;
use karez_model::{Secret, json};
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use zeroize::Zeroize;

/// The longest password or secret.
const LONGEST_SECRET: usize = 4096;

/// A parsed body. Its texts may be passwords, so they are wiped when it is dropped.
pub(super) struct Body(Json);

impl Body {
    /// Parses a body, whatever its content type says.
    pub(super) fn parse(bytes: Bytes) -> Result<Self, Error> {
        let shape = json::check(&bytes);
        let parsed = shape.is_ok().then(|| serde_json::from_slice(&bytes).map(Self));
        if let Ok(mut bytes) = bytes.try_into_mut() {
            bytes.as_mut().zeroize();
        }
        let parsed =
            parsed.ok_or_else(|| Error::BadRequest(format!("{}.", shape.err().unwrap_or_default())))?;
        let body = parsed.map_err(|error| {
            Error::BadRequest(format!(
                "The body is not JSON: line {} column {}.",
                error.line(),
                error.column()
            ))
        })?;
        refuse_nul(&body.0, &mut Vec::new())?;
        Ok(body)
    }

    /// The object that is the only content of the body, under its name.
    pub(super) fn envelope(&self, name: &'static str) -> Result<Fields<'_>, Error> {
        let Json::Object(map) = &self.0 else {
            return Err(Error::BadRequest(format!("The body must be an object with the key {name:?}.")));
        };
        Fields { path: String::new(), map }.object(name)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(json: &mut Json) {
    match json {
        Json::String(text) => text.zeroize(),
        Json::Array(items) => items.iter_mut().for_each(wipe),
        Json::Object(map) => map.values_mut().for_each(wipe),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// PostgreSQL cannot store the character NUL in a text.
fn refuse_nul<'a>(json: &'a Json, path: &mut Vec<&'a str>) -> Result<(), Error> {
    match json {
        Json::String(text) if text.contains('\0') => {
            Err(Error::BadRequest(format!("{} holds a NUL character, which is not allowed.", path.join("."))))
        }
        Json::Array(items) => items.iter().try_for_each(|item| refuse_nul(item, path)),
        Json::Object(map) => map.iter().try_for_each(|(name, value)| {
            if name.contains('\0') {
                return Err(Error::BadRequest(
                    "A key holds a NUL character, which is not allowed.".to_owned(),
                ));
            }
            path.push(name);
            refuse_nul(value, path)?;
            path.pop();
            Ok(())
        }),
        Json::String(_) | Json::Null | Json::Bool(_) | Json::Number(_) => Ok(()),
    }
}

/// An object of a body, and where it is in there.
pub(super) struct Fields<'a> {
    path: String,
    map: &'a Map<String, Json>,
}

impl<'a> Fields<'a> {
    /// The value of a field; an explicit null counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&'a Json> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The value of a field as it was sent.
    pub(super) fn given(&self, name: &str) -> Option<&'a Json> {
        self.map.get(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.map.keys().map(String::as_str)
    }

    /// Where a field is, for messages.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    pub(super) fn object(&self, name: &str) -> Result<Fields<'a>, Error> {
        self.opt_object(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn opt_object(&self, name: &str) -> Result<Option<Fields<'a>>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Object(map)) => Ok(Some(Fields { path: self.path(name), map })),
            // Its content may be a secret that was put in the wrong place.
            Some(_) => Err(Error::BadRequest(format!("{} must be an object.", self.path(name)))),
        }
    }

    /// A list of objects; absent is empty.
    pub(super) fn objects(&self, name: &str) -> Result<Vec<Fields<'a>>, Error> {
        const MOST: usize = 1000;
        let wrong =
            || Error::BadRequest(format!("{} must be a list of at most {MOST} objects.", self.path(name)));
        let items = match self.get(name) {
            None => return Ok(Vec::new()),
            Some(Json::Array(items)) if items.len() <= MOST => items,
            Some(_) => return Err(wrong()),
        };
        let object = |(at, item): (usize, &'a Json)| match item {
            Json::Object(map) => Ok(Fields { path: format!("{}[{at}]", self.path(name)), map }),
            _ => Err(wrong()),
        };
        items.iter().enumerate().map(object).collect()
    }

    pub(super) fn text(&self, name: &str, most: usize) -> Result<&'a str, Error> {
        self.opt_text(name, most)?.ok_or_else(|| self.missing(name))
    }

    /// A text of at most so many characters.
    pub(super) fn opt_text(&self, name: &str, most: usize) -> Result<Option<&'a str>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if text.chars().nth(most).is_none() => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, &format!("it must be a text of at most {most} characters"))),
        }
    }

    /// A name: not empty, one line.
    pub(super) fn name(&self, name: &str, most: usize) -> Result<&'a str, Error> {
        let text = self.text(name, most)?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            return Err(self.wrong(name, &format!("it must be one line of 1 to {most} characters")));
        }
        Ok(text)
    }

    pub(super) fn opt_bool(&self, name: &str) -> Result<Option<bool>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(name, "it must be true or false")),
        }
    }

    pub(super) fn secret(&self, name: &str) -> Result<Secret, Error> {
        self.opt_secret(name)?.ok_or_else(|| self.missing(name))
    }

    pub(super) fn opt_secret(&self, name: &str) -> Result<Option<Secret>, Error> {
        match self.get(name) {
            None => Ok(None),
            Some(Json::String(text)) if (1..=LONGEST_SECRET).contains(&text.len()) => {
                Ok(Some(Secret::new(text.clone())))
            }
            Some(_) => Err(Error::BadRequest(format!(
                "{} must be a text of 1 to {LONGEST_SECRET} bytes.",
                self.path(name)
            ))),
        }
    }

    pub(super) fn missing(&self, name: &str) -> Error {
        Error::BadRequest(format!("{} is missing.", self.path(name)))
    }

    /// An error about the value of a field that is not a secret.
    pub(super) fn wrong(&self, name: &str, allowed: &str) -> Error {
        let value = match self.map.get(name) {
            None => Cow::Borrowed("null"),
            Some(Json::String(text)) => Cow::Owned(format!("\"{}\"", clip(text))),
            Some(Json::Object(_)) => Cow::Borrowed("an object"),
            Some(Json::Array(_)) => Cow::Borrowed("this list"),
            Some(other) => Cow::Owned(other.to_string()),
        };
        Error::BadRequest(format!("{}: {value} is not allowed; {allowed}.", self.path(name)))
    }
}

#[cfg(test)]
mod tests;
