//! What goes back: a status, a body, and the few headers that differ.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::Value as Json;

/// An answer before it is put on the wire.
#[derive(Clone)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
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
            content_type: None,
            retry_after: None,
            authenticate: None,
        }
    }

    pub(crate) fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.body));
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
