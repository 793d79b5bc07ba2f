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

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use karez_scene::{interrupt, needs};
use serde_json::json;

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
    /// How many routers are taken over by an agent that is started again; even, as they pair up.
    #[arg(long, default_value_t = 100)]
    routers: usize,
    /// Writes the figures as JSON too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
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

/// Measures what it was told to and prints a table of each.
pub fn run(arguments: &Arguments) -> Result<()> {
    let is_rising = arguments.connections.is_sorted() && !arguments.connections.contains(&0);
    ensure!(is_rising, "the numbers of connections must rise, from 1");
    ensure!(arguments.repetitions > 0 && arguments.edits > 0, "nothing is measured by doing nothing");
    ensure!(
        arguments.routers.is_multiple_of(2) && (2..=200).contains(&arguments.routers),
        "routers pair up, and the external network has room for 200"
    );
    let karez = find_karez(arguments.karez.as_ref())?;
    needs::check()?;
    interrupt::heed()?;
    let (machine, subject) = introduce(&karez, &std::env::temp_dir());

    let mut document = json!({"machine": machine, "karez": subject});
    if arguments.part.contains(&Part::Up) {
        let found = bring_up::measure(&karez, arguments.repetitions)?;
        println!("{}", report::bring_up(&found));
        document["bring_up"] = json!(found.iter().map(bring_up::Way::json).collect::<Vec<_>>());
    }
    if arguments.part.contains(&Part::Edit) {
        let found = edit::measure(&karez, &arguments.connections, arguments.edits)?;
        println!("{}", report::edit(&found));
        document["edit"] = json!(found.iter().map(edit::Crowd::json).collect::<Vec<_>>());
    }
    if arguments.part.contains(&Part::Adoption) {
        let found = adoption::measure(&karez, arguments.routers)?;
        println!("{}", report::adoption(&found));
        document["adoption"] = found.json();
    }
    if let Some(path) = &arguments.json {
        write_json(path, &document)?;
    }
    Ok(())
}
