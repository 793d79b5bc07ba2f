//! What goes back: a status, a body, and the few headers that differ.

use axum::body::Body;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::Value as Json;
use std::io;
use std::pin::Pin;

/// The rest of a body, made as the client takes it.
pub(crate) type Rest = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// An answer before it is put on the wire.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
    /// What follows the body, where it was too long to be made at once.
    pub rest: Option<Rest>,
    pub content_type: Option<&'static str>,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u32>,
    /// Where tokens are to be had.
    pub authenticate: Option<String>,
}

pub(crate) const JSON: &str = "application/json";

impl Answer {
    pub(crate) fn json(status: StatusCode, body: &Json) -> Self {
        Self::bytes(status, JSON, body.to_string())
    }

    pub(crate) fn ok(body: &Json) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub(crate) fn bytes(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            body: body.into(),
            rest: None,
            content_type: Some(content_type),
            retry_after: None,
            authenticate: None,
        }
    }

    pub(crate) fn text(status: StatusCode, body: &'static str) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", body)
    }

    /// 204: done, and there is nothing to say.
    pub(crate) fn empty() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            body: Bytes::new(),
            rest: None,
            content_type: None,
            retry_after: None,
            authenticate: None,
        }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let body = match self.rest {
            None => Body::from(self.body),
            Some(rest) => Body::from_stream(stream::once(future::ready(Ok(self.body))).chain(rest)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(value) = self.authenticate.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(WWW_AUTHENTICATE, value);
        }
        response
    }
}
