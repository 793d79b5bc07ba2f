//! The agent between a control plane, an engine and gateways that are told what to say. The clock is the tests' own.

mod bench;
mod routers;
mod sessions;
mod statuses;
