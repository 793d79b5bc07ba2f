//! The control plane's side of the network: listens for agents, lets in those with a certificate, and
//! hands over their sessions.

mod connection;
mod service;
mod throttle;

#[cfg(test)]
mod tests;

use crate::authority::{Authority, AuthorityError, Lifetimes};
use crate::{ControlEnd, Enrolments, edge, tls};
use connection::Connection;
use rustls::ServerConfig;
use service::Shared;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use thiserror::Error;
use throttle::Throttle;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore, mpsc, watch};

/// Connections without a certificate at a time.
const STRANGERS: usize = 256;

/// What a server may be told.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Host names and addresses that its certificate names beside the one that agents look for.
    pub names: Vec<String>,
    /// How long certificates are good.
    pub lifetimes: Lifetimes,
    /// Connections at a time; more of them wait to be accepted.
    pub connections: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { names: Vec::new(), lifetimes: Lifetimes::default(), connections: 8192 }
    }
}

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The authority cannot make a certificate for it.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// TLS does not take it.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Serves agents until `stop` is done; then all sessions end.
///
/// Each session of an agent that has proved who it is goes into `sessions`, with
/// [`ControlEnd::host`]. It ends at the latest when the certificate does that it began with: an agent
/// has a newer one by then, and comes back at once.
///
/// # Errors
/// Only at the start.
pub async fn serve<E: Enrolments>(
    listener: TcpListener,
    authority: Arc<Authority>,
    sessions: mpsc::Sender<ControlEnd>,
    enrolments: E,
    options: ServerOptions,
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let mut certificate = Certificate::new(&authority, &options, edge::now())?;
    let permits = Arc::new(Semaphore::new(options.connections));
    let (stopping, stopped) = watch::channel(false);
    let shared = Arc::new(Shared {
        authority: Arc::clone(&authority),
        enrolments,
        sessions,
        agent_lifetime: options.lifetimes.agent,
        throttle: Mutex::new(Throttle::new(edge::instant().into_std())),
        strangers: Semaphore::new(STRANGERS),
        stopped: stopped.clone(),
    });
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok();
            listener.accept().await.map(|(stream, peer)| (stream, peer, permit))
        };
        let accepted = tokio::select! {
            () = &mut stop => break,
            accepted = accepted => accepted,
        };
        let (stream, peer, permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, or the peer is gone: others can still be served.
                tracing::warn!(%error, "an agent's connection was not accepted");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        certificate = certificate.current(&authority, &options, edge::now());
        let tls = Arc::clone(&certificate.config);
        let connection = Connection { tls, peer, shared: Arc::clone(&shared), stopped: stopped.clone() };
        tokio::spawn(async move {
            connection.serve(stream).await;
            drop(permit);
        });
    }
    // Every connection has a receiver of its own and drops it when it is done.
    drop((shared, stopped));
    stopping.send_replace(true);
    stopping.closed().await;
    Ok(())
}

/// The server's own certificate, made by itself.
struct Certificate {
    config: Arc<ServerConfig>,
    renew_at: SystemTime,
}

impl Certificate {
    fn new(authority: &Authority, options: &ServerOptions, now: SystemTime) -> Result<Self, ServeError> {
        let lifetime = options.lifetimes.server;
        let own = authority.certify_server(&options.names, now, lifetime)?;
        let config = tls::server(own, authority.certificate())?;
        Ok(Self { config, renew_at: now + lifetime / 3 })
    }

    fn current(self, authority: &Authority, options: &ServerOptions, now: SystemTime) -> Self {
        if now < self.renew_at {
            return self;
        }
        Self::new(authority, options, now).unwrap_or_else(|error| {
            tracing::error!(%error, "the server goes on with the certificate that it has");
            self
        })
    }
}
