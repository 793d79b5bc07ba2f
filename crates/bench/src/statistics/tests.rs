use super::*;

fn millis(values: impl IntoIterator<Item = u64>) -> Vec<Duration> {
    values.into_iter().map(Duration::from_millis).collect()
}

#[test]
fn a_percentile_is_the_smallest_value_that_so_many_are_not_above() {
    let hundred = millis(1..=100);
    assert_eq!(percentile(&hundred, 1), Duration::from_millis(1));
    assert_eq!(percentile(&hundred, 50), Duration::from_millis(50));
    assert_eq!(percentile(&hundred, 99), Duration::from_millis(99));
    assert_eq!(percentile(&hundred, 100), Duration::from_millis(100));

    let five = millis([15, 20, 35, 40, 50]);
    assert_eq!(percentile(&five, 30), Duration::from_millis(20));
    assert_eq!(percentile(&five, 40), Duration::from_millis(20));
    assert_eq!(percentile(&five, 41), Duration::from_millis(35));
    assert_eq!(percentile(&five, 99), Duration::from_millis(50));
}

#[test]
fn one_value_is_every_percentile_and_none_is_zero() {
    assert_eq!(percentile(&millis([7]), 1), Duration::from_millis(7));
    assert_eq!(percentile(&millis([7]), 99), Duration::from_millis(7));
    assert_eq!(percentile(&[], 50), Duration::ZERO);
    assert_eq!(Latencies::default().summary(), Summary::default());
}

#[test]
fn a_summary_does_not_depend_on_the_order_or_on_who_measured() {
    let mut latencies = Latencies(millis((1..=100).rev()));
    latencies.append(Latencies(millis(101..=200)));
    let summary = latencies.summary();
    assert_eq!(summary.count, 200);
    assert_eq!(summary.p50, Duration::from_millis(100));
    assert_eq!(summary.p99, Duration::from_millis(198));
    assert_eq!(summary.longest, Duration::from_millis(200));
}

#[test]
fn the_median_of_a_few_starts_is_one_of_them() {
    assert_eq!(median(&millis([9, 1, 5])), Duration::from_millis(5));
    assert_eq!(median(&millis([4, 1, 9, 5])), Duration::from_millis(4));
}
