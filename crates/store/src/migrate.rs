//! The schema, in steps that are each applied once.

use crate::tx::Connection;
use crate::{Datum, Error};

/// All steps in order. A step that has been released is never edited.
const STEPS: &[(&str, &str)] = &[
    ("0001_resources", include_str!("migrations/0001_resources.sql")),
    ("0002_identity", include_str!("migrations/0002_identity.sql")),
    ("0003_nodes", include_str!("migrations/0003_nodes.sql")),
];

/// Brings the schema up to date, inside of a transaction.
pub(crate) fn run(database: &mut dyn Connection, now: i64) -> Result<(), Error> {
    database.execute(
        "CREATE TABLE IF NOT EXISTS schema_steps (name TEXT PRIMARY KEY, applied_at BIGINT NOT NULL)",
        &[],
    )?;
    let applied = database.query("SELECT name FROM schema_steps ORDER BY name", &[])?;
    let applied: Vec<String> =
        applied.iter().map(|row| row.text(0).map(str::to_owned)).collect::<Result<_, _>>()?;
    if let Some(newer) = applied.iter().find(|name| !STEPS.iter().any(|(step, _)| step == name)) {
        return Err(Error::Unavailable(format!(
            "the schema has the step {newer}, which this version does not know: it was made by a newer one"
        )));
    }
    for (name, sql) in STEPS.iter().filter(|(name, _)| !applied.iter().any(|step| step == name)) {
        database.batch(&database.dialect().translate(sql))?;
        database.execute(
            "INSERT INTO schema_steps (name, applied_at) VALUES ($1, $2)",
            &[Datum::from(*name), Datum::from(now)],
        )?;
    }
    Ok(())
}
