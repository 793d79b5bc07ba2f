//! The service as clients see it: requests through the router, with a clock of ours.

mod application_credentials;
mod assignments;
mod concurrency;
mod crud;
mod login;
mod place;
mod requests;
mod secrecy;
mod tokens;

use super::*;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use karez_model::Secret;
use place::Place;
use serde_json::{Value as Json, json};
use std::net::SocketAddr;
use tower::ServiceExt as _;

/// 2026-11-23T01:02:03Z
const START: i64 = 1_795_395_723_000_000;
const ADMIN_PASSWORD: &str = "open sesame";

/// A service of its own, with its first administrator.
struct Bed {
    embedded: Arc<Embedded>,
    router: Router,
    clock: Clock,
    admin: Person,
    _place: Place,
}

/// A user with a token for a project.
struct Person {
    user_id: String,
    project_id: String,
    token: String,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Json,
}

impl Answer {
    #[track_caller]
    fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self
    }

    #[track_caller]
    fn token(&self) -> String {
        self.headers["x-subject-token"].to_str().unwrap().to_owned()
    }

    fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap()
    }

    /// The values of one key in a list, in order.
    fn all(&self, plural: &str, key: &str) -> Vec<&str> {
        self.body[plural].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
    }
}

impl Bed {
    async fn new() -> Self {
        Self::with(Options::default()).await
    }

    async fn behind_proxy() -> Self {
        Self::with(Options { behind_proxy: true, ..Options::default() }).await
    }

    async fn with(options: Options) -> Self {
        let place = Place::new();
        let store = place.open();
        let clock = Clock::manual(START);
        let options = Options { clock: clock.clone(), ..options };
        let embedded = Arc::new(Embedded::new(store, options));
        let first = embedded.bootstrap(Some(Secret::new(ADMIN_PASSWORD.to_owned()))).await.unwrap().unwrap();
        let router = Arc::clone(&embedded).router();
        let admin = Person { user_id: first.user_id, project_id: first.project_id, token: String::new() };
        let mut bed = Self { embedded, router, clock, admin, _place: place };
        let login = login_by_name("admin", ADMIN_PASSWORD, json!({"project": {"id": bed.admin.project_id}}));
        bed.admin.token = bed.post("/auth/tokens", "", login).await.expect(201).token();
        bed
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let uri = if path.starts_with("/identity") { path.to_owned() } else { format!("/identity/v3{path}") };
        let mut request = Request::new(body.into());
        *request.method_mut() = method;
        *request.uri_mut() = uri.parse().unwrap();
        request.headers_mut().insert("host", HeaderValue::from_static("karez.test:9696"));
        let mut source = "192.0.2.1";
        for (name, value) in headers {
            if *name == "source" {
                source = value;
            } else if !value.is_empty() {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        let source = SocketAddr::new(source.parse().unwrap(), 40_000);
        request.extensions_mut().insert(ConnectInfo(source));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Json::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status, headers: parts.headers, body }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(Method::GET, path, &[("x-auth-token", token)], Body::empty()).await
    }

    async fn post(&self, path: &str, token: &str, body: Json) -> Answer {
        self.send(Method::POST, path, &[("x-auth-token", token)], body.to_string()).await
    }

    async fn patch(&self, path: &str, token: &str, body: Json) -> Answer {
        self.send(Method::PATCH, path, &[("x-auth-token", token)], body.to_string()).await
    }

    async fn put(&self, path: &str, token: &str) -> Answer {
        self.send(Method::PUT, path, &[("x-auth-token", token)], Body::empty()).await
    }

    async fn delete(&self, path: &str, token: &str) -> Answer {
        self.send(Method::DELETE, path, &[("x-auth-token", token)], Body::empty()).await
    }

    /// A token, asked about by `token`.
    async fn validate(&self, subject: &str, token: &str) -> Answer {
        let headers = [("x-auth-token", token), ("x-subject-token", subject)];
        self.send(Method::GET, "/auth/tokens", &headers, Body::empty()).await
    }

    /// What other rooms learn of a token.
    async fn caller(&self, token: &str) -> Result<Arc<Caller>, Denied> {
        let value = HeaderValue::from_str(token).unwrap();
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-auth-token"), value)]);
        self.embedded.authenticate(&headers).await
    }

    async fn project(&self, name: &str) -> String {
        let body = json!({"project": {"name": name}});
        let answer = self.post("/projects", &self.admin.token, body).await.expect(201);
        answer.body["project"]["id"].as_str().unwrap().to_owned()
    }

    async fn user(&self, name: &str) -> String {
        let body = json!({"user": {"name": name, "password": password_of(name)}});
        let answer = self.post("/users", &self.admin.token, body).await.expect(201);
        answer.body["user"]["id"].as_str().unwrap().to_owned()
    }

    async fn role(&self, name: &str) -> String {
        let answer = self.get(&format!("/roles?name={name}"), &self.admin.token).await.expect(200);
        answer.body["roles"][0]["id"].as_str().unwrap().to_owned()
    }

    /// The path of an assignment of the role of this name.
    async fn grant_path(&self, target: &str, user_id: &str, role: &str) -> String {
        format!("/{target}/users/{user_id}/roles/{}", self.role(role).await)
    }

    async fn grant(&self, target: &str, user_id: &str, role: &str) {
        let path = self.grant_path(target, user_id, role).await;
        self.put(&path, &self.admin.token).await.expect(204);
    }

    /// A user with a role in a project of his own.
    async fn person(&self, name: &str, role: &str) -> Person {
        let user_id = self.user(name).await;
        let project_id = self.project(&format!("project of {name}")).await;
        self.grant(&format!("projects/{project_id}"), &user_id, role).await;
        let token = self.login(name, json!({"project": {"id": project_id}})).await.expect(201).token();
        Person { user_id, project_id, token }
    }

    /// Logs a user in who was made by [`Bed::user`].
    async fn login(&self, name: &str, scope: Json) -> Answer {
        self.post("/auth/tokens", "", login_by_name(name, &password_of(name), scope)).await
    }
}

fn password_of(name: &str) -> String {
    format!("the password of {name}")
}

/// A login; the scope null asks for none in particular.
fn login_by_name(name: &str, password: &str, scope: Json) -> Json {
    let user = json!({"name": name, "domain": {"name": "Default"}, "password": password});
    let mut body = json!({"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}});
    if !scope.is_null() {
        body["auth"]["scope"] = scope;
    }
    body
}

/// A login with a token.
fn rescope(token: &str, scope: Json) -> Json {
    json!({"auth": {"identity": {"methods": ["token"], "token": {"id": token}}, "scope": scope}})
}

/// A login with an application credential.
fn login_by_credential(id: &str, secret: &str) -> Json {
    let credential = json!({"id": id, "secret": secret});
    json!({"auth": {"identity": {"methods": ["application_credential"], "application_credential": credential}}})
}
