//! The agent between a control plane, an engine and gateways that are told what to say. The clock is the tests' own.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "in tests, also outside of functions that are tests"
)]

mod bench;
mod routers;
mod sessions;
mod severed;
mod statuses;
