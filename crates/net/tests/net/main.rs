//! The crate against the kernel that runs the tests, in throw-away namespaces without a way out.
//!
//! They need root and the programs `nft` (package nftables) and `ping` (package iputils-ping), and fail without.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on says why")]

mod addresses;
mod announcements;
mod events;
mod links;
mod namespaces;
mod nft_difference;
mod nft_live;
mod nft_mss;
mod nft_nat;
mod nft_protection;
mod processes;
mod routes;
mod rules;
mod scratch;
mod traffic;
