//! The page over plain HTTP: read only, for a few scrapers.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{Method, Request, Response, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::index::Page;

/// The text format that Prometheus reads, as kube-state-metrics sends it.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
/// Scrapers are few; more than this at once is a mistake of somebody.
const CONNECTIONS: usize = 64;
/// A client that sends nothing is left alone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serves until `stop`.
pub(crate) async fn serve(listener: TcpListener, page: Arc<Page>, stop: CancellationToken) {
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

async fn converse(stream: TokioIo<TcpStream>, page: Arc<Page>) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let response = answer(&page, request.method(), request.uri().path());
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(error) = server.serve_connection(stream, service).await {
        debug!(%error, "a connection ended early");
    }
}

fn answer(page: &Page, method: &Method, path: &str) -> Response<String> {
    const NOT_YET: &str = "not all objects are known yet\n";
    if !matches!(*method, Method::GET | Method::HEAD) {
        return response(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n".to_owned(), PLAIN);
    }
    match path {
        "/metrics" if page.complete() => response(StatusCode::OK, page.text(), METRICS),
        "/readyz" if page.complete() => response(StatusCode::OK, "OK".to_owned(), PLAIN),
        "/metrics" | "/readyz" => response(StatusCode::SERVICE_UNAVAILABLE, NOT_YET.to_owned(), PLAIN),
        "/healthz" | "/livez" => response(StatusCode::OK, "OK".to_owned(), PLAIN),
        _ => response(StatusCode::NOT_FOUND, "there are /metrics, /healthz, /livez and /readyz\n".to_owned(), PLAIN),
    }
}

fn response(status: StatusCode, body: String, kind: &'static str) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}
