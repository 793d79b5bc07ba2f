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
fn this_very_process_has_memory_and_a_child_counts_for_its_family() {
    let own = std::process::id();
    let memory = memory(own).unwrap();
    assert!(memory.now > 0 && memory.highest >= memory.now);
    assert!(cpu_time_of_family(own).unwrap() >= cpu_time(own).unwrap());
    assert!(cpu_time(u32::MAX).is_err());
}
