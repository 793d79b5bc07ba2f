//! The `karez` command as its users meet it.

#![allow(clippy::disallowed_methods, reason = "a plain client is waited for in real time")]

pub mod configuration;
pub mod links;
pub mod reset;
pub mod tls;
pub mod up;
pub mod why;
