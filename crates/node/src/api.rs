//! The node's own API, as far as the API server needs it: logs, health, and what the node's kernel knows. HTTPS, client
//! certificate required by the TLS configuration. Upstream: `pkg/kubelet/server`; `/evidence` is our own.

mod evidence;

use std::{convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use jiff::{SignedDuration, Timestamp};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

use crate::{
    agent::{Agent, log_directory},
    logs::{self, Query},
};

/// The port that all nodes serve on.
pub const PORT: u16 = 10250;

type Body = BoxBody<Bytes, Infallible>;

/// Serves until `stop`; requests that are under way are given up then.
pub async fn serve(agent: Arc<Agent>, listener: TcpListener, tls: Arc<rustls::ServerConfig>, stop: CancellationToken) {
    let acceptor = TlsAcceptor::from(tls);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: give others time to close theirs.
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            continue;
        };
        let serve = connection(agent.clone(), acceptor.clone(), stream);
        let stop = stop.clone();
        connections.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                result = serve => if let Err(error) = result {
                    debug!(%error, "a connection to the node ended");
                }
            }
        });
    }
    connections.close();
    connections.wait().await;
}

async fn connection(agent: Arc<Agent>, acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
    let stream = acceptor.accept(stream).await?;
    let service = service_fn(move |request: Request<Incoming>| {
        let agent = agent.clone();
        async move { Ok::<_, Infallible>(answer(&agent, &request).await) }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    server.serve_connection(TokioIo::new(stream), service).await.map_err(io::Error::other)
}

async fn answer(agent: &Agent, request: &Request<Incoming>) -> Response<Body> {
    let path: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
    match (request.method(), path.as_slice()) {
        (&Method::GET, ["healthz"]) => text(StatusCode::OK, "ok"),
        (&Method::GET, ["evidence"]) => match evidence::parse(request.uri().query().unwrap_or_default()) {
            Ok(wishes) => json(evidence::collect(agent, wishes).await),
            Err(message) => text(StatusCode::BAD_REQUEST, message),
        },
        (&Method::GET, ["containerLogs", namespace, pod, container]) => {
            match query(request.uri().query().unwrap_or_default(), Timestamp::now()) {
                Ok(query) => container_logs(agent, namespace, pod, container, query),
                Err(message) => text(StatusCode::BAD_REQUEST, message),
            }
        }
        (&Method::GET, _) => text(StatusCode::NOT_FOUND, "404 page not found"),
        _ => text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served"),
    }
}

fn container_logs(agent: &Agent, namespace: &str, pod: &str, container: &str, query: Query) -> Response<Body> {
    let previous = query.previous;
    let directory = log_directory(&agent.pods_directory(), namespace, pod, container);
    let opened = match directory {
        Some(directory) => logs::tail(&agent.logs, &directory, query),
        None => Err(io::ErrorKind::NotFound.into()),
    };
    match opened {
        Ok(chunks) => stream_of(chunks),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let message = match previous {
                true => format!("previous terminated container \"{container}\" in pod \"{pod}\" not found"),
                false => {
                    let reason = agent.waiting_reason(namespace, pod, container);
                    let why = waiting(reason.as_deref().unwrap_or("ContainerCreating"));
                    format!("container \"{container}\" in pod \"{pod}\" is waiting to start: {why}")
                }
            };
            text(StatusCode::BAD_REQUEST, message)
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot read the log: {error}")),
    }
}

/// Upstream's words for why there is no log yet: two reasons are spelled out.
fn waiting(reason: &str) -> &str {
    match reason {
        "ErrImagePull" => "image can't be pulled",
        "ImagePullBackOff" => "trying and failing to pull image",
        reason => reason,
    }
}

fn stream_of(chunks: mpsc::Receiver<Bytes>) -> Response<Body> {
    let frames = stream::unfold(chunks, |mut chunks| async {
        let chunk = chunks.recv().await?;
        Some((Ok(Frame::data(chunk)), chunks))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(frames)));
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/plain"));
    response
}

fn text(status: StatusCode, message: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(message.into()).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/plain"));
    response
}

fn json(value: impl serde::Serialize) -> Response<Body> {
    match serde_json::to_vec(&value) {
        Ok(bytes) => {
            let mut response = text(StatusCode::OK, bytes);
            response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("cannot write the answer: {error}")),
    }
}

/// The options of `kubectl logs`, as the API server passes them on.
fn query(text: &str, now: Timestamp) -> Result<Query, String> {
    let mut query = Query::default();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let wrong = || format!("invalid value \"{value}\" of {name}");
        let number = || value.parse::<i64>().ok().filter(|number| *number >= 0).ok_or_else(wrong);
        match name.as_ref() {
            "follow" => query.follow = flag(&value),
            "previous" => query.previous = flag(&value),
            "timestamps" => query.timestamps = flag(&value),
            "tailLines" => query.tail = usize::try_from(number()?).ok(),
            "limitBytes" => query.limit = usize::try_from(number()?).ok(),
            "sinceSeconds" => query.since = now.checked_sub(SignedDuration::from_secs(number()?)).ok(),
            "sinceTime" => query.since = Some(value.parse().map_err(|_| wrong())?),
            _ => {}
        }
    }
    Ok(query)
}

fn flag(value: &str) -> bool {
    matches!(value, "" | "1" | "true")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn queries_are_read_or_refused() {
        let now: Timestamp = "2026-05-06T07:08:09Z".parse().unwrap();
        let read = |text| query(text, now);
        assert_eq!(read(""), Ok(Query::default()));
        let expected = Query {
            follow: true,
            timestamps: true,
            tail: Some(5),
            since: Some("2026-05-06T07:08:00Z".parse().unwrap()),
            ..Query::default()
        };
        assert_eq!(read("follow=true&timestamps=1&tailLines=5&sinceSeconds=9&pretty=x"), Ok(expected));
        assert!(read("tailLines=-1").unwrap_err().contains("tailLines"));
        assert!(read("sinceTime=yesterday").is_err());
    }
}
