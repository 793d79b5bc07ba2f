//! The rules of the use cases on PostgreSQL, which needs the Debian package `postgresql`.

#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]

mod rules;
