//! A client of the API, as any program could be one: nothing but HTTP and JSON.

mod kind;

use crate::Error;
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

pub use kind::Kind;

/// How long the service may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The administrator of one cloud. Cloning is cheap.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    http: reqwest::Client,
    base: String,
    password: String,
    token: Mutex<String>,
    runtime: Handle,
}

impl Client {
    /// Logs in at this service with what it wrote into its state directory.
    pub(crate) fn log_in(base: &str, state: &Path, runtime: Handle) -> Result<Self, Error> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build();
        let http = http.map_err(|error| Error::Unexpected(error.to_string()))?;
        let (base, password) = (base.to_owned(), password(state)?);
        let client = Self(Arc::new(Inner { http, base, password, token: Mutex::default(), runtime }));
        client.renew_token()?;
        Ok(client)
    }

    /// The service's URL, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.0.base
    }

    /// Creates an object and returns it.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::Unanswered`].
    pub fn create(&self, kind: Kind, attributes: Json) -> Result<Json, Error> {
        let answer = self.call(Method::POST, &kind.path(), Some(&json!({kind.member(): attributes})))?;
        inner(answer, kind.member())
    }

    /// An object as it is.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub fn show(&self, kind: Kind, id: &str) -> Result<Json, Error> {
        inner(self.call(Method::GET, &kind.one(id), None)?, kind.member())
    }

    /// All objects of a kind.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub fn list(&self, kind: Kind) -> Result<Vec<Json>, Error> {
        match inner(self.call(Method::GET, &kind.path(), None)?, kind.collection())? {
            Json::Array(objects) => Ok(objects),
            _ => Err(Error::Unexpected(format!(
                "the service answered with {} that are no list",
                kind.collection()
            ))),
        }
    }

    /// Changes attributes of an object and returns it.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub fn update(&self, kind: Kind, id: &str, attributes: Json) -> Result<Json, Error> {
        let answer = self.call(Method::PUT, &kind.one(id), Some(&json!({kind.member(): attributes})))?;
        inner(answer, kind.member())
    }

    /// Deletes an object.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub fn delete(&self, kind: Kind, id: &str) -> Result<(), Error> {
        self.call(Method::DELETE, &kind.one(id), None).map(drop)
    }

    /// Gives a router an interface in a subnet.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub fn add_interface(&self, router: &str, subnet: &str) -> Result<(), Error> {
        let path = format!("{}/add_router_interface", Kind::Router.one(router));
        self.call(Method::PUT, &path, Some(&json!({"subnet_id": subnet}))).map(drop)
    }

    /// Takes a router's interface in a subnet away.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub fn remove_interface(&self, router: &str, subnet: &str) -> Result<(), Error> {
        let path = format!("{}/remove_router_interface", Kind::Router.one(router));
        self.call(Method::PUT, &path, Some(&json!({"subnet_id": subnet}))).map(drop)
    }

    /// Everything that is known about the state of a connection: its sub-resource `status`.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub fn connection_status(&self, id: &str) -> Result<Json, Error> {
        let path = format!("{}/status", Kind::Connection.one(id));
        inner(self.call(Method::GET, &path, None)?, "connection_status")
    }

    /// Any request; an answer without a body is null.
    ///
    /// # Errors
    ///
    /// As [`Client::create`].
    pub fn call(&self, method: Method, path: &str, body: Option<&Json>) -> Result<Json, Error> {
        let (mut status, mut answer) = self.send(&method, path, body)?;
        if status == StatusCode::UNAUTHORIZED {
            self.renew_token()?;
            (status, answer) = self.send(&method, path, body)?;
        }
        let request = format!("{method} {path}");
        if !status.is_success() {
            return Err(Error::Refused { request, status: status.as_u16(), answer });
        }
        if answer.is_empty() {
            return Ok(Json::Null);
        }
        // What was answered may hold a key, so it is not shown.
        serde_json::from_str(&answer)
            .map_err(|error| Error::Unexpected(format!("{request}: not JSON: {error}")))
    }

    fn send(&self, method: &Method, path: &str, body: Option<&Json>) -> Result<(StatusCode, String), Error> {
        let token = self.0.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let request = self.0.http.request(method.clone(), format!("{}{path}", self.0.base));
        let mut request = request.header("X-Auth-Token", token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let sent = self.0.runtime.block_on(async {
            let response = request.send().await?;
            Ok((response.status(), response.text().await?))
        });
        sent.map_err(|error| unanswered(format!("{method} {path}"), error))
    }

    fn renew_token(&self) -> Result<(), Error> {
        const PATH: &str = "/identity/v3/auth/tokens";
        let user = json!({"name": "admin", "domain": {"name": "Default"}, "password": self.0.password});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let scope = json!({"project": {"name": "admin", "domain": {"name": "Default"}}});
        let body = json!({"auth": {"identity": identity, "scope": scope}});
        let request = self.0.http.post(format!("{}{PATH}", self.0.base)).json(&body);
        let request_name = || format!("POST {PATH}");
        let response = self
            .0
            .runtime
            .block_on(async { request.send().await })
            .map_err(|error| unanswered(request_name(), error))?;
        let token = response.headers().get("x-subject-token").and_then(|token| token.to_str().ok());
        let status = response.status().as_u16();
        let refused = || Error::Refused { request: request_name(), status, answer: "no token".to_owned() };
        let token = token.ok_or_else(refused)?.to_owned();
        *self.0.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }
}

/// Neither password nor token.
impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Client({})", self.0.base)
    }
}

/// The id of an object.
///
/// # Errors
///
/// [`Error::Unexpected`] when it has none.
pub fn id(object: &Json) -> Result<String, Error> {
    let id = object["id"].as_str();
    id.map(str::to_owned)
        .ok_or_else(|| Error::Unexpected("the service answered with an object without id".to_owned()))
}

fn inner(mut answer: Json, member: &str) -> Result<Json, Error> {
    match answer.get_mut(member) {
        Some(object) => Ok(object.take()),
        None => Err(Error::Unexpected(format!("the service answered without {member}"))),
    }
}

/// What the client saw, down to the cause that it wraps.
fn unanswered(request: String, error: reqwest::Error) -> Error {
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        reason = format!("{reason}: {error}");
        cause = error.source();
    }
    Error::Unanswered { request, reason }
}

fn password(state: &Path) -> Result<String, Error> {
    let file = state.join("openrc");
    let text = std::fs::read_to_string(&file).map_err(Error::file("read", &file))?;
    let line = text.lines().find_map(|line| line.strip_prefix("export OS_PASSWORD="));
    let password = line.map(|password| password.trim_matches('\'').to_owned());
    password.ok_or_else(|| Error::Unexpected(format!("no password in {}", file.display())))
}
