//! What a request to the identity service can fail with, and how Keystone says it.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// Why a request was refused or could not be done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// 400: the request is malformed; says which field, which value and what is allowed.
    #[error("{0}")]
    BadRequest(String),
    /// 401: no or wrong credentials. Which of them is not said.
    #[error("The request you have made requires authentication.")]
    Unauthorized,
    /// 401: the credentials are right, but what was asked for with them is not there for this user.
    #[error("{0}")]
    NoAccess(String),
    /// 403: the caller is known and may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// 404.
    #[error("{0}")]
    NotFound(String),
    /// 405.
    #[error("The method is not allowed for the requested URL.")]
    MethodNotAllowed,
    /// 409: there is such a thing already.
    #[error("{0}")]
    Conflict(String),
    /// 413.
    #[error("The body is larger than 32 KiB.")]
    TooLarge,
    /// 429: too many failed logins, or too many at once.
    #[error("Too many attempts to authenticate; try again in {retry_after} s.")]
    TooManyAttempts {
        /// When to try again, in seconds.
        retry_after: u64,
    },
    /// 503: the database is away.
    #[error("The identity service is not available: {0}")]
    Unavailable(String),
    /// 500: a bug of ours, or the machine gives no randomness. The text is for the log.
    #[error("internal error: {0}")]
    Bug(String),
}

impl Error {
    /// The answer to a reference to something that is not there.
    pub(super) fn not_found(what: &str, id: &str) -> Self {
        Self::NotFound(format!("Could not find {what}: {}.", karez_model::parse::clip(id)))
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::NoAccess(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyAttempts { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Bug(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<karez_store::Error> for Error {
    fn from(error: karez_store::Error) -> Self {
        use karez_store::Error as Store;
        match error {
            Store::Unavailable(why) => Self::Unavailable(why),
            Store::Stale => {
                Self::Unavailable("too many others changed the same at once; try again".to_owned())
            }
            Store::Unique(_) => Self::Conflict("There is one of this name or id already.".to_owned()),
            Store::Reference(_) => Self::Conflict("What this refers to was deleted meanwhile.".to_owned()),
            Store::Sealed(why) | Store::Bug(why) => Self::Bug(why),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let message = match &self {
            Self::Bug(why) => {
                tracing::error!(why, "a request to the identity service failed");
                "An unexpected error prevented the server from fulfilling your request.".to_owned()
            }
            Self::Unavailable(why) => {
                tracing::warn!(why, "the identity service is not available");
                "The identity service is temporarily unable to handle the request.".to_owned()
            }
            other => other.to_string(),
        };
        let mut response = (status, axum::Json(crate::error_body(status, &message))).into_response();
        if let Self::TooManyAttempts { retry_after } = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
        }
        response
    }
}
