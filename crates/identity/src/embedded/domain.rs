//! The one domain. Users and projects have a `domain_id` because clients ask for it.

use super::call::Call;
use super::error::Error;
use super::{Embedded, answer};
use crate::embedded::fields::Fields;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value as Json, json};
use std::sync::Arc;

pub(super) const ID: &str = "default";
pub(super) const NAME: &str = "Default";

/// How a domain is shown inside of other objects.
pub(super) fn reference() -> Json {
    json!({"id": ID, "name": NAME})
}

/// Whether a `domain` object, by id or name, means the one domain. Keystone on MySQL takes the
/// name in any case, so many an openrc has `default`.
pub(super) fn is_meant(domain: &Fields<'_>) -> Result<bool, Error> {
    match (domain.opt_text("id", 64)?, domain.opt_text("name", 64)?) {
        (Some(id), _) => Ok(id == ID),
        (None, Some(name)) => Ok(name.eq_ignore_ascii_case(NAME)),
        (None, None) => Err(domain.missing("id")),
    }
}

fn document(call: &Call) -> Json {
    json!({
        "id": ID,
        "name": NAME,
        "description": "The default domain",
        "enabled": true,
        "tags": [],
        "options": {},
        "links": {"self": call.link(&format!("domains/{ID}"))},
    })
}

/// `GET /domains`
pub(super) async fn list(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?;
    let is_listed = call.query("name").is_none_or(|name| name.eq_ignore_ascii_case(NAME))
        && call.query("enabled").is_none_or(|enabled| matches!(enabled, "True" | "true" | "1"));
    let items = if is_listed { vec![document(&call)] } else { Vec::new() };
    Ok(answer::list(&call, "domains", "domains", items))
}

/// `GET /domains/{id}`
pub(super) async fn show(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?;
    if call.id(0) != ID {
        return Err(Error::not_found("domain", call.id(0)));
    }
    Ok(answer::ok(&json!({"domain": document(&call)})))
}

/// `POST /domains`, and `PATCH` and `DELETE` of the one there is.
pub(super) async fn change(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    embedded.session(&call).await?;
    Err(Error::Forbidden(format!("This server has one domain, {NAME:?}, which cannot be changed.")))
}

/// `GET /auth/domains`: the domain, for those who have a role on it.
pub(super) async fn own(State(embedded): State<Arc<Embedded>>, call: Call) -> Result<Response, Error> {
    let session = embedded.session(&call).await?;
    let target = super::target::Target::Domain(ID.to_owned());
    let has_role = embedded.has_role_on(session.user_id, target).await?;
    let items = if has_role { vec![document(&call)] } else { Vec::new() };
    Ok(answer::list(&call, "auth/domains", "domains", items))
}
