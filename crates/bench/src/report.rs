//! What a run found, as a table for people and as JSON for programs.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use crate::measure::Measurement;
use crate::process::Memory;
use crate::statistics::median;
use crate::yardstick::{
    LATENCY_AIM, MEMORY_AIM, REFERENCE_CONCURRENCY, REFERENCE_MEMORY, REFERENCE_START, START_AIM,
    aim_per_second, reference_per_second,
};

#[cfg(test)]
mod tests;

/// Everything about one store.
pub struct StoreReport {
    pub store: &'static str,
    /// Start to first answer, with an empty store and with the one that was measured.
    pub fresh_starts: Vec<Duration>,
    pub existing_starts: Vec<Duration>,
    pub idle: Memory,
    pub after: Memory,
    pub measurements: Vec<Measurement>,
}

impl StoreReport {
    pub fn table(&self) -> String {
        let mut text = format!(
            "{}\n\n{:<22}{:>8}{:>10}{:>9}{:>9}{:>9}{:>11}{:>11}{:>11}{:>8}{:>8}{:>14}{:>8}\n",
            self.store,
            "scenario",
            "clients",
            "per s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "server µs",
            "pg µs",
            "client µs",
            "errors",
            "aim/s",
            "reference/s*",
            "ratio*"
        );
        for measurement in &self.measurements {
            text += &self.row(measurement);
        }
        let _ = write!(
            text,
            "\nµs: processor time for each, user and system.  Aim for p99: under {LATENCY_AIM} ms.\n\
             start to first answer:  fresh {}, existing {}  (median; aim: under {START_AIM} ms; \
             reference* {} to {} s)\n\
             resident memory:        idle {}, after the run {}, highest {}  (aim: under \
             {MEMORY_AIM} MiB; reference* {} idle, {} after)\n",
            milliseconds(median(&self.fresh_starts)) + " ms",
            milliseconds(median(&self.existing_starts)) + " ms",
            REFERENCE_START.0,
            REFERENCE_START.1,
            mebibytes(self.idle.now),
            mebibytes(self.after.now),
            mebibytes(self.after.highest),
            REFERENCE_MEMORY.0,
            REFERENCE_MEMORY.1,
        );
        text
    }

    fn row(&self, measurement: &Measurement) -> String {
        let Measurement { scenario, concurrency, latency, .. } = *measurement;
        let rate = measurement.per_second();
        let reference = reference_per_second(scenario, concurrency);
        let or_blank = |number: Option<String>| number.unwrap_or_default();
        format!(
            "{:<22}{:>8}{:>10.0}{:>9}{:>9}{:>9}{:>11.1}{:>11}{:>11.1}{:>8}{:>8}{:>14}{:>8}\n",
            scenario,
            concurrency,
            rate,
            milliseconds(latency.p50),
            milliseconds(latency.p99),
            milliseconds(latency.longest),
            measurement.microseconds_each(measurement.server_cpu),
            or_blank(
                measurement.postgresql_cpu.map(|cpu| format!("{:.1}", measurement.microseconds_each(cpu)))
            ),
            measurement.microseconds_each(measurement.client_cpu),
            0,
            or_blank(aim_per_second(self.store, scenario, concurrency).map(|aim| aim.to_string())),
            or_blank(reference.map(|reference| reference.to_string())),
            or_blank(reference.map(|reference| format!("{:.0}x", rate / f64::from(reference)))),
        )
    }

    pub fn json(&self) -> Value {
        let starts = |starts: &[Duration]| -> Vec<f64> {
            starts.iter().map(|start| start.as_secs_f64() * 1e3).collect()
        };
        let memory = |memory: Memory| json!({"rss_kib": memory.now, "hwm_kib": memory.highest});
        let measurements: Vec<Value> =
            self.measurements.iter().map(|measurement| self.measurement_json(measurement)).collect();
        json!({
            "store": self.store,
            "first_answer_ms": {
                "fresh": starts(&self.fresh_starts),
                "existing": starts(&self.existing_starts),
            },
            "memory": {"idle": memory(self.idle), "after": memory(self.after)},
            "measurements": measurements,
        })
    }

    fn measurement_json(&self, measurement: &Measurement) -> Value {
        let Measurement { scenario, concurrency, latency, .. } = *measurement;
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1e3;
        let rate = measurement.per_second();
        let reference = reference_per_second(scenario, concurrency);
        json!({
            "scenario": scenario,
            "concurrency": concurrency,
            "count": latency.count,
            "seconds": measurement.elapsed.as_secs_f64(),
            "per_second": rate,
            "p50_ms": milliseconds(latency.p50),
            "p99_ms": milliseconds(latency.p99),
            "max_ms": milliseconds(latency.longest),
            "server_cpu_us": measurement.microseconds_each(measurement.server_cpu),
            "postgresql_cpu_us":
                measurement.postgresql_cpu.map(|cpu| measurement.microseconds_each(cpu)),
            "client_cpu_us": measurement.microseconds_each(measurement.client_cpu),
            // A run with an error has no report.
            "errors": 0,
            "aim_per_second": aim_per_second(self.store, scenario, concurrency),
            "quoted_reference_per_second": reference,
            "ratio_to_quoted_reference": reference.map(|reference| rate / f64::from(reference)),
        })
    }
}

/// What the stars in the table mean.
pub fn footnote() -> String {
    format!(
        "* quoted, not measured in this run: the Python reference, two API workers on MariaDB, \
         concurrency {REFERENCE_CONCURRENCY},\n  measured earlier on the same kind of machine. \
         The load is closed: each client waits for its answer.\n"
    )
}

/// The same for programs.
pub fn quoted_reference() -> Value {
    json!({
        "measured_in_this_run": false,
        "what": "the Python reference, two API workers on MariaDB, on the same kind of machine",
        "concurrency": REFERENCE_CONCURRENCY,
        "memory_mib": {"idle": REFERENCE_MEMORY.0, "after": REFERENCE_MEMORY.1},
        "start_s": {"shortest": REFERENCE_START.0, "longest": REFERENCE_START.1},
    })
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.2}", duration.as_secs_f64() * 1e3)
}

fn mebibytes(kib: u64) -> String {
    format!("{:.1} MiB", kib as f64 / 1024.0)
}
