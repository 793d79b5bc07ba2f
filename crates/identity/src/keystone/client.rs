//! The client: logs in as the service user, and asks about tokens.

use super::Options;
use super::wire::{self, Valid};
use crate::clock::micros_of;
use crate::{Clock, Denied, X_AUTH_TOKEN, X_SUBJECT_TOKEN};
use http::{HeaderValue, StatusCode};
use karez_model::Secret;
use reqwest::redirect;
use serde_json::{Value as Json, json};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// So many questions at a time; a flood of made-up tokens is not to become one for Keystone.
const CONCURRENCY: usize = 32;
/// The longest answer that is read.
const LONGEST_ANSWER: usize = 1 << 20;
/// How long no login is tried after one that failed. Keystone may lock a user out who fails often.
const LOGIN_PAUSE: Duration = Duration::from_secs(2);
/// The service token is renewed so long before its end.
const RENEW_BEFORE: Duration = Duration::from_secs(60);

pub(super) struct Client {
    http: reqwest::Client,
    options: Options,
    /// Ends in `/v3`.
    url: String,
    clock: Clock,
    service: Mutex<Service>,
    places: Semaphore,
}

/// Our own token.
#[derive(Default)]
struct Service {
    token: Option<Secret>,
    expires_at: i64,
    renew_at: i64,
    no_login_before: i64,
}

impl Client {
    pub(super) fn new(options: Options) -> Result<Self, String> {
        let url: reqwest::Url =
            options.auth_url.parse().map_err(|error| format!("auth_url {:?}: {error}", options.auth_url))?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || !url.has_host() {
            return Err(format!(
                "auth_url {:?} must be like https://keystone.example.org:5000",
                options.auth_url
            ));
        }
        let url = options.auth_url.trim_end_matches('/');
        let url = if url.ends_with("/v3") { url.to_owned() } else { format!("{url}/v3") };
        // No proxy and no redirect: tokens go to the Keystone that the operator named, only.
        let mut http = reqwest::Client::builder()
            .timeout(options.timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("karez/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &options.ca_certificate {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| format!("the certificate authority for Keystone: {error}"))?;
            http = http.tls_certs_merge(certificates);
        }
        let http = http.build().map_err(|error| format!("the client for Keystone: {error}"))?;
        let clock = options.clock.clone();
        Ok(Self { http, options, url, clock, service: Mutex::default(), places: Semaphore::new(CONCURRENCY) })
    }

    pub(super) fn auth_url(&self) -> &str {
        &self.options.auth_url
    }

    /// Asks for what anybody may ask for.
    pub(super) async fn greet(&self) -> Result<(), String> {
        match self.http.get(&self.url).send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("Keystone answers {}", response.status())),
            Err(error) if error.is_timeout() => Err("Keystone does not answer in time".to_owned()),
            Err(_) => Err("Keystone cannot be reached".to_owned()),
        }
    }

    /// Asks Keystone about a token.
    pub(super) async fn validate(&self, token: &str) -> Result<Valid, Denied> {
        match tokio::time::timeout(self.options.timeout, self.ask(token)).await {
            Ok(result) => result,
            Err(_) => Err(unavailable("it did not answer in time")),
        }
    }

    async fn ask(&self, token: &str) -> Result<Valid, Denied> {
        let _place = self.places.acquire().await.map_err(|_| unavailable("the client is closed"))?;
        let subject = secret_header(token).ok_or_else(unauthorized)?;
        let mut refused = None;
        loop {
            let service = self.service_token(refused.as_ref()).await?;
            let own = secret_header(service.expose()).ok_or_else(|| unavailable("its token is malformed"))?;
            let response = self
                .http
                .get(format!("{}/auth/tokens?nocatalog", self.url))
                .header(&X_AUTH_TOKEN, own)
                .header(&X_SUBJECT_TOKEN, subject.clone())
                .send()
                .await
                .map_err(|error| unavailable(&error.without_url().to_string()))?;
            match response.status() {
                StatusCode::OK => {
                    let valid = wire::valid(&body(response).await?);
                    return valid.ok_or_else(|| unavailable("its answer about a token cannot be understood"));
                }
                StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST => return Err(unauthorized()),
                // Our own token may have been revoked; once, a new one is tried.
                StatusCode::UNAUTHORIZED if refused.is_none() => refused = Some(service),
                StatusCode::FORBIDDEN => {
                    return Err(unavailable(
                        "the service user may not validate tokens; give him the role service",
                    ));
                }
                other => return Err(unavailable(&format!("it answered {other} about a token"))),
            }
        }
    }

    /// Our own token, fresh unless it can still be used. `refused` is one that Keystone did not
    /// take.
    pub(super) async fn service_token(&self, refused: Option<&Secret>) -> Result<Secret, Denied> {
        let mut service = self.service.lock().await;
        let now = self.clock.now();
        if service.token.as_ref().is_some_and(|token| Some(token) == refused || now >= service.expires_at) {
            service.token = None;
        }
        match &service.token {
            Some(token) if now < service.renew_at.max(service.no_login_before) => return Ok(token.clone()),
            None if now < service.no_login_before => return Err(unavailable("the last login failed")),
            Some(_) | None => {}
        }
        match self.login().await {
            Ok((token, expires_at)) => {
                let left = expires_at.saturating_sub(now);
                service.renew_at = expires_at.saturating_sub(micros_of(RENEW_BEFORE).min(left / 10));
                service.expires_at = expires_at;
                service.token = Some(token.clone());
                Ok(token)
            }
            Err(denied) => {
                service.no_login_before = now.saturating_add(micros_of(LOGIN_PAUSE));
                service.token.clone().ok_or(denied)
            }
        }
    }

    async fn login(&self) -> Result<(Secret, i64), Denied> {
        let Options { username, password, user_domain_name, project_name, project_domain_name, .. } =
            &self.options;
        let request = json!({"auth": {
            "identity": {"methods": ["password"], "password": {"user": {
                "name": username,
                "domain": {"name": user_domain_name},
                "password": password.expose(),
            }}},
            "scope": {"project": {"name": project_name, "domain": {"name": project_domain_name}}},
        }});
        let response = self
            .http
            .post(format!("{}/auth/tokens?nocatalog", self.url))
            .json(&request)
            .send()
            .await
            .map_err(|error| unavailable(&error.without_url().to_string()))?;
        if response.status() != StatusCode::CREATED {
            let status = response.status();
            return Err(unavailable(&format!("it answered {status} to the login of the user {username:?}")));
        }
        let token = response.headers().get(&X_SUBJECT_TOKEN).and_then(|token| token.to_str().ok());
        let token = token.map(|token| Secret::new(token.to_owned()));
        let valid = wire::valid(&body(response).await?);
        match (token, valid) {
            (Some(token), Some(valid)) => Ok((token, valid.expires_at)),
            (None, _) | (_, None) => Err(unavailable("its answer to a login cannot be understood")),
        }
    }
}

async fn body(mut response: reqwest::Response) -> Result<Json, Denied> {
    let mut bytes = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| unavailable(&error.without_url().to_string()))?
    {
        if bytes.len() + chunk.len() > LONGEST_ANSWER {
            return Err(unavailable("its answer is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(|_| unavailable("its answer is not JSON"))
}

fn secret_header(token: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(token).ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(super) fn unauthorized() -> Denied {
    Denied::Unauthorized("The request you have made requires authentication.".to_owned())
}

/// The operator reads why in the log; the caller needs to know that it is not him.
fn unavailable(why: &str) -> Denied {
    tracing::warn!(why, "Keystone cannot be asked about a token");
    Denied::Unavailable("Keystone, which knows the users, is not available. Try again.".to_owned())
}
