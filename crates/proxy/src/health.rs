//! What balancers and people ask over HTTP: is this proxy working (`/healthz`, `/livez`), and does this node have
//! endpoints of that Service (its health check node port)?
//! Upstream: `pkg/proxy/healthcheck`.

use std::{
    collections::HashMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use portolan_objects::ObjectKey;
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::Metrics;

/// A change that waits longer than this without reaching the kernel makes the proxy unhealthy.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct State {
    /// The oldest change that has not reached the kernel.
    waiting: Option<Instant>,
    /// It is told that it no longer works.
    stuck: bool,
    updated: SystemTime,
    node_eligible: bool,
    /// Endpoints here by Service, for those with a health check port.
    local: HashMap<ObjectKey, usize>,
}

/// What the servers tell. Written by the proxy's loop.
#[derive(Debug)]
pub(crate) struct Health {
    state: std::sync::Mutex<State>,
    metrics: Metrics,
}

impl Health {
    pub(crate) fn new(metrics: Metrics) -> Arc<Self> {
        let state = State {
            waiting: None,
            stuck: false,
            updated: SystemTime::now(),
            node_eligible: true,
            local: HashMap::new(),
        };
        Arc::new(Self { state: std::sync::Mutex::new(state), metrics })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // Nothing that holds the lock can panic half way.
        work(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Something changed that has to reach the kernel.
    pub(crate) fn queued(&self) {
        self.with(|state| state.waiting = state.waiting.or_else(|| Some(Instant::now())));
    }

    /// The kernel holds everything that is wanted.
    pub(crate) fn settled(&self) {
        self.with(|state| {
            state.waiting = None;
            state.updated = SystemTime::now();
        });
    }

    pub(crate) fn stuck(&self, stuck: bool) {
        self.with(|state| state.stuck = stuck);
    }

    pub(crate) fn node(&self, eligible: bool) {
        self.with(|state| state.node_eligible = eligible);
    }

    pub(crate) fn local(&self, counts: HashMap<ObjectKey, usize>) {
        self.with(|state| state.local = counts);
    }

    /// `/healthz` and `/livez`, which does not care about the node.
    fn proxy(&self, path: &str) -> Response<Full<Bytes>> {
        if !matches!(path, "/healthz" | "/livez") {
            return answer(StatusCode::NOT_FOUND, json!({"error": "only /healthz and /livez are here"}));
        }
        let (healthy, eligible, updated) = self.with(|state| (works(state), state.node_eligible, state.updated));
        let fine = healthy && (eligible || path == "/livez");
        let code = if fine { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        self.metrics.answered(path, code.as_u16());
        let body = json!({
            "lastUpdated": timestamp(updated),
            "currentTime": timestamp(SystemTime::now()),
            "nodeEligible": eligible,
            "healthy": healthy,
        });
        answer(code, body)
    }

    /// The health check port of one Service.
    fn service(&self, service: &ObjectKey) -> Response<Full<Bytes>> {
        let (healthy, count) = self.with(|state| (works(state), state.local.get(service).copied().unwrap_or_default()));
        let code = if healthy && count > 0 { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let body = json!({
            "service": {"namespace": service.namespace, "name": service.name},
            "localEndpoints": count,
            "serviceProxyHealthy": healthy,
        });
        let mut response = answer(code, body);
        response.headers_mut().insert("x-load-balancing-endpoint-weight", count.into());
        response
    }
}

fn works(state: &State) -> bool {
    !state.stuck && state.waiting.is_none_or(|since| since.elapsed() < PATIENCE)
}

/// Seconds since 1970, with a fraction: what needs no calendar.
fn timestamp(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

fn answer(code: StatusCode, body: serde_json::Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

/// What one server answers for.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Proxy,
    Service(ObjectKey),
}

/// Serves until `stop`; connections that are open then are closed.
pub(crate) async fn serve(listener: TcpListener, health: Arc<Health>, subject: Subject, stop: CancellationToken) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of descriptors, or a client that left at once; the former needs a moment.
                    debug!(%error, "cannot accept a health check");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (health, subject, stop) = (Arc::clone(&health), subject.clone(), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let response = match &subject {
                    Subject::Proxy => health.proxy(request.uri().path()),
                    Subject::Service(key) => health.service(key),
                };
                async move { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::select! {
                () = stop.cancelled() => {}
                result = connection => if let Err(error) = result {
                    debug!(%error, "a health check ended early");
                },
            }
        });
    }
}
