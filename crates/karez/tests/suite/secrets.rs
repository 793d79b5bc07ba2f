//! Pre-shared keys and passwords are where they belong and nowhere else.

#![allow(clippy::disallowed_methods, reason = "keys are rotated while real clients write in real time")]

pub mod leaks;
pub mod rotation;
