//! What a client asks first: which versions there are. These documents need no token.

use serde_json::{Value as Json, json};

/// The document of `GET /identity`, sent with 300 Multiple Choices as Keystone does.
pub(super) fn versions(base: &str) -> Json {
    json!({"versions": {"values": [document(base)]}})
}

/// The document of `GET /identity/v3`.
pub(super) fn version(base: &str) -> Json {
    json!({"version": document(base)})
}

fn document(base: &str) -> Json {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{base}/identity/v3/")}],
        "media-types": [
            {"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"},
        ],
    })
}
