//! From one request to the wire: patience with a busy server, counters, credentials, one HTTP/2 connection.
//!
//! kube's own stack speaks HTTP/1.1, which needs a connection for every watch and every write under way. Upstream:
//! client-go `rest/request.go`, `rest/with_retry.go`, `transport`; apimachinery `util/net/http.go` for the limits.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper_rustls::{FixedServerNameResolver, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as Http, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt},
};
use tokio::time::Sleep;
use tower::{BoxError, Service, ServiceBuilder, layer::layer_fn, retry::Policy};

use super::{metrics::REST, tolerant::is_watch};

/// Connecting may take this long.
const CONNECT: Duration = Duration::from_secs(30);
/// A connection on which nothing came for this long is asked whether it is alive ...
const PING_AFTER: Duration = Duration::from_secs(30);
/// ... and has this long to say so.
const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// What one watch may send ahead of its reader: held in memory, for each of them, while a list comes in.
const STREAM_WINDOW: u32 = 512 << 10;
/// What all together may: so much that a reader that is behind never holds up the others of its connection.
const CONNECTION_WINDOW: u32 = 1 << 30;
/// A request that is no watch has to be answered within this time: the API server itself gives up after 60 s.
const ANSWER: Duration = Duration::from_secs(65);
/// How often one request may be sent again because the server asked for it.
const RETRIES: u32 = 10;

/// The client for a cluster, with `agent` as its `User-Agent`.
pub(super) fn client(mut config: Config, agent: &str) -> kube::Result<Client> {
    if config.proxy_url.is_some() {
        // Says that this build has no support for proxies.
        return Client::try_from(config);
    }
    if let Ok(agent) = HeaderValue::from_str(agent) {
        config.headers.push((header::USER_AGENT, agent));
    }
    let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
    let stack = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .layer(tower::retry::RetryLayer::new(Patience::default()))
        .layer(layer_fn(move |inner| Measured { inner, host: host.clone() }))
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(wire(&config)?);
    Ok(Client::new(stack, config.default_namespace))
}

type Wire = Http<hyper_rustls::HttpsConnector<HttpConnector>, Body>;

fn wire(config: &Config) -> kube::Result<Wire> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    let mut tls = HttpsConnectorBuilder::new().with_tls_config(config.rustls_client_config()?).https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name.clone().try_into().map_err(|error| kube::Error::Service(Box::new(error)))?;
        tls = tls.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let connector = tls.enable_http1().enable_http2().wrap_connector(tcp);
    let wire = Http::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .build(connector);
    Ok(wire)
}

/// Sends a request again when the server says when. Nothing else is repeated here: whether a write that may have been
/// done should be done again is for its sender to know.
#[derive(Debug, Clone, Default)]
struct Patience {
    retries: u32,
}

impl<B> Policy<Request<Body>, Response<B>, BoxError> for Patience {
    type Future = Sleep;

    fn retry(
        &mut self,
        request: &mut Request<Body>,
        result: &mut Result<Response<B>, BoxError>,
    ) -> Option<Self::Future> {
        let response = result.as_ref().ok()?;
        let wait = asked_to_wait(response)?;
        if self.retries == RETRIES {
            return None;
        }
        self.retries += 1;
        REST.retried(request.method(), response.status());
        tracing::debug!(method = %request.method(), status = %response.status(), ?wait, "asked to come again later");
        Some(tokio::time::sleep(wait))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        let mut clone = Request::new(request.body().try_clone()?);
        *clone.method_mut() = request.method().clone();
        *clone.uri_mut() = request.uri().clone();
        *clone.headers_mut() = request.headers().clone();
        *clone.extensions_mut() = request.extensions().clone();
        Some(clone)
    }
}

/// How long a busy server wants the request to wait: with jitter, as everybody who was refused heard the same number.
fn asked_to_wait<B>(response: &Response<B>) -> Option<Duration> {
    let status = response.status();
    if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
        return None;
    }
    let seconds: u32 = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.into()).mul_f64(1.0 + fastrand::f64() / 4.0))
}

/// Counts what is sent and how long the answers take; gives up on those that do not come.
#[derive(Debug, Clone)]
struct Measured<S> {
    inner: S,
    host: String,
}

type Answer<B> = Pin<Box<dyn Future<Output = Result<Response<B>, BoxError>> + Send>>;

impl<S, B> Service<Request<Body>> for Measured<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = Answer<B>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.method().clone();
        let watch = is_watch(request.uri());
        let (answer, host) = (self.inner.call(request), self.host.clone());
        Box::pin(async move {
            let begun = tokio::time::Instant::now();
            let result = match watch {
                true => answer.await.map_err(Into::into),
                false => match tokio::time::timeout(ANSWER, answer).await {
                    Ok(result) => result.map_err(Into::into),
                    Err(late) => Err(late.into()),
                },
            };
            REST.answered(&method, result.as_ref().ok().map(Response::status), &host, begun.elapsed());
            result
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn answer(status: u16, retry_after: Option<&str>) -> Response<()> {
        let mut answer = Response::builder().status(status);
        if let Some(seconds) = retry_after {
            answer = answer.header("Retry-After", seconds);
        }
        answer.body(()).unwrap()
    }

    #[test]
    fn only_a_server_that_says_when_is_asked_again() {
        let cases = [
            (429, Some("2"), Some(2)),
            (503, Some("1"), Some(1)),
            (500, Some("3"), Some(3)),
            (429, None, None),
            (503, None, None),
            (409, Some("1"), None),
            (429, Some("soon"), None),
            (429, Some("99999999999999"), None),
            (200, Some("1"), None),
        ];
        for (status, header, seconds) in cases {
            let wait = asked_to_wait(&answer(status, header));
            assert_eq!(wait.map(|wait| wait.as_secs()), seconds, "{status} {header:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn patience_ends() {
        let mut patience = Patience::default();
        let mut request = Request::new(Body::empty());
        for attempt in 0..=RETRIES {
            let again = patience.retry(&mut request, &mut Ok(answer(429, Some("1"))));
            assert_eq!(again.is_some(), attempt < RETRIES, "attempt {attempt}");
        }
    }
}
