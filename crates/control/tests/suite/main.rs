//! The rules of the use cases, once on each database. PostgreSQL needs the Debian package `postgresql`.

#![allow(clippy::expect_used, reason = "a test that cannot go on says why")]
#![allow(clippy::duplicate_mod, reason = "the same rules hold on both databases")]

mod on_postgresql;
mod on_sqlite;
