//! What users, projects and roles consist of, and the checks on what a caller sends of it.

use crate::embedded::domain;
use crate::embedded::error::Error;
use crate::embedded::fields::{Body, Fields};
use karez_model::parse::clip;
use karez_store::{Datum, Error as StoreError, Row};
use serde_json::{Map, Value as Json, json};

/// A kind of object.
pub(in crate::embedded) struct Kind {
    pub singular: &'static str,
    /// The name of the list, the path and the table.
    pub plural: &'static str,
    pub(super) attributes: &'static [Attribute],
    /// Whether everybody with a token may see all of them, or administrators only.
    pub(super) is_public: bool,
}

pub(in crate::embedded) struct Attribute {
    pub(super) name: &'static str,
    pub(super) ty: Type,
}

/// What an attribute may be. The longest length is in characters.
#[derive(Clone, Copy)]
pub(super) enum Type {
    /// Required, one line. Can be filtered by.
    Name(usize),
    /// Empty when not given.
    Text(usize),
    /// Null when not given.
    Nullable(usize),
    /// True when not given. Can be filtered by.
    Truth,
    /// A list of short texts.
    Tags,
    /// Not stored: always this value, and nothing else may be sent. Can be filtered by.
    Always(Constant),
    /// Not stored: a set of switches, none of which does anything here.
    Options,
    /// Stored as a hash and never shown; see `users.rs`.
    Password,
}

#[derive(Clone, Copy)]
pub(super) enum Constant {
    Null,
    False,
    Text(&'static str),
}

const fn a(name: &'static str, ty: Type) -> Attribute {
    Attribute { name, ty }
}

const OUR_DOMAIN: Type = Type::Always(Constant::Text(domain::ID));

pub(in crate::embedded) const USERS: Kind = Kind {
    singular: "user",
    plural: "users",
    attributes: &[
        a("name", Type::Name(255)),
        a("domain_id", OUR_DOMAIN),
        a("description", Type::Text(65_535)),
        a("email", Type::Nullable(255)),
        a("enabled", Type::Truth),
        a("default_project_id", Type::Nullable(64)),
        a("password", Type::Password),
        a("password_expires_at", Type::Always(Constant::Null)),
        a("options", Type::Options),
    ],
    is_public: false,
};

pub(in crate::embedded) const PROJECTS: Kind = Kind {
    singular: "project",
    plural: "projects",
    attributes: &[
        a("name", Type::Name(64)),
        a("domain_id", OUR_DOMAIN),
        a("description", Type::Text(65_535)),
        a("enabled", Type::Truth),
        a("parent_id", OUR_DOMAIN),
        a("is_domain", Type::Always(Constant::False)),
        a("tags", Type::Tags),
        a("options", Type::Options),
    ],
    is_public: false,
};

pub(in crate::embedded) const ROLES: Kind = Kind {
    singular: "role",
    plural: "roles",
    attributes: &[
        a("name", Type::Name(255)),
        a("domain_id", Type::Always(Constant::Null)),
        a("description", Type::Text(65_535)),
        a("options", Type::Options),
    ],
    is_public: true,
};

/// Values by column.
pub(in crate::embedded) type Values = Vec<(&'static str, Datum)>;

/// The values of a POST, with defaults.
pub(in crate::embedded) fn parse_new(kind: &Kind, body: &Body) -> Result<Values, Error> {
    let fields = body.envelope(kind.singular)?;
    kind.refuse_unknown(&fields)?;
    let parse = |attribute: &Attribute| {
        Ok(attribute.ty.parse(&fields, attribute.name)?.map(|value| (attribute.name, value)))
    };
    kind.attributes.iter().filter_map(|attribute| parse(attribute).transpose()).collect()
}

/// The values of a PATCH.
pub(in crate::embedded) fn parse_changes(kind: &Kind, body: &Body) -> Result<Values, Error> {
    let fields = body.envelope(kind.singular)?;
    kind.refuse_unknown(&fields)?;
    // Null empties a text; nothing else can be emptied.
    let is_given = |attribute: &&Attribute| match attribute.ty {
        Type::Truth => fields.get(attribute.name).is_some(),
        _ => fields.given(attribute.name).is_some(),
    };
    let given = kind.attributes.iter().filter(is_given);
    let parse = |attribute: &Attribute| {
        Ok(attribute.ty.parse(&fields, attribute.name)?.map(|value| (attribute.name, value)))
    };
    given.filter_map(|attribute| parse(attribute).transpose()).collect()
}

impl Kind {
    fn stored(&self) -> impl Iterator<Item = &'static Attribute> + use<> {
        self.attributes.iter().filter(|attribute| attribute.ty.is_stored())
    }

    pub(super) fn columns(&self) -> String {
        self.stored().fold("id".to_owned(), |columns, attribute| columns + ", " + attribute.name)
    }

    fn refuse_unknown(&self, fields: &Fields<'_>) -> Result<(), Error> {
        let is_known = |name: &&str| !self.attributes.iter().any(|attribute| attribute.name == *name);
        let Some(unknown) = fields.names().find(is_known) else { return Ok(()) };
        let known: Vec<&str> = self.attributes.iter().map(|attribute| attribute.name).collect();
        Err(Error::BadRequest(format!(
            "{} is not an attribute of a {}; those are {}.",
            fields.path(&clip(unknown)),
            self.singular,
            known.join(", ")
        )))
    }
}

impl Type {
    fn is_stored(self) -> bool {
        !matches!(self, Self::Always(_) | Self::Options | Self::Password)
    }

    /// Checks a value and gives what is stored of it, if anything.
    fn parse(self, fields: &Fields<'_>, name: &'static str) -> Result<Option<Datum>, Error> {
        Ok(Some(match self {
            Self::Name(most) => fields.name(name, most)?.into(),
            Self::Text(most) => fields.opt_text(name, most)?.unwrap_or_default().into(),
            Self::Nullable(most) => fields.opt_text(name, most)?.into(),
            Self::Truth => fields.opt_bool(name)?.unwrap_or(true).into(),
            Self::Tags => tags(fields, name)?.into(),
            Self::Always(constant) => {
                let is_right = fields.get(name).is_none_or(|value| *value == constant.json());
                if !is_right {
                    return Err(fields.wrong(name, &format!("it must be {}", constant.json())));
                }
                return Ok(None);
            }
            Self::Options => {
                check_options(fields, name)?;
                return Ok(None);
            }
            Self::Password => return Ok(None),
        }))
    }

    fn render(self, row: &Row, at: usize) -> Result<Json, StoreError> {
        Ok(match self {
            Self::Name(_) | Self::Text(_) | Self::Nullable(_) => row.opt_text(at)?.into(),
            Self::Truth => (row.int(at)? != 0).into(),
            Self::Tags => row.text(at)?.split_terminator('\n').collect(),
            Self::Always(constant) => constant.json(),
            Self::Options => json!({}),
            Self::Password => Json::Null,
        })
    }
}

impl Constant {
    fn json(self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::False => Json::Bool(false),
            Self::Text(text) => text.into(),
        }
    }
}

/// Tags are stored one a line; the check keeps line ends out of them.
fn tags(fields: &Fields<'_>, name: &str) -> Result<String, Error> {
    const ALLOWED: &str =
        "it must be a list of at most 80 texts of 1 to 255 characters without commas and slashes";
    let Some(value) = fields.get(name) else { return Ok(String::new()) };
    let is_tag = |tag: &str| {
        (1..=255).contains(&tag.chars().count())
            && !tag.chars().any(|c| c.is_control() || matches!(c, ',' | '/'))
    };
    let texts: Option<Vec<&str>> = value
        .as_array()
        .and_then(|items| items.iter().map(|item| item.as_str().filter(|t| is_tag(t))).collect());
    let mut texts = texts.filter(|texts| texts.len() <= 80).ok_or_else(|| fields.wrong(name, ALLOWED))?;
    texts.sort_unstable();
    texts.dedup();
    Ok(texts.iter().fold(String::new(), |lines, tag| lines + tag + "\n"))
}

/// Switches that mean nothing here may be sent, because clients send them; one that would have
/// to do something is refused.
fn check_options(fields: &Fields<'_>, name: &str) -> Result<(), Error> {
    let Some(options) = fields.opt_object(name)? else { return Ok(()) };
    for option in options.names() {
        let is_off = match options.get(option) {
            None | Some(Json::Bool(false)) => true,
            Some(Json::Array(items)) => items.is_empty(),
            Some(Json::Bool(true)) => option.starts_with("ignore_"),
            Some(_) => false,
        };
        if !is_off {
            let path = options.path(&clip(option));
            return Err(Error::BadRequest(format!("{path} is not supported; leave it out or send false.")));
        }
    }
    Ok(())
}

pub(super) fn document(kind: &Kind, row: &Row) -> Result<Json, StoreError> {
    let mut object = Map::new();
    object.insert("id".to_owned(), row.text(0)?.into());
    let mut at = 0;
    for attribute in kind.attributes {
        at += usize::from(attribute.ty.is_stored());
        if !matches!(attribute.ty, Type::Password) {
            object.insert(attribute.name.to_owned(), attribute.ty.render(row, at)?);
        }
    }
    Ok(Json::Object(object))
}
