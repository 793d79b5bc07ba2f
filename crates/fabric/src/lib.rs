//! The protocol between the control plane and its agents.
//!
//! A session is a pair of channels of [`ToAgent`] and [`FromAgent`]; both ends work on these alone. In
//! one process they are joined directly ([`pair`], [`InProcess`]); between processes gRPC over mutual
//! TLS carries them ([`serve`], [`Dialer`]). Nothing here knows SQL or engines.
//!
//! Who may speak is decided by certificates of the deployment's own [`Authority`]. A node gets its
//! first one for a one-time [`Token`] ([`enrol`], [`Enrolments`]), and renews it by itself.

mod authority;
mod backoff;
mod carry;
mod certificate;
mod client;
mod edge;
mod enrolment;
mod host;
mod identity;
mod limits;
mod message;
mod server;
mod session;
mod tls;
mod token;
mod wire;

pub use authority::{Authority, AuthorityError, Lifetimes};
pub use certificate::{CertificateError, Fingerprint};
pub use client::{Dial, Dialer, EnrolError, InProcess, NoServerUrl, ServerUrl, enrol};
pub use enrolment::{Claim, Enrolments, Refusal};
pub use host::{HostName, NoHostName};
pub use identity::{Identity, IdentityError, IdentityStore};
pub use message::{Desired, FromAgent, Held, Hello, Shape, ToAgent, Welcome};
pub use server::{ServeError, ServerOptions, serve};
pub use session::{AgentEnd, ControlEnd, pair};
pub use token::{NoToken, Token};
