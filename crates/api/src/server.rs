//! Connections: listening, TLS, bounds on slow and greedy clients, a clean end.

use crate::addresses::Addresses;
use crate::patience::Patient;
use crate::{Api, Tls};
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// Bounds on what clients may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; more of them wait to be accepted.
    pub connections: usize,
    /// Connections of one client address; more of them are closed at once. None where all come from a proxy.
    pub connections_per_address: Option<usize>,
    /// How long a request may be at work.
    pub request_timeout: Duration,
    /// How long the head of a request may take to arrive, and how long a client may take nothing
    /// of its answer. A connection that is idle for so long is closed.
    pub head_timeout: Duration,
    /// Bytes that the head of a request may have.
    pub head_size: usize,
    /// How long requests may still run after the server was told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            connections_per_address: Some(1024),
            request_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(30),
            head_size: 64 << 10,
            drain: Duration::from_secs(20),
        }
    }
}

/// A server that listens and does not answer yet.
pub struct Server {
    listener: TcpListener,
    api: Arc<Api>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
}

impl Server {
    /// Serves the API on a socket that listens already: connections that have come meanwhile are
    /// served too.
    #[must_use]
    pub fn new(listener: TcpListener, api: Api, tls: Option<Tls>, limits: Limits) -> Self {
        let tls = tls.map(|tls| tls.acceptor());
        Self { listener, api: Arc::new(api), tls, limits }
    }

    /// Serves until `stop` is done, then lets requests that are under way finish. Returns how many
    /// connections had to be cut.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> usize {
        let permits = Arc::new(Semaphore::new(self.limits.connections));
        let addresses = Addresses::new(self.limits.connections_per_address.unwrap_or(usize::MAX));
        let (drain, draining) = watch::channel(false);
        let mut stop = pin!(stop);
        loop {
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = self.accept(&permits) => accepted,
            };
            let (stream, peer, permit) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, or the client is gone: others can still be served.
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            };
            let Some(place) = addresses.enter(peer.ip()) else {
                tracing::debug!(%peer, "an address has too many connections");
                continue;
            };
            let connection = Connection {
                api: Arc::clone(&self.api),
                tls: self.tls.clone(),
                limits: self.limits,
                peer,
                draining: draining.clone(),
            };
            tokio::spawn(async move {
                connection.serve(stream).await;
                drop((place, permit));
            });
        }
        drop(self.listener);
        let _ = drain.send(true);
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        let drained = tokio::time::timeout(self.limits.drain, permits.acquire_many(all)).await;
        if drained.is_ok() { 0 } else { self.limits.connections - permits.available_permits() }
    }
}

impl Server {
    /// The next connection, as soon as there may be one more.
    async fn accept(
        &self,
        permits: &Arc<Semaphore>,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let permit = Arc::clone(permits).acquire_owned().await.map_err(io::Error::other)?;
        let (stream, peer) = self.listener.accept().await?;
        Ok((stream, peer, permit))
    }
}

struct Connection {
    api: Arc<Api>,
    tls: Option<TlsAcceptor>,
    limits: Limits,
    peer: SocketAddr,
    draining: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else { return self.speak(stream).await };
        match tokio::time::timeout(self.limits.head_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => self.speak(stream).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS with a client"),
            Err(_) => tracing::debug!("a client took too long for TLS"),
        }
    }

    async fn speak(mut self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let api = self.api;
        let peer = ConnectInfo(self.peer);
        let patience = self.limits.request_timeout;
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let api = Arc::clone(&api);
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            async move {
                Ok::<_, Infallible>(match has_its_host(&request) {
                    true => answer(api, request, patience).await,
                    false => Api::hostless(),
                })
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.head_timeout)
            .max_buf_size(self.limits.head_size)
            .serve_connection(TokioIo::new(Patient::new(stream, self.limits.head_timeout)), service);
        let mut connection = pin!(connection);
        tokio::select! {
            result = &mut connection => return quietly(result),
            _ = self.draining.wait_for(|is_draining| *is_draining) => {}
        }
        connection.as_mut().graceful_shutdown();
        quietly(connection.await);
    }
}

/// A change that has begun is seen through, and leaves its line in the log, even when the client
/// breaks off or has to be told that it takes too long.
async fn answer(api: Arc<Api>, request: http::Request<Body>, patience: Duration) -> http::Response<Body> {
    if request.method() == http::Method::GET {
        return timeout(patience, api.answer(request)).await.unwrap_or_else(|_| Api::late(patience));
    }
    match timeout(patience, tokio::spawn(async move { api.answer(request).await })).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            tracing::error!(%error, "a handler panicked");
            Api::failed()
        }
        Err(_) => Api::late(patience),
    }
}

/// A request of HTTP/1.1 names one host (RFC 9112, section 3.2): two would be read by one as this and by another as that.
fn has_its_host(request: &http::Request<Body>) -> bool {
    let hosts = request.headers().get_all(http::header::HOST).iter().count();
    hosts == 1 || hosts == 0 && request.version() == http::Version::HTTP_10
}

/// A client that breaks off is not worth more than a line for those who look closely.
fn quietly(result: Result<(), hyper::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a connection ended early");
    }
}
