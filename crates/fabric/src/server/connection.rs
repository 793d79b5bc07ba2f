//! One connection: TLS, who it is, HTTP/2.

use super::service::{Peer, Service, Shared};
use crate::certificate::Facts;
use crate::wire::v1::enrolment_server::EnrolmentServer;
use crate::wire::v1::fabric_server::FabricServer;
use crate::{Enrolments, edge, limits};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service as _;

/// How long a connection without a certificate lasts: an enrolment is a matter of milliseconds.
const STRANGER: Duration = Duration::from_secs(30);
/// How long a connection may still last once the server was told to stop.
const DRAIN: Duration = Duration::from_secs(2);

pub(super) struct Connection<E> {
    pub tls: Arc<ServerConfig>,
    pub peer: SocketAddr,
    pub shared: Arc<Shared<E>>,
    pub stopped: watch::Receiver<bool>,
}

impl<E: Enrolments> Connection<E> {
    /// Serves until either side has had enough.
    pub(super) async fn serve(self, stream: TcpStream) {
        let address = self.peer;
        drop(stream.set_nodelay(true));
        let handshake = TlsAcceptor::from(Arc::clone(&self.tls)).accept(stream);
        let stream = match timeout(limits::CONNECT, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::info!(%address, %error, "a connection to the fabric was refused");
                return;
            }
            Err(_) => {
                tracing::info!(%address, "a connection to the fabric did not get through TLS in time");
                return;
            }
        };
        let peer = match peer(&stream) {
            Ok(peer) => peer,
            Err(reason) => {
                tracing::warn!(%address, reason, "a connection to the fabric was refused");
                return;
            }
        };
        if peer.is_some() {
            return self.speak(stream, peer).await;
        }
        let shared = Arc::clone(&self.shared);
        let Ok(_seat) = shared.strangers.try_acquire() else {
            tracing::info!(%address, "too many connections without a certificate at once");
            return;
        };
        self.speak(stream, peer).await;
    }

    async fn speak(self, stream: TlsStream<TcpStream>, peer: Option<Peer>) {
        let lifetime = match &peer {
            Some(peer) => peer.ends_at.duration_since(edge::now()).unwrap_or_default(),
            None => STRANGER,
        };
        let service = Service(self.shared);
        let respond = service_fn(move |request| respond(service.clone(), peer.clone(), request));
        let mut http = http2::Builder::new(TokioExecutor::new());
        http.timer(TokioTimer::new())
            .keep_alive_interval(limits::PING_INTERVAL)
            .keep_alive_timeout(limits::PING_TIMEOUT)
            .initial_stream_window_size(limits::STREAM_WINDOW)
            .initial_connection_window_size(limits::STREAM_WINDOW)
            .max_concurrent_streams(8)
            .max_header_list_size(16 << 10);
        let mut connection = pin!(http.serve_connection(TokioIo::new(stream), respond));
        let mut stopped = self.stopped;
        let stop = async move { drop(stopped.wait_for(|stopped| *stopped).await) };
        tokio::select! {
            // How it ended is told by the session, if there was one.
            _ = connection.as_mut() => return,
            () = stop => {}
            () = sleep(lifetime) => {}
        }
        connection.as_mut().graceful_shutdown();
        drop(timeout(DRAIN, connection).await);
    }
}

/// Who is there, by the certificate that TLS has found good. Nobody without one.
fn peer(stream: &TlsStream<TcpStream>) -> Result<Option<Peer>, &'static str> {
    let (_, session) = stream.get_ref();
    let Some([certificate, ..]) = session.peer_certificates() else { return Ok(None) };
    let facts = Facts::read(certificate).map_err(|error| error.0)?;
    let host = facts.host.ok_or("its certificate names no node")?;
    Ok(Some(Peer { host, ends_at: facts.ends_at }))
}

async fn respond<E: Enrolments>(
    service: Service<E>,
    peer: Option<Peer>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let called = request.uri().path().split('/').nth(1);
    match (called, peer) {
        (Some("karez.fabric.v1.Enrolment"), _) => {
            let server = EnrolmentServer::new(service).max_decoding_message_size(limits::REQUEST);
            { server }.call(request).await
        }
        (Some("karez.fabric.v1.Fabric"), Some(peer)) => {
            request.extensions_mut().insert(peer);
            let server = FabricServer::new(service).max_decoding_message_size(limits::FROM_AGENT);
            { server.max_encoding_message_size(limits::TO_AGENT) }.call(request).await
        }
        (Some("karez.fabric.v1.Fabric"), None) => {
            Ok(Status::unauthenticated("this needs a certificate: enrol the node first").into_http())
        }
        _ => Ok(Status::unimplemented("there is no such service").into_http()),
    }
}
