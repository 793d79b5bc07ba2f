//! The embedded identity service: users, projects, roles and tokens of our own, and the part of
//! the Keystone v3 API that the openstack client uses.
//!
//! There is one domain. There are no groups, no hierarchy of projects, no trusts, no federation.

mod answer;
mod application_credentials;
mod assignments;
mod base;
mod bootstrap;
mod cache;
mod call;
mod catalog;
mod discovery;
mod domain;
mod error;
mod fields;
mod login;
mod objects;
mod password;
mod projects;
mod roles;
mod router;
mod scope;
mod session;
mod target;
mod throttle;
mod tokens;
mod users;

pub use base::Base;
pub use bootstrap::{FirstAdmin, random_password};
pub use error::Error;

use crate::token::{self, TokenHash};
use crate::{BoxFuture, Clock, Denied, Identity, X_AUTH_TOKEN, token_in};
use cache::TokenCache;
use call::Call;
use http::HeaderMap;
use karez_model::Caller;
use karez_store::{Store, Tx};
use password::Hasher;
use session::Session;
use std::sync::Arc;
use std::time::Duration;
use target::Target;
use throttle::Throttle;

/// What an operator may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long a token is valid. One that is made from another token ends with that one.
    pub token_life: Duration,
    /// Where clients reach this server.
    pub base: Base,
    /// There is a proxy in front of us that sets `X-Forwarded-Host`, `X-Forwarded-Proto` and
    /// `X-Forwarded-For`, and lets none through that a client made up.
    pub behind_proxy: bool,
    /// How many tokens are kept in memory, at some 300 bytes each.
    pub cached_tokens: usize,
    /// How many passwords are hashed at a time, each in 19 MiB of memory.
    pub hashing_threads: usize,
    /// What time it is.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            token_life: Duration::from_secs(3600),
            base: Base::of_request(false),
            behind_proxy: false,
            cached_tokens: 10_000,
            hashing_threads: (cores / 2).clamp(1, 2),
            clock: Clock::system(),
        }
    }
}

/// The embedded identity service.
pub struct Embedded {
    store: Store,
    options: Options,
    cache: Arc<TokenCache>,
    hasher: Hasher,
    throttle: Throttle,
}

impl Embedded {
    /// Makes the service on a store whose schema is up to date.
    #[must_use]
    pub fn new(store: Store, options: Options) -> Self {
        Self {
            cache: Arc::new(TokenCache::new(options.cached_tokens)),
            hasher: Hasher::new(options.hashing_threads),
            throttle: Throttle::new(),
            store,
            options,
        }
    }

    /// Deletes the tokens that have expired and says how many. To be called from time to time;
    /// they are refused without it, too.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database is away.
    pub async fn sweep(&self) -> Result<u64, Error> {
        let now = self.options.clock.now();
        let delete =
            move |tx: &mut Tx<'_>| tx.execute("DELETE FROM tokens WHERE expires_at <= $1", &[now.into()]);
        Ok(self.store.write(delete).await?)
    }

    /// Where the sender of these headers reaches us.
    fn url(&self, headers: &HeaderMap) -> String {
        self.options.base.url(headers, self.options.behind_proxy)
    }

    /// What the token of a request stands for, from the database.
    async fn session(&self, call: &Call) -> Result<Session, Error> {
        let token = call.token().ok_or(Error::Unauthorized)?;
        let now = self.options.clock.now();
        self.store.read(move |tx| session::load(tx, &token, now)).await?.ok_or(Error::Unauthorized)
    }

    /// What the token in `X-Subject-Token` stands for, if the caller may know.
    async fn subject(&self, call: &Call, action: &str) -> Result<(Session, TokenHash), Error> {
        let caller = self.session(call).await?;
        let token = call.subject()?;
        let is_own = call.token() == Some(token);
        let is_service = action == "validate_token" && caller.has_role(roles::SERVICE);
        caller.require(is_own || is_service || caller.is_admin(), action)?;
        let now = self.options.clock.now();
        let session = self.store.read(move |tx| session::load(tx, &token, now)).await?;
        Ok((session.ok_or_else(|| Error::NotFound("Could not find the token.".to_owned()))?, token))
    }

    async fn has_role_on(&self, user_id: String, target: Target) -> Result<bool, Error> {
        let roles = self.store.read(move |tx| roles::effective(tx, &user_id, &target)).await?;
        Ok(!roles.is_empty())
    }

    /// Runs a change after which a token may stand for something else, or for nothing.
    async fn change<T, F>(&self, change: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    {
        self.write_then(change, TokenCache::forget_all).await
    }

    /// Runs a change and tells the cache of it when it is over: also after an error, because when
    /// the connection is lost the change may be done all the same. It is a task of its own, so
    /// that a client who hangs up meanwhile does not keep the cache from being told.
    async fn write_then<T, F>(
        &self,
        change: F,
        tell: impl FnOnce(&TokenCache) + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    {
        let (store, cache) = (self.store.clone(), Arc::clone(&self.cache));
        let task = tokio::spawn(async move {
            let result = store.write(change).await;
            tell(&cache);
            result
        });
        task.await.map_err(|error| Error::Bug(format!("a change: {error}")))?
    }

    async fn look_up(&self, token: TokenHash, now: i64) -> Result<Arc<Caller>, Denied> {
        let stamp = self.cache.stamp(&token);
        let session = self.store.read(move |tx| session::load(tx, &token, now)).await.map_err(|error| {
            tracing::warn!(%error, "a token cannot be looked up");
            Denied::Unavailable(
                "The identity service is temporarily unable to handle the request.".to_owned(),
            )
        })?;
        let session = session.ok_or_else(unauthorized)?;
        let caller = Arc::new(session.caller());
        self.cache.insert(token, Arc::clone(&caller), stamp, now, session.expires_at);
        Ok(caller)
    }
}

impl Identity for Embedded {
    fn authenticate<'a>(&'a self, headers: &'a HeaderMap) -> BoxFuture<'a, Result<Arc<Caller>, Denied>> {
        // Ours are all of one length; no other needs to be hashed or looked up.
        let token = token_in(headers, &X_AUTH_TOKEN).filter(|token| token.len() == token::LENGTH);
        let Some(token) = token.map(TokenHash::of) else {
            return Box::pin(std::future::ready(Err(unauthorized())));
        };
        let now = self.options.clock.now();
        match self.cache.get(&token, now) {
            Some(caller) => Box::pin(std::future::ready(Ok(caller))),
            None => Box::pin(self.look_up(token, now)),
        }
    }

    fn www_authenticate(&self, headers: &HeaderMap) -> Option<String> {
        Some(format!("Keystone uri=\"{}/identity\"", self.url(headers)))
    }
}

fn unauthorized() -> Denied {
    Denied::Unauthorized(Error::Unauthorized.to_string())
}

#[cfg(test)]
mod tests;
