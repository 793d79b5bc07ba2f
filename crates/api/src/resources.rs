//! The one path that all resources go.

use crate::answer::{Answer, JSON};
use crate::dispatch::Session;
use crate::error::{Result, wrong_verb};
use crate::listing::Listing;
use crate::render::View;
use crate::request::Request;
use crate::shares::Shares;
use bytes::Bytes;
use futures_util::stream;
use http::{Method, StatusCode};
use karez_control::Failure;
use karez_model::{Caller, Kind, parse};
use karez_store::Stored;
use serde_json::{Value as Json, json};
use std::io;
use std::sync::Arc;

/// `GET` and `POST` of a collection.
pub(crate) async fn collection(session: &Session<'_>, request: &Request, kind: Kind) -> Result<Answer> {
    match request.method {
        Method::GET => list(session, request, kind).await,
        Method::POST if kind != Kind::Agent => create(session, request, kind).await,
        _ => Err(wrong_verb(&request.method)),
    }
}

/// `GET`, `PUT` and `DELETE` of one object.
pub(crate) async fn item(session: &Session<'_>, request: &Request, kind: Kind, id: &str) -> Result<Answer> {
    match request.method {
        Method::GET => show(session, request, kind, id).await,
        Method::PUT if kind != Kind::SecurityGroupRule => update(session, request, kind, id).await,
        Method::DELETE => {
            request.no_body()?;
            match kind {
                Kind::Agent => session.control.delete_agent(&session.caller, id).await?,
                _ => session.control.delete(&session.caller, kind, id).await?,
            }
            Ok(Answer::empty())
        }
        _ => Err(wrong_verb(&request.method)),
    }
}

async fn list(session: &Session<'_>, request: &Request, kind: Kind) -> Result<Answer> {
    let mut listing = Listing::read(kind, request, session.options.pagination_max_limit)?;
    listing.veil(|attribute| session.control.searches(&session.caller, kind, attribute));
    let secrets = listing.secrets.clone();
    let (control, caller, fields) = (session.control.clone(), Arc::clone(&session.caller), request.fields());
    let show = move |stored: &Stored, shown: &mut Vec<u8>| {
        let view = View { control: &control, caller: &caller, fields: &fields };
        if view.passes_secrets(&secrets, stored) {
            shown.push(b',');
            view.stored(stored, shown);
        }
    };
    let listed = session.control.list(&session.caller, listing.request.clone(), show).await?;
    let collection = kind.resource().collection;
    let mut end = Vec::from(*b"]");
    if let Some(links) = listing.links(request, &listed.extent) {
        end.extend_from_slice(format!(",\"{collection}_links\":{links}").as_bytes());
    }
    end.push(b'}');
    let mut out = format!("{{\"{collection}\":[").into_bytes();
    let is_begun = !listed.first.is_empty();
    out.extend_from_slice(listed.first.get(1..).unwrap_or_default());
    let Some(objects) = listed.rest else {
        out.extend_from_slice(&end);
        return Ok(Answer::bytes(StatusCode::OK, JSON, out));
    };
    let rest =
        Rest { objects, is_begun, end, shares: session.shares.clone(), caller: Arc::clone(&session.caller) };
    let rest = stream::try_unfold(Some(rest), Rest::next);
    Ok(Answer { rest: Some(Box::pin(rest)), ..Answer::bytes(StatusCode::OK, JSON, out) })
}

/// What is left of a list when its first part has been answered.
struct Rest {
    objects: karez_control::Rest,
    /// Whether an object was shown, which the next one is parted from by a comma.
    is_begun: bool,
    end: Vec<u8>,
    shares: Shares,
    caller: Arc<Caller>,
}

impl Rest {
    /// The next part of the body, as it is wanted.
    async fn next(rest: Option<Self>) -> io::Result<Option<(Bytes, Option<Self>)>> {
        let Some(mut rest) = rest else { return Ok(None) };
        let _share = rest.shares.of_rest(&rest.caller).await.map_err(broken_off)?;
        let Some(mut shown) = rest.objects.next().await.map_err(broken_off)? else {
            return Ok(Some((rest.end.into(), None)));
        };
        if !rest.is_begun && !shown.is_empty() {
            rest.is_begun = true;
            shown.remove(0);
        }
        Ok(Some((shown.into(), Some(rest))))
    }
}

/// The client sees that the answer is not whole by its missing end.
fn broken_off(failure: Failure) -> io::Error {
    tracing::warn!(%failure, "a list ends early");
    io::Error::other(failure)
}

/// A short list of other objects under an envelope.
pub(crate) fn stored_list(
    session: &Session<'_>,
    request: &Request,
    collection: &str,
    items: &[Arc<Stored>],
) -> Answer {
    let fields = request.fields();
    let view = session.view(&fields);
    let mut out = Vec::with_capacity(64 + items.len() * 1024);
    out.extend_from_slice(format!("{{\"{collection}\":[").as_bytes());
    for (at, stored) in items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        view.stored(stored, &mut out);
    }
    out.extend_from_slice(b"]}");
    Answer::bytes(StatusCode::OK, JSON, out)
}

async fn show(session: &Session<'_>, request: &Request, kind: Kind, id: &str) -> Result<Answer> {
    let stored = session.control.show(&session.caller, kind, id).await?;
    Ok(stored_item(session, request, &stored))
}

/// One object under its envelope.
pub(crate) fn stored_item(session: &Session<'_>, request: &Request, stored: &Stored) -> Answer {
    let fields = request.fields();
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(format!("{{\"{}\":", stored.resource().member).as_bytes());
    session.view(&fields).stored(stored, &mut out);
    out.push(b'}');
    Answer::bytes(StatusCode::OK, JSON, out)
}

async fn create(session: &Session<'_>, request: &Request, kind: Kind) -> Result<Answer> {
    let resource = kind.resource();
    let (bodies, is_bulk) = request.created(resource)?;
    let parsed =
        bodies.iter().map(|body| parse::create(kind, body)).collect::<std::result::Result<Vec<_>, _>>()?;
    let echoes: Vec<_> = parsed.iter().map(|created| created.echo.clone()).collect();
    let objects = session.control.create(&session.caller, kind, parsed).await?;
    let fields = request.fields();
    let view = session.view(&fields);
    let mut shown: Vec<Json> =
        objects.iter().zip(&echoes).map(|(object, echo)| view.written(object, echo)).collect();
    let body = match shown.pop() {
        Some(last) if !is_bulk => json!({resource.member: last}),
        last => {
            shown.extend(last);
            json!({resource.collection: shown})
        }
    };
    Ok(Answer::json(StatusCode::CREATED, &body))
}

async fn update(session: &Session<'_>, request: &Request, kind: Kind, id: &str) -> Result<Answer> {
    let body = request.updated(kind.resource())?;
    // What is not there is reported before what is wrong with the change.
    session.control.show(&session.caller, kind, id).await?;
    let updated = parse::update(kind, &body)?;
    if kind == Kind::Agent {
        let stored = session.control.update_agent(&session.caller, id, updated).await?;
        return Ok(stored_item(session, request, &stored));
    }
    let echo = updated.echo.clone();
    let object = session.control.update(&session.caller, kind, id, updated).await?;
    let fields = request.fields();
    let shown = session.view(&fields).written(&object, &echo);
    Ok(Answer::ok(&json!({kind.resource().member: shown})))
}
