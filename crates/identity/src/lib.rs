//! Who is calling: three ways to tell behind one trait, and the embedded Keystone v3 API.
//!
//! - [`Embedded`]: users, projects, roles and tokens of our own, in the store. The default.
//! - [`Keystone`]: tokens are validated by a real Keystone.
//! - [`Headers`]: the caller says who he is and is believed. For tests, on loopback only.
//!
//! What a caller may do is not decided here but by [`karez_model::policy`]; [`policy_file`] reads
//! an operator's rules for it. Nothing here knows of VPN.

mod clock;
pub mod embedded;
mod headers;
pub mod keystone;
pub mod policy_file;
mod timestamp;
mod token;

pub use clock::Clock;
pub use embedded::{Base, Embedded};
pub use headers::Headers;
pub use keystone::Keystone;

use http::{HeaderMap, HeaderName};
use karez_model::Caller;
use serde_json::{Value as Json, json};
use std::pin::Pin;
use std::sync::Arc;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The header that carries a caller's token.
pub(crate) static X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// The header that carries the token that a call is about, and a token that was issued.
pub(crate) static X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// A way to tell who sends a request.
pub trait Identity: Send + Sync {
    /// The caller, by the headers of his request.
    ///
    /// # Errors
    /// As [`Denied`] says.
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Arc<Caller>, Denied>>;

    /// The value of `WWW-Authenticate` in a 401: where tokens are to be had, as
    /// `Keystone uri="…"`. The request's headers tell by which name the client knows us.
    fn www_authenticate(&self, headers: &HeaderMap) -> Option<String>;

    /// Whether what knows can be asked.
    ///
    /// # Errors
    /// Says why not, without any secret.
    fn is_reachable(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The octets of the largest body that the embedded Keystone takes: anybody may send one.
pub const MAX_BODY: usize = 32 << 10;

/// Why there is no caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// 401: there is no token, or none that is valid.
    Unauthorized(String),
    /// 503: it cannot be told now, because what knows is away.
    Unavailable(String),
}

impl Denied {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::Unauthorized(_) => http::StatusCode::UNAUTHORIZED,
            Self::Unavailable(_) => http::StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The body, in the shape that Keystone gives its errors.
    #[must_use]
    pub fn body(&self) -> Json {
        let (Self::Unauthorized(message) | Self::Unavailable(message)) = self;
        error_body(self.status(), message)
    }
}

/// An error as Keystone writes it.
fn error_body(status: http::StatusCode, message: &str) -> Json {
    let title = status.canonical_reason().unwrap_or("Error");
    json!({"error": {"code": status.as_u16(), "message": message, "title": title}})
}

/// The token in a header, when it is one that could be valid at all.
fn token_in<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    const LONGEST: usize = 8192;
    let token = headers.get(name)?.to_str().ok()?;
    (!token.is_empty() && token.len() <= LONGEST).then_some(token)
}
