//! The vocabulary on the wire, and the way between it and our own types.
//!
//! Into the wire everything fits. Out of it only what the protocol allows: the first thing that is
//! amiss is an error that names its field, and the session with such a peer is over.

mod gateway;
mod parse;
mod report;
mod session;
mod status;
mod tunnel;

#[cfg(test)]
mod tests;

pub use parse::WireError;

use zeroize::Zeroize;

/// Generated from `proto/karez/fabric/v1/fabric.proto` by `scripts/generate`. No message has a
/// `Debug`: some have keys in them.
#[allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic, reason = "it is generated")]
pub(crate) mod v1 {
    include!("generated/karez.fabric.v1.rs");
}

/// The copy of the key that is made for the wire lives no longer than the message. The buffers that
/// it is encoded into and encrypted from belong to HTTP/2 and TLS, and are not wiped.
impl Drop for v1::TunnelPlan {
    fn drop(&mut self) {
        self.psk.zeroize();
    }
}

impl Drop for v1::EnrolRequest {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}
