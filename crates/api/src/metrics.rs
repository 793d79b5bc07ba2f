//! What is measured, in the format of Prometheus.

mod connections;

use connections::Connections;
use http::{Method, StatusCode};
use karez_control::Control;
use karez_store::Operation;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A text that is shared rather than copied into each label.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Text(Arc<str>);

impl EncodeLabelValue for Text {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        encoder.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: Text,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: Text,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoreLabels {
    backend: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    kind: &'static str,
    status: String,
}

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// The metrics of one server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    durations: Durations<RouteLabels>,
    objects: Family<ObjectLabels, Gauge>,
    connections: Connections,
    /// When the objects were last counted.
    counted: Mutex<Option<Instant>>,
}

/// How long a count of all objects is good enough: it reads every table, and asking for it needs no
/// token.
const COUNT_LIFE: Duration = Duration::from_secs(5);

impl Metrics {
    pub(crate) fn new(control: &Control) -> Self {
        let mut registry = Registry::with_prefix("karez");
        let requests = Family::<RequestLabels, Counter>::default();
        registry.register("http_requests", "Requests by method, route and status", requests.clone());
        let durations: Durations<RouteLabels> = Family::new_with_constructor(buckets);
        let help = "Time from the end of a request's head to its answer";
        registry.register_with_unit("http_request_duration", help, Unit::Seconds, durations.clone());
        let store: Durations<StoreLabels> = Family::new_with_constructor(buckets);
        let help = "Time of store calls, waiting included";
        registry.register_with_unit("store_operation_duration", help, Unit::Seconds, store.clone());
        let objects = Family::<ObjectLabels, Gauge>::default();
        registry.register("objects", "Objects by kind and status", objects.clone());
        let connections = Connections::register(&mut registry);
        let backend = control.store().backend_name();
        control.store().observe(Box::new(move |operation, elapsed| {
            let operation = match operation {
                Operation::Read => "read",
                Operation::Write => "write",
            };
            store.get_or_create(&StoreLabels { backend, operation }).observe(elapsed.as_secs_f64());
        }));
        Self { registry, requests, durations, objects, connections, counted: Mutex::new(None) }
    }

    /// Counts an answered request. Methods other than the usual ones share one label.
    pub(crate) fn count(&self, method: &Method, route: &Arc<str>, status: StatusCode, elapsed: Duration) {
        let method = match *method {
            Method::GET => "GET",
            Method::POST => "POST",
            Method::PUT => "PUT",
            Method::DELETE => "DELETE",
            Method::HEAD => "HEAD",
            Method::PATCH => "PATCH",
            _ => "other",
        };
        let route = Text(Arc::clone(route));
        let labels = RouteLabels { method, route: route.clone() };
        self.durations.get_or_create(&labels).observe(elapsed.as_secs_f64());
        self.requests.get_or_create(&RequestLabels { method, route, status: status.as_u16() }).inc();
    }

    /// Everything, as a scraper wants it.
    pub(crate) async fn encode(&self, control: &Control) -> Result<String, karez_control::Failure> {
        self.count_objects(control).await?;
        let mut out = String::with_capacity(16 << 10);
        if encode(&mut out, &self.registry).is_err() {
            tracing::error!("the metrics cannot be written");
        }
        Ok(out)
    }
}

impl Metrics {
    /// Counts the objects and looks at the connections, unless that was done a moment ago. Scrapers that come together wait for
    /// one count.
    async fn count_objects(&self, control: &Control) -> Result<(), karez_control::Failure> {
        let mut counted = self.counted.lock().await;
        if counted.is_some_and(|at| at.elapsed() < COUNT_LIFE) {
            return Ok(());
        }
        let census = control.census().await?;
        self.connections.look(control).await?;
        self.objects.clear();
        for (kind, status, count) in census {
            self.objects.get_or_create(&ObjectLabels { kind, status }).set(count);
        }
        *counted = Some(now());
        Ok(())
    }
}

#[allow(clippy::disallowed_methods, reason = "the age of a count is told by the clock")]
fn now() -> Instant {
    Instant::now()
}

/// From 50 µs to about 6.5 s, each twice the one before.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 18))
}
