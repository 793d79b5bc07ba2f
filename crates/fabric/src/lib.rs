//! The protocol between the control plane and its agents.
//!
//! A session is a pair of channels of [`ToAgent`] and [`FromAgent`]; both ends work on these alone. In
//! one process they are joined directly ([`pair`]); between processes gRPC over mutual TLS carries
//! them. Nothing here knows SQL or engines.

mod message;
mod session;

pub use message::{Desired, FromAgent, Held, Hello, Shape, ToAgent, Welcome};
pub use session::{AgentEnd, ControlEnd, pair};
