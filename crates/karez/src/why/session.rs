//! A client of the API: logs in, asks, and logs in again when its token has ended.

use super::access::{Access, Method, Trust};
use super::catalog;
use crate::text::clean;
use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Certificate, StatusCode, redirect};
use serde_json::Value as Json;
use std::fmt;
use std::io::Read;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read.
const LONGEST_ANSWER: u64 = 64 << 20;

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT: HeaderName = HeaderName::from_static("x-subject-token");

/// Why an answer could not be had.
#[derive(Debug)]
pub(super) enum Trouble {
    /// It may be over in a moment: a server is away or overloaded.
    Passing(String),
    /// It stays until somebody does something.
    Lasting(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Passing(why) | Self::Lasting(why)) = self;
        out.write_str(why)
    }
}

impl std::error::Error for Trouble {}

/// See the module.
pub(super) struct Session {
    http: Client,
    access: Access,
    pass: Option<Pass>,
}

/// What a login gave.
struct Pass {
    token: HeaderValue,
    found: catalog::Found,
}

impl Session {
    /// Nothing is sent yet.
    pub(super) fn new(access: Access) -> Result<Self, Trouble> {
        let lasting = |what: &str, why: &dyn fmt::Display| Trouble::Lasting(format!("{what}: {why}"));
        // No redirect: a token goes to the servers that the user and the catalog name.
        let mut http = Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("karez/", env!("CARGO_PKG_VERSION")));
        match &access.trust {
            Trust::System => {}
            Trust::Blind => http = http.tls_danger_accept_invalid_certs(true),
            Trust::Only(file) => {
                let what = format!("the certificate authority {} of {}", file.display(), access.place);
                let pem = std::fs::read(file).map_err(|why| lasting(&what, &why))?;
                let trusted = Certificate::from_pem_bundle(&pem).map_err(|why| lasting(&what, &why))?;
                http = http.tls_certs_only(trusted);
            }
        }
        let http = http.build().map_err(|why| lasting("the client", &causes(&why)))?;
        Ok(Self { http, access, pass: None })
    }

    /// The project of the token.
    pub(super) fn project(&mut self) -> Result<String, Trouble> {
        Ok(self.pass()?.found.project_id.clone())
    }

    /// What the API answers at a path below `/v2.0` with these parameters; nothing when it answers 404.
    pub(super) fn get(&mut self, path: &str, query: &[(&str, &str)]) -> Result<Option<Json>, Trouble> {
        let mut is_fresh = self.pass.is_none();
        loop {
            let pass = self.pass()?;
            let url = format!("{}/v2.0/{path}", pass.found.network);
            let token = pass.token.clone();
            let mut url =
                reqwest::Url::parse(&url).map_err(|why| Trouble::Lasting(format!("{url}: {why}")))?;
            if !query.is_empty() {
                url.query_pairs_mut().extend_pairs(query);
            }
            let what = format!("GET {url}");
            let answer = send(&what, self.http.get(url).header(TOKEN, token))?;
            match answer.status() {
                StatusCode::OK => return json(&what, answer).map(Some),
                StatusCode::NOT_FOUND => return Ok(None),
                // It has ended, or was revoked.
                StatusCode::UNAUTHORIZED if !is_fresh => (self.pass, is_fresh) = (None, true),
                _ => return Err(refused(&what, answer)),
            }
        }
    }

    fn pass(&mut self) -> Result<&Pass, Trouble> {
        let pass = match self.pass.take() {
            Some(pass) => pass,
            None => self.log_in()?,
        };
        Ok(self.pass.insert(pass))
    }

    fn log_in(&self) -> Result<Pass, Trouble> {
        let url = format!("{}/auth/tokens", self.access.auth_url);
        let (what, request) = match &self.access.method {
            // A token that is for a project already is good as it is, and may not be allowed to be exchanged.
            Method::Token(token) if self.access.project.is_none() => {
                let token = header(token.expose())?;
                (
                    format!("GET {url}"),
                    self.http.get(&url).header(TOKEN, token.clone()).header(SUBJECT, token),
                )
            }
            Method::Token(_) | Method::Password { .. } | Method::ApplicationCredential { .. } => {
                (format!("POST {url}"), self.http.post(&url).json(&self.access.login()))
            }
        };
        let answer = send(&what, request)?;
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED => {}
            StatusCode::UNAUTHORIZED => {
                let why = said(answer);
                let place = &self.access.place;
                return Err(Trouble::Lasting(format!("the login with what {place} says is refused: {why}")));
            }
            StatusCode::NOT_FOUND => {
                let why = format!(
                    "{what} answers 404: it is not the URL of a Keystone; see auth_url in {}",
                    self.access.place
                );
                return Err(Trouble::Lasting(why));
            }
            _ => return Err(refused(&what, answer)),
        }
        let token = match (answer.headers().get(SUBJECT), &self.access.method) {
            (Some(token), _) => {
                let mut token = token.clone();
                token.set_sensitive(true);
                token
            }
            (None, Method::Token(token)) => header(token.expose())?,
            (None, _) => return Err(Trouble::Lasting(format!("{what} is answered without a token"))),
        };
        let found = catalog::read(&json(&what, answer)?, &self.access).map_err(Trouble::Lasting)?;
        Ok(Pass { token, found })
    }
}

fn header(token: &str) -> Result<HeaderValue, Trouble> {
    let value = HeaderValue::from_str(token);
    let mut value =
        value.map_err(|_| Trouble::Lasting("the token has characters that no token has".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn send(what: &str, request: RequestBuilder) -> Result<Response, Trouble> {
    request
        .send()
        .map_err(|why| Trouble::Passing(format!("{what} is not answered: {}", causes(&why.without_url()))))
}

fn json(what: &str, answer: Response) -> Result<Json, Trouble> {
    let text =
        body(answer).map_err(|why| Trouble::Passing(format!("{what}: the answer breaks off: {why}")))?;
    // What was answered may hold a secret, so it is not shown.
    serde_json::from_slice(&text)
        .map_err(|_| Trouble::Lasting(format!("{what} is answered with something that is no JSON")))
}

fn body(answer: Response) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    answer.take(LONGEST_ANSWER).read_to_end(&mut text)?;
    Ok(text)
}

fn refused(what: &str, answer: Response) -> Trouble {
    let status = answer.status();
    let text = format!("{what} is answered with {status}: {}", said(answer));
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        Trouble::Passing(text)
    } else {
        Trouble::Lasting(text)
    }
}

/// The message of an error, as Neutron or Keystone wraps it.
fn said(answer: Response) -> String {
    let text = body(answer).unwrap_or_default();
    let error: Json = serde_json::from_slice(&text).unwrap_or_default();
    let message = ["NeutronError", "error"].iter().find_map(|name| error[*name]["message"].as_str());
    clean(message.unwrap_or("no more is said"))
}

/// What the client saw, down to the cause that it wraps.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
