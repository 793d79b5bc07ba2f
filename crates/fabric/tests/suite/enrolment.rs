//! How nodes are let in, and who is not.

use crate::bed::{Agent, Server, Tokens, authority, error_of, host, now, soon};
use karez_fabric::{
    Authority, EnrolError, IdentityError, IdentityStore, Lifetimes, ServerOptions, Token, enrol,
};
use karez_model::Secret;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

#[tokio::test]
async fn a_node_with_a_token_gets_an_identity_of_its_own() {
    let (authority, tokens) = (authority(), Tokens::default());
    let server = Server::start(&authority, &tokens).await;
    let directory = tempfile::tempdir().expect("a directory");
    let store = IdentityStore::new(directory.path().join("identity"));
    let token = tokens.issue(&authority);
    // As it is handed over: in text.
    let Ok(token) = Token::parse(&token.to_text()) else { panic!("it does not read back") };
    let Ok(identity) = enrol(&server.url(), &token, &host("node-1"), &store).await else { panic!("refused") };
    assert_eq!(identity.host().as_str(), "node-1");
    let left = identity.ends_at().duration_since(now()).expect("it is good");
    assert!(left > Duration::from_secs(23 * 3600) && left <= Duration::from_secs(24 * 3600));

    let path = directory.path().join("identity/identity.pem");
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    let files = fs::read_dir(directory.path().join("identity")).expect("a directory").count();
    assert_eq!(files, 1, "something is left over");
}

#[tokio::test]
async fn enrolling_again_changes_nothing_and_needs_no_token() {
    let (authority, tokens) = (authority(), Tokens::default());
    let server = Server::start(&authority, &tokens).await;
    let agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let before = fs::read(agent.directory.path().join("identity.pem")).expect("a file");
    let store = IdentityStore::new(agent.directory.path());
    let unknown = Token::mint(authority.fingerprint());
    assert!(enrol(&server.url(), &unknown, &host("node-1"), &store).await.is_ok());
    assert_eq!(fs::read(agent.directory.path().join("identity.pem")).expect("a file"), before);
}

#[tokio::test]
async fn a_token_lets_in_one_node() {
    let (authority, tokens) = (authority(), Tokens::default());
    let server = Server::start(&authority, &tokens).await;
    let token = tokens.issue(&authority);
    let directories: Vec<_> = (0..4).map(|_| tempfile::tempdir().expect("a directory")).collect();
    let stores: Vec<_> = directories.iter().map(|one| IdentityStore::new(one.path())).collect();
    let names: Vec<_> = (0..4).map(|number| host(&format!("node-{number}"))).collect();
    let url = server.url();
    let (a, b, c, d) = tokio::join!(
        enrol(&url, &token, &names[0], &stores[0]),
        enrol(&url, &token, &names[1], &stores[1]),
        enrol(&url, &token, &names[2], &stores[2]),
        enrol(&url, &token, &names[3], &stores[3]),
    );
    let (enrolled, refused): (Vec<_>, Vec<_>) = [a, b, c, d].into_iter().partition(Result::is_ok);
    assert_eq!(enrolled.len(), 1);
    for refusal in refused {
        assert!(error_of(refusal).to_string().contains("has been used"));
    }
}

/// The answer was lost: the node asks once more with the same token and the same key.
#[tokio::test]
async fn a_node_whose_enrolment_was_cut_short_may_try_again() {
    let (authority, tokens) = (authority(), Tokens::default());
    let server = Server::start(&authority, &tokens).await;
    let directory = tempfile::tempdir().expect("a directory");
    // Where the identity is to be written, something else is in the way.
    let obstacle = directory.path().join("identity.pem");
    fs::create_dir(&obstacle).expect("a directory");
    let store = IdentityStore::new(directory.path());
    let token = tokens.issue(&authority);
    let first = error_of(enrol(&server.url(), &token, &host("node-1"), &store).await);
    assert!(matches!(first, EnrolError::Identity(IdentityError::File { .. })), "{first}");
    fs::remove_dir(&obstacle).expect("it is empty");
    assert!(enrol(&server.url(), &token, &host("node-1"), &store).await.is_ok());
}

#[tokio::test]
async fn a_token_that_has_expired_or_is_unknown_or_forged_is_refused() {
    let (authority, tokens) = (authority(), Tokens::default());
    let server = Server::start(&authority, &tokens).await;
    let directory = tempfile::tempdir().expect("a directory");
    let store = IdentityStore::new(directory.path());

    let late = tokens.issue(&authority);
    tokens.expire(&late);
    let unknown = Token::mint(authority.fingerprint());
    // The id of a good one with another's secret.
    let good = tokens.issue(&authority).to_text();
    let other = tokens.issue(&authority).to_text();
    let (good, other): (Vec<_>, Vec<_>) =
        (good.expose().split('.').collect(), other.expose().split('.').collect());
    let forged = Secret::new([good[0], good[1], other[2], good[3]].join("."));
    let Ok(forged) = Token::parse(&forged) else { panic!("its form is good") };

    for (token, why) in [(late, "has expired"), (unknown, "is not known"), (forged, "is not known")] {
        let error = error_of(enrol(&server.url(), &token, &host("node-1"), &store).await);
        assert!(matches!(error, EnrolError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(matches!(store.load().err(), Some(IdentityError::Missing(_))));
}

#[tokio::test]
async fn a_node_does_not_tell_its_token_to_a_server_of_another_authority() {
    let (impostor, tokens) = (authority(), Tokens::default());
    let server = Server::start(&impostor, &tokens).await;
    let right = Authority::generate(now()).expect("an authority");
    let token = tokens.issue(&right);
    let directory = tempfile::tempdir().expect("a directory");
    let store = IdentityStore::new(directory.path());
    let error = error_of(enrol(&server.url(), &token, &host("node-1"), &store).await);
    assert!(matches!(error, EnrolError::OtherDeployment { .. }), "{error}");
    // The token is as good as before: nobody has seen it.
    let server = Server::start(&std::sync::Arc::new(right), &tokens).await;
    assert!(enrol(&server.url(), &token, &host("node-1"), &store).await.is_ok());
}

#[tokio::test]
async fn a_certificate_is_renewed_while_the_session_lasts_and_the_agent_comes_back_with_it() {
    let (authority, tokens) = (authority(), Tokens::default());
    let lifetimes = Lifetimes { agent: Duration::from_secs(12), ..Lifetimes::default() };
    let options = ServerOptions { lifetimes, ..ServerOptions::default() };
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut server = Server::start_at(any, &authority, &tokens, options).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    let store = IdentityStore::new(agent.directory.path());
    let Ok(first) = store.load() else { panic!("no identity") };
    let mut end = agent.dial().await;
    let control = server.session().await;

    // The session ends with the certificate that it began with …
    assert!(soon(end.incoming.recv()).await.is_none());
    assert!(now() >= first.ends_at());
    drop(control);
    // … and by then there is another.
    let Ok(second) = store.load() else { panic!("no identity") };
    assert!(second.ends_at() > first.ends_at());
    drop(agent.dial().await);
    assert_eq!(server.session().await.host.as_deref(), Some("node-1"));
}

#[tokio::test]
async fn a_node_that_was_removed_gets_no_new_certificate_and_is_told_to_enrol_anew() {
    let (authority, tokens) = (authority(), Tokens::default());
    let lifetimes = Lifetimes { agent: Duration::from_secs(8), ..Lifetimes::default() };
    let options = ServerOptions { lifetimes, ..ServerOptions::default() };
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut server = Server::start_at(any, &authority, &tokens, options).await;
    let mut agent = Agent::enrolled(&server, &authority, &tokens, "node-1").await;
    tokens.remove(host("node-1"));
    let mut end = agent.dial().await;
    let _control = server.session().await;
    assert!(soon(end.incoming.recv()).await.is_none());

    let store = IdentityStore::new(agent.directory.path());
    let Ok(identity) = store.load() else { panic!("no identity") };
    assert!(identity.ends_at() <= now());
    // A new token mends it, in the same directory.
    let token = tokens.issue(&authority);
    assert!(enrol(&server.url(), &token, &host("node-1"), &store).await.is_ok());
    drop(agent.dial().await);
    server.session().await;
}

#[test]
fn an_authority_reads_back_and_only_with_its_own_key() {
    let authority = Authority::generate(now()).expect("an authority");
    let Ok(again) = Authority::from_pem(&authority.to_pem()) else { panic!("it does not read back") };
    assert_eq!(again.fingerprint(), authority.fingerprint());

    let other = Authority::generate(now()).expect("an authority");
    let pem = other.to_pem();
    let key = pem.expose().replace(&other.certificate_pem(), "");
    let mixed = Secret::new(format!("{}{key}", authority.certificate_pem()));
    assert!(Authority::from_pem(&mixed).is_err());
    assert!(Authority::from_pem(&Secret::new(key)).is_err());
    assert!(Authority::from_pem(&Secret::new(authority.certificate_pem())).is_err());
}
