//! What agents may call.

use super::throttle::Throttle;
use crate::authority::{Authority, AuthorityError, key_of_request};
use crate::carry::{End, carry};
use crate::certificate::sha256;
use crate::wire::v1;
use crate::wire::v1::enrolment_server::Enrolment;
use crate::wire::v1::fabric_server::Fabric;
use crate::{AgentEnd, Claim, ControlEnd, Enrolments, HostName, Refusal, ToAgent, edge, limits, pair};
use std::mem::take;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc::{Sender, channel};
use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use uuid::Uuid;
use zeroize::Zeroizing;

/// What all connections have in common.
pub(super) struct Shared<E> {
    pub authority: Arc<Authority>,
    pub enrolments: E,
    pub sessions: mpsc::Sender<ControlEnd>,
    pub agent_lifetime: Duration,
    pub throttle: Mutex<Throttle>,
    /// Seats for those without a certificate, who must not take all the room.
    pub strangers: Semaphore,
    pub stopped: watch::Receiver<bool>,
}

/// An agent that has proved who it is.
#[derive(Clone)]
pub(super) struct Peer {
    pub host: HostName,
    pub ends_at: SystemTime,
}

/// Both services.
pub(super) struct Service<E>(pub Arc<Shared<E>>);

impl<E> Clone for Service<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[tonic::async_trait]
impl<E: Enrolments> Enrolment for Service<E> {
    async fn enrol(&self, request: Request<v1::EnrolRequest>) -> Result<Response<v1::EnrolResponse>, Status> {
        let shared = &self.0;
        if !shared.throttle.lock().await.admits(edge::instant().into_std()) {
            return Err(Status::resource_exhausted("too many nodes enrol at once; try again"));
        }
        let mut request = request.into_inner();
        let secret = Zeroizing::new(take(&mut request.secret));
        let invalid = |error: &dyn ToString| Status::invalid_argument(error.to_string());
        let host: HostName = request.host.parse().map_err(|error| invalid(&error))?;
        let key = sha256(&key_of_request(&request.request).map_err(|error| invalid(&error))?);
        let token = Uuid::from_slice(&request.token).map_err(|_| invalid(&"token: not an id"))?;
        let claim = Claim { token, digest: sha256(&secret), host: host.clone(), key };
        if let Err(refusal) = shared.enrolments.redeem(claim).await {
            tracing::warn!(%host, %token, %refusal, "a node was not enrolled");
            return Err(status_of(&refusal));
        }
        let certificate = self.certify(&request.request, &host)?;
        tracing::info!(%host, %token, "a node was enrolled");
        Ok(Response::new(v1::EnrolResponse { certificate, authorities: self.authorities() }))
    }
}

#[tonic::async_trait]
impl<E: Enrolments> Fabric for Service<E> {
    type SessionStream = ReceiverStream<Result<v1::ToAgent, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<v1::FromAgent>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let peer = peer_of(&request)?;
        let (agent, control) = pair(Some(peer.host.as_str().to_owned()));
        match timeout(limits::ANSWER, self.0.sessions.send(control)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(Status::unavailable("the control plane is stopping")),
            Err(_) => return Err(Status::unavailable("the control plane is busy")),
        }
        let (to_peer, messages) = channel(1);
        tokio::spawn(session(peer, agent, request.into_inner(), to_peer, self.0.stopped.clone()));
        Ok(Response::new(ReceiverStream::new(messages)))
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::RenewResponse>, Status> {
        let host = peer_of(&request)?.host;
        if let Err(refusal) = self.0.enrolments.may_renew(&host).await {
            tracing::warn!(%host, %refusal, "a certificate was not renewed");
            return Err(status_of(&refusal));
        }
        let certificate = self.certify(&request.get_ref().request, &host)?;
        tracing::debug!(%host, "a certificate was renewed");
        Ok(Response::new(v1::RenewResponse { certificate, authorities: self.authorities() }))
    }
}

impl<E> Service<E> {
    fn certify(&self, request: &[u8], host: &HostName) -> Result<Vec<u8>, Status> {
        let made = self.0.authority.certify_agent(request, host, edge::now(), self.0.agent_lifetime);
        made.map(|certificate| certificate.to_vec()).map_err(|error| match error {
            AuthorityError::Request(_) => Status::invalid_argument(error.to_string()),
            AuthorityError::Stored(_) | AuthorityError::Name(_) | AuthorityError::Library(_) => {
                tracing::error!(%host, %error, "an agent's certificate could not be made");
                Status::internal("the certificate could not be made; see the server's log")
            }
        })
    }

    fn authorities(&self) -> Vec<Vec<u8>> {
        vec![self.0.authority.certificate().to_vec()]
    }
}

/// A session from its beginning to its end, of which both sides learn the reason.
async fn session(
    peer: Peer,
    agent: AgentEnd,
    mut from_peer: Streaming<v1::FromAgent>,
    to_peer: Sender<Result<v1::ToAgent, Status>>,
    mut stopped: watch::Receiver<bool>,
) {
    let host = peer.host;
    let last_word = to_peer.clone();
    let ends_at = sleep(peer.ends_at.duration_since(edge::now()).unwrap_or_default());
    let pack = |message: ToAgent| vec![Ok(message.into())];
    let ends = (agent.outgoing, agent.incoming);
    let why = tokio::select! {
        (end, _) = carry(ends, &mut from_peer, to_peer, pack) => match end {
            End::Ours => None,
            End::Theirs => {
                tracing::debug!(%host, "the agent has ended its session");
                None
            }
            End::Broken(status) => {
                tracing::info!(%host, reason = status.message(), "an agent's session broke off");
                None
            }
            End::Garbage(error) => {
                tracing::warn!(%host, %error, "an agent does not keep to the protocol");
                Some(Status::invalid_argument(error.to_string()))
            }
        },
        () = ends_at => Some(Status::unauthenticated("the certificate of this session has expired")),
        _ = stopped.wait_for(|stopped| *stopped) => Some(Status::unavailable("the server is stopping")),
    };
    if let Some(status) = why {
        drop(last_word.try_send(Err(status)));
    }
}

fn peer_of<T>(request: &Request<T>) -> Result<Peer, Status> {
    let peer = request.extensions().get::<Peer>().cloned();
    peer.ok_or_else(|| Status::unauthenticated("this needs a certificate: enrol the node first"))
}

fn status_of(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        Refusal::Unknown | Refusal::Expired | Refusal::Used | Refusal::OtherHost | Refusal::Removed => {
            Status::permission_denied(message)
        }
        Refusal::Unavailable => Status::unavailable(message),
    }
}
