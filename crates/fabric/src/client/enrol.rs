//! How a node gets its first certificate.

use super::connection::{Connection, ServerUrl, with_sources};
use crate::certificate::CertificateError;
use crate::identity::{Identity, IdentityError, IdentityStore, request};
use crate::wire::v1;
use crate::wire::v1::enrolment_client::EnrolmentClient;
use crate::{HostName, Token, edge, limits, tls};
use rustls::pki_types::CertificateDer;
use std::io;
use thiserror::Error;
use tokio::time::timeout;
use tonic::{Code, Status};

/// Why a node could not be enrolled.
#[derive(Debug, Error)]
pub enum EnrolError {
    /// The server cannot be reached.
    #[error("{server}: {}", with_sources(.error))]
    Connection {
        /// The server.
        server: ServerUrl,
        /// What happened.
        error: io::Error,
    },
    /// The server is of another deployment than the token.
    #[error(
        "{server} is of another deployment than the token: take one from there, or name the server that it is from"
    )]
    OtherDeployment {
        /// The server.
        server: ServerUrl,
    },
    /// The server cannot answer now: trying again is right.
    #[error("{server}: {why}")]
    Busy {
        /// The server.
        server: ServerUrl,
        /// What it said.
        why: String,
    },
    /// The server has refused, and will do so again.
    #[error("{server} refuses: {why}")]
    Refused {
        /// The server.
        server: ServerUrl,
        /// What it said.
        why: String,
    },
    /// What the server has sent is of no use.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The directory's.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Enrols a node: makes a key, which never leaves the node, has a certificate made for it, and keeps
/// both in `store`.
///
/// Doing it again is harmless. A node that has a certificate from the same authority and for the same
/// host that is still good keeps it, and the token is not used. After an answer that was lost, the
/// same token does once more.
///
/// # Errors
/// Says whose fault it is. Only [`EnrolError::Connection`] and [`EnrolError::Busy`] may go away by
/// trying again.
pub async fn enrol(
    server: &ServerUrl,
    token: &Token,
    host: &HostName,
    store: &IdentityStore,
) -> Result<Identity, EnrolError> {
    if let Ok(identity) = store.load().and_then(|identity| identity.current(edge::now()))
        && identity.host == *host
        && identity.trusts(token.authority)
    {
        return Ok(identity);
    }
    let key = store.pending_key()?;
    let request = v1::EnrolRequest {
        token: token.id.into(),
        secret: token.secret.to_vec(),
        host: host.as_str().to_owned(),
        request: request(&key).map_err(IdentityError::Key)?,
    };
    let response = ask(server, token, request).await?;
    let authorities = response.authorities.into_iter().map(CertificateDer::from).collect();
    let identity = Identity::new(&key, response.certificate.into(), authorities)?;
    if identity.host != *host {
        return Err(CertificateError("is for another node").into());
    }
    if !identity.trusts(token.authority) {
        return Err(CertificateError("is not from the authority that the token names").into());
    }
    store.save(&identity)?;
    store.forget_pending();
    Ok(identity)
}

async fn ask(
    server: &ServerUrl,
    token: &Token,
    request: v1::EnrolRequest,
) -> Result<v1::EnrolResponse, EnrolError> {
    let broken = |error| EnrolError::Connection { server: server.clone(), error };
    let config = tls::first_contact(token.authority).map_err(|error| broken(io::Error::other(error)))?;
    let connection = Connection::open(server, config).await.map_err(|error| match is_stranger(&error) {
        true => EnrolError::OtherDeployment { server: server.clone() },
        false => broken(error),
    })?;
    let mut client = EnrolmentClient::with_origin(connection, server.origin());
    match timeout(limits::ANSWER, client.enrol(request)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(refused(server, &status)),
        Err(_) => Err(EnrolError::Busy { server: server.clone(), why: "no answer in time".to_owned() }),
    }
}

/// Whether the server has not shown the authority that the token names.
fn is_stranger(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(error, Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)))
}

fn refused(server: &ServerUrl, status: &Status) -> EnrolError {
    let server = server.clone();
    match status.code() {
        Code::PermissionDenied | Code::InvalidArgument | Code::Unimplemented | Code::Unauthenticated => {
            EnrolError::Refused { server, why: status.message().to_owned() }
        }
        _ => EnrolError::Busy { server, why: with_sources(status) },
    }
}
