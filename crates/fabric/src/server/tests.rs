//! Whom a server lets in, and whom an agent believes. These make certificates that nobody has who
//! means well.

use super::{ServerOptions, serve};
use crate::authority::{Authority, new_key};
use crate::client::{Connection, with_sources};
use crate::identity::{Identity, IdentityStore, request};
use crate::wire::v1;
use crate::wire::v1::enrolment_client::EnrolmentClient;
use crate::wire::v1::fabric_client::FabricClient;
use crate::{
    Claim, ControlEnd, Dial, Dialer, Enrolments, HostName, IdentityError, Refusal, ServerUrl, Token, edge,
    enrol, tls,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use zeroize::Zeroizing;

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn an_agent_with_a_certificate_is_let_in() {
    let server = Server::start().await;
    let identity = server.authority.identity("node-1", edge::now());
    let Ok(config) = tls::agent(&identity) else { panic!("no TLS") };
    // It gets as far as to be refused by the control plane itself.
    let refusal = server.knock(config).await.expect_err("nobody is renewed here");
    assert!(refusal.contains("not known here any more"), "{refusal}");
}

#[tokio::test]
async fn without_a_certificate_there_is_neither_session_nor_renewal() {
    let server = Server::start().await;
    let Ok(config) = tls::first_contact(server.authority.fingerprint()) else { panic!("no TLS") };
    let refusal = server.knock(Arc::clone(&config)).await.expect_err("no certificate was shown");
    assert!(refusal.contains("enrol the node first"), "{refusal}");

    let connection = Connection::open(&server.url, config).await.expect("it may connect");
    let mut client = FabricClient::with_origin(connection, server.url.origin());
    let session = client.session(tokio_stream::iter([v1::FromAgent::default()])).await;
    assert_eq!(session.err().map(|status| status.code()), Some(Code::Unauthenticated));
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    let server = Server::start().await;
    let foreign = authority().identity("node-1", edge::now());
    let stolen = Identity { authorities: vec![server.authority.certificate().clone()], ..foreign };
    let Ok(config) = tls::agent(&stolen) else { panic!("no TLS") };
    let refusal = server.knock(config).await.expect_err("it is from another authority");
    assert!(refusal.contains("UnknownCA") || refusal.contains("DecryptError"), "{refusal}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_the_server() {
    let server = Server::start().await;
    let old = server.authority.identity("node-1", edge::now() - 48 * HOUR);
    let Ok(config) = tls::agent(&old) else { panic!("no TLS") };
    let refusal = server.knock(config).await.expect_err("it has expired");
    assert!(refusal.contains("CertificateExpired"), "{refusal}");
}

#[tokio::test]
async fn a_certificate_for_a_server_is_none_for_an_agent() {
    let server = Server::start().await;
    let own = server.authority.certify_server(&[], edge::now(), HOUR).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(server.authority.certificate().clone()).expect("an authority");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_client_auth_cert(own.chain, PrivatePkcs8KeyDer::from(own.key.to_vec()).into())
        .expect("a certificate with its key");
    config.alpn_protocols = vec![b"h2".to_vec()];
    server.knock(Arc::new(config)).await.expect_err("it is for servers");
}

/// A node that was taken over cannot stand in for the control plane: neither before agents nor before
/// nodes that enrol.
#[tokio::test]
async fn a_certificate_for_an_agent_is_none_for_a_server() {
    let authority = authority();
    let taken_over = authority.identity("node-1", edge::now());
    let chain = vec![taken_over.certificate.clone(), authority.certificate().clone()];
    let own = crate::authority::ServerCertificate { chain, key: taken_over.key.clone() };
    let config = tls::server(own, authority.certificate()).expect("TLS");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = url_of(&listener);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&config));
            drop(acceptor.accept(stream).await);
        }
    });
    let victim = authority.identity("node-2", edge::now());
    for config in [tls::agent(&victim), tls::first_contact(authority.fingerprint())] {
        let Ok(config) = config else { panic!("no TLS") };
        let Err(error) = Connection::open(&url, config).await else { panic!("it was believed") };
        assert!(with_sources(&error).contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn an_agent_with_an_expired_certificate_waits_to_be_enrolled_anew() {
    let server = Server::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let store = IdentityStore::new(directory.path());
    let old = server.authority.identity("node-1", edge::now() - 48 * HOUR);
    let Ok(()) = store.save(&old) else { panic!("not saved") };
    let said = store.load().and_then(|identity| identity.current(edge::now())).err().expect("it has expired");
    assert!(matches!(said, IdentityError::Expired { .. }));
    assert!(said.to_string().contains("enrol the node anew"), "{said}");

    let mut dialer = Dialer::new(vec![server.url.clone()], store.clone());
    let dialling = tokio::spawn(async move { dialer.dial().await });
    let token = Token::mint(server.authority.fingerprint());
    let host = "node-1".parse().expect("a name");
    let Ok(_) = enrol(&server.url, &token, &host, &store).await else { panic!("not enrolled") };
    timeout(Duration::from_secs(20), dialling).await.expect("in time").expect("a session");
}

#[tokio::test]
async fn an_agent_that_does_not_keep_to_the_protocol_is_told_and_loses_its_session() {
    let mut server = Server::start().await;
    let identity = server.authority.identity("node-1", edge::now());
    let Ok(config) = tls::agent(&identity) else { panic!("no TLS") };
    let connection = Connection::open(&server.url, config).await.expect("it may connect");
    let mut client = FabricClient::with_origin(connection, server.url.origin());
    let hello = v1::Hello { session: vec![0; 3], ..v1::Hello::default() };
    let hello = v1::FromAgent { message: Some(v1::from_agent::Message::Hello(hello)) };
    let (sender, messages) = mpsc::channel(1);
    sender.send(hello).await.expect("it is open");
    let session = client.session(ReceiverStream::new(messages)).await.expect("a session");

    let mut control = server.sessions.recv().await.expect("a session");
    assert!(control.incoming.recv().await.is_none());
    let told = session.into_inner().message().await.err().expect("it is told");
    assert_eq!((told.code(), told.message()), (Code::InvalidArgument, "hello.session: 3 bytes are no id"));
}

#[tokio::test]
async fn a_request_to_enrol_that_is_too_large_or_is_none_is_refused() {
    let server = Server::start().await;
    let ask = async |request: Vec<u8>| {
        let Ok(config) = tls::first_contact(server.authority.fingerprint()) else { panic!("no TLS") };
        let connection = Connection::open(&server.url, config).await.expect("it may connect");
        let mut client = EnrolmentClient::with_origin(connection, server.url.origin());
        let token = vec![0; 16];
        let host = "node-1".to_owned();
        let request = v1::EnrolRequest { token, secret: vec![0; 32], host, request };
        client.enrol(request).await.map(drop).map_err(|status| status.code())
    };
    assert_eq!(ask(vec![0; 64 << 10]).await, Err(Code::OutOfRange));
    assert_eq!(ask(vec![0; 200]).await, Err(Code::InvalidArgument));
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    assert_eq!(ask(request(&other).expect("a request")).await, Err(Code::InvalidArgument));
    let good = new_key().and_then(|key| request(&key)).expect("a request");
    let mut forged = good.clone();
    // A bit of the signature, which proves that who asks has the key.
    *forged.last_mut().expect("bytes") ^= 1;
    assert_eq!(ask(forged).await, Err(Code::InvalidArgument));
    assert_eq!(ask(good).await, Ok(()));
}

/// Lets everybody enrol, and nobody renew.
struct Door;

impl Enrolments for Door {
    async fn redeem(&self, _: Claim) -> Result<(), Refusal> {
        Ok(())
    }

    async fn may_renew(&self, _: &HostName) -> Result<(), Refusal> {
        Err(Refusal::Removed)
    }
}

struct Server {
    authority: Arc<Authority>,
    url: ServerUrl,
    sessions: mpsc::Receiver<ControlEnd>,
}

impl Server {
    async fn start() -> Self {
        let authority = authority();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = url_of(&listener);
        let (taken, sessions) = mpsc::channel(4);
        let (own, options) = (Arc::clone(&authority), ServerOptions::default());
        tokio::spawn(async move {
            serve(listener, own, taken, Door, options, std::future::pending()).await.expect("it serves");
        });
        Self { authority, url, sessions }
    }

    /// Asks for a new certificate, which needs an old one.
    async fn knock(&self, config: Arc<ClientConfig>) -> Result<(), String> {
        let connection = Connection::open(&self.url, config).await.map_err(|error| with_sources(&error))?;
        let mut client = FabricClient::with_origin(connection, self.url.origin());
        let request = v1::RenewRequest { request: Vec::new() };
        client.renew(request).await.map(drop).map_err(|status| with_sources(&status))
    }
}

impl Authority {
    /// An agent's identity, good for a day from `made_at`.
    fn identity(&self, host: &str, made_at: SystemTime) -> Identity {
        let key = new_key().expect("a key");
        let request = request(&key).expect("a request");
        let host = host.parse().expect("a name");
        let certificate = self.certify_agent(&request, &host, made_at, 24 * HOUR).expect("a certificate");
        let authorities = vec![self.certificate().clone()];
        let Ok(identity) = Identity::new(&key, certificate, authorities) else { panic!("no identity") };
        Identity { key: Zeroizing::new(key.serialize_der()), ..identity }
    }
}

fn authority() -> Arc<Authority> {
    Arc::new(Authority::generate(edge::now()).expect("an authority"))
}

fn url_of(listener: &TcpListener) -> ServerUrl {
    let address = listener.local_addr().expect("an address");
    format!("https://{address}").parse().expect("a URL")
}
