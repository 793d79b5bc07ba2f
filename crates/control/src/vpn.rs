//! The rules of the VPN resources.

pub(crate) mod connection;
pub(crate) mod group;
pub(crate) mod guard;
pub(crate) mod policy;
pub(crate) mod selectors;
pub(crate) mod service;
