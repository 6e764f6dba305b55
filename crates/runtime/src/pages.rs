//! Pages over plain HTTP for probes and scrapers: read only, a bounded number of connections, patience with nobody.

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

/// Probes and scrapers are few; more than this at once is a mistake of somebody.
const CONNECTIONS: usize = 64;
/// A client that sends nothing is left alone.
const PATIENCE: Duration = Duration::from_secs(10);
/// The media type of words.
pub const PLAIN: &str = "text/plain; charset=utf-8";

/// Serves until `stop`: `page` answers each path; other methods than GET and HEAD are refused before.
pub async fn serve<P>(listener: TcpListener, page: P, stop: CancellationToken)
where
    P: Fn(&str) -> Response<String> + Send + Sync + 'static,
{
    let page = Arc::new(page);
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

async fn converse<P: Fn(&str) -> Response<String>>(stream: TokioIo<TcpStream>, page: Arc<P>) {
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let response = match *request.method() {
            Method::GET | Method::HEAD => page(request.uri().path()),
            _ => response(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n", PLAIN),
        };
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    if let Err(error) = server.serve_connection(stream, service).await {
        debug!(%error, "a connection ended early");
    }
}

/// An answer of this media type.
pub fn response(status: StatusCode, body: impl Into<String>, kind: &'static str) -> Response<String> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(address: std::net::SocketAddr, method: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let question = format!("{method} /where HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(question.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }

    #[tokio::test]
    async fn pages_are_read_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let page = |path: &str| response(StatusCode::OK, format!("this is {path}"), PLAIN);
        let server = tokio::spawn(serve(listener, page, stop.clone()));
        assert!(ask(address, "GET").await.ends_with("this is /where"));
        assert!(ask(address, "POST").await.starts_with("HTTP/1.1 405"));
        stop.cancel();
        server.await.unwrap();
    }
}
