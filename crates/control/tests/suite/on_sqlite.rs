//! On SQLite.

#[path = "rules/mod.rs"]
mod rules;
