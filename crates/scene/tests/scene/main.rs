//! Scenes without a cloud: what they are made of, in throw-away namespaces without a way out.
//!
//! They need root and the Debian packages tcpdump, nftables and iputils-ping, and fail without.

mod internet;
mod leftovers;
mod traffic;
