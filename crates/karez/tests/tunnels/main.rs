//! Tunnels between whole clouds on this machine: the real binary, its agent, charon, and hosts that ping.
//!
//! They need root and the Debian packages strongswan-charon, libcharon-extra-plugins, tcpdump, nftables and
//! iputils-ping, and fail without. Nothing leaves the machine.

mod absent;
mod api;
mod removal;
mod stage;
mod two_clouds;
