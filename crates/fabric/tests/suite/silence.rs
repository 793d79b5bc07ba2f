//! Nothing that is secret is ever logged, however much is logged.

use crate::bed::{Agent, Server, Tokens, authority, desired, error_of, hello, host, soon};
use karez_fabric::{IdentityStore, ToAgent, enrol};
use std::io;
use std::sync::{Arc, Mutex};
use tracing::Level;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut log = self.0.lock().map_err(|_| io::Error::other("a thread has panicked"))?;
        log.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_in_any_log_or_error() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(move || writer.clone()).init();

    let (authority, tokens) = (authority(), Tokens::default());
    let mut server = Server::start(&authority, &tokens).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let used = tokens.issue(&authority);
    tokens.expire(&used);
    let elsewhere = tempfile::tempdir().expect("a directory");
    let store = IdentityStore::new(elsewhere.path());
    let refusal = error_of(enrol(&server.url(), &used, &host("node-2"), &store).await);
    let mut end = agent.dial().await;
    let control = server.session().await;
    end.outgoing.send(hello("node-1")).await.expect("it is open");
    control.outgoing.send(ToAgent::Desired(desired(3, "correct horse battery staple"))).await.expect("open");
    assert!(soon(end.incoming.recv()).await.is_some());
    drop(end);
    soon(control.outgoing.closed()).await;
    server.stop().await;

    let mut text = String::from_utf8_lossy(&log.0.lock().expect("a lock")).into_owned();
    assert!(text.contains("a node was enrolled"), "nothing was captured");
    text.push_str(&refusal.to_string());
    text.push_str(&format!("{refusal:?}"));
    let token = used.to_text();
    let secret = token.expose().split('.').nth(2).expect("a secret").to_owned();
    let key_of = |pem: &str| {
        let (_, key) = pem.split_once("-----BEGIN PRIVATE KEY-----").expect("a key");
        key.lines().nth(1).expect("a line").to_owned()
    };
    let identity = std::fs::read_to_string(agent.directory.path().join("identity.pem")).expect("a file");
    let secrets =
        ["correct horse".to_owned(), secret, key_of(&identity), key_of(authority.to_pem().expose())];
    for secret in secrets {
        assert!(!text.contains(&secret), "a secret was logged");
    }
}
