//! Application credentials: a user's own secrets for programs, each for one project and for no
//! more roles than the user had when he made it.

use super::call::Call;
use super::error::Error;
use super::fields::Fields;
use super::roles::Role;
use super::session::Session;
use super::target::Target;
use super::{Embedded, answer};
use crate::{timestamp, token};
use axum::extract::State;
use axum::response::Response;
use karez_store::{Datum, Error as StoreError, Row, Tx};
use serde_json::{Value as Json, json};
use std::sync::Arc;

#[derive(Clone)]
struct NewCredential {
    id: String,
    user_id: String,
    project_id: String,
    name: String,
    description: String,
    expires_at: Option<i64>,
    is_unrestricted: bool,
    roles: Vec<Role>,
}

/// `POST /users/{id}/application_credentials`: for oneself only, in the project of the token. The
/// secret is in this answer and nowhere else.
pub(super) async fn create(State(embedded): State<Arc<Embedded>>, mut call: Call) -> Result<Response, Error> {
    let session = embedded.session(&call).await?;
    session.require(session.user_id == call.id(0), "create_application_credential")?;
    refuse_restricted(&session)?;
    let now = embedded.options.clock.now();
    let (new, secret) = {
        let body = call.body()?;
        let fields = body.envelope("application_credential")?;
        (parse(&fields, &session, now)?, fields.opt_secret("secret")?)
    };
    let secret =
        secret.or_else(token::generate).ok_or_else(|| Error::Bug("no randomness for a secret".into()))?;
    let hash = embedded.hasher.hash(secret.clone()).await?;
    let id = new.id.clone();
    let insert = move |tx: &mut Tx<'_>| {
        insert(tx, &new, &hash, now)?;
        find(tx, &new.user_id, &id)
    };
    let mut credential = render(embedded.store.write(insert).await?, &call);
    credential["secret"] = secret.expose().into();
    Ok(answer::created(&json!({"application_credential": credential})))
}

fn parse(fields: &Fields<'_>, session: &Session, now: i64) -> Result<NewCredential, Error> {
    const KNOWN: [&str; 8] = [
        "name",
        "description",
        "secret",
        "expires_at",
        "roles",
        "unrestricted",
        "access_rules",
        "project_id",
    ];
    if let Some(unknown) = fields.names().find(|name| !KNOWN.contains(name)) {
        let path = fields.path(&karez_model::parse::clip(unknown));
        return Err(Error::BadRequest(format!(
            "{path} is not known; the attributes are {}.",
            KNOWN.join(", ")
        )));
    }
    let Some(Target::Project(project_id)) = &session.target else {
        return Err(Error::BadRequest(
            "An application credential is for the project of the token, and this token has none.".to_owned(),
        ));
    };
    if fields.opt_text("project_id", 64)?.is_some_and(|given| given != project_id) {
        return Err(fields.wrong("project_id", "it must be the project of the token"));
    }
    if !fields.objects("access_rules")?.is_empty() {
        return Err(Error::BadRequest(format!("{} are not supported.", fields.path("access_rules"))));
    }
    let expires_at = match fields.opt_text("expires_at", 64)? {
        None => None,
        Some(text) => Some(timestamp::parse(text).filter(|at| *at > now).ok_or_else(|| {
            fields.wrong("expires_at", "it must be a time in the future such as 2030-12-31T23:59:59Z")
        })?),
    };
    Ok(NewCredential {
        id: token::object_id(),
        user_id: session.user_id.clone(),
        project_id: project_id.clone(),
        name: fields.name("name", 255)?.to_owned(),
        description: fields.opt_text("description", 65_535)?.unwrap_or_default().to_owned(),
        expires_at,
        is_unrestricted: fields.opt_bool("unrestricted")?.unwrap_or(false),
        roles: parse_roles(fields, session)?,
    })
}

/// Those of the token's roles that the credential is to have: all of them, unless some are named.
fn parse_roles(fields: &Fields<'_>, session: &Session) -> Result<Vec<Role>, Error> {
    let mut roles: Vec<Role> = Vec::new();
    for wanted in fields.objects("roles")? {
        let (by, text) = match wanted.opt_text("id", 64)? {
            Some(id) => ("id", id),
            None => ("name", wanted.text("name", 255)?),
        };
        let is_wanted = |role: &&Role| (if by == "id" { &role.id } else { &role.name }) == text;
        let role = session.roles.iter().find(is_wanted);
        let role = role.ok_or_else(|| wanted.wrong(by, "it must be a role that the token has"))?;
        if !roles.contains(role) {
            roles.push(role.clone());
        }
    }
    Ok(if roles.is_empty() { session.roles.clone() } else { roles })
}

fn insert(tx: &mut Tx<'_>, new: &NewCredential, hash: &str, now: i64) -> Result<(), Error> {
    let inserted = tx.execute(
        "INSERT INTO application_credentials (id, user_id, project_id, name, description, secret_hash, \
         expires_at, unrestricted, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &[
            new.id.as_str().into(),
            new.user_id.as_str().into(),
            new.project_id.as_str().into(),
            new.name.as_str().into(),
            new.description.as_str().into(),
            hash.into(),
            new.expires_at.into(),
            new.is_unrestricted.into(),
            now.into(),
        ],
    );
    inserted.map_err(|error| match error {
        StoreError::Unique(_) => Error::Conflict(format!(
            "application_credential.name: you have an application credential {:?} already.",
            new.name
        )),
        other => other.into(),
    })?;
    for role in &new.roles {
        let params = [Datum::from(new.id.as_str()), role.id.as_str().into()];
        tx.execute(
            "INSERT INTO application_credential_roles (application_credential_id, role_id) VALUES ($1, $2)",
            &params,
        )?;
    }
    Ok(())
}

/// `GET /users/{id}/application_credentials`
pub(super) async fn list(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let user_id = call.id(0).to_owned();
    let session = embedded.session(&call).await?;
    session.require_self_or_admin(&user_id, "list_application_credentials")?;
    let path = format!("users/{user_id}/application_credentials");
    let read = move |tx: &mut Tx<'_>| {
        let rows =
            tx.query(&format!("{SELECT} WHERE user_id = $1 ORDER BY id"), &[user_id.as_str().into()])?;
        rows.iter().map(|row| document(tx, row)).collect::<Result<Vec<_>, StoreError>>()
    };
    let mut items = embedded.store.read(read).await?;
    items.retain(|item| call.query("name").is_none_or(|name| item["name"] == name));
    items.sort_by_cached_key(|item| item["name"].as_str().unwrap_or_default().to_owned());
    let items = items.into_iter().map(|item| render(item, &call)).collect();
    Ok(answer::list(&call, &path, "application_credentials", items))
}

/// `GET /users/{id}/application_credentials/{id}`
pub(super) async fn show(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let (user_id, id) = (call.id(0).to_owned(), call.id(1).to_owned());
    let session = embedded.session(&call).await?;
    session.require_self_or_admin(&user_id, "get_application_credential")?;
    let credential = embedded.store.read(move |tx| find(tx, &user_id, &id)).await?;
    Ok(answer::ok(&json!({"application_credential": render(credential, &call)})))
}

/// `DELETE /users/{id}/application_credentials/{id}`, with the tokens that were made with it.
pub(super) async fn delete(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let (user_id, id) = (call.id(0).to_owned(), call.id(1).to_owned());
    let session = embedded.session(&call).await?;
    session.require_self_or_admin(&user_id, "delete_application_credential")?;
    refuse_restricted(&session)?;
    embedded
        .change(move |tx| {
            let params = [Datum::from(user_id.as_str()), id.as_str().into()];
            match tx.execute("DELETE FROM application_credentials WHERE user_id = $1 AND id = $2", &params)? {
                0 => Err(Error::not_found("application credential", &id)),
                _ => Ok(()),
            }
        })
        .await?;
    Ok(answer::no_content())
}

/// A program that holds a restricted credential cannot make itself another one, nor destroy any.
fn refuse_restricted(session: &Session) -> Result<(), Error> {
    let is_restricted = session.credential.as_ref().is_some_and(|credential| !credential.is_unrestricted);
    session.require(!is_restricted, "manage_application_credentials with a restricted application credential")
}

const SELECT: &str = "SELECT id, name, description, project_id, user_id, expires_at, unrestricted FROM application_credentials";

fn find(tx: &mut Tx<'_>, user_id: &str, id: &str) -> Result<Json, Error> {
    let params = [Datum::from(user_id), id.into()];
    let row = tx.query_opt(&format!("{SELECT} WHERE user_id = $1 AND id = $2"), &params)?;
    let row = row.ok_or_else(|| Error::not_found("application credential", id))?;
    Ok(document(tx, &row)?)
}

fn document(tx: &mut Tx<'_>, row: &Row) -> Result<Json, StoreError> {
    let roles = tx.query(
        "SELECT r.id, r.name FROM application_credential_roles c JOIN roles r ON r.id = c.role_id \
         WHERE c.application_credential_id = $1 ORDER BY r.name",
        &[row.text(0)?.into()],
    )?;
    let role = |role: &Row| Ok(json!({"id": role.text(0)?, "name": role.text(1)?, "domain_id": null}));
    Ok(json!({
        "id": row.text(0)?,
        "name": row.text(1)?,
        "description": row.text(2)?,
        "project_id": row.text(3)?,
        "user_id": row.text(4)?,
        "expires_at": row.opt_int(5)?.map(timestamp::format),
        "unrestricted": row.int(6)? != 0,
        "roles": roles.iter().map(role).collect::<Result<Vec<_>, StoreError>>()?,
    }))
}

fn render(mut credential: Json, call: &Call) -> Json {
    let id = credential["id"].as_str().unwrap_or_default();
    let path = format!("users/{}/application_credentials/{id}", call.id(0));
    credential["links"] = json!({"self": call.link(&path)});
    credential
}
