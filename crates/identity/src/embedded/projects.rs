//! Projects.
//!
//! A project is the owner of objects of other services, which are not known here: deleting a
//! project leaves them as they are, for an administrator to see and delete, as Keystone does.

use super::call::Call;
use super::error::Error;
use super::objects::{self, PROJECTS};
use super::target::Target;
use super::{Embedded, answer};
use axum::extract::State;
use axum::response::Response;
use karez_store::{Datum, Tx};
use serde_json::json;
use std::sync::Arc;

/// `POST /projects`
pub(super) async fn create(State(embedded): State<Arc<Embedded>>, mut call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("create_project")?;
    let values = objects::parse_new(&PROJECTS, &call.body()?)?;
    let project = embedded.insert(&PROJECTS, values).await?;
    Ok(answer::created(&json!({"project": objects::render(&PROJECTS, project, &call)})))
}

/// `GET /projects/{id}`, for administrators and those who have a role on it.
pub(super) async fn show(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let session = embedded.session(&call).await?;
    let id = call.id(0).to_owned();
    let may_see = session.is_admin()
        || embedded.has_role_on(session.user_id.clone(), Target::Project(id.clone())).await?;
    session.require(may_see, "get_project")?;
    let project = embedded.store.read(move |tx| objects::find(tx, &PROJECTS, &id)).await?;
    Ok(answer::ok(&json!({"project": objects::render(&PROJECTS, project, &call)})))
}

/// `PATCH /projects/{id}`. Being disabled revokes the tokens for the project.
pub(super) async fn update(State(embedded): State<Arc<Embedded>>, mut call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("update_project")?;
    let values = objects::parse_changes(&PROJECTS, &call.body()?)?;
    let is_disabled = values.iter().any(|(name, value)| *name == "enabled" && *value == Datum::Int(0));
    let id = call.id(0).to_owned();
    let now = embedded.options.clock.now();
    let project = embedded
        .change(move |tx| {
            let project = objects::update(tx, &PROJECTS, &id, &values, now)?;
            if is_disabled {
                revoke_tokens(tx, &id)?;
            }
            Ok::<_, Error>(project)
        })
        .await?;
    Ok(answer::ok(&json!({"project": objects::render(&PROJECTS, project, &call)})))
}

/// `DELETE /projects/{id}`, with its role assignments, application credentials and tokens.
pub(super) async fn delete(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?.require_admin("delete_project")?;
    let id = call.id(0).to_owned();
    embedded
        .change(move |tx| {
            let project = [Datum::from(id.as_str())];
            if tx.execute("DELETE FROM projects WHERE id = $1", &project)? == 0 {
                return Err(Error::not_found("project", &id));
            }
            tx.execute(
                "DELETE FROM role_assignments WHERE target_kind = 'project' AND target_id = $1",
                &project,
            )?;
            tx.execute("UPDATE users SET default_project_id = NULL WHERE default_project_id = $1", &project)?;
            revoke_tokens(tx, &id)
        })
        .await?;
    Ok(answer::no_content())
}

fn revoke_tokens(tx: &mut Tx<'_>, project_id: &str) -> Result<(), Error> {
    tx.execute("DELETE FROM tokens WHERE target_kind = 'project' AND target_id = $1", &[project_id.into()])?;
    Ok(())
}
