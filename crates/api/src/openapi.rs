//! The OpenAPI document, made from the attribute tables.

mod paths;
mod schema;
mod status;

use karez_model::Kind;
use serde_json::{Map, Value as Json, json};
use std::sync::OnceLock;

/// The document.
#[must_use]
pub fn document() -> Json {
    let mut schemas = Map::new();
    schemas.insert("NeutronError".into(), schema::error());
    let mut all = Map::new();
    for kind in Kind::ALL.iter().copied() {
        schema::of(kind.resource(), &mut schemas);
        paths::of(kind.resource(), &mut all);
    }
    paths::others(&mut all);
    status::schemas(&mut schemas);
    status::path(&mut all);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Karez",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "VPN as a Service over the Neutron VPNaaS API, with the core subset that clients need.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": all,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
            "schemas": schemas,
        },
    })
}

/// The document as it is served and committed.
pub(crate) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| serde_json::to_string_pretty(&document()).unwrap_or_default() + "\n")
}

/// The name of a kind's schemas: `IkePolicy`.
fn name(kind: Kind) -> String {
    format!("{kind:?}")
}
