//! Every part of every benchmark, with as little as it takes: not to learn how fast something is,
//! but that each part still works and finds right what it verifies. The first that does not ends
//! the run.

use std::path::PathBuf;

use anyhow::Result;

use crate::{service, tunnels};

#[derive(clap::Args)]
pub struct Arguments {
    /// The binary to run [default: `karez` beside this program].
    #[arg(long, value_name = "PATH")]
    karez: Option<PathBuf>,
    /// A PostgreSQL server to use instead of a throw-away cluster; databases are created on it.
    #[arg(long, value_name = "URL")]
    postgres_url: Option<String>,
}

pub fn run(arguments: &Arguments) -> Result<()> {
    service::run(&service::Arguments::brief(arguments.karez.clone(), arguments.postgres_url.clone()))?;
    tunnels::run(&tunnels::Arguments::brief(arguments.karez.clone()))
}
