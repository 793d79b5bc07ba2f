use std::process::Command;
use std::thread;
use std::time::Instant;

use super::*;

#[test]
fn times_and_parent_are_read_even_if_the_name_holds_brackets() {
    let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 30 20 20 0 9 0 123 456 789";
    let stat = parse_stat(line).unwrap();
    assert_eq!((stat.pid, stat.parent), (42, 7));
    assert_eq!(stat.name, "a) b (c");
    assert_eq!(stat.own, Duration::from_secs(2));
    assert_eq!(stat.reaped, Duration::from_millis(500));
}

#[test]
fn memory_is_read_in_kib() {
    let status = "Name:\tkarez\nVmPeak:\t  9999 kB\nVmHWM:\t   2048 kB\nVmRSS:\t    1024 kB\n";
    assert_eq!(parse_memory(status), Some(Memory { now: 1024, highest: 2048 }));
    assert_eq!(parse_memory("Name:\tkthreadd\n"), None);
}

#[test]
fn this_very_process_has_memory_and_there_is_none_of_the_highest_id() {
    let memory = memory(std::process::id()).unwrap();
    assert!(memory.now > 0 && memory.highest >= memory.now);
    assert!(cpu_time(u32::MAX).is_err());
}

#[test]
fn a_living_child_and_one_that_has_ended_count_for_their_family() {
    let own = std::process::id();
    let mut child = Command::new("sh").args(["-c", "ulimit -t 60; while :; do :; done"]).spawn().unwrap();
    let busy = || cpu_time(child.id()).unwrap() > Duration::ZERO;
    let begun = Instant::now();
    while !busy() && begun.elapsed() < Duration::from_secs(30) {
        thread::sleep(TICK);
    }
    // Times only grow, so what is read first is the lower bound of what is read later.
    let (parent, child_time) = (cpu_time(own).unwrap(), cpu_time(child.id()).unwrap());
    let living = cpu_time_of_family(own).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(child_time > Duration::ZERO);
    assert!(living >= parent + child_time);
    assert!(cpu_time_of_family(own).unwrap() >= living);
    assert!(cpu_time_with_ended(own).unwrap() >= parent + child_time);
}
