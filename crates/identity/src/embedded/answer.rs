//! The shapes of answers.

use super::call::Call;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Map, Value as Json, json};

pub(super) fn ok(body: &Json) -> Response {
    axum::Json(body).into_response()
}

pub(super) fn created(body: &Json) -> Response {
    (StatusCode::CREATED, axum::Json(body)).into_response()
}

pub(super) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// A list with its links. Lists are whole: there is no next page.
pub(super) fn list(call: &Call, path: &str, plural: &str, items: Vec<Json>) -> Response {
    let mut body = Map::new();
    body.insert(plural.to_owned(), Json::Array(items));
    body.insert("links".to_owned(), json!({"self": call.link(path), "next": null, "previous": null}));
    ok(&Json::Object(body))
}
