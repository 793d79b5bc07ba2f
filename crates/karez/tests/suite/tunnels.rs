//! Tunnels between whole clouds on this machine: the real binary, its agent, charon, and hosts that ping.
//!
//! They need root and the Debian packages strongswan-charon, libcharon-extra-plugins, strongswan-swanctl, tcpdump,
//! nftables and iputils-ping, and fail without. Nothing leaves the machine.

mod absent;
mod admin;
mod api;
mod collision;
mod edits;
mod families;
mod foreign;
mod half_dead;
mod negotiation;
mod refusals;
mod removal;
mod severed;
mod shapes;
pub mod stage;
mod supernet;
mod told;
mod two_clouds;
