//! What the kernel says about processes: processor time and resident memory.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

#[cfg(test)]
mod tests;

/// One tick of `/proc/<pid>/stat`: Linux fixes what user space sees at 100 a second.
const TICK: Duration = Duration::from_millis(10);

/// Resident memory of one process, in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub now: u64,
    pub highest: u64,
}

/// User and system time that a process has used, without its children.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    Ok(read_stat(pid)?.own)
}

/// User and system time that a process has used, with that of its children that have ended.
pub fn cpu_time_with_ended(pid: u32) -> Result<Duration> {
    let stat = read_stat(pid)?;
    Ok(stat.own + stat.reaped)
}

/// User and system time of a process, of its living children, and of those that have ended.
/// A child that ends in between moves from the second to the third and is not lost.
pub fn cpu_time_of_family(parent: u32) -> Result<Duration> {
    let root = read_stat(parent)?;
    let children = all_stats()?.filter(|stat| stat.parent == parent);
    Ok(root.own + root.reaped + children.map(|child| child.own + child.reaped).sum::<Duration>())
}

/// Processes of this name whose parent has another name: the postmasters of a machine.
pub fn heads_of_families(name: &str) -> Result<Vec<u32>> {
    let stats: Vec<_> = all_stats()?.collect();
    let named = |pid| stats.iter().any(|stat| stat.pid == pid && stat.name == name);
    let heads = stats.iter().filter(|stat| stat.name == name && !named(stat.parent));
    Ok(heads.map(|stat| stat.pid).collect())
}

pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_memory(&text).with_context(|| format!("{path} has no VmRSS and VmHWM"))
}

struct Stat {
    pid: u32,
    name: String,
    parent: u32,
    own: Duration,
    reaped: Duration,
}

fn read_stat(pid: u32) -> Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse_stat(&text).with_context(|| format!("{path} has an unknown form"))
}

/// Every process that can be read; those that end meanwhile are left out.
fn all_stats() -> Result<impl Iterator<Item = Stat>> {
    let entries = fs::read_dir("/proc").context("cannot read /proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(|pid| read_stat(pid).ok()))
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name stands in brackets and may itself hold brackets and spaces.
    let (front, fields) = text.rsplit_once(')')?;
    let (pid, name) = front.split_once(" (")?;
    // Counted from the state, which proc(5) calls field 3.
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let ticks = |field: usize| -> Option<Duration> {
        let count: u32 = fields.get(field - 3)?.parse().ok()?;
        Some(TICK * count)
    };
    Some(Stat {
        pid: pid.parse().ok()?,
        name: name.to_owned(),
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(14)? + ticks(15)?,
        reaped: ticks(16)? + ticks(17)?,
    })
}

fn parse_memory(status: &str) -> Option<Memory> {
    let kib = |name: &str| -> Option<u64> {
        let value = status.lines().find_map(|line| line.strip_prefix(name))?;
        value.strip_prefix(':')?.split_ascii_whitespace().next()?.parse().ok()
    };
    Some(Memory { now: kib("VmRSS")?, highest: kib("VmHWM")? })
}
