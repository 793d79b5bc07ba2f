use super::*;
use crate::statistics::Summary;
use crate::suite::{CHAIN, LIST};

fn report(concurrency: usize) -> StoreReport {
    let latency = Summary {
        count: 960,
        p50: Duration::from_micros(1500),
        p99: Duration::from_millis(3),
        longest: Duration::from_millis(4),
    };
    let measurement = Measurement {
        scenario: LIST,
        concurrency,
        elapsed: Duration::from_secs(2),
        latency,
        server_cpu: Duration::from_millis(96),
        postgresql_cpu: None,
        client_cpu: Duration::from_millis(48),
    };
    let memory = Memory { now: 20 * 1024, highest: 30 * 1024 };
    StoreReport {
        store: "sqlite",
        fresh_starts: vec![Duration::from_millis(80)],
        existing_starts: vec![Duration::from_millis(40)],
        idle: memory,
        after: memory,
        measurements: vec![measurement],
    }
}

#[test]
fn rates_and_processor_time_are_per_request_and_the_ratio_is_to_the_quoted_figure() {
    let document = report(8).json();
    let measurement = &document["measurements"][0];
    assert_eq!(measurement["per_second"], 480.0);
    assert_eq!(measurement["server_cpu_us"], 100.0);
    assert_eq!(measurement["client_cpu_us"], 50.0);
    assert_eq!(measurement["postgresql_cpu_us"], Value::Null);
    assert_eq!(measurement["quoted_reference_per_second"], 48);
    assert_eq!(measurement["ratio_to_quoted_reference"], 10.0);
}

#[test]
fn no_ratio_is_given_where_the_reference_was_not_measured() {
    assert_eq!(report(32).json()["measurements"][0]["ratio_to_quoted_reference"], Value::Null);
    assert_eq!(reference_per_second(CHAIN, 1), None);
    assert!(!report(32).table().contains("10x"));
}

#[test]
fn the_table_shows_each_measurement_and_says_what_is_quoted() {
    let table = report(8).table();
    let row = table.lines().find(|line| line.starts_with(LIST)).unwrap();
    let cells: Vec<&str> = row[LIST.len()..].split_whitespace().collect();
    assert_eq!(cells, ["8", "480", "1.50", "3.00", "4.00", "100.0", "50.0", "0", "8000", "48", "10x"]);
    assert!(table.contains("fresh 80.00 ms, existing 40.00 ms"));
    assert!(table.contains("idle 20.0 MiB, after the run 20.0 MiB, highest 30.0 MiB"));
    assert!(footnote().contains("not measured in this run"));
}
