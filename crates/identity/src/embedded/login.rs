//! `POST /auth/tokens`: proves who the caller is and issues a token.

mod method;

use super::call::Call;
use super::error::Error;
use super::scope::{self, Requested};
use super::session::{self, NewToken, Session};
use super::tokens::header_of;
use super::{Embedded, answer};
use crate::X_SUBJECT_TOKEN;
use crate::clock::micros_of;
use crate::token::{self, TokenHash};
use axum::extract::State;
use axum::response::Response;
use karez_model::Secret;
use karez_store::{Error as StoreError, Tx};
use method::{Known, Method};
use std::net::IpAddr;
use std::sync::Arc;

/// `POST /auth/tokens`
pub(super) async fn login(State(embedded): State<Arc<Embedded>>, mut call: Call) -> Result<Response, Error> {
    let (method, requested) = {
        let body = call.body()?;
        let auth = body.envelope("auth")?;
        (method::parse(&auth.object("identity")?)?, scope::parse(&auth)?)
    };
    let now = embedded.options.clock.now();
    let proof = embedded.prove(method, call.source, now).await?;
    let (token, session) = embedded.issue(proof, requested, now).await?;
    let mut response = answer::created(&session.document(&call.base, !call.flag("nocatalog")));
    response.headers_mut().insert(X_SUBJECT_TOKEN.clone(), header_of(&token)?);
    Ok(response)
}

/// Who the caller was proven to be, and by what. What it rests on may be changed before the token
/// is stored, so it is looked at again then.
#[derive(Clone)]
struct Proof {
    user_id: String,
    methods: String,
    by: By,
}

#[derive(Clone)]
enum By {
    Password { hash: String },
    Token { hash: TokenHash, audit_id: String, credential_id: Option<String>, expires_at: i64 },
    ApplicationCredential { id: String },
}

impl Embedded {
    async fn prove(&self, method: Method, source: IpAddr, now: i64) -> Result<Proof, Error> {
        let (known, claimed, secret) = match method {
            Method::Token(token) => return self.prove_by_token(token, now).await,
            Method::Password { user, password } => {
                let claimed = user.claim();
                (self.store.read(move |tx| method::find_user(tx, &user)).await?, claimed, password)
            }
            Method::ApplicationCredential { credential, secret } => {
                let claimed = credential.claim();
                (
                    self.store.read(move |tx| method::find_credential(tx, &credential, now)).await?,
                    claimed,
                    secret,
                )
            }
        };
        // A user is the same by name and by id; one who does not exist is what he is called.
        let counted = known.as_ref().map_or(claimed.as_str(), |known| &known.user_id);
        let hash = known.as_ref().and_then(|known| known.hash.clone());
        self.verify(counted, source, secret, hash.clone()).await?;
        let (Some(Known { user_id, credential_id, .. }), Some(hash)) = (known, hash) else {
            return Err(Error::Unauthorized);
        };
        Ok(match credential_id {
            Some(id) => {
                let methods = "application_credential".to_owned();
                Proof { user_id, methods, by: By::ApplicationCredential { id } }
            }
            None => Proof { user_id, methods: "password".to_owned(), by: By::Password { hash } },
        })
    }

    async fn prove_by_token(&self, token: TokenHash, now: i64) -> Result<Proof, Error> {
        let session = self.store.read(move |tx| session::load(tx, &token, now)).await?;
        let session = session.ok_or(Error::Unauthorized)?;
        let mut methods = session.methods;
        if !methods.split(',').any(|method| method == "token") {
            methods.push_str(",token");
        }
        let audit_id = session.parent_audit_id.unwrap_or(session.audit_id);
        let credential_id = session.credential.map(|credential| credential.id);
        let by = By::Token { hash: token, audit_id, credential_id, expires_at: session.expires_at };
        Ok(Proof { user_id: session.user_id, methods, by })
    }

    /// Compares a secret with its hash. Every wrong one counts against the user and the source.
    pub(super) async fn verify(
        &self,
        user: &str,
        source: IpAddr,
        secret: Secret,
        hash: Option<String>,
    ) -> Result<(), Error> {
        let attempt = self.throttle.admit(user, source, || self.options.clock.now()).await?;
        if !self.hasher.verify(secret, hash).await? {
            return Err(Error::Unauthorized);
        }
        attempt.succeeded();
        Ok(())
    }

    async fn issue(&self, proof: Proof, requested: Requested, now: i64) -> Result<(Secret, Session), Error> {
        let token = token::generate().ok_or_else(|| Error::Bug("no randomness for a token".to_owned()))?;
        let hash = TokenHash::of(token.expose());
        // Whole seconds, as clients that compare times expect from Keystone.
        let issued_at = now - now.rem_euclid(1_000_000);
        let expires_at = issued_at.saturating_add(micros_of(self.options.token_life));
        let session = self.store.write(move |tx| {
            let credential_id = confirm(tx, &proof, now)?;
            let target = scope::resolve(tx, &requested, &proof.user_id, credential_id.as_deref())?;
            let (parent_audit_id, expires_at) = match &proof.by {
                By::Token { audit_id, expires_at, .. } => (Some(audit_id.clone()), *expires_at),
                By::Password { .. } => (None, expires_at),
                By::ApplicationCredential { id } => (None, expires_at.min(end_of_credential(tx, id)?)),
            };
            session::insert(
                tx,
                &NewToken {
                    hash,
                    user_id: proof.user_id.clone(),
                    target,
                    methods: proof.methods.clone(),
                    audit_id: token::audit_id(),
                    parent_audit_id,
                    credential_id,
                    issued_at,
                    expires_at,
                },
            )?;
            session::load(tx, &hash, now)?.ok_or_else(scope::no_access)
        });
        Ok((token, session.await?))
    }
}

/// Makes sure, inside of the transaction that stores the token, that what the proof rests on is
/// still so. Gives the application credential that it rests on.
fn confirm(tx: &mut Tx<'_>, proof: &Proof, now: i64) -> Result<Option<String>, Error> {
    let user = tx
        .query_for_update(
            "SELECT enabled, password_hash FROM users WHERE id = $1",
            &[proof.user_id.as_str().into()],
        )?
        .into_iter()
        .next()
        .ok_or(Error::Unauthorized)?;
    let (holds, credential_id) = match &proof.by {
        By::Password { hash } => (user.opt_text(1)? == Some(hash), None),
        By::Token { hash, credential_id, .. } => {
            (session::load(tx, hash, now)?.is_some(), credential_id.clone())
        }
        By::ApplicationCredential { id } => {
            let known = "SELECT id FROM application_credentials WHERE id = $1";
            (tx.query_opt(known, &[id.as_str().into()])?.is_some(), Some(id.clone()))
        }
    };
    if user.int(0)? == 0 || !holds {
        return Err(Error::Unauthorized);
    }
    Ok(credential_id)
}

fn end_of_credential(tx: &mut Tx<'_>, id: &str) -> Result<i64, StoreError> {
    let row = tx.query_opt("SELECT expires_at FROM application_credentials WHERE id = $1", &[id.into()])?;
    Ok(row.map(|row| row.opt_int(0)).transpose()?.flatten().unwrap_or(i64::MAX))
}
