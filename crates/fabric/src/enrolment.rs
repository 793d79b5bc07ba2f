//! What the control plane decides about enrolment.

use crate::HostName;
use std::future::Future;
use thiserror::Error;
use uuid::Uuid;

/// Somebody shows a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Claim {
    /// The token's id.
    pub token: Uuid,
    /// SHA-256 of the secret that was shown; see [`crate::Token::digest`].
    pub digest: [u8; 32],
    /// The node that wants in.
    pub host: HostName,
    /// SHA-256 of the key that the certificate is to be for.
    pub key: [u8; 32],
}

/// Why a node is not let in. What is said is shown to the node.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such token, or its secret is another. Which of them is not told.
    #[error("the token is not known here")]
    Unknown,
    /// It is too late.
    #[error("the token has expired; ask an administrator for a new one")]
    Expired,
    /// It has let in a node already.
    #[error("the token has been used; ask an administrator for a new one")]
    Used,
    /// The token is for another node.
    #[error("the token is for another node")]
    OtherHost,
    /// The node was removed, or never was.
    #[error("this node is not known here any more; enrol it anew, with a new token")]
    Removed,
    /// Nobody can tell now.
    #[error("the control plane cannot answer now; try again")]
    Unavailable,
}

/// Keeps tokens and nodes. Asked by the server at each enrolment and renewal.
pub trait Enrolments: Send + Sync + 'static {
    /// Takes a token, once: of two claims at the same time one is refused. The same claim again, with
    /// the same host and key, is no second use: the answer to the first may have been lost.
    fn redeem(&self, claim: Claim) -> impl Future<Output = Result<(), Refusal>> + Send;

    /// Whether a node that has a certificate may have a new one.
    fn may_renew(&self, host: &HostName) -> impl Future<Output = Result<(), Refusal>> + Send;
}
