//! The rules of the use cases on SQLite.

#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

mod rules;
