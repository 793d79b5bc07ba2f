//! The methods by which a caller proves who he is, and what their secrets are compared with.

use crate::embedded::domain;
use crate::embedded::error::Error;
use crate::embedded::fields::Fields;
use crate::token::TokenHash;
use karez_model::Secret;
use karez_store::{Datum, Error as StoreError, Tx};

/// How a caller wants to prove who he is.
pub(super) enum Method {
    Password { user: UserReference, password: Secret },
    Token(TokenHash),
    ApplicationCredential { credential: CredentialReference, secret: Secret },
}

#[derive(Clone)]
pub(super) enum UserReference {
    Id(String),
    Name { name: String, is_in_our_domain: bool },
}

#[derive(Clone)]
pub(super) enum CredentialReference {
    Id(String),
    Name { name: String, user: UserReference },
}

pub(super) fn parse(identity: &Fields<'_>) -> Result<Method, Error> {
    const KNOWN: &str = "it must be one of password, token, application_credential";
    let wrong = || identity.wrong("methods", &format!("{KNOWN}, in a list of one"));
    let methods = identity.get("methods").ok_or_else(|| identity.missing("methods"))?;
    let [method] = methods.as_array().ok_or_else(wrong)?.as_slice() else { return Err(wrong()) };
    match method.as_str().ok_or_else(wrong)? {
        "password" => {
            let user = identity.object("password")?.object("user")?;
            Ok(Method::Password { user: user_reference(&user)?, password: user.secret("password")? })
        }
        "token" => {
            let token = identity.object("token")?.secret("id")?;
            Ok(Method::Token(TokenHash::of(token.expose())))
        }
        "application_credential" => {
            let credential = identity.object("application_credential")?;
            let secret = credential.secret("secret")?;
            let credential = match credential.opt_text("id", 64)? {
                Some(id) => CredentialReference::Id(id.to_owned()),
                None => CredentialReference::Name {
                    name: credential.text("name", 255)?.to_owned(),
                    user: user_reference(&credential.object("user")?)?,
                },
            };
            Ok(Method::ApplicationCredential { credential, secret })
        }
        other => Err(Error::NoAccess(format!(
            "The method {:?} is not supported; {KNOWN}.",
            karez_model::parse::clip(other)
        ))),
    }
}

fn user_reference(user: &Fields<'_>) -> Result<UserReference, Error> {
    if let Some(id) = user.opt_text("id", 64)? {
        return Ok(UserReference::Id(id.to_owned()));
    }
    let name = user.text("name", 255)?.to_owned();
    Ok(UserReference::Name { name, is_in_our_domain: domain::is_meant(&user.object("domain")?)? })
}

/// What a secret is compared with.
pub(super) struct Known {
    pub user_id: String,
    pub credential_id: Option<String>,
    pub hash: Option<String>,
}

impl UserReference {
    /// What he calls himself, to count failures by when there is no such user.
    pub(super) fn claim(&self) -> String {
        match self {
            Self::Id(id) => format!("user id {id}"),
            Self::Name { name, is_in_our_domain } => format!("user name {name} {is_in_our_domain}"),
        }
    }
}

impl CredentialReference {
    /// What he calls himself, to count failures by when there is no such user.
    pub(super) fn claim(&self) -> String {
        match self {
            Self::Id(id) => format!("application credential id {id}"),
            Self::Name { user, .. } => user.claim(),
        }
    }
}

pub(super) fn find_user(tx: &mut Tx<'_>, user: &UserReference) -> Result<Option<Known>, StoreError> {
    let row = match user {
        UserReference::Id(id) => {
            tx.query_opt("SELECT id, password_hash FROM users WHERE id = $1", &[id.as_str().into()])?
        }
        UserReference::Name { is_in_our_domain: false, .. } => None,
        UserReference::Name { name, is_in_our_domain: true } => tx.query_opt(
            "SELECT id, password_hash FROM users WHERE domain_id = $1 AND name = $2",
            &[domain::ID.into(), name.as_str().into()],
        )?,
    };
    let Some(row) = row else { return Ok(None) };
    let hash = row.opt_text(1)?.map(str::to_owned);
    Ok(Some(Known { user_id: row.text(0)?.to_owned(), credential_id: None, hash }))
}

pub(super) fn find_credential(
    tx: &mut Tx<'_>,
    credential: &CredentialReference,
    now: i64,
) -> Result<Option<Known>, StoreError> {
    const SELECT: &str = "SELECT id, user_id, secret_hash FROM application_credentials \
                          WHERE (expires_at IS NULL OR expires_at > $1) AND ";
    let row = match credential {
        CredentialReference::Id(id) => {
            tx.query_opt(&format!("{SELECT} id = $2"), &[now.into(), id.as_str().into()])?
        }
        CredentialReference::Name { name, user } => {
            let Some(user) = find_user(tx, user)? else { return Ok(None) };
            let params = [Datum::from(now), user.user_id.into(), name.as_str().into()];
            tx.query_opt(&format!("{SELECT} user_id = $2 AND name = $3"), &params)?
        }
    };
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Known {
        credential_id: Some(row.text(0)?.to_owned()),
        user_id: row.text(1)?.to_owned(),
        hash: Some(row.text(2)?.to_owned()),
    }))
}
