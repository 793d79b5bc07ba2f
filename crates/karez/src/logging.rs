//! Log lines on standard error. Whoever writes one neither waits nor fails: where lines cannot be written, as on a full
//! disk, or not as fast as they come, they are lost, and nothing else is.

use anyhow::{Context, Result};
use clap::ValueEnum;
use std::io;
use std::sync::OnceLock;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload::Handle;

/// Lines that wait for a slow reader.
const WAITING: usize = 8192;

/// Changes which lines there are.
type Change = Box<dyn Fn(EnvFilter) -> Result<()> + Send + Sync>;

static CHANGE: OnceLock<Change> = OnceLock::new();

/// How log lines look.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One JSON object a line, for programs
    Json,
}

/// Begins to log. Lines that wait are written when the guard is dropped.
pub(crate) fn start(filter: &str, format: Format) -> Result<WorkerGuard> {
    let (lines, guard) =
        NonBlockingBuilder::default().lossy(true).buffered_lines_limit(WAITING).finish(io::stderr());
    let filter = parse(filter)?;
    // What fails here would be told on standard error, by a macro that panics when that fails, too.
    let lines = tracing_subscriber::fmt().log_internal_errors(false).with_writer(lines);
    let failed = |error| anyhow::anyhow!("logging cannot start: {error}");
    let change = match format {
        Format::Text => {
            let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
            let lines = lines.with_ansi(is_terminal).with_target(false);
            let lines = lines.with_env_filter(filter).with_filter_reloading();
            let change = reloading(lines.reload_handle());
            lines.try_init().map_err(failed)?;
            change
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true).with_env_filter(filter).with_filter_reloading();
            let change = reloading(lines.reload_handle());
            lines.try_init().map_err(failed)?;
            change
        }
    };
    // Logging has started once only.
    let _ = CHANGE.set(change);
    karez_tasks::log_panics();
    Ok(guard)
}

fn reloading<S: 'static>(filter: Handle<EnvFilter, S>) -> Change {
    Box::new(move |changed| filter.reload(changed).context("the log filter"))
}

/// From now on only what this filter lets through is logged.
pub(crate) fn change(filter: &str) -> Result<()> {
    let filter = parse(filter)?;
    CHANGE.get().map_or(Ok(()), |change| change(filter))
}

fn parse(filter: &str) -> Result<EnvFilter> {
    EnvFilter::try_new(filter).with_context(|| format!("'{filter}' is not a log filter"))
}
