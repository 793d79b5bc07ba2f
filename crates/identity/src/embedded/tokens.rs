//! `/auth/tokens` for tokens that there are: validation and revocation.

use super::call::Call;
use super::error::Error;
use super::{Embedded, answer};
use crate::{X_SUBJECT_TOKEN, token_in};
use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use karez_model::Secret;
use karez_store::Tx;
use std::sync::Arc;

/// `GET` and `HEAD /auth/tokens`: what a token stands for, for services, administrators and its
/// owner.
pub(super) async fn validate(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let (session, _) = embedded.subject(&call, "validate_token").await?;
    let mut response = answer::ok(&session.document(&call.base, !call.flag("nocatalog")));
    if let Some(token) = token_in(&call.headers, &X_SUBJECT_TOKEN) {
        response.headers_mut().insert(X_SUBJECT_TOKEN.clone(), header_of(&Secret::new(token.to_owned()))?);
    }
    Ok(response)
}

/// `DELETE /auth/tokens`: revokes a token.
pub(super) async fn revoke(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let (_, token) = embedded.subject(&call, "revoke_token").await?;
    let delete = move |tx: &mut Tx<'_>| {
        tx.execute("DELETE FROM tokens WHERE token_hash = $1", &[token.as_bytes().to_vec().into()])?;
        Ok(())
    };
    embedded.write_then(delete, move |cache| cache.revoke(&token)).await?;
    Ok(answer::no_content())
}

/// A header with a token, which is not shown by whatever logs headers.
pub(super) fn header_of(token: &Secret) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::from_str(token.expose())
        .map_err(|_| Error::Bug("a token does not fit into a header".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
