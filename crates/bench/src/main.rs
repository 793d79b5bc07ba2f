//! `karez-bench` starts the real server and measures what a tenant would feel: how many requests
//! it does in a second, how long they take, and what that costs; and with `tunnels`, how soon what
//! was asked for is so on the network.
//!
//! Everything runs on this machine, so the figures are those of a machine that is shared with its
//! load.

#![allow(clippy::disallowed_methods, reason = "this program measures real time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a report is what it is for")]

mod api;
mod bed;
mod brief;
mod client;
mod journey;
mod load;
mod machine;
mod measure;
mod postgresql;
mod process;
mod report;
mod request;
mod response;
mod server;
mod service;
mod statistics;
mod suite;
mod tunnels;
mod yardstick;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use serde_json::Value;

/// Measures karez: its API on SQLite and on PostgreSQL, or its tunnels.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    service: service::Arguments,
}

#[derive(Subcommand)]
enum Command {
    /// Requests to the API, on SQLite and on PostgreSQL; this is what is done without a command.
    Api(service::Arguments),
    /// What becomes of requests on the network: tunnels, edits, restarts. Needs root.
    Tunnels(tunnels::Arguments),
    /// Every part of both with as little as it takes, to see that each still works; its figures
    /// say nothing. Needs root.
    Brief(brief::Arguments),
}

fn main() -> Result<()> {
    let line = CommandLine::parse();
    match line.command.unwrap_or(Command::Api(line.service)) {
        Command::Api(arguments) => service::run(&arguments),
        Command::Tunnels(arguments) => tunnels::run(&arguments),
        Command::Brief(arguments) => brief::run(&arguments),
    }
}

/// The server to measure: the one that was named, or `karez` beside this program.
fn find_karez(named: Option<&PathBuf>) -> Result<PathBuf> {
    let karez = match named {
        Some(karez) => karez.clone(),
        None => std::env::current_exe()?.with_file_name("karez"),
    };
    ensure!(karez.is_file(), "{} does not exist; build it or give --karez", karez.display());
    Ok(karez)
}

/// Says what is measured on what, and gives it for the report: the machine, and the server.
fn introduce(karez: &Path, directory: &Path) -> (Value, Value) {
    let machine = machine::describe(directory);
    let subject = machine::describe_karez(karez);
    println!("machine: {machine}\nkarez:   {subject}\n");
    if machine::is_debug_build(karez) {
        println!("WARNING: this is a debug build; its figures say little about a release.\n");
    }
    (machine, subject)
}

fn write_json(path: &Path, document: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(document)?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}
