//! A Keystone that knows two routes and can be told to misbehave.

use crate::timestamp;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// 2026-11-23T01:02:03Z
pub(super) const START: i64 = 1_795_395_723_000_000;
pub(super) const PASSWORD: &str = "service password";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Normal,
    /// 404 to questions about any token.
    AllTokensGone,
    /// 500 to questions.
    Broken,
    /// 403 to questions.
    Forbidding,
    /// Questions are answered with something that is not about a token.
    Babbling,
    /// No answer to questions until the mode changes.
    Silent,
    /// 401 to logins.
    RefusingLogins,
}

pub(super) struct Fake {
    pub state: Arc<Service>,
    address: SocketAddr,
    task: Option<JoinHandle<()>>,
}

pub(super) struct Service {
    pub logins: AtomicUsize,
    pub questions: AtomicUsize,
    /// The service token that is valid carries this number.
    generation: AtomicUsize,
    mode: watch::Sender<Mode>,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let state = Arc::new(Service::new());
        let router = Router::new().route("/v3/auth/tokens", get(question).post(login));
        Self::serve(router.with_state(Arc::clone(&state)), state).await
    }

    /// Serves another Keystone, which cannot be told to misbehave.
    pub(super) async fn of(router: Router) -> Self {
        Self::serve(router, Arc::new(Service::new())).await
    }

    async fn serve(router: Router, state: Arc<Service>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { state, address, task: Some(task) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn set(&self, mode: Mode) {
        self.state.mode.send_replace(mode);
    }

    pub(super) fn revoke_service_tokens(&self) {
        self.state.generation.fetch_add(1, Ordering::SeqCst);
    }

    /// Goes away for good. Connections that are kept alive are answered with 500 from now on.
    pub(super) async fn stop(&mut self) {
        self.set(Mode::Broken);
        if let Some(task) = self.task.take() {
            task.abort();
            assert!(task.await.is_err());
        }
    }

    /// Waits for something to be seen here.
    pub(super) async fn until(&self, condition: impl Fn(&Service) -> bool) {
        let wait = async {
            while !condition(&self.state) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap();
    }
}

async fn login(State(state): State<Arc<Service>>, Json(body): Json<Value>) -> Response {
    state.logins.fetch_add(1, Ordering::SeqCst);
    let expected = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": "karez", "domain": {"name": "Default"}, "password": PASSWORD,
        }}},
        "scope": {"project": {"name": "service", "domain": {"name": "Default"}}},
    }});
    if body != expected || *state.mode.borrow() == Mode::RefusingLogins {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let headers = [("x-subject-token", state.service_token())];
    (StatusCode::CREATED, headers, Json(token("karez", 3600))).into_response()
}

async fn question(State(state): State<Arc<Service>>, headers: HeaderMap) -> Response {
    state.questions.fetch_add(1, Ordering::SeqCst);
    let mode = *state.mode.subscribe().wait_for(|mode| *mode != Mode::Silent).await.unwrap();
    if headers["x-auth-token"] != state.service_token() {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match mode {
        Mode::AllTokensGone => StatusCode::NOT_FOUND.into_response(),
        Mode::Broken => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Mode::Forbidding => StatusCode::FORBIDDEN.into_response(),
        Mode::Babbling => Json(json!({"hello": "world"})).into_response(),
        Mode::Normal | Mode::RefusingLogins | Mode::Silent => {
            match headers["x-subject-token"].to_str().unwrap() {
                "bad" => StatusCode::NOT_FOUND.into_response(),
                "good for 30 s" => Json(token("good", 30)).into_response(),
                name => Json(token(name, 7200)).into_response(),
            }
        }
    }
}

impl Service {
    fn new() -> Self {
        Self {
            logins: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            generation: AtomicUsize::new(1),
            mode: watch::Sender::new(Mode::Normal),
        }
    }

    fn service_token(&self) -> String {
        format!("service token {}", self.generation.load(Ordering::SeqCst))
    }
}

fn token(name: &str, seconds: i64) -> Value {
    let domain = json!({"id": "default", "name": "Default"});
    json!({"token": {
        "methods": ["password"],
        "user": {"id": format!("user of {name}"), "name": name, "domain": domain},
        "project": {"id": format!("project of {name}"), "name": name, "domain": domain},
        "roles": [{"id": "1", "name": "member"}],
        "expires_at": timestamp::format(START + seconds * 1_000_000),
    }})
}
