//! What breaks around the server: the process, the disk, the database. Nothing that was acknowledged
//! is lost, what cannot be done now is answered with 503, and all is well again by itself.

#![allow(clippy::disallowed_methods, reason = "faults happen in real time")]

pub mod disk;
pub mod ledger;
pub mod postgresql;
pub mod process;
pub mod tasks;
