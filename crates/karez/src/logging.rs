//! Log lines on standard error.

use anyhow::{Context, Result};
use clap::ValueEnum;
use std::io;
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object a line, for programs
    Json,
}

pub(crate) fn start(filter: &str, format: Format) -> Result<()> {
    let filter = EnvFilter::try_new(filter).with_context(|| format!("--log {filter} is not a log filter"))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        Format::Text => {
            let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
            subscriber.with_ansi(is_terminal).with_target(false).try_init()
        }
        Format::Json => subscriber.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging cannot start: {error}"))
}
