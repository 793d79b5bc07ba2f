//! Who may join as an agent: the deployment's certificate authority, and one-time tokens.

use crate::{Control, Failure};
use karez_fabric::{Claim, Enrolments, HostName, Refusal};
use karez_model::Secret;
use karez_store::{Datum, Error, Tx};
use std::time::Duration;
use uuid::Uuid;

/// The name that the authority is kept under.
const AUTHORITY: &str = "authority";

impl Control {
    /// The certificate authority of the deployment, as it was kept.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn authority(&self) -> Result<Option<Secret>, Failure> {
        self.store.read(|tx| Ok(tx.sealed_value(AUTHORITY)?)).await
    }

    /// Keeps a new authority, unless there is one, and returns the one that there is then: of two
    /// servers that start at once one makes it.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn keep_authority(&self, pem: Secret) -> Result<Secret, Failure> {
        self.store.write(move |tx| Ok(tx.seal_value(AUTHORITY, &pem)?)).await
    }

    /// Keeps the digest of a new token, for one node only when `host` is given. Tokens that have
    /// expired are forgotten.
    ///
    /// # Errors
    /// Only the store's.
    pub async fn keep_token(
        &self,
        id: Uuid,
        digest: [u8; 32],
        host: Option<HostName>,
        life: Duration,
    ) -> Result<(), Failure> {
        self.store
            .write(move |tx| {
                let now = tx.now();
                let expires_at = now.saturating_add(i64::try_from(life.as_micros()).unwrap_or(i64::MAX));
                tx.execute("DELETE FROM enrolments WHERE expires_at < $1", &[Datum::from(now)])?;
                let sql = "INSERT INTO enrolments (id, digest, host, created_at, expires_at)
                    VALUES ($1, $2, $3, $4, $5)";
                let params = [
                    Datum::from(id.to_string()),
                    Datum::from(digest.to_vec()),
                    Datum::from(host.as_ref().map(ToString::to_string)),
                    Datum::from(now),
                    Datum::from(expires_at),
                ];
                tx.execute(sql, &params)?;
                Ok(())
            })
            .await
    }
}

impl Enrolments for Control {
    async fn redeem(&self, claim: Claim) -> Result<(), Refusal> {
        let done = self.store.write(move |tx| redeem(tx, &claim)).await;
        done.unwrap_or_else(|error: Error| {
            tracing::warn!(%error, "a token could not be looked at");
            Err(Refusal::Unavailable)
        })
    }

    async fn may_renew(&self, host: &HostName) -> Result<(), Refusal> {
        let host = host.to_string();
        match self.store.read(move |tx| is_enrolled(tx, &host)).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::Removed),
            Err(error) => {
                tracing::warn!(%error, "an agent's renewal could not be looked at");
                Err(Refusal::Unavailable)
            }
        }
    }
}

/// Whether a node was let in and not removed since.
pub(crate) fn is_enrolled(tx: &mut Tx<'_>, host: &str) -> Result<bool, Error> {
    let sql = "SELECT host FROM enrolled_hosts WHERE host = $1";
    Ok(tx.query_opt(sql, &[Datum::from(host)])?.is_some())
}

/// The row is locked, so that of two claims at the same time one is the later.
fn redeem(tx: &mut Tx<'_>, claim: &Claim) -> Result<Result<(), Refusal>, Error> {
    let id = [Datum::from(claim.token.to_string())];
    let sql = "SELECT digest, host, expires_at, used_at, key_digest FROM enrolments WHERE id = $1";
    let rows = tx.query_for_update(sql, &id)?;
    let Some(row) = rows.first() else { return Ok(Err(Refusal::Unknown)) };
    if aws_lc_rs::constant_time::verify_slices_are_equal(row.blob(0)?, &claim.digest).is_err() {
        return Ok(Err(Refusal::Unknown));
    }
    let host = claim.host.to_string();
    if row.opt_text(1)?.is_some_and(|only| only != host) {
        return Ok(Err(Refusal::OtherHost));
    }
    if row.int(2)? < tx.now() {
        return Ok(Err(Refusal::Expired));
    }
    let is_enrolled = is_enrolled(tx, &host)?;
    if row.opt_int(3)?.is_some() {
        // Said again after an answer that was lost; not by a node that was removed since.
        let is_same = row.blob(4)? == claim.key && is_enrolled;
        return Ok(if is_same { Ok(()) } else { Err(Refusal::Used) });
    }
    if is_enrolled && row.opt_text(1)?.is_none() {
        // Otherwise a token for a new node would do to take another one's place, and its keys.
        return Ok(Err(Refusal::OtherHost));
    }
    let now = tx.now();
    let sql = "UPDATE enrolments SET used_at = $1, host = $2, key_digest = $3 WHERE id = $4";
    let params = [Datum::from(now), host.as_str().into(), Datum::from(claim.key.to_vec()), id[0].clone()];
    tx.execute(sql, &params)?;
    let sql = "INSERT INTO enrolled_hosts (host, enrolled_at) VALUES ($1, $2)
        ON CONFLICT (host) DO UPDATE SET enrolled_at = excluded.enrolled_at";
    tx.execute(sql, &[host.into(), Datum::from(now)])?;
    Ok(Ok(()))
}
