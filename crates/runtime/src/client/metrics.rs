//! What all clients of this process count, under client-go's names (`rest_client_*`).

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use http::{Method, StatusCode};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};

/// One process, one set: like client-go's, and as a page can hold a metric only once.
pub(super) static REST: LazyLock<Rest> = LazyLock::new(Rest::default);

const BUCKETS: [f64; 11] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    code: String,
    method: &'static str,
    host: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Retry {
    code: String,
    verb: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verb {
    verb: &'static str,
}

pub(super) struct Rest {
    requests: Family<Request, Counter>,
    retries: Family<Retry, Counter>,
    durations: Family<Verb, Histogram, fn() -> Histogram>,
}

impl Default for Rest {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            retries: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
        }
    }
}

impl Rest {
    /// One answer, or none (`<error>`, as client-go writes it).
    pub fn answered(&self, method: &Method, status: Option<StatusCode>, host: &str, took: Duration) {
        let method = closed(method);
        let code = status.map_or_else(|| "<error>".to_owned(), |status| status.as_u16().to_string());
        self.requests.get_or_create(&Request { code, method, host: host.into() }).inc();
        self.durations.get_or_create(&Verb { verb: method }).observe(took.as_secs_f64());
    }

    pub fn retried(&self, method: &Method, status: StatusCode) {
        let retry = Retry { code: status.as_u16().to_string(), verb: closed(method) };
        self.retries.get_or_create(&retry).inc();
    }
}

fn closed(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "OTHER",
    }
}

/// Registers what the clients of this process count.
pub fn register(registry: &mut Registry) {
    let page = registry.sub_registry_with_prefix("rest_client");
    page.register("requests", "Number of HTTP requests, by status code, method, and host", REST.requests.clone());
    page.register("request_retries", "Requests sent again, by status code and verb", REST.retries.clone());
    page.register("request_duration_seconds", "Time until the answer began, by verb", REST.durations.clone());
}
