//! Tokens of a real Keystone, validated there with a service user of our own.
//!
//! Answers are cached by the SHA-256 of the token: for the configured time and never past the
//! token's end when it is valid, briefly when it is not. Concurrent questions about one token are
//! one question. When Keystone is away, what is cached goes on working until its time is over;
//! for the rest the answer is an honest 503.

mod client;
mod wire;

use crate::clock::micros_of;
use crate::token::TokenHash;
use crate::{BoxFuture, Clock, Denied, Identity, X_AUTH_TOKEN, token_in};
use client::Client;
use http::HeaderMap;
use karez_model::{Caller, Secret};
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::Duration;

/// How long a token that is not valid is remembered as such.
const REFUSAL_LIFE: Duration = Duration::from_secs(5);
/// How long Keystone is not asked again about a token after it gave no answer: those who waited
/// for the answer together get it together.
const FAILURE_LIFE: Duration = Duration::from_secs(1);

/// Where Keystone is, and who we are there.
#[derive(Clone)]
pub struct Options {
    /// The URL of Keystone, with or without `/v3`.
    pub auth_url: String,
    /// The name of a user with the role `service` or `admin`.
    pub username: String,
    /// His password.
    pub password: Secret,
    /// The domain of the user.
    pub user_domain_name: String,
    /// The project in which the user has the role.
    pub project_name: String,
    /// The domain of the project.
    pub project_domain_name: String,
    /// How long the answer about a valid token is used. A token that is revoked in Keystone works
    /// here for as long.
    pub cache_life: Duration,
    /// How many tokens are kept in memory, at some 300 bytes each.
    pub cached_tokens: usize,
    /// How long Keystone may take to answer.
    pub timeout: Duration,
    /// A certificate authority in PEM, in addition to those of the system.
    pub ca_certificate: Option<Vec<u8>>,
    /// What time it is.
    pub clock: Clock,
}

/// Validates tokens with a real Keystone.
pub struct Keystone {
    client: Client,
    cache: Cache<TokenHash, Answer>,
    cache_life: i64,
    clock: Clock,
}

/// What Keystone said of a token.
#[derive(Clone)]
struct Answer {
    outcome: Result<Arc<Caller>, Denied>,
    from: i64,
    until: i64,
}

impl Answer {
    fn is_fresh(&self, now: i64) -> bool {
        (self.from..self.until).contains(&now)
    }
}

impl Keystone {
    /// Makes the client; Keystone is not asked anything yet, so it may be away.
    ///
    /// # Errors
    /// Says which option is wrong.
    pub fn new(options: Options) -> Result<Self, String> {
        Ok(Self {
            cache: Cache::new(options.cached_tokens),
            cache_life: micros_of(options.cache_life),
            clock: options.clock.clone(),
            client: Client::new(options)?,
        })
    }

    async fn validate(&self, token: &str, hash: TokenHash, now: i64) -> Result<Arc<Caller>, Denied> {
        self.cache.remove_if(&hash, |answer| !answer.is_fresh(now));
        match self.cache.get_value_or_guard_async(&hash).await {
            Ok(answer) => answer.outcome,
            Err(place) => {
                let answer = self.ask(token).await;
                // Fails only when the cache made room for others meanwhile.
                let _ = place.insert(answer.clone());
                answer.outcome
            }
        }
    }

    async fn ask(&self, token: &str) -> Answer {
        let result = self.client.validate(token).await;
        let from = self.clock.now();
        let (outcome, until) = match result {
            Ok(valid) => {
                (Ok(Arc::new(valid.caller)), valid.expires_at.min(from.saturating_add(self.cache_life)))
            }
            Err(denied) => {
                let life = match denied {
                    Denied::Unauthorized(_) => micros_of(REFUSAL_LIFE),
                    Denied::Unavailable(_) => micros_of(FAILURE_LIFE),
                };
                (Err(denied), from.saturating_add(life))
            }
        };
        Answer { outcome, from, until }
    }
}

impl Identity for Keystone {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Arc<Caller>, Denied>> {
        let Some(token) = token_in(headers, &X_AUTH_TOKEN) else {
            return Box::pin(std::future::ready(Err(client::unauthorized())));
        };
        let hash = TokenHash::of(token);
        let now = self.clock.now();
        match self.cache.get(&hash) {
            Some(answer) if answer.is_fresh(now) => Box::pin(std::future::ready(answer.outcome)),
            Some(_) | None => Box::pin(self.validate(token, hash, now)),
        }
    }

    fn www_authenticate(&self, _headers: &HeaderMap) -> Option<String> {
        Some(format!("Keystone uri=\"{}\"", self.client.auth_url()))
    }

    fn is_reachable(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(self.client.greet())
    }
}

#[cfg(test)]
mod tests;
