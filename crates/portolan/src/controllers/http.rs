//! `/metrics`, `/healthz`, `/livez`, `/readyz`: plain HTTP, read only, for a leader as for one that stands by.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use http::{Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::debug;

/// The page's lines are OpenMetrics.
const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Probes and scrapers are few; more than this at once is a mistake of somebody.
const CONNECTIONS: usize = 64;
/// A client that sends nothing is left alone.
const PATIENCE: Duration = Duration::from_secs(10);

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

    fn answer(&self, method: &Method, path: &str) -> Response<String> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
        }
        match path {
            "/healthz" | "/livez" => text(StatusCode::OK, "ok"),
            "/readyz" => match self.unready() {
                None => text(StatusCode::OK, "ok"),
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {why}\n")),
            },
            "/metrics" => {
                let mut page = String::new();
                match encode(&mut page, &self.registry.lock()) {
                    Ok(()) => with_type(StatusCode::OK, page, METRICS),
                    Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error}\n")),
                }
            }
            _ => text(StatusCode::NOT_FOUND, "there are /metrics, /healthz, /livez and /readyz\n"),
        }
    }
}

fn text(status: StatusCode, words: &str) -> Response<String> {
    with_type(status, words.to_owned(), "text/plain; charset=utf-8")
}

fn with_type(status: StatusCode, body: String, kind: &'static str) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

/// Opens the listener.
pub async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another address with --metrics-bind-address"))
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, page: Arc<Page>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept(), if connections.len() < CONNECTIONS => accepted,
        };
        match accepted {
            Ok((stream, _)) => drop(connections.spawn(converse(TokioIo::new(stream), page.clone()))),
            Err(error) => {
                // Out of descriptors, most likely: others need time to close some.
                debug!(%error, "cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: TokioIo<tokio::net::TcpStream>, page: Arc<Page>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let response = page.answer(request.method(), request.uri().path());
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(error) = server.serve_connection(stream, service).await {
        debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn readiness_follows_the_role() {
        let page = Page::new();
        let ready = || page.answer(&Method::GET, "/readyz").status();
        assert_eq!(ready(), StatusCode::SERVICE_UNAVAILABLE);
        *page.role.lock() = Role::StandingBy("other".to_owned());
        assert_eq!(ready(), StatusCode::OK);
        assert_eq!(page.answer(&Method::GET, "/livez").status(), StatusCode::OK);
        assert_eq!(page.answer(&Method::POST, "/metrics").status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(page.answer(&Method::GET, "/").status(), StatusCode::NOT_FOUND);
    }

    /// What has no values yet is left out; tests/it/join.rs looks at the page of a process that works.
    #[test]
    fn the_page_has_upstreams_names_once_each() {
        let body = Page::new().answer(&Method::GET, "/metrics").into_body();
        for name in ["workqueue_unfinished_work_seconds", "process_resident_memory_bytes"] {
            assert_eq!(body.matches(&format!("# TYPE {name} ")).count(), 1, "{name} in {body}");
        }
        let types: Vec<&str> = body.lines().filter(|line| line.starts_with("# TYPE ")).collect();
        assert_eq!(types.iter().collect::<HashSet<_>>().len(), types.len(), "{body}");
    }
}
