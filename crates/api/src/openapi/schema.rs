//! Schemas of resources: as shown, as created, as changed.

use super::name;
use karez_model::attribute::{Attribute, Field, Post, Preset, Type};
use karez_model::{Resource, parse};
use serde_json::{Map, Value as Json, json};

/// The shape of an error.
pub(super) fn error() -> Json {
    json!({
        "type": "object",
        "required": ["NeutronError"],
        "properties": {"NeutronError": {
            "type": "object",
            "required": ["type", "message", "detail"],
            "properties": {
                "type": {"type": "string", "description": "What kind of fault, for programs."},
                "message": {"type": "string", "description": "Which field, which value, what is allowed, for people."},
                "detail": {"type": "string"},
            },
        }},
    })
}

/// The three schemas of a resource.
pub(super) fn of(resource: &Resource, schemas: &mut Map<String, Json>) {
    let name = name(resource.kind);
    let mut shown = properties(resource, |_| true);
    if resource.has_bookkeeping() {
        let time = json!({"type": "string", "format": "date-time"});
        shown.insert("created_at".into(), time.clone());
        shown.insert("updated_at".into(), time);
        shown.insert("revision_number".into(), json!({"type": "integer"}));
    }
    if resource.is_owned() {
        shown.insert("tenant_id".into(), json!({"type": "string", "description": "The same as project_id."}));
    }
    schemas.insert(name.clone(), json!({"type": "object", "description": resource.doc, "properties": shown}));
    let required: Vec<&str> = resource
        .attributes
        .iter()
        .filter(|attribute| attribute.post == Post::Required)
        .map(|attribute| attribute.name)
        .collect();
    let created = properties(resource, |attribute| attribute.post != Post::Forbidden);
    if !created.is_empty() {
        let mut schema = json!({"type": "object", "properties": created});
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        schemas.insert(format!("{name}Create"), schema);
    }
    let changed = properties(resource, |attribute| attribute.put);
    if !changed.is_empty() {
        schemas.insert(format!("{name}Update"), json!({"type": "object", "properties": changed}));
    }
}

fn properties(resource: &Resource, is_wanted: impl Fn(&Attribute) -> bool) -> Map<String, Json> {
    let wanted = resource.attributes.iter().filter(|attribute| is_wanted(attribute));
    wanted.map(|attribute| (attribute.name.to_owned(), property(attribute))).collect()
}

fn property(attribute: &Attribute) -> Json {
    let mut schema = of_type(attribute.ty);
    if attribute.nullable
        && let Some(ty) = schema.get("type").and_then(Json::as_str).map(str::to_owned)
    {
        schema["type"] = json!([ty, "null"]);
        if let Some(words) = schema.get_mut("enum").and_then(Json::as_array_mut) {
            words.push(Json::Null);
        }
    }
    schema["description"] = json!(attribute.doc);
    if let Post::Default(preset) = attribute.post
        && let Some(default) = default(preset)
    {
        schema["default"] = default;
    }
    if attribute.post == Post::Forbidden && !attribute.put {
        schema["readOnly"] = json!(true);
    }
    schema
}

fn of_type(ty: Type) -> Json {
    match ty {
        Type::Uuid => json!({"type": "string", "format": "uuid"}),
        Type::Name(most) | Type::Text(most) | Type::Line(most) => {
            json!({"type": "string", "maxLength": most})
        }
        Type::Secret(least, most) => {
            json!({"type": "string", "format": "password", "minLength": least, "maxLength": most})
        }
        Type::Enum(words) => json!({"type": "string", "enum": words}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Int(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Type::Address => json!({"type": "string", "description": "IPv4 or IPv6 address"}),
        Type::Cidr => json!({"type": "string"}),
        Type::Mac => json!({"type": "string", "pattern": "^([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}$"}),
        Type::Cidrs | Type::Texts => {
            json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true, "maxItems": parse::MAX_LIST})
        }
        Type::Anything => json!({"type": "array", "items": {"type": "string"}, "maxItems": parse::MAX_LIST}),
        Type::Object(fields) => {
            let fields: Map<String, Json> = fields.iter().map(field).collect();
            json!({"type": "object", "properties": fields, "additionalProperties": false})
        }
        Type::Custom(_, schema) => serde_json::from_str(schema).unwrap_or_default(),
        Type::Derived => json!({}),
        Type::Time => json!({"type": "string"}),
    }
}

fn field(field: &Field) -> (String, Json) {
    let mut schema = of_type(field.ty);
    if let Some(default) = default(field.default) {
        schema["default"] = default;
    }
    (field.name.to_owned(), schema)
}

fn default(preset: Preset) -> Option<Json> {
    match preset {
        Preset::Null => Some(Json::Null),
        Preset::Bool(value) => Some(json!(value)),
        Preset::Int(value) => Some(json!(value)),
        Preset::Text(text) => Some(json!(text)),
        Preset::Empty => Some(json!([])),
        Preset::Fields => None,
    }
}
