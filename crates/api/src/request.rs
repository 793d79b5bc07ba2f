//! A request, read as far as handlers need it: query, body, base URL. All of it is bounded.

use crate::dispatch::Options;
use crate::error::Result;
use axum::body::Body;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use karez_control::Failure;
use karez_model::resource::Family;
use karez_model::{Fault, Reason, Resource, json};
use serde_json::{Map, Value as Json};
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::time::Duration;
use tokio::time::{Sleep, sleep, timeout};

/// Largest body in bytes.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// A client that has sent nothing for so long has ended what it sends, or waits for the answer.
const PAUSE: Duration = Duration::from_secs(2);

/// A request whose body has been read.
pub(crate) struct Request {
    pub method: Method,
    /// Path and query as they came.
    pub path: String,
    /// The pairs of the query, decoded, in their order.
    pub query: Vec<(String, String)>,
    pub body: bytes::Bytes,
    /// Scheme and host by which the client knows us.
    pub base: String,
}

impl Request {
    /// Reads the rest of a request.
    pub(crate) async fn read(parts: &Parts, body: Body, options: &Options) -> Result<Self> {
        let query: Vec<(String, String)> =
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        if query.iter().any(|(key, value)| key.contains('\0') || value.contains('\0')) {
            return Err(Failure::fault(Reason::BadRequest, "The query must not hold U+0000"));
        }
        Ok(Self {
            method: parts.method.clone(),
            path: parts.uri.path().to_owned(),
            query,
            body: read_body(body, MAX_BODY, options.body_timeout).await?,
            base: base_url(parts, options),
        })
    }

    /// The values of a query parameter.
    pub(crate) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What `fields` asks for.
    pub(crate) fn fields(&self) -> Vec<String> {
        self.values("fields").filter(|field| !field.is_empty()).map(str::to_owned).collect()
    }

    /// The body as a JSON object.
    pub(crate) fn object(&self, family: Family) -> Result<Map<String, Json>> {
        let reason =
            if family == Family::Core { Reason::HTTPBadRequest } else { Reason::MalformedRequestBody };
        json::check(&self.body).map_err(|why| Failure::fault(reason, why))?;
        match serde_json::from_slice(&self.body) {
            Ok(Json::Object(map)) => Ok(map),
            Ok(_) => Err(Fault::bad_request("The body must be a JSON object").into()),
            Err(error) => Err(Failure::fault(reason, format!("The body is not JSON: {error}"))),
        }
    }

    /// What stands under the envelope of a POST: one object, or, in a core resource, several.
    pub(crate) fn created(&self, resource: &Resource) -> Result<(Vec<Map<String, Json>>, bool)> {
        if self.body.is_empty() {
            return Err(missing_envelope(resource));
        }
        let mut body = self.object(resource.family)?;
        if resource.family == Family::Core
            && let Some(list) = body.remove(resource.collection)
        {
            return Ok((bulk(resource, list)?, true));
        }
        Ok((vec![envelope(resource, body)?], false))
    }

    /// What stands under the envelope of a PUT.
    pub(crate) fn updated(&self, resource: &Resource) -> Result<Map<String, Json>> {
        if self.body.is_empty() {
            let message = format!("A body is required: {{\"{}\": {{...}}}}", resource.member);
            return Err(Failure::fault(Reason::BadRequest, message));
        }
        envelope(resource, self.object(resource.family)?)
    }

    /// Refuses a DELETE that has a body.
    pub(crate) fn no_body(&self) -> Result<()> {
        if self.body.is_empty() { Ok(()) } else { Err(Fault::bad_request("A DELETE takes no body").into()) }
    }
}

fn envelope(resource: &Resource, mut body: Map<String, Json>) -> Result<Map<String, Json>> {
    match body.remove(resource.member) {
        Some(Json::Object(map)) => Ok(map),
        Some(_) => {
            Err(Fault::bad_request(format!("The value of '{}' must be an object", resource.member)).into())
        }
        None => Err(missing_envelope(resource)),
    }
}

fn bulk(resource: &Resource, list: Json) -> Result<Vec<Map<String, Json>>> {
    let Json::Array(list) = list else {
        return Err(
            Fault::bad_request(format!("The value of '{}' must be a list", resource.collection)).into()
        );
    };
    let object = |json| match json {
        Json::Object(map) => Ok(map),
        _ => {
            Err(Fault::bad_request(format!("Each entry of '{}' must be an object", resource.collection))
                .into())
        }
    };
    if list.is_empty() || list.len() > karez_model::parse::MAX_LIST {
        let message =
            format!("'{}' must have 1 to {} entries", resource.collection, karez_model::parse::MAX_LIST);
        return Err(Fault::bad_request(message).into());
    }
    // An entry may stand in an envelope of its own.
    let open = |map: Map<String, Json>| match map.get(resource.member) {
        Some(Json::Object(inner)) if map.len() == 1 => inner.clone(),
        _ => map,
    };
    list.into_iter().map(|json| object(json).map(open)).collect()
}

fn missing_envelope(resource: &Resource) -> Failure {
    Fault::bad_request(format!("The body must be {{\"{}\": {{...}}}}", resource.member)).into()
}

/// Reads a body of at most `most` bytes.
pub(crate) async fn read_body(mut body: Body, most: usize, patience: Duration) -> Result<bytes::Bytes> {
    if body.is_end_stream() {
        return Ok(bytes::Bytes::new());
    }
    let too_large =
        || Failure::fault(Reason::RequestEntityTooLarge, format!("The body is larger than {most} bytes"));
    let mut end = pin!(sleep(patience));
    // What the client announces need not be kept.
    if body.size_hint().lower() > most as u64 {
        hear_out(body, end.as_mut()).await;
        return Err(too_large());
    }
    let collected = tokio::select! {
        collected = Limited::new(&mut body, most).collect() => collected,
        () = end.as_mut() => {
            let why = format!("The body took more than {} s", patience.as_secs());
            return Err(Failure::fault(Reason::RequestTimeout, why));
        }
    };
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            hear_out(body, end).await;
            Err(too_large())
        }
        Err(_) => Err(Failure::fault(Reason::BadRequest, "The body ended too early")),
    }
}

/// Reads on and throws away until the client has sent all, pauses, or has had room enough, until `end` at most: one that
/// is cut off in the middle of sending seldom looks at the answer.
async fn hear_out(mut body: Body, end: Pin<&mut Sleep>) {
    let mut left = 8 * MAX_BODY;
    let rest = async {
        while let Ok(Some(Ok(frame))) = timeout(PAUSE, body.frame()).await {
            match left.checked_sub(frame.data_ref().map_or(0, bytes::Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    };
    tokio::select! {
        () = rest => {}
        () = end => {}
    }
}

/// Links lead to where the client found us. What a proxy says about that counts only when the
/// operator has one.
pub(crate) fn base_url(parts: &Parts, options: &Options) -> String {
    if let Some(url) = &options.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let header = |name: &str| first(&parts.headers, name);
    let (mut scheme, mut host) =
        (if options.is_tls { "https" } else { "http" }, header(header::HOST.as_str()));
    if options.behind_proxy {
        host = header("x-forwarded-host").or(host);
        scheme = match header("x-forwarded-proto") {
            Some("https") => "https",
            Some("http") => "http",
            Some(_) | None => scheme,
        };
    }
    let is_plain =
        |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
    format!("{scheme}://{}", host.filter(is_plain).unwrap_or("localhost"))
}

/// The client that the proxy next to us names. Those before it may be made up.
pub(crate) fn forwarded_for(parts: &Parts) -> Option<IpAddr> {
    let last = parts.headers.get_all("x-forwarded-for").iter().next_back()?;
    last.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
}

fn first<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()?.split(',').next().map(str::trim).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
