//! Quotas of projects.

use crate::answer::Answer;
use crate::dispatch::Session;
use crate::error::{Result, wrong_verb};
use crate::request::Request;
use http::Method;
use karez_control::Failure;
use karez_model::resource::Family;
use karez_model::{Fault, Reason};
use serde_json::{Value as Json, json};

pub(crate) async fn all(session: &Session<'_>, request: &Request) -> Result<Answer> {
    if request.method != Method::GET {
        return Err(wrong_verb(&request.method));
    }
    let quotas = session.control.all_quotas(&session.caller).await?;
    let list: Vec<Json> = quotas
        .into_iter()
        .map(|(project, limits)| {
            let mut quota = json!(limits);
            quota["tenant_id"] = json!(project);
            quota["project_id"] = json!(project);
            quota
        })
        .collect();
    Ok(Answer::ok(&json!({"quotas": list})))
}

pub(crate) async fn one(session: &Session<'_>, request: &Request, project: &str) -> Result<Answer> {
    let (control, caller) = (session.control, &session.caller);
    match request.method {
        Method::GET => Ok(Answer::ok(&json!({"quota": control.quotas(caller, project).await?}))),
        Method::PUT => {
            let body = request.object(Family::Extension)?;
            let Some(limits) = body.get("quota").and_then(Json::as_object) else {
                return Err(Fault::bad_request("The body must be {\"quota\": {...}}").into());
            };
            Ok(Answer::ok(&json!({"quota": control.set_quotas(caller, project, limits).await?})))
        }
        Method::DELETE => {
            request.no_body()?;
            control.reset_quotas(caller, project).await?;
            Ok(Answer::empty())
        }
        _ => Err(wrong_verb(&request.method)),
    }
}

pub(crate) async fn default(session: &Session<'_>, request: &Request, project: &str) -> Result<Answer> {
    if request.method != Method::GET {
        return Err(wrong_verb(&request.method));
    }
    // Asked for the sake of policy: who may see the quota may see what it would be.
    session.control.quotas(&session.caller, project).await?;
    Ok(Answer::ok(&json!({"quota": session.control.default_quotas()})))
}

pub(crate) async fn details(session: &Session<'_>, request: &Request, project: &str) -> Result<Answer> {
    if request.method != Method::GET {
        return Err(wrong_verb(&request.method));
    }
    let details = session.control.quota_details(&session.caller, project).await?;
    let shown: serde_json::Map<String, Json> = details
        .into_iter()
        .map(|(name, quota)| {
            (name.to_owned(), json!({"limit": quota.limit, "used": quota.used, "reserved": 0}))
        })
        .collect();
    Ok(Answer::ok(&json!({"quota": shown})))
}

pub(crate) fn own_project(session: &Session<'_>, request: &Request, name: &str) -> Result<Answer> {
    if request.method != Method::GET {
        return Err(wrong_verb(&request.method));
    }
    match session.caller.project_id() {
        Some(project) => Ok(Answer::ok(&json!({name: {format!("{name}_id"): project}}))),
        None => Err(Failure::fault(Reason::BadRequest, "The token is not scoped to a project")),
    }
}
