//! On what the run took place: figures without that say nothing.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

use serde_json::{Value, json};

/// The machine as far as the figures depend on it. Unknown parts are null.
pub fn describe(directory: &Path) -> Value {
    json!({
        "processor": line("/proc/cpuinfo", "model name").map(after_colon),
        "cores": thread::available_parallelism().map_or(0, usize::from),
        "memory_kib": line("/proc/meminfo", "MemTotal").map(after_colon),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "load_average_before": read("/proc/loadavg"),
        "directory": directory,
        "file_system": file_system(directory),
    })
}

/// Which server was measured.
pub fn describe_karez(karez: &Path) -> Value {
    let version = Command::new(karez).arg("--version").output().ok();
    json!({
        "path": karez,
        "version": version.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()),
        "bytes": fs::metadata(karez).map(|data| data.len()).ok(),
        "debug_build": is_debug_build(karez),
    })
}

/// Judged by where Cargo puts it.
pub fn is_debug_build(karez: &Path) -> bool {
    karez.parent().is_some_and(|directory| directory.ends_with("debug"))
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn line(path: &str, start: &str) -> Option<String> {
    read(path)?.lines().find(|line| line.starts_with(start)).map(str::to_owned)
}

fn after_colon(line: String) -> String {
    line.split_once(':').map_or(String::new(), |(_, value)| value.trim().to_owned())
}

/// The type of the mount with the longest path above the directory; a commit costs nothing on
/// a file system in memory, so this has to be known.
fn file_system(directory: &Path) -> Option<String> {
    let mounts = read("/proc/mounts")?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((Path::new(fields.next()?), fields.next()?))
    });
    let above = mounts.filter(|(place, _)| directory.starts_with(place));
    above.max_by_key(|(place, _)| place.components().count()).map(|(_, kind)| kind.to_owned())
}
