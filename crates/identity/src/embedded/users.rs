//! Users and their passwords.

use super::call::Call;
use super::error::Error;
use super::objects::{self, PROJECTS, USERS};
use super::target::Target;
use super::{Embedded, answer};
use axum::extract::State;
use axum::response::Response;
use karez_store::{Datum, Tx};
use serde_json::json;
use std::sync::Arc;

/// `POST /users`
pub(super) async fn create(State(embedded): State<Arc<Embedded>>, mut call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("create_user")?;
    let (mut values, password) = {
        let body = call.body()?;
        (objects::parse_new(&USERS, &body)?, body.envelope("user")?.opt_secret("password")?)
    };
    if let Some(password) = password {
        values.push(("password_hash", embedded.hasher.hash(password).await?.into()));
    }
    let user = embedded.insert(&USERS, values).await?;
    Ok(answer::created(&json!({"user": objects::render(&USERS, user, &call)})))
}

/// `GET /users/{id}`
pub(super) async fn show(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let id = call.id(0).to_owned();
    embedded.session(&call).await?.require_self_or_admin(&id, "get_user")?;
    let user = embedded.store.read(move |tx| objects::find(tx, &USERS, &id)).await?;
    Ok(answer::ok(&json!({"user": objects::render(&USERS, user, &call)})))
}

/// `PATCH /users/{id}`. A new password and being disabled revoke the user's tokens.
pub(super) async fn update(State(embedded): State<Arc<Embedded>>, mut call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("update_user")?;
    let (mut values, password) = {
        let body = call.body()?;
        (objects::parse_changes(&USERS, &body)?, body.envelope("user")?.opt_secret("password")?)
    };
    if let Some(password) = password {
        values.push(("password_hash", embedded.hasher.hash(password).await?.into()));
    }
    let is_disabled = values.iter().any(|(name, value)| *name == "enabled" && *value == Datum::Int(0));
    let revokes = is_disabled || values.iter().any(|(name, _)| *name == "password_hash");
    let id = call.id(0).to_owned();
    let now = embedded.options.clock.now();
    let user = embedded
        .change(move |tx| {
            let user = objects::update(tx, &USERS, &id, &values, now)?;
            if revokes {
                revoke_tokens(tx, &id)?;
            }
            Ok::<_, Error>(user)
        })
        .await?;
    Ok(answer::ok(&json!({"user": objects::render(&USERS, user, &call)})))
}

/// `DELETE /users/{id}`, with all that is the user's in the identity service.
pub(super) async fn delete(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("delete_user")?;
    let id = call.id(0).to_owned();
    embedded
        .change(move |tx| match tx.execute("DELETE FROM users WHERE id = $1", &[id.as_str().into()])? {
            0 => Err(Error::not_found("user", &id)),
            _ => Ok(()),
        })
        .await?;
    Ok(answer::no_content())
}

/// `POST /users/{id}/password`: changes one's own password, which revokes one's tokens.
pub(super) async fn change_password(
    State(embedded): State<Arc<Embedded>>,
    mut call: Call,
) -> Result<Response, Error> {
    let id = call.id(0).to_owned();
    let session = embedded.session(&call).await?;
    session.require(session.user_id == id, "change_password")?;
    let (original, password) = {
        let body = call.body()?;
        let user = body.envelope("user")?;
        (user.secret("original_password")?, user.secret("password")?)
    };
    let user = id.clone();
    let hash = embedded
        .store
        .read(move |tx| {
            let row =
                tx.query_opt("SELECT password_hash FROM users WHERE id = $1", &[user.as_str().into()])?;
            let hash = row.map(|row| row.opt_text(0).map(|hash| hash.map(str::to_owned))).transpose()?;
            Ok::<_, Error>(hash.flatten())
        })
        .await?;
    embedded.verify(&id, call.source, original, hash.clone()).await?;
    let new = embedded.hasher.hash(password).await?;
    let now = embedded.options.clock.now();
    embedded
        .change(move |tx| {
            let changed = tx.execute(
                "UPDATE users SET password_hash = $3, updated_at = $4 WHERE id = $1 AND password_hash = $2",
                &[id.as_str().into(), hash.clone().into(), new.as_str().into(), now.into()],
            )?;
            if changed == 0 {
                return Err(Error::Conflict(
                    "The password was changed by somebody else meanwhile.".to_owned(),
                ));
            }
            revoke_tokens(tx, &id)
        })
        .await?;
    Ok(answer::no_content())
}

fn revoke_tokens(tx: &mut Tx<'_>, user_id: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM tokens WHERE user_id = $1", &[user_id.into()])?;
    Ok(())
}

/// `GET /users/{id}/projects`: where the user has a role.
pub(super) async fn projects(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let id = call.id(0).to_owned();
    embedded.session(&call).await?.require_self_or_admin(&id, "list_user_projects")?;
    let path = format!("users/{id}/projects");
    let read = move |tx: &mut Tx<'_>| {
        objects::find(tx, &USERS, &id)?;
        Ok::<_, Error>(objects::select(tx, &PROJECTS, OF_USER, &[id.as_str().into()])?)
    };
    let items = embedded.store.read(read).await?;
    let items = items.into_iter().map(|item| objects::render(&PROJECTS, item, &call)).collect();
    Ok(answer::list(&call, &path, "projects", items))
}

/// `GET /auth/projects`: what the caller can scope a token to.
pub(super) async fn own_projects(
    State(embedded): State<Arc<Embedded>>,
    call: Call,
) -> Result<Response, Error> {
    let user_id = embedded.session(&call).await?.user_id;
    let read = move |tx: &mut Tx<'_>| {
        let usable = format!("{OF_USER} AND enabled = 1");
        objects::select(tx, &PROJECTS, &usable, &[user_id.as_str().into()])
    };
    let items = embedded.store.read(read).await?;
    let items = items.into_iter().map(|item| objects::render(&PROJECTS, item, &call)).collect();
    Ok(answer::list(&call, "auth/projects", "projects", items))
}

/// Selects the projects on which the user `$1` has a role.
const OF_USER: &str =
    "id IN (SELECT target_id FROM role_assignments WHERE user_id = $1 AND target_kind = 'project')";

/// `GET /users/{id}/groups` and `GET /groups`: there are none.
pub(super) async fn groups(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?;
    Ok(answer::list(&call, "groups", "groups", Vec::new()))
}

/// Anything about one group.
pub(super) async fn group(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?;
    Err(Error::not_found("group", call.id(0)))
}

/// `GET /auth/system`: the system, for those who have a role on it.
pub(super) async fn own_system(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let session = embedded.session(&call).await?;
    let has_role = embedded.has_role_on(session.user_id, Target::System).await?;
    let items = if has_role { vec![json!({"all": true})] } else { Vec::new() };
    Ok(answer::list(&call, "auth/system", "system", items))
}
