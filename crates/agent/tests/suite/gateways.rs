//! Gateways against the kernel that runs the tests, in throw-away namespaces without a way out.
//!
//! They need root and the programs `nft` (package nftables), `ping` (package iputils-ping), `ip` (package iproute2) and
//! `sysctl` (package procps), and fail without.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "in tests, also outside of functions that are tests"
)]

mod attached;
mod bridges;
mod cloud;
mod host;
mod lanes;
mod managed;
mod nodes;
mod repair;
mod scratch;
mod selectors;
mod severed;
