//! Resident memory of the service with its agent, and of IKE daemons.

use std::fs;

use anyhow::{Context, Result};
use karez_scene::{Cloud, Site};
use serde_json::{Value, json};

/// In KiB. Of the daemons, all together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub karez: Resident,
    pub daemons: Resident,
}

/// In KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// All of it.
    pub whole: u64,
    /// What is shared with other processes counted in parts (PSS).
    pub share: u64,
}

impl Memory {
    pub fn json(&self) -> Value {
        let resident = |one: Resident| json!({"rss_kib": one.whole, "pss_kib": one.share});
        json!({"karez": resident(self.karez), "daemons": resident(self.daemons)})
    }
}

/// What is resident now.
pub fn of(cloud: &Cloud, sites: &[Site]) -> Result<Memory> {
    let mut daemons = Resident::default();
    for pid in sites.iter().flat_map(Site::processes) {
        let one = resident(pid.unsigned_abs())?;
        daemons.whole += one.whole;
        daemons.share += one.share;
    }
    Ok(Memory { karez: resident(cloud.pid())?, daemons })
}

fn resident(pid: u32) -> Result<Resident> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse(&text).with_context(|| format!("{path} has no Rss and Pss"))
}

fn parse(rollup: &str) -> Option<Resident> {
    let kib = |name: &str| -> Option<u64> {
        let value = rollup.lines().find_map(|line| line.strip_prefix(name))?;
        value.split_ascii_whitespace().next()?.parse().ok()
    };
    Some(Resident { whole: kib("Rss:")?, share: kib("Pss:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_not_taken_for_that_of_dirty_pages() {
        let text =
            "55d0-7ffe ---p 00000000 00:00 0 [rollup]\nRss:   1024 kB\nPss_Dirty:  1 kB\nPss:    512 kB\n";
        assert_eq!(parse(text), Some(Resident { whole: 1024, share: 512 }));
        assert_eq!(parse("Rss: 1 kB\n"), None);
    }
}
