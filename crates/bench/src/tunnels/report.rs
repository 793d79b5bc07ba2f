//! The figures as tables of Markdown.

use std::fmt::Write;
use std::time::Duration;

use super::adoption::{Adoption, Start};
use super::bring_up::{Trip, Way};
use super::edit::Crowd;
use crate::statistics::{median, percentile};

/// What we aim to stay under above the IKE exchange, in milliseconds.
const UP_AIM: u64 = 150;

/// What we aim to stay under with an edit, however many connections there are, in milliseconds.
const EDIT_AIM: u64 = 50;

pub fn bring_up(ways: &[Way]) -> String {
    let mut text = format!(
        "From the POST of a connection to ACTIVE, in ms after the POST: median (95th percentile).\n\
         Above: without the IKE exchange, which lies between the attempt and the SAs; aim: under {UP_AIM}.\n\n\
         | way | n | answered | configured | attempt | SAs installed | ACTIVE shown | IKE exchange | above |\n\
         |---|---|---|---|---|---|---|---|---|\n"
    );
    for way in ways {
        let both = |of: fn(&Trip) -> Duration| spread(&way.trips.iter().map(of).collect::<Vec<_>>());
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            way.name,
            way.trips.len(),
            both(|trip| trip.answered),
            both(|trip| trip.configured),
            both(|trip| trip.attempted),
            both(|trip| trip.installed),
            both(|trip| trip.shown),
            both(Trip::exchange),
            both(Trip::above),
        );
    }
    text
}

pub fn edit(crowds: &[Crowd]) -> String {
    let mut text = format!(
        "One edit on a router with many connections: from the PUT until the agent has applied it, in ms: median \
         (95th percentile); aim: under {EDIT_AIM}.\nProcessor time: of one edit, in µs, above that of an idle agent.\n\n\
         | connections | edit | n | engine has it | applied | karez µs | charon µs |\n|---|---|---|---|---|---|---|\n"
    );
    for crowd in crowds {
        for edits in &crowd.edits {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {:.0} | {:.0} |",
                crowd.connections,
                edits.what,
                edits.applied.len(),
                spread(&edits.taken),
                spread(&edits.applied),
                edits.cpu.karez.as_secs_f64() * 1e6,
                edits.cpu.daemons.as_secs_f64() * 1e6,
            );
        }
    }
    if let (Some(few), Some(many)) = (crowds.iter().find(|crowd| !crowd.edits.is_empty()), crowds.last()) {
        let _ = writeln!(text, "\nWith {} against {} connections:", many.connections, few.connections);
        for (few, many) in few.edits.iter().zip(&many.edits) {
            let ratio = median(&many.applied).as_secs_f64() / median(&few.applied).as_secs_f64();
            let _ = writeln!(text, "- {}: {ratio:.1} times as long", few.what);
        }
    }
    text += "\nMemory in MiB, of the service with its agent and of the router's IKE daemon:\n\n\
         | connections | karez RSS | PSS | charon RSS | PSS | created in s |\n|---|---|---|---|---|---|\n";
    for crowd in crowds {
        let memory = &crowd.memory;
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {:.1} |",
            crowd.connections,
            mebibytes(memory.karez.whole),
            mebibytes(memory.karez.share),
            mebibytes(memory.daemons.whole),
            mebibytes(memory.daemons.share),
            crowd.creation.as_secs_f64(),
        );
    }
    text
}

pub fn adoption(found: &Adoption) -> String {
    let mut text = format!(
        "{} routers with an IKE daemon each and tunnels in pairs, all up: seconds after the start of the service with \
         its agent.\n\n\
         | start | API answers | last daemon | agent synced | all ACTIVE | karez CPU s | charon CPU s |\n\
         |---|---|---|---|---|---|---|\n",
        found.routers
    );
    let mut row = |name: &str, start: &Start| {
        let seconds = |duration: Duration| format!("{:.2}", duration.as_secs_f64());
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} |",
            seconds(start.answers),
            seconds(start.daemons),
            seconds(start.synced),
            seconds(start.active),
            seconds(start.cpu.karez),
            seconds(start.cpu.daemons),
        );
    };
    row("after SIGKILL, daemons run", &found.warm);
    row("after everything was killed", &found.cold);
    let _ = writeln!(
        text,
        "\nMemory with all up: karez {} MiB (PSS {}), all daemons {} MiB (PSS {}).",
        mebibytes(found.memory.karez.whole),
        mebibytes(found.memory.karez.share),
        mebibytes(found.memory.daemons.whole),
        mebibytes(found.memory.daemons.share),
    );
    text
}

/// The median, and the 95th percentile in brackets, in milliseconds.
fn spread(durations: &[Duration]) -> String {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let milliseconds = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1e3);
    format!("{} ({})", milliseconds(median(&sorted)), milliseconds(percentile(&sorted, 95)))
}

fn mebibytes(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}
