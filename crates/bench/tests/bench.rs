//! The benchmarks themselves, each part of them run as briefly as it goes: those that nobody runs rot.
//! Nothing is said about how fast anything is.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

const BENCH: &str = env!("CARGO_BIN_EXE_karez-bench");

const SCENARIOS: [&str; 5] = [
    "list 100 connections",
    "show a connection",
    "create an IKE policy",
    "create a whole chain",
    "delete an IKE policy",
];

/// The first cells of the rows of the tunnels' tables.
const TUNNELS: [&str; 10] = [
    "| the router's first tunnel |",
    "| a further tunnel |",
    "| a further tunnel, from the higher address |",
    "| 2 | psk |",
    "| 2 | dpd |",
    "| 2 | mtu |",
    "| 2 | peer_cidrs |",
    "With 2 against 1 connections:",
    "| after SIGKILL, daemons run |",
    "| after everything was killed |",
];

#[test]
fn every_part_of_every_benchmark_still_works() -> Result<()> {
    let karez = Path::new(BENCH).with_file_name("karez");
    ensure!(
        karez.is_file(),
        "{} is not built: run the tests with --workspace, or build everything first: \
         cargo build --workspace --all-targets --locked",
        karez.display()
    );
    let output = brief(&karez)?;
    let (out, complaints) = texts(&output);
    assert!(output.status.success(), "{}\n{out}\n{complaints}", output.status);

    for store in ["sqlite", "postgresql"] {
        let table = out.split_once(&format!("\n{store}\n")).context(store)?.1;
        for scenario in SCENARIOS {
            let row = table.lines().find_map(|line| line.strip_prefix(scenario));
            let row = row.with_context(|| format!("{scenario} on {store} is missing:\n{out}"))?;
            assert_eq!(row.split_whitespace().next(), Some("4"), "four clients: {row}");
        }
    }
    for row in TUNNELS {
        assert!(out.lines().any(|line| line.starts_with(row)), "no {row} in:\n{out}");
    }
    Ok(())
}

#[test]
fn a_run_that_fails_says_which_part_and_why() -> Result<()> {
    let output = brief(Path::new("/bin/false"))?;
    let (out, complaints) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{out}\n{complaints}");
    assert!(complaints.contains("the run on sqlite failed"), "{complaints}");
    assert!(complaints.contains("the server ended at once, exit status: 1"), "{complaints}");
    Ok(())
}

/// On the PostgreSQL server that the tests were given, if they were.
fn brief(karez: &Path) -> Result<Output> {
    let mut command = Command::new(BENCH);
    command.arg("brief").args([OsStr::new("--karez"), karez.as_os_str()]);
    if let Some(url) = std::env::var_os("KAREZ_TEST_POSTGRES_URL") {
        command.arg("--postgres-url").arg(url);
    }
    Ok(command.output()?)
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}
