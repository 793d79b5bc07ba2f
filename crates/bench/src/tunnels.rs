//! What becomes of requests on the network: how soon a tunnel is up, what an edit costs among many
//! connections, how much memory they take, how soon an agent that was killed has everything again.
//!
//! Clouds as in the tests: real services with SQLite, agents, IKE daemons and namespaces, all on
//! this machine. It needs root and what `karez demo` needs.

mod adoption;
mod bring_up;
mod edit;
mod memory;
mod report;
mod subject;
mod wanted;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use karez_scene::{interrupt, needs};
use serde_json::{Value, json};

use crate::{find_karez, introduce, write_json};

/// What is measured, and how often.
#[derive(clap::Args)]
pub struct Arguments {
    /// The binary to measure [default: `karez` beside this program].
    #[arg(long, value_name = "PATH")]
    karez: Option<PathBuf>,
    /// Which parts.
    #[arg(long, value_delimiter = ',', default_value = "up,edit,adoption")]
    part: Vec<Part>,
    /// How many tunnels are brought up, in each of the ways.
    #[arg(long, default_value_t = 20)]
    repetitions: usize,
    /// How many edits are timed with each number of connections.
    #[arg(long, default_value_t = 40)]
    edits: usize,
    /// How many connections the router has while edits are timed and memory is looked at.
    #[arg(long, value_delimiter = ',', default_value = "1,100,500")]
    connections: Vec<usize>,
    /// How long an idle agent is watched before edits are timed, to know what it uses anyway.
    #[arg(long, default_value_t = 4.0, value_name = "SECONDS")]
    idle: f64,
    /// How many routers are taken over by an agent that is started again; even, as they pair up.
    #[arg(long, default_value_t = 100)]
    routers: usize,
    /// Writes the figures as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Arguments {
    /// Every part with the smallest clouds that have it, each thing once.
    pub fn brief(karez: Option<PathBuf>) -> Self {
        Self {
            karez,
            part: Part::value_variants().to_vec(),
            repetitions: 1,
            edits: 1,
            connections: vec![1, 2],
            idle: 0.5,
            routers: 2,
            json: None,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// From POST to ACTIVE.
    Up,
    /// Edits, and memory.
    Edit,
    /// The agent is killed and started again.
    Adoption,
}

impl Part {
    /// What the figures are called in the report.
    const fn name(self) -> &'static str {
        match self {
            Self::Up => "bring_up",
            Self::Edit => "edit",
            Self::Adoption => "adoption",
        }
    }

    /// The table for people, and the figures for programs.
    fn measure(self, arguments: &Arguments, karez: &Path) -> Result<(String, Value)> {
        match self {
            Self::Up => {
                let found = bring_up::measure(karez, arguments.repetitions)?;
                let figures = found.iter().map(bring_up::Way::json).collect();
                Ok((report::bring_up(&found), figures))
            }
            Self::Edit => {
                let idle = Duration::try_from_secs_f64(arguments.idle)?;
                let found = edit::measure(karez, &arguments.connections, arguments.edits, idle)?;
                let figures = found.iter().map(edit::Crowd::json).collect();
                Ok((report::edit(&found), figures))
            }
            Self::Adoption => {
                let found = adoption::measure(karez, arguments.routers)?;
                Ok((report::adoption(&found), found.json()))
            }
        }
    }
}

/// Measures what it was told to and prints a table of each.
pub fn run(arguments: &Arguments) -> Result<()> {
    let is_rising = arguments.connections.is_sorted() && !arguments.connections.contains(&0);
    ensure!(is_rising, "the numbers of connections must rise, from 1");
    ensure!(arguments.repetitions > 0 && arguments.edits > 0, "nothing is measured by doing nothing");
    ensure!(arguments.idle >= 0.1, "processor time is counted too coarsely for less than 0.1 idle seconds");
    ensure!(
        arguments.routers.is_multiple_of(2) && (2..=200).contains(&arguments.routers),
        "routers pair up, and the external network has room for 200"
    );
    let karez = find_karez(arguments.karez.as_ref())?;
    needs::check()?;
    interrupt::heed()?;
    let (machine, subject) = introduce(&karez, &std::env::temp_dir());

    let mut document = json!({"machine": machine, "karez": subject});
    for &part in &arguments.part {
        let measured = part.measure(arguments, &karez);
        let (table, figures) =
            measured.with_context(|| format!("the tunnels' part {} failed", part.name()))?;
        println!("{table}");
        document[part.name()] = figures;
    }
    if let Some(path) = &arguments.json {
        write_json(path, &document)?;
    }
    Ok(())
}
