//! `/metrics`, `/healthz`, `/livez`, `/readyz`: plain HTTP, read only, for a leader as for one that stands by.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use http::{Response, StatusCode};
use parking_lot::Mutex;
use portolan_runtime::pages::{PLAIN, response};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;

/// The page's lines are OpenMetrics.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// What the process is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// It has not seen the Lease yet.
    Starting,
    /// The one that is named works.
    StandingBy(String),
    /// This one works, if every watch has delivered.
    Working,
}

/// What can be looked at.
#[derive(Debug)]
pub struct Page {
    /// Every counter of the process.
    pub registry: Mutex<Registry>,
    /// Set by the election.
    pub role: Mutex<Role>,
}

impl Page {
    /// With what every process counts.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        portolan_runtime::workqueue::register(&mut registry);
        portolan_runtime::client::register(&mut registry);
        super::process::register(&mut registry);
        Self { registry: Mutex::new(registry), role: Mutex::new(Role::Starting) }
    }

    /// Why it is not ready, in words.
    fn unready(&self) -> Option<String> {
        match &*self.role.lock() {
            Role::Starting => Some("has not seen the Lease yet".to_owned()),
            Role::StandingBy(_) => None,
            Role::Working => {
                let waiting = portolan_runtime::workqueue::unsynced();
                (!waiting.is_empty()).then(|| format!("first lists not complete: {}", waiting.join(", ")))
            }
        }
    }

    /// What the path shows.
    pub fn answer(&self, path: &str) -> Response<String> {
        let text = |status, words: &str| response(status, words, PLAIN);
        match path {
            "/healthz" | "/livez" => text(StatusCode::OK, "ok"),
            "/readyz" => match self.unready() {
                None => text(StatusCode::OK, "ok"),
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {why}\n")),
            },
            "/metrics" => {
                let mut page = String::new();
                match encode(&mut page, &self.registry.lock()) {
                    Ok(()) => response(StatusCode::OK, page, METRICS),
                    Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
                }
            }
            _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz, /livez and /readyz\n"),
        }
    }
}

/// Opens the listener.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another address with --metrics-bind-address"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn readiness_follows_the_role() {
        let page = Page::new();
        let ready = || page.answer("/readyz").status();
        assert_eq!(ready(), StatusCode::SERVICE_UNAVAILABLE);
        *page.role.lock() = Role::StandingBy("other".to_owned());
        assert_eq!(ready(), StatusCode::OK);
        assert_eq!(page.answer("/livez").status(), StatusCode::OK);
        assert_eq!(page.answer("/").status(), StatusCode::NOT_FOUND);
    }

    /// What has no values yet is left out; tests/it/join.rs looks at the page of a process that works.
    #[test]
    fn the_page_has_upstreams_names_once_each() {
        let body = Page::new().answer("/metrics").into_body();
        for name in ["workqueue_unfinished_work_seconds", "process_resident_memory_bytes"] {
            assert_eq!(body.matches(&format!("# TYPE {name} ")).count(), 1, "{name} in {body}");
        }
        let types: Vec<&str> = body.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        assert_eq!(types.iter().collect::<HashSet<_>>().len(), types.len(), "{body}");
    }
}
