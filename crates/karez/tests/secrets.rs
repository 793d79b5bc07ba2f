//! Pre-shared keys and passwords are where they belong and nowhere else.

#![allow(clippy::disallowed_methods, reason = "keys are rotated while real clients write in real time")]

mod support;

mod secrets {
    pub mod leaks;
    pub mod rotation;
}
