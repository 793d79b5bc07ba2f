//! A stored object of any resource: values in the order of its attribute table.

use crate::{Attribute, Kind, Resource, Secret, Type};
use serde_json::Value as Json;

/// The value of one attribute.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Text of any kind: names, ids, addresses, enumerations.
    Text(String),
    /// Lists and nested objects.
    Json(Json),
    /// A value that only its owner may see.
    Secret(Secret),
}

impl Value {
    /// As JSON. A secret turns into its text: call this only where the reader may have it.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Text(value) => Json::String(value.clone()),
            Self::Json(value) => value.clone(),
            Self::Secret(value) => Json::String(value.expose().to_owned()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Json> for Value {
    fn from(value: Json) -> Self {
        Self::Json(value)
    }
}

/// What the store keeps about a row beside its attributes. Times are microseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// When the object was created.
    pub created_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
    /// Goes up by one at each change; starts at 0.
    pub rev: i64,
}

/// One object: its resource, its values in the order of [`Resource::attributes`], and its [`Meta`].
#[derive(Clone, PartialEq)]
pub struct Object {
    resource: &'static Resource,
    values: Vec<Value>,
    /// Creation, change and revision.
    pub meta: Meta,
}

impl Object {
    /// An object whose attributes are all null.
    #[must_use]
    pub fn empty(kind: Kind) -> Self {
        let resource = kind.resource();
        Self { resource, values: vec![Value::Null; resource.attributes.len()], meta: Meta::default() }
    }

    /// An object from its values, which must be as many as the resource has attributes.
    #[must_use]
    pub fn from_values(kind: Kind, values: Vec<Value>, meta: Meta) -> Self {
        let resource = kind.resource();
        debug_assert_eq!(values.len(), resource.attributes.len());
        Self { resource, values, meta }
    }

    /// The resource that this is an object of.
    #[must_use]
    pub fn resource(&self) -> &'static Resource {
        self.resource
    }

    /// The kind of this object.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.resource.kind
    }

    /// Attributes with their values, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Attribute, &Value)> {
        self.resource.attributes.iter().zip(&self.values)
    }

    /// The value of an attribute; null when the resource has no attribute of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> &Value {
        self.resource.position(name).map_or(&Value::Null, |at| &self.values[at])
    }

    /// Sets an attribute. A name that the resource does not have is ignored in release builds.
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        let at = self.resource.position(name);
        debug_assert!(at.is_some(), "{} has no attribute {name}", self.resource.member);
        if let Some(at) = at {
            self.values[at] = value.into();
        }
    }

    /// The text of an attribute; empty when it is null or not a text.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.opt_text(name).unwrap_or_default()
    }

    /// The text of an attribute, when it has one.
    #[must_use]
    pub fn opt_text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Value::Text(text) => Some(text),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Json(_) | Value::Secret(_) => None,
        }
    }

    /// The truth of an attribute; false when it is null.
    #[must_use]
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.get(name), Value::Bool(true))
    }

    /// The number of an attribute; 0 when it is null.
    #[must_use]
    pub fn int(&self, name: &str) -> i64 {
        self.opt_int(name).unwrap_or_default()
    }

    /// The number of an attribute, when it has one.
    #[must_use]
    pub fn opt_int(&self, name: &str) -> Option<i64> {
        match self.get(name) {
            Value::Int(value) => Some(*value),
            Value::Null | Value::Bool(_) | Value::Text(_) | Value::Json(_) | Value::Secret(_) => None,
        }
    }

    /// A structured attribute; JSON null when it has none.
    #[must_use]
    pub fn json(&self, name: &str) -> &Json {
        static NULL: Json = Json::Null;
        match self.get(name) {
            Value::Json(value) => value,
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Text(_) | Value::Secret(_) => &NULL,
        }
    }

    /// The texts of a list attribute.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> + Clone {
        self.json(name).as_array().into_iter().flatten().filter_map(Json::as_str)
    }

    /// The object's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text("id")
    }

    /// The project that owns the object; empty for objects of the deployment itself.
    #[must_use]
    pub fn project_id(&self) -> &str {
        self.text("project_id")
    }

    /// Takes over the changes of a PUT. Nested objects are merged key by key, everything else is
    /// replaced.
    pub fn apply(&mut self, changes: &Changes) {
        for (at, value) in &changes.0 {
            match (self.resource.attributes[*at].ty, &mut self.values[*at], value) {
                (Type::Object(_), Value::Json(Json::Object(old)), Value::Json(Json::Object(new))) => {
                    old.extend(new.clone());
                }
                (_, old, new) => *old = new.clone(),
            }
        }
    }
}

/// The attributes that a PUT sets, by position in the attribute table.
#[derive(Clone, Default, PartialEq)]
pub struct Changes(pub Vec<(usize, Value)>);

impl Changes {
    /// The new value of an attribute of `resource`, when it is among the changes.
    #[must_use]
    pub fn get(&self, resource: &Resource, name: &str) -> Option<&Value> {
        let at = resource.position(name)?;
        self.0.iter().find(|(changed, _)| *changed == at).map(|(_, value)| value)
    }

    /// Whether nothing is to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
