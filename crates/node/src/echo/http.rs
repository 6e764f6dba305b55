//! Echo over HTTP.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::{Server, behaviour::Speech, plain};

/// The longest `/slow`.
const MAX_SLOW: u64 = 60_000;

/// Accepts until the server is closed.
pub(super) async fn accept(listener: TcpListener, server: Server) {
    while let Some(accepted) = server.closed.run_until_cancelled(listener.accept()).await {
        let Ok((stream, client)) = accepted else { continue };
        server.connections.spawn(connection(stream, client, server.clone()));
    }
}

async fn connection(stream: TcpStream, client: SocketAddr, server: Server) {
    match server.behaviour.speech {
        Speech::Silent => return plain::hear(stream, &server).await,
        Speech::Garbage => return plain::babble(stream).await,
        Speech::Normal | Speech::UdpOnly => {}
    }
    let service = service_fn(|request| answer(request, client, &server));
    let mut http = http1::Builder::new();
    // A client that has said all it wants to say still waits for the answer, however long that takes.
    http.half_close(true);
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(60));
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    // A client that breaks its connection is its own business.
    tokio::select! {
        result = &mut connection => drop(result),
        () = server.closed.cancelled() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    client: SocketAddr,
    server: &Server,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let query: Vec<_> = form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).collect();
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
    let path = request.uri().path();
    if path == "/slow" {
        let wish = value("ms").and_then(|ms| ms.parse().ok()).unwrap_or(1000);
        tokio::time::sleep(Duration::from_millis(MAX_SLOW.min(wish))).await;
    }
    server.behaviour.hesitate().await;
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let json = value("format") == Some("json") || header(header::ACCEPT).contains("application/json");
    let unready = path == "/ready" && !server.behaviour.ready;
    let (body, kind) = match path {
        "/healthz" => ("ok\n".to_owned(), "text/plain"),
        "/ready" if unready => ("not ready\n".to_owned(), "text/plain"),
        "/ready" => ("ready\n".to_owned(), "text/plain"),
        _ if json => (as_json(server, client, header(header::HOST), path), "application/json"),
        _ => (as_text(server, client, header(header::HOST), path), "text/plain"),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if unready {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    if server.leaving.is_cancelled() {
        // Whoever keeps connections open should make the next one to another pod.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn as_text(server: &Server, client: SocketAddr, host: &str, path: &str) -> String {
    let who = &server.identity;
    format!(
        "pod {}\nnode {}\nnamespace {}\nclient {client}\nhost {host}\npath {path}\n",
        who.pod, who.node, who.namespace
    )
}

fn as_json(server: &Server, client: SocketAddr, host: &str, path: &str) -> String {
    let who = &server.identity;
    let answer = json!({
        "pod": who.pod, "node": who.node, "namespace": who.namespace,
        "client": client.to_string(), "host": host, "path": path,
    });
    format!("{answer}\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::{sync::CancellationToken, task::TaskTracker};

    use super::*;
    use crate::echo::{Identity, behaviour::Behaviour};

    /// `nc`, and whoever else closes its half after the question: an answer that took a moment was lost.
    #[tokio::test]
    async fn who_has_said_all_still_gets_the_answer() {
        let identity = Identity { pod: "web-1".into(), node: "node1".into(), namespace: "default".into() };
        for variables in [&[][..], &[("ECHO_DELAY_MILLISECONDS", "50")]] {
            let variable =
                |asked: &str| variables.iter().find(|(name, _)| *name == asked).map(|(_, value)| (*value).to_owned());
            let server = Server {
                identity: identity.clone(),
                behaviour: Behaviour::of(variable).unwrap(),
                leaving: CancellationToken::new(),
                closed: CancellationToken::new(),
                connections: TaskTracker::new(),
            };
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(accept(listener, server.clone()));
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
            client.shutdown().await.unwrap();
            let mut answer = String::new();
            let read = tokio::time::timeout(Duration::from_secs(10), client.read_to_string(&mut answer));
            read.await.unwrap().unwrap();
            assert!(answer.contains("pod web-1"), "{variables:?}: {answer:?}");
            server.closed.cancel();
        }
    }
}
