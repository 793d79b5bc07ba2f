//! Runs a file of cases against a server, and reports all that fail.

use super::case::{self, Case, Fixture, Row};
use super::scene::Scene;
use crate::support::{Launch, Server, StoreKind};
use anyhow::ensure;

/// Runs the cases of a file against a server of its own. Each case has projects of its own, so that
/// none depends on another. `KAREZ_TEST_CASE` in the environment picks the cases whose id begins
/// with it.
pub fn run(file: &str, store: StoreKind) -> anyhow::Result<()> {
    let picked = std::env::var("KAREZ_TEST_CASE").unwrap_or_default();
    let cases = case::cases(file)?;
    let fixtures = case::fixtures()?;
    let server = Launch::new(store).start()?;
    let mut failures = Vec::new();
    for case in cases.iter().filter(|case| case.id.starts_with(&picked)) {
        for row in &case.rows {
            if let Err(error) = play(case, row, &fixtures, &server) {
                failures.push(format!("{} {}{}\n{error:#}", case.id, case.title, shown(row)));
            }
        }
    }
    ensure!(
        failures.is_empty(),
        "{} of {file} on {store:?} failed:\n\n{}\n",
        failures.len(),
        failures.join("\n\n")
    );
    Ok(())
}

fn play(case: &Case, row: &Row, fixtures: &[Fixture], server: &Server) -> anyhow::Result<()> {
    let mut scene = Scene::new(server, fixtures, row);
    case.given.iter().try_for_each(|name| scene.require(name))?;
    case.steps.iter().try_for_each(|step| scene.perform(step))
}

fn shown(row: &Row) -> String {
    let values: Vec<String> = row.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    if values.is_empty() { String::new() } else { format!(" [{}]", values.join(", ")) }
}
