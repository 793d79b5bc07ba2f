//! What is secret stays out of the log, at every level of it.

use super::*;
use crate::keystone::{self, Keystone};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use tokio::net::TcpListener;
use tracing_subscriber::fmt::MakeWriter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// One thread runs everything, so that one subscriber sees everything.
#[tokio::test]
async fn passwords_and_tokens_are_in_no_log_line() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bed = Bed::new().await;
    let alice = bed.person("alice", "member").await;
    let body = json!({"application_credential": {"name": "robot", "secret": "secret of the robot"}});
    let path = format!("/users/{}/application_credentials", alice.user_id);
    let credential = bed.post(&path, &alice.token, body).await.expect(201);
    let id = credential.body["application_credential"]["id"].as_str().unwrap();
    bed.post("/auth/tokens", "", login_by_credential(id, "secret of the robot")).await.expect(201);
    bed.post("/auth/tokens", "", login_by_name("alice", "a wrong guess", Json::Null)).await.expect(401);
    bed.validate(&alice.token, &bed.admin.token).await.expect(200);
    assert!(bed.caller(&alice.token).await.is_ok());
    ask_as_another_server(&bed, &alice.token).await;
    bed.embedded.store.write(|tx| tx.execute("DROP TABLE tokens", &[])).await.unwrap();
    bed.get("/users", &bed.admin.token).await.expect(500);

    let log = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("a request to the identity service failed"), "the log is being written");
    assert!(log.contains("hyper"), "the log of the client is in it");
    let alices = password_of("alice");
    let secrets =
        [ADMIN_PASSWORD, &alices, "secret of the robot", "a wrong guess", &alice.token, &bed.admin.token];
    for secret in secrets {
        assert!(!log.contains(secret), "{secret:?} is in the log");
    }
    assert!(!log.contains("argon2id"), "a hash is in the log");
}

async fn ask_as_another_server(bed: &Bed, token: &str) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = bed.router.clone();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let other = Keystone::new(keystone::Options {
        auth_url: format!("http://{address}/identity"),
        username: "admin".to_owned(),
        password: Secret::new(ADMIN_PASSWORD.to_owned()),
        user_domain_name: "Default".to_owned(),
        project_name: "admin".to_owned(),
        project_domain_name: "Default".to_owned(),
        cache_life: Duration::from_secs(60),
        cached_tokens: 10,
        timeout: Duration::from_secs(10),
        ca_certificate: None,
        clock: bed.clock.clone(),
    });
    let value = HeaderValue::from_str(token).unwrap();
    let headers = HeaderMap::from_iter([(HeaderName::from_static("x-auth-token"), value)]);
    assert!(other.unwrap().authenticate(&headers).await.is_ok());
}
