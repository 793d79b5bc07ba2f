//! From a request to its handler and back, with what holds for all of them: who calls, request
//! ids, metrics, logs.

use crate::addresses::{Addresses, Place};
use crate::answer::{Answer, JSON};
use crate::error::{self, no_such_url, wrong_verb};
use crate::metrics::Metrics;
use crate::ready::Ready;
use crate::render::View;
use crate::request::{self, Request};
use crate::shares::Shares;
use crate::target::Target;
use crate::{connection_status, core_actions, extensions, openapi, quotas, resources, tags, versions};
use axum::body::Body;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use karez_control::{Control, Failure};
use karez_identity::{Denied, Identity};
use karez_model::{Caller, Reason};
use serde_json::json;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tower::ServiceExt;
use uuid::Uuid;

/// What an operator can choose about the face of the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// The URL under which clients know the server, when it is not the one that they use.
    pub public_url: Option<String>,
    /// Whether a proxy in front says by `X-Forwarded-Proto` and `X-Forwarded-Host` what the client
    /// used.
    pub behind_proxy: bool,
    /// Whether the listener speaks TLS.
    pub is_tls: bool,
    /// How long a client may take to send its body.
    pub body_timeout: Duration,
    /// Whether there are to be agents: without a living one the server is not ready.
    pub needs_agent: bool,
    /// Requests of one client at a time, where a proxy says who that is.
    pub requests_per_client: usize,
    /// Requests of one project that are at work at a time; more of them wait.
    pub requests_per_project: usize,
    /// The most objects of a page. With a bound every list has pages.
    pub pagination_max_limit: Option<u32>,
}

/// The API over one control.
pub struct Api {
    control: Control,
    identity: Arc<dyn Identity>,
    /// The embedded Keystone, when there is one.
    keystone: Option<axum::Router>,
    options: Options,
    metrics: Metrics,
    ready: Ready,
    shares: Shares,
    clients: Addresses,
    routes: Mutex<HashMap<String, Arc<str>>>,
}

/// Who calls, while a request is handled.
pub(crate) struct Session<'a> {
    pub control: &'a Control,
    pub caller: Arc<Caller>,
    pub shares: &'a Shares,
    pub options: &'a Options,
}

impl Session<'_> {
    pub(crate) fn view<'b>(&'b self, fields: &'b [String]) -> View<'b> {
        View { control: self.control, caller: &self.caller, fields }
    }
}

/// The header by which clients and operators tell requests apart.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

impl Api {
    /// The API over `control`. `keystone` has the routes of the embedded Keystone, below
    /// `/identity` and `/v3`.
    #[must_use]
    pub fn new(
        control: Control,
        identity: Arc<dyn Identity>,
        keystone: Option<axum::Router>,
        options: Options,
    ) -> Self {
        let (metrics, ready) = (Metrics::new(&control), Ready::default());
        let shares = Shares::new(options.requests_per_project);
        let clients = Addresses::new(options.requests_per_client);
        Self {
            control,
            identity,
            keystone,
            options,
            metrics,
            ready,
            shares,
            clients,
            routes: Mutex::default(),
        }
    }

    /// Answers one request. Never fails: what goes wrong is in the answer.
    pub async fn answer(&self, request: http::Request<Body>) -> Response<Body> {
        let started = now();
        let id = format!("req-{}", Uuid::new_v4());
        let (parts, body) = request.into_parts();
        let (method, uri) = (parts.method.clone(), parts.uri.clone());
        let (route, mut response) = self.route(parts, body, &id).await;
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID.clone(), id);
        }
        let (status, elapsed) = (response.status(), started.elapsed());
        let route = self.label(route);
        self.metrics.count(&method, &route, status, elapsed);
        let (path, micros) = (uri.path(), elapsed.as_micros());
        if status.is_server_error() {
            tracing::warn!(request_id = id, %method, path, status = status.as_u16(), micros, "request");
        } else if method == Method::GET {
            tracing::debug!(request_id = id, %method, path, status = status.as_u16(), micros, "request");
        } else {
            tracing::info!(request_id = id, %method, path, status = status.as_u16(), micros, "request");
        }
        response
    }

    /// The answer to a request whose handler is no more.
    pub(crate) fn failed() -> Response<Body> {
        error::answer(&Failure::Store(karez_store::Error::Bug("a handler panicked".into()))).into_response()
    }

    /// The answer to a request that takes longer than it may.
    pub(crate) fn late(patience: Duration) -> Response<Body> {
        let message = format!(
            "The request was not done within {} s. A change may be done all the same: look before you try again.",
            patience.as_secs()
        );
        error::answer(&Failure::fault(Reason::ServiceUnavailable, message)).into_response()
    }

    /// The answer to a request with no Host, or with several.
    pub(crate) fn hostless() -> Response<Body> {
        let message = "The request must have one Host header";
        error::answer(&Failure::fault(Reason::HTTPBadRequest, message)).into_response()
    }

    async fn route(&self, parts: Parts, body: Body, id: &str) -> (String, Response<Body>) {
        let _place = match self.place(&parts) {
            Ok(place) => place,
            Err(failure) => return ("none".into(), error::answer(&failure).into_response()),
        };
        let path = parts.uri.path();
        let is_get = parts.method == Method::GET;
        if let Some(keystone) = self.keystone.as_ref().filter(|_| is_keystone(path)) {
            return ("/identity".into(), self.keystone(keystone, parts, body).await);
        }
        let plain = |route: &str, answer: Answer| (route.to_owned(), answer.into_response());
        match path {
            "/healthcheck" if is_get => plain(path, Answer::text(StatusCode::OK, "OK")),
            "/readyz" if is_get => plain(path, self.readyz().await),
            "/metrics" if is_get => plain(path, self.metrics().await),
            "/openapi.json" if is_get => plain(path, Answer::bytes(StatusCode::OK, JSON, openapi::text())),
            "/" if is_get => plain(path, versions::root(&request::base_url(&parts, &self.options))),
            "/" | "/healthcheck" | "/readyz" | "/metrics" | "/openapi.json" => {
                plain(path, Answer::text(StatusCode::METHOD_NOT_ALLOWED, "405 Method Not Allowed"))
            }
            _ if path == "/v2.0" || path.starts_with("/v2.0/") => self.neutron(&parts, body, id).await,
            _ => plain("none", Answer::text(StatusCode::NOT_FOUND, "404 Not Found")),
        }
    }

    /// The embedded Keystone. Its requests have the same bounds as the others.
    async fn keystone(&self, keystone: &axum::Router, parts: Parts, body: Body) -> Response<Body> {
        let body = match request::read_body(body, karez_identity::MAX_BODY, self.options.body_timeout).await {
            Ok(body) => Body::from(body),
            Err(failure) => return error::answer(&failure).into_response(),
        };
        let Ok(response) = keystone.clone().oneshot(http::Request::from_parts(parts, body)).await;
        response
    }

    /// Behind a proxy all connections are its own, so that a client's requests are counted instead.
    fn place(&self, parts: &Parts) -> error::Result<Option<Place>> {
        let Some(client) = request::forwarded_for(parts).filter(|_| self.options.behind_proxy) else {
            return Ok(None);
        };
        self.clients.enter(client).map(Some).ok_or_else(|| {
            let message = "Too many requests of this client are at work; try again in a moment";
            Failure::fault(Reason::ServiceUnavailable, message)
        })
    }

    async fn neutron(&self, parts: &Parts, body: Body, id: &str) -> (String, Response<Body>) {
        let target = Target::read(parts.uri.path().strip_prefix("/v2.0").unwrap_or_default());
        let route = target.as_ref().map_or_else(|| "/v2.0/none".into(), Target::route);
        let caller = match self.identity.authenticate(&parts.headers).await {
            Ok(caller) => caller,
            Err(denied) => return (route, self.denied(&denied, parts).into_response()),
        };
        let session =
            Session { control: &self.control, caller, shares: &self.shares, options: &self.options };
        let result = match target {
            Some(target) => self.handle(&session, &target, parts, body).await,
            None => Err(no_such_url()),
        };
        let answer = result.unwrap_or_else(|failure| {
            let answer = error::answer(&failure);
            if answer.status.is_server_error() {
                tracing::warn!(request_id = id, %failure, "the request failed");
            }
            answer
        });
        (route, answer.into_response())
    }

    async fn handle(
        &self,
        session: &Session<'_>,
        target: &Target,
        parts: &Parts,
        body: Body,
    ) -> error::Result<Answer> {
        let wants_revision = |value: &HeaderValue| value.as_bytes().starts_with(b"revision_number=");
        if parts.headers.get(http::header::IF_MATCH).is_some_and(wants_revision) {
            let message = "If-Match with a revision_number is not supported; send the request without it";
            return Err(Failure::fault(Reason::BadRequest, message));
        }
        let request = Request::read(parts, body, &self.options).await?;
        let request = &request;
        // Not before all of it is here: who sends slowly keeps nobody from working.
        let _share = session.shares.of(&session.caller).await?;
        match target {
            Target::Root if request.method == Method::GET => Ok(versions::resources(&request.base)),
            Target::Root => Err(wrong_verb(&request.method)),
            Target::Collection(kind) => resources::collection(session, request, *kind).await,
            Target::Item(kind, id) => resources::item(session, request, *kind, id).await,
            Target::ConnectionStatus(id) => connection_status::show(session, request, id).await,
            Target::Tags(kind, id) => tags::all(session, request, *kind, id).await,
            Target::Tag(kind, id, tag) => tags::one(session, request, *kind, id, tag).await,
            Target::RouterAction(id, action) => {
                core_actions::router_action(session, request, id, *action).await
            }
            Target::FlavorProfiles(id) => core_actions::flavor_profiles(session, request, id).await,
            Target::FlavorProfile(id, profile) => {
                core_actions::flavor_profile(session, request, id, profile).await
            }
            Target::NextProviders(id) => core_actions::next_providers(session, request, id).await,
            Target::AgentRouters(id) => core_actions::agent_routers(session, request, id).await,
            Target::AgentRouter(id, router) => core_actions::agent_router(session, request, id, router).await,
            Target::RouterAgents(id) => core_actions::router_agents(session, request, id).await,
            Target::Quotas => quotas::all(session, request).await,
            Target::Quota(project) => quotas::one(session, request, project).await,
            Target::DefaultQuota(project) => quotas::default(session, request, project).await,
            Target::QuotaDetails(project) => quotas::details(session, request, project).await,
            Target::OwnProject(name) => quotas::own_project(session, request, name),
            Target::Extensions => extensions::all(session, request),
            Target::Extension(alias) => extensions::one(session, request, alias),
            Target::Providers => core_actions::providers(session, request),
            Target::Zones => core_actions::zones(session, request).await,
            Target::Nothing(name) if request.method == Method::GET => Ok(Answer::ok(&json!({*name: []}))),
            Target::Nothing(_) => Err(wrong_verb(&request.method)),
        }
    }

    fn denied(&self, denied: &Denied, parts: &Parts) -> Answer {
        let mut answer = match denied {
            Denied::Unauthorized(_) => Answer::json(denied.status(), &denied.body()),
            Denied::Unavailable(why) => {
                tracing::warn!(%why, "callers cannot be told");
                let message =
                    "Who calls cannot be told now, because the identity service is away. Try again.";
                error::answer(&Failure::fault(Reason::ServiceUnavailable, message))
            }
        };
        if let Denied::Unauthorized(_) = denied {
            answer.authenticate = self.identity.www_authenticate(&parts.headers);
        }
        answer
    }

    async fn readyz(&self) -> Answer {
        let found =
            self.ready.look(&self.control.for_duties(), &self.identity, self.options.needs_agent).await;
        let status = if found.is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        Answer::json(status, &found.parts)
    }

    async fn metrics(&self) -> Answer {
        match self.metrics.encode(&self.control).await {
            Ok(text) => Answer::bytes(
                StatusCode::OK,
                "application/openmetrics-text; version=1.0.0; charset=utf-8",
                text,
            ),
            Err(failure) => error::answer(&failure),
        }
    }

    /// Routes are few, and shared as labels.
    fn label(&self, route: String) -> Arc<str> {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(route).or_insert_with_key(|route| Arc::from(route.as_str())))
    }
}

/// `/v3` itself is nothing, as with Neutron; what is below it is the embedded Keystone's.
fn is_keystone(path: &str) -> bool {
    path == "/identity" || path.starts_with("/identity/") || path.starts_with("/v3/") && path.len() > 4
}

#[allow(clippy::disallowed_methods, reason = "this is where a request's time begins")]
fn now() -> Instant {
    Instant::now()
}
