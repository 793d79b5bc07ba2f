//! The agent and its gateways.

mod agent;
mod gateways;
