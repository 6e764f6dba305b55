//! The page over plain HTTP.

use http::{Response, StatusCode};
use portolan_runtime::pages::{PLAIN, response};

use crate::index::Page;

/// The text format that Prometheus reads, as kube-state-metrics sends it.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What the path shows.
pub(crate) fn answer(page: &Page, path: &str) -> Response<String> {
    const NOT_YET: &str = "not all objects are known yet\n";
    match path {
        "/metrics" if page.complete() => response(StatusCode::OK, page.text(), METRICS),
        "/readyz" if page.complete() => response(StatusCode::OK, "OK", PLAIN),
        "/metrics" | "/readyz" => response(StatusCode::SERVICE_UNAVAILABLE, NOT_YET, PLAIN),
        "/healthz" | "/livez" => response(StatusCode::OK, "OK", PLAIN),
        _ => response(StatusCode::NOT_FOUND, "there are /metrics, /healthz, /livez and /readyz\n", PLAIN),
    }
}
