//! The agent's side of the network.

mod connection;
mod dialer;
mod enrol;
mod session;

#[cfg(test)]
pub(crate) use connection::{Connection, with_sources};
pub use connection::{NoServerUrl, ServerUrl};
pub use dialer::{Dial, Dialer, InProcess};
pub use enrol::{EnrolError, enrol};
