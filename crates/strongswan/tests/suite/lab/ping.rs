//! A ping that runs while something happens. It ends when it is dropped.

#![allow(clippy::print_stdout, reason = "cargo shows it for a failed test")]

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Child, Command, Stdio};

/// So many more are sent than are looked at: `ping` does not wait for the answer to its last one once it has had others,
/// but for a moment that depends on how fast those were.
const UNDECIDED: u32 = 20;

pub struct Ping {
    child: Child,
    /// A pipe that nobody reads would be full after a thousand.
    said: File,
    count: u32,
}

impl Ping {
    pub(super) fn begin(namespace: &str, pause: &str, [from, to]: [&str; 2], count: u32) -> Self {
        let said = tempfile::tempfile().unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, "ping", "-n", "-i", pause, "-W", "1"]);
        command.args(["-c", &(count + UNDECIDED).to_string(), "-I", from, to]);
        let child = command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).spawn().unwrap();
        Self { child, said, count }
    }

    /// Waits for its end; how many of those that were asked for came back.
    pub fn received(mut self) -> u32 {
        let (_, answered) = self.outcome();
        let missing: Vec<u32> = (1..=self.count).filter(|number| !answered.contains(number)).collect();
        if !missing.is_empty() {
            println!("of {} pings there was no answer to {missing:?}", self.count);
        }
        self.count - u32::try_from(missing.len()).unwrap()
    }

    /// Ends it; the numbers of those that have not come back.
    pub fn lost(mut self) -> Vec<u32> {
        assert!(self.child.try_wait().unwrap().is_none(), "the ping was over before it was to end");
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
        let (sent, answered) = self.outcome();
        assert!(sent > 2 * UNDECIDED, "{sent} pings say nothing");
        (1..=sent - UNDECIDED).filter(|number| !answered.contains(number)).collect()
    }

    /// How many were sent, and the numbers of those that were answered.
    fn outcome(&mut self) -> (u32, BTreeSet<u32>) {
        self.child.wait().unwrap();
        let mut said = String::new();
        self.said.rewind().unwrap();
        self.said.read_to_string(&mut said).unwrap();
        let sent = said.lines().find_map(|line| line.split_once(" packets transmitted")?.0.parse().ok());
        let number = |line: &str| line.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok();
        let answered = said.lines().filter(|line| line.contains(" bytes from ")).filter_map(number);
        (sent.unwrap_or_else(|| panic!("no ping: {said}")), answered.collect())
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
