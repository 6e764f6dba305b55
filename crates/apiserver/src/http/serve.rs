//! The listener: TLS, HTTP/1.1 and HTTP/2 on one port, one task a connection.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use http::Request;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto::Builder,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Api;
use crate::auth::Identity;

/// Time for the TLS handshake, and for the head of an HTTP/1 request.
const PATIENCE: Duration = Duration::from_secs(20);
/// A client holds all its watches on one HTTP/2 connection.
const STREAMS: u32 = 10_000;
/// Flow-control windows: large enough that a list is not sent in round trips.
const WINDOW: u32 = 1 << 20;
/// Time for answers that are on their way when the server stops.
const DRAIN: Duration = Duration::from_secs(2);

/// Serves until `stop`. Connections then get [`DRAIN`] to end.
pub(crate) async fn serve(
    api: Arc<Api>,
    listener: std::net::TcpListener,
    tls: Arc<rustls::ServerConfig>,
    stop: CancellationToken,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let acceptor = TlsAcceptor::from(tls);
    let connections = TaskTracker::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: others will end.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        connections.spawn(connection(api.clone(), stream, acceptor.clone(), stop.clone()));
    }
    connections.close();
    if tokio::time::timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::debug!(open = connections.len(), "connections are left open at the end");
    }
    Ok(())
}

async fn connection(api: Arc<Api>, stream: TcpStream, acceptor: TlsAcceptor, stop: CancellationToken) {
    // A watch event is one small write that must leave at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let stream = match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let certificates = stream.get_ref().1.peer_certificates();
    let identity = certificates.and_then(|chain| chain.first()).and_then(Identity::of_certificate).map(Arc::new);
    let stopped = stop.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (api, identity, stop) = (api.clone(), identity.clone(), stopped.clone());
        async move {
            let response = api.call(identity.as_deref(), request).await;
            Ok::<_, Infallible>(response.map(|body| body.until(stop)))
        }
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(4 * WINDOW)
        .keep_alive_interval(Duration::from_secs(30));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        // Clients go away in the middle of things; that is their right.
        tracing::debug!(%error, "a connection ended early");
    }
}
