//! One connection to a server: TCP, TLS, HTTP/2. It is not mended: when it is gone, a new one is made.

use crate::{limits, tls};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::ClientConfig;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::task::{Context, Poll};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::body::Body;
use tonic::client::GrpcService;

/// Where a server is: `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    host: String,
    port: u16,
    origin: Uri,
}

/// A text that is no [`ServerUrl`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("'{0}' is no server: it is written https://host:port")]
pub struct NoServerUrl(String);

impl FromStr for ServerUrl {
    type Err = NoServerUrl;

    fn from_str(text: &str) -> Result<Self, NoServerUrl> {
        let wrong = || NoServerUrl(text.to_owned());
        let origin: Uri = text.parse().map_err(|_| wrong())?;
        let is_bare = matches!(origin.path_and_query().map(|path| path.as_str()), None | Some("/"));
        match (origin.scheme_str(), origin.host(), origin.port_u16()) {
            (Some("https"), Some(host), Some(port)) if is_bare => {
                let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
                Ok(Self { host, port, origin })
            }
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.origin.fmt(out)
    }
}

impl ServerUrl {
    pub(crate) fn origin(&self) -> Uri {
        self.origin.clone()
    }
}

/// An open connection. It closes when all clones and all calls are gone.
#[derive(Clone)]
pub(crate) struct Connection(SendRequest<Body>);

impl Connection {
    /// Connects.
    pub(crate) async fn open(server: &ServerUrl, config: Arc<ClientConfig>) -> io::Result<Self> {
        let connecting = TcpStream::connect((server.host.as_str(), server.port));
        let stream = within("TCP", connecting).await?;
        stream.set_nodelay(true)?;
        let name = tls::server_name().map_err(io::Error::other)?;
        let stream = within("TLS", TlsConnector::from(config).connect(name, stream)).await?;
        let handshake = Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(limits::PING_INTERVAL)
            .keep_alive_timeout(limits::PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(limits::STREAM_WINDOW)
            .initial_connection_window_size(limits::STREAM_WINDOW)
            .handshake(TokioIo::new(stream))
            .await;
        let (requests, connection) = handshake.map_err(io::Error::other)?;
        // Its end is seen by the calls on it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Self(requests))
    }
}

impl GrpcService<Body> for Connection {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Incoming>, hyper::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// An error with what it came from: the outermost alone often says nothing.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let inner = source.to_string();
        if !text.contains(&inner) {
            text = format!("{text}: {inner}");
        }
        next = source.source();
    }
    text
}

async fn within<T>(what: &str, attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(limits::CONNECT, attempt).await {
        Ok(done) => done,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer to {what} in time"))),
    }
}
