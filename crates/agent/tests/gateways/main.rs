//! Gateways against the kernel that runs the tests, in throw-away namespaces without a way out.
//!
//! They need root and the programs `nft` (package nftables) and `ping` (package iputils-ping), and fail without.

mod cloud;
mod managed;
mod scratch;
