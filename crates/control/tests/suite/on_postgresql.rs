//! On PostgreSQL, which needs the Debian package `postgresql`.

#[path = "rules/mod.rs"]
mod rules;
