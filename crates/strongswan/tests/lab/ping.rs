//! A ping that runs while something happens.

#![allow(clippy::print_stdout, reason = "cargo shows it for a failed test")]

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

/// So many more are sent than are looked at: `ping` does not wait for the answer to its last one once it has had others,
/// but for a moment that depends on how fast those were.
const UNDECIDED: u32 = 20;

pub struct Ping {
    child: Child,
    count: u32,
}

impl Ping {
    pub(super) fn begin(namespace: &str, pause: &str, [from, to]: [&str; 2], count: u32) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace, "ping", "-n", "-i", pause, "-W", "1"]);
        command.args(["-c", &(count + UNDECIDED).to_string(), "-I", from, to]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        Self { child, count }
    }

    /// Waits for its end; how many of those that were asked for came back.
    pub fn received(self) -> u32 {
        let count = self.count;
        let (_, answered) = self.outcome();
        let missing: Vec<u32> = (1..=count).filter(|number| !answered.contains(number)).collect();
        if !missing.is_empty() {
            println!("of {count} pings there was no answer to {missing:?}");
        }
        count - u32::try_from(missing.len()).unwrap()
    }

    /// Ends it; the numbers of those that have not come back.
    pub fn lost(mut self) -> Vec<u32> {
        assert!(self.child.try_wait().unwrap().is_none(), "the ping was over before it was to end");
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &process]).status().unwrap().success());
        let (sent, answered) = self.outcome();
        assert!(sent > UNDECIDED, "{sent} pings say nothing");
        (1..=sent - UNDECIDED).filter(|number| !answered.contains(number)).collect()
    }

    /// How many were sent, and the numbers of those that were answered.
    fn outcome(self) -> (u32, BTreeSet<u32>) {
        let output = self.child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let sent = said.lines().find_map(|line| line.split_once(" packets transmitted")?.0.parse().ok());
        let number = |line: &str| line.split_once("icmp_seq=")?.1.split(' ').next()?.parse().ok();
        let answered = said.lines().filter(|line| line.contains(" bytes from ")).filter_map(number);
        (sent.unwrap_or_else(|| panic!("no ping: {said}")), answered.collect())
    }
}
