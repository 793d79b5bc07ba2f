//! Which route is served by what.

use super::assignments::{self, On};
use super::call::Call;
use super::catalog::{self, Listing};
use super::error::Error;
use super::objects::{self, PROJECTS, ROLES, USERS};
use super::{Embedded, application_credentials, discovery, domain, login, projects, roles, tokens, users};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::sync::Arc;

type Service = State<Arc<Embedded>>;

impl Embedded {
    /// All that is below `/identity`, and the same API below `/v3` for clients that look for it
    /// at the root. The listener is to leave the client's address in each request as
    /// [`axum::extract::ConnectInfo`] of a [`std::net::SocketAddr`]; failed logins are counted by
    /// it.
    pub fn router(self: Arc<Self>) -> Router {
        let api = Arc::clone(&self).api();
        Router::new()
            .route("/identity", get(versions))
            .route("/identity/", get(versions))
            .route("/identity/v3", get(version))
            .route("/identity/v3/", get(version))
            .nest("/identity/v3", api.clone())
            .nest("/v3", api)
            .fallback(async || not_found())
            .method_not_allowed_fallback(async || Error::MethodNotAllowed)
            .with_state(self)
    }

    /// The routes of the Keystone v3 API, relative to `/v3`.
    fn api(self: Arc<Self>) -> Router<Arc<Self>> {
        Router::new()
            .route("/auth/tokens", get(tokens::validate).post(login::login).delete(tokens::revoke))
            .route("/auth/catalog", get(catalog::own))
            .route("/auth/projects", get(users::own_projects))
            .route("/auth/domains", get(domain::own))
            .route("/auth/system", get(users::own_system))
            .merge(objects())
            .merge(assignments())
            .merge(catalog())
            .fallback(async || not_found())
            .method_not_allowed_fallback(async || Error::MethodNotAllowed)
            .layer(from_fn_with_state(self, name_the_service))
    }
}

async fn versions(State(embedded): Service, headers: HeaderMap) -> Response {
    let document = discovery::versions(&embedded.url(&headers));
    (StatusCode::MULTIPLE_CHOICES, axum::Json(document)).into_response()
}

async fn version(State(embedded): Service, headers: HeaderMap) -> Response {
    axum::Json(discovery::version(&embedded.url(&headers))).into_response()
}

fn not_found() -> Error {
    Error::NotFound("The resource could not be found.".to_owned())
}

fn objects() -> Router<Arc<Embedded>> {
    Router::new()
        .route("/users", get(|State(e): Service, c: Call| objects::list(e, c, &USERS)).post(users::create))
        .route("/users/{id}", get(users::show).patch(users::update).delete(users::delete))
        .route("/users/{id}/password", post(users::change_password))
        .route("/users/{id}/projects", get(users::projects))
        .route("/users/{id}/groups", get(users::groups))
        .route(
            "/users/{id}/application_credentials",
            get(application_credentials::list).post(application_credentials::create),
        )
        .route(
            "/users/{id}/application_credentials/{credential}",
            get(application_credentials::show).delete(application_credentials::delete),
        )
        .route("/groups", get(users::groups))
        .route("/groups/{id}", get(users::group))
        .route(
            "/projects",
            get(|State(e): Service, c: Call| objects::list(e, c, &PROJECTS)).post(projects::create),
        )
        .route("/projects/{id}", get(projects::show).patch(projects::update).delete(projects::delete))
        .route("/roles", get(|State(e): Service, c: Call| objects::list(e, c, &ROLES)).post(roles::create))
        .route(
            "/roles/{id}",
            get(|State(e): Service, c: Call| objects::show(e, c, &ROLES))
                .patch(roles::update)
                .delete(roles::delete),
        )
        .route("/role_inferences", get(roles::inferences))
        .route("/domains", get(domain::list).post(domain::change))
        .route("/domains/{id}", get(domain::show).patch(domain::change).delete(domain::change))
}

fn assignments() -> Router<Arc<Embedded>> {
    Router::new()
        .route("/role_assignments", get(|State(e): Service, c: Call| assignments::list(e, c)))
        .route("/projects/{target}/users/{user}/roles", grants(On::Project))
        .route("/projects/{target}/users/{user}/roles/{role}", grant(On::Project))
        .route("/domains/{target}/users/{user}/roles", grants(On::Domain))
        .route("/domains/{target}/users/{user}/roles/{role}", grant(On::Domain))
        .route("/system/users/{user}/roles", grants(On::System))
        .route("/system/users/{user}/roles/{role}", grant(On::System))
}

fn grants(on: On) -> MethodRouter<Arc<Embedded>> {
    get(move |State(e): Service, c: Call| assignments::list_grants(e, c, on))
}

fn grant(on: On) -> MethodRouter<Arc<Embedded>> {
    get(move |State(e): Service, c: Call| assignments::check_grant(e, c, on))
        .put(move |State(e): Service, c: Call| assignments::grant(e, c, on))
        .delete(move |State(e): Service, c: Call| assignments::revoke(e, c, on))
}

fn catalog() -> Router<Arc<Embedded>> {
    [Listing::Services, Listing::Endpoints, Listing::Regions].into_iter().fold(
        Router::new(),
        |router, listing| {
            let collection = format!("/{}", listing.plural());
            router
                .route(
                    &format!("{collection}/{{id}}"),
                    get(move |State(e): Service, c: Call| catalog::show(e, c, listing)),
                )
                .route(&collection, get(move |State(e): Service, c: Call| catalog::list(e, c, listing)))
        },
    )
}

/// A 401 says where tokens are to be had, and every answer that it depends on the caller.
async fn name_the_service(State(embedded): Service, request: Request, next: Next) -> Response {
    let url = embedded.url(request.headers());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::VARY, HeaderValue::from_static("X-Auth-Token"));
    let uri = HeaderValue::from_str(&format!("Keystone uri=\"{url}/identity\""));
    if let (StatusCode::UNAUTHORIZED, Ok(uri)) = (response.status(), uri) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, uri);
    }
    response
}
