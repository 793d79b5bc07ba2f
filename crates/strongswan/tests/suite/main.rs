//! The engine with real daemons, in network namespaces without a way out.
//!
//! They need root, the Debian packages strongswan-charon, libcharon-extra-plugins, iproute2 and iputils-ping, and fail
//! without. Those of `kernel` need the kernel's own ESP: `rig/scenario` runs them.

mod collisions;
mod doubles;
mod edits;
mod foreign;
mod held;
mod kernel;
mod lab;
mod life;
mod reasons;
mod renewals;
mod shared_reasons;
mod sharing;
mod taken_away;
mod tunnels;
