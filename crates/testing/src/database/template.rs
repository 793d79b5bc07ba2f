//! Databases that others are copied from.

use super::{connect, with_database};
use crate::Cluster;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The name of the database that this program's tests copy, made by `migrate` when it is not there yet. None where it
/// would be left behind.
pub(super) fn find_or_make(
    cluster: &Cluster,
    migrate: impl FnOnce(&str) -> anyhow::Result<()>,
) -> anyhow::Result<Option<String>> {
    if !cluster.is_made_for_tests() {
        return Ok(None);
    }
    let name = name()?;
    let mut client = connect(&cluster.url)?;
    // One makes it, the others wait; the lock goes with the connection.
    client.batch_execute("SELECT pg_advisory_lock(7525894)")?;
    if client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])?.is_some() {
        return Ok(Some(name));
    }
    let half = format!("{name}_half");
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {half} WITH (FORCE)"))?;
    client.batch_execute(&format!("CREATE DATABASE {half}"))?;
    migrate(&with_database(&cluster.url, &half)?)?;
    // Only what nobody is connected to can be copied.
    client.batch_execute(&format!("ALTER DATABASE {half} ALLOW_CONNECTIONS false"))?;
    client.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", &[&half])?;
    client.batch_execute(&format!("ALTER DATABASE {half} RENAME TO {name}"))?;
    Ok(Some(name))
}

/// Another one for each build of each program: what it migrates to may differ.
fn name() -> anyhow::Result<String> {
    let program = std::env::current_exe()?;
    let mut hasher = DefaultHasher::new();
    (&program, program.metadata()?.modified()?).hash(&mut hasher);
    Ok(format!("karez_template_{:016x}", hasher.finish()))
}
