//! Tokens in the store, and what one stands for: a user, a scope and the roles in it.
//!
//! Roles are not written into a token but looked up each time, so a token never says more than
//! its user may do now.

use super::error::Error;
use super::roles::{self, Role};
use super::target::Target;
use super::{catalog, domain};
use crate::timestamp;
use crate::token::TokenHash;
use karez_model::Caller;
use karez_store::{Error as StoreError, Tx};
use serde_json::{Value as Json, json};

/// What a valid token stands for.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub user_id: String,
    pub user_name: String,
    pub target: Option<Target>,
    /// Of the project that the token is scoped to.
    pub project_name: Option<String>,
    pub roles: Vec<Role>,
    /// How the caller proved who he is, separated by commas.
    pub methods: String,
    pub audit_id: String,
    /// The audit id of the first token of a chain of rescoped ones.
    pub parent_audit_id: Option<String>,
    pub credential: Option<Credential>,
    pub issued_at: i64,
    pub expires_at: i64,
}

/// The application credential that a token was made with.
#[derive(Clone, Debug)]
pub(super) struct Credential {
    pub id: String,
    pub name: String,
    /// Its tokens may make and delete application credentials.
    pub is_unrestricted: bool,
}

/// A token to be stored.
#[derive(Clone)]
pub(super) struct NewToken {
    pub hash: TokenHash,
    pub user_id: String,
    pub target: Option<Target>,
    pub methods: String,
    pub audit_id: String,
    pub parent_audit_id: Option<String>,
    pub credential_id: Option<String>,
    pub issued_at: i64,
    pub expires_at: i64,
}

pub(super) fn insert(tx: &mut Tx<'_>, token: &NewToken) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO tokens (token_hash, user_id, target_kind, target_id, methods, audit_id, parent_audit_id, \
         application_credential_id, issued_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            token.hash.as_bytes().to_vec().into(),
            token.user_id.as_str().into(),
            token.target.as_ref().map(Target::kind).into(),
            token.target.as_ref().map(Target::id).into(),
            token.methods.as_str().into(),
            token.audit_id.as_str().into(),
            token.parent_audit_id.clone().into(),
            token.credential_id.clone().into(),
            token.issued_at.into(),
            token.expires_at.into(),
        ],
    )?;
    Ok(())
}

/// What a token stands for; nothing when it is unknown, expired or revoked, when its user,
/// project or application credential is not usable any more, or when the user has no role left.
pub(super) fn load(tx: &mut Tx<'_>, token: &TokenHash, now: i64) -> Result<Option<Session>, StoreError> {
    let row = tx.query_opt(
        "SELECT t.user_id, u.name, t.target_kind, t.target_id, p.name, t.methods, t.audit_id, \
         t.parent_audit_id, t.issued_at, t.expires_at, c.id, c.name, c.unrestricted \
         FROM tokens t JOIN users u ON u.id = t.user_id \
         LEFT JOIN projects p ON p.id = t.target_id AND p.enabled = 1 AND t.target_kind = 'project' \
         LEFT JOIN application_credentials c ON c.id = t.application_credential_id \
         WHERE t.token_hash = $1 AND t.expires_at > $2 AND u.enabled = 1 \
         AND (c.expires_at IS NULL OR c.expires_at > $2)",
        &[token.as_bytes().to_vec().into(), now.into()],
    )?;
    let Some(row) = row else { return Ok(None) };
    let target = match (row.opt_text(2)?, row.opt_text(3)?) {
        (Some(kind), Some(id)) => Some(Target::from_columns(kind, id)?),
        (None, _) | (_, None) => None,
    };
    let project_name = row.opt_text(4)?.map(str::to_owned);
    if matches!(target, Some(Target::Project(_))) && project_name.is_none() {
        return Ok(None);
    }
    let credential = match row.opt_text(10)? {
        Some(id) => Some(Credential {
            id: id.to_owned(),
            name: row.text(11)?.to_owned(),
            is_unrestricted: row.int(12)? != 0,
        }),
        None => None,
    };
    let user_id = row.text(0)?.to_owned();
    let mut roles = match &target {
        Some(target) => roles::effective(tx, &user_id, target)?,
        None => Vec::new(),
    };
    if let Some(credential) = &credential {
        let carried = roles::of_credential(tx, &credential.id)?;
        roles.retain(|role| carried.contains(role));
    }
    if target.is_some() && roles.is_empty() {
        return Ok(None);
    }
    Ok(Some(Session {
        user_id,
        user_name: row.text(1)?.to_owned(),
        target,
        project_name,
        roles,
        methods: row.text(5)?.to_owned(),
        audit_id: row.text(6)?.to_owned(),
        parent_audit_id: row.opt_text(7)?.map(str::to_owned),
        credential,
        issued_at: row.int(8)?,
        expires_at: row.int(9)?,
    }))
}

impl Session {
    /// What other rooms need to know.
    pub(super) fn caller(&self) -> Caller {
        Caller {
            user_id: self.user_id.clone(),
            scope: Target::scope(self.target.as_ref()),
            domain_id: domain::ID.to_owned(),
            roles: self.roles.iter().map(|role| role.name.to_lowercase()).collect(),
        }
    }

    pub(super) fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.name == name)
    }

    pub(super) fn is_admin(&self) -> bool {
        self.has_role(roles::ADMIN)
    }

    pub(super) fn require_admin(&self, action: &str) -> Result<(), Error> {
        self.require(self.is_admin(), action)
    }

    /// For what a user may do to what is his own.
    pub(super) fn require_self_or_admin(&self, user_id: &str, action: &str) -> Result<(), Error> {
        self.require(self.user_id == user_id || self.is_admin(), action)
    }

    pub(super) fn require(&self, is_allowed: bool, action: &str) -> Result<(), Error> {
        if is_allowed {
            return Ok(());
        }
        Err(Error::Forbidden(format!(
            "You are not authorized to perform the requested action: identity:{action}."
        )))
    }

    /// The body that shows a token.
    pub(super) fn document(&self, base: &str, with_catalog: bool) -> Json {
        let mut token = json!({
            "methods": self.methods.split(',').collect::<Vec<_>>(),
            "user": {
                "id": self.user_id,
                "name": self.user_name,
                "domain": domain::reference(),
                "password_expires_at": null,
            },
            "audit_ids": [&self.audit_id],
            "issued_at": timestamp::format(self.issued_at),
            "expires_at": timestamp::format(self.expires_at),
        });
        if let Some(parent) = &self.parent_audit_id {
            token["audit_ids"] = json!([self.audit_id, parent]);
        }
        match &self.target {
            Some(Target::Project(id)) => {
                token["project"] =
                    json!({"id": id, "name": self.project_name, "domain": domain::reference()});
                token["is_domain"] = json!(false);
            }
            Some(Target::Domain(_)) => token["domain"] = domain::reference(),
            Some(Target::System) => token["system"] = json!({"all": true}),
            None => {}
        }
        if self.target.is_some() {
            let roles = self.roles.iter().map(|role| json!({"id": role.id, "name": role.name}));
            token["roles"] = roles.collect();
            if with_catalog {
                token["catalog"] = catalog::catalog(base);
            }
        }
        if let Some(credential) = &self.credential {
            token["application_credential"] = json!({
                "id": credential.id,
                "name": credential.name,
                "restricted": !credential.is_unrestricted,
            });
        }
        json!({"token": token})
    }
}
