//! A session with one server, and the renewal of the certificate beside it.

use super::connection::{Connection, ServerUrl, with_sources};
use crate::authority::new_key;
use crate::carry::{End, carry, part};
use crate::certificate::CertificateError;
use crate::identity::{Identity, IdentityError, IdentityStore, request};
use crate::wire::v1;
use crate::wire::v1::fabric_client::FabricClient;
use crate::{AgentEnd, ControlEnd, FromAgent, edge, limits, pair, tls};
use rustls::pki_types::CertificateDer;
use std::io;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

/// A report of so many routers or tunnels is one message; a longer one is sent in parts.
const PART: usize = 256;

/// The clock is looked at this often at least: it may jump, or the machine may sleep.
const LOOK: Duration = Duration::from_secs(60);

/// Why there is no session.
#[derive(Debug, Error)]
pub(super) enum SessionError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("{}", with_sources(.0))]
    Connection(#[from] io::Error),
    #[error("{}", with_sources(.0))]
    Refused(#[from] Box<Status>),
    #[error("no answer in time")]
    Late,
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Begins a session.
pub(super) async fn begin(server: &ServerUrl, store: &IdentityStore) -> Result<AgentEnd, SessionError> {
    // Read each time: it may have been renewed, or the node enrolled anew.
    let identity = store.load()?.current(edge::now())?;
    let config = tls::agent(&identity).map_err(io::Error::other)?;
    let connection = Connection::open(server, config).await?;
    let client = FabricClient::with_origin(connection, server.origin());
    let mut client = client.max_decoding_message_size(limits::TO_AGENT);
    let (to_peer, messages) = channel(1);
    let answer = timeout(limits::ANSWER, client.session(ReceiverStream::new(messages))).await;
    let from_peer = answer.map_err(|_| SessionError::Late)?.map_err(Box::new)?.into_inner();
    let (agent, control) = pair(None);
    let (server, store) = (server.clone(), store.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = talk(&server, control, from_peer, to_peer) => {}
            () = stay_fresh(client, &store) => {}
        }
    });
    Ok(agent)
}

async fn talk(
    server: &ServerUrl,
    control: ControlEnd,
    mut from_peer: Streaming<v1::ToAgent>,
    to_peer: Sender<v1::FromAgent>,
) {
    let ends = (control.outgoing, control.incoming);
    let (end, to_peer) = carry(ends, &mut from_peer, to_peer, in_parts).await;
    drop(to_peer);
    match end {
        End::Ours => part(&mut from_peer).await,
        End::Theirs => tracing::info!(%server, "the server has ended the session"),
        // So it is each time that a session has outlived the certificate that it began with.
        End::Broken(status) if status.code() == Code::Unauthenticated => {
            tracing::info!(%server, reason = status.message(), "the server has ended the session");
        }
        End::Broken(status) => {
            tracing::warn!(%server, reason = with_sources(&status), "the session with the server broke off");
        }
        End::Garbage(error) => tracing::error!(%server, %error, "the server does not keep to the protocol"),
    }
}

/// Long reports in parts, which mean the same as the whole.
fn in_parts(message: FromAgent) -> Vec<v1::FromAgent> {
    match message {
        FromAgent::Tunnels(reports) if reports.len() > PART => {
            reports.chunks(PART).map(|part| FromAgent::Tunnels(part.to_vec()).into()).collect()
        }
        FromAgent::Routers(reports) if reports.len() > PART => {
            reports.chunks(PART).map(|part| FromAgent::Routers(part.to_vec()).into()).collect()
        }
        FromAgent::Hello(_)
        | FromAgent::Applied { .. }
        | FromAgent::Routers(_)
        | FromAgent::Tunnels(_)
        | FromAgent::Found(_)
        | FromAgent::Heartbeat => vec![message.into()],
    }
}

/// Renews the certificate each time that its time has come, for as long as the session lasts.
async fn stay_fresh(mut client: FabricClient<Connection>, store: &IdentityStore) {
    loop {
        let due = store.load().map(|identity| identity.renew_at.duration_since(edge::now()));
        match due {
            Ok(Ok(wait)) if !wait.is_zero() => sleep(wait.min(LOOK)).await,
            Ok(Ok(_) | Err(_)) => match renew(&mut client, store).await {
                Ok(identity) => tracing::info!(host = %identity.host, "the certificate was renewed"),
                Err(error) => {
                    tracing::warn!(%error, "the certificate could not be renewed; it will be tried again");
                    sleep(LOOK).await;
                }
            },
            Err(error) => {
                tracing::error!(%error, "the identity of this node cannot be read");
                sleep(LOOK).await;
            }
        }
    }
}

/// A new certificate, for a new key.
async fn renew(
    client: &mut FabricClient<Connection>,
    store: &IdentityStore,
) -> Result<Identity, SessionError> {
    let key = new_key().map_err(IdentityError::Key)?;
    let request = v1::RenewRequest { request: request(&key).map_err(IdentityError::Key)? };
    let answer = timeout(limits::ANSWER, client.renew(request)).await;
    let response = answer.map_err(|_| SessionError::Late)?.map_err(Box::new)?.into_inner();
    let authorities = response.authorities.into_iter().map(CertificateDer::from).collect();
    let identity = Identity::new(&key, response.certificate.into(), authorities)?;
    if identity.host != store.load()?.host {
        return Err(CertificateError("is for another node").into());
    }
    store.save(&identity)?;
    Ok(identity)
}
