//! Tags under the URL of an object.

use crate::answer::Answer;
use crate::dispatch::Session;
use crate::error::{Result, wrong_verb};
use crate::request::Request;
use http::{Method, StatusCode};
use karez_control::tags::missing;
use karez_model::resource::Family;
use karez_model::{Fault, Kind};
use serde_json::{Value as Json, json};

pub(crate) async fn all(session: &Session<'_>, request: &Request, kind: Kind, id: &str) -> Result<Answer> {
    let (control, caller) = (session.control, &session.caller);
    let (status, tags) = match request.method {
        Method::GET => {
            let stored = control.show(caller, kind, id).await?;
            (StatusCode::OK, stored.texts("tags").map(str::to_owned).collect())
        }
        Method::PUT => {
            let given = given(request)?;
            (StatusCode::OK, control.edit_tags(caller, kind, id, move |_| Ok(given.clone())).await?)
        }
        Method::POST => {
            let given = given(request)?;
            let add = move |mut tags: Vec<String>| {
                tags.extend(given.iter().cloned());
                Ok(tags)
            };
            (StatusCode::CREATED, control.edit_tags(caller, kind, id, add).await?)
        }
        Method::DELETE => {
            request.no_body()?;
            control.edit_tags(caller, kind, id, |_| Ok(Vec::new())).await?;
            return Ok(Answer::empty());
        }
        _ => return Err(wrong_verb(&request.method)),
    };
    Ok(Answer::json(status, &json!({"tags": tags})))
}

pub(crate) async fn one(
    session: &Session<'_>,
    request: &Request,
    kind: Kind,
    id: &str,
    tag: &str,
) -> Result<Answer> {
    let (control, caller, tag) = (session.control, &session.caller, tag.to_owned());
    match request.method {
        Method::GET => {
            let stored = control.show(caller, kind, id).await?;
            if stored.texts("tags").any(|own| own == tag) {
                Ok(Answer::empty())
            } else {
                Err(missing(&tag).into())
            }
        }
        Method::PUT => {
            let add = move |mut tags: Vec<String>| {
                tags.push(tag.clone());
                Ok(tags)
            };
            control.edit_tags(caller, kind, id, add).await?;
            Ok(Answer::bytes(StatusCode::CREATED, crate::answer::JSON, ""))
        }
        Method::DELETE => {
            request.no_body()?;
            let remove = move |mut tags: Vec<String>| {
                let before = tags.len();
                tags.retain(|own| *own != tag);
                if tags.len() < before { Ok(tags) } else { Err(missing(&tag)) }
            };
            control.edit_tags(caller, kind, id, remove).await?;
            Ok(Answer::empty())
        }
        _ => Err(wrong_verb(&request.method)),
    }
}

fn given(request: &Request) -> Result<Vec<String>> {
    let body = request.object(Family::Core)?;
    let tags = body.get("tags").and_then(Json::as_array);
    let tags = tags.and_then(|list| list.iter().map(|tag| tag.as_str().map(str::to_owned)).collect());
    tags.ok_or_else(|| Fault::bad_request("tags must be a list of texts").into())
}
