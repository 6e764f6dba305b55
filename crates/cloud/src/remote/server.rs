//! The provider's side: any provider behind a listener.

use std::{
    collections::HashMap,
    convert::Infallible,
    io,
    sync::{Arc, Weak},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    endpoint::Wire,
    wire::{ADOPTED, Answer, INSTANCE, LIMIT, Question, Route, http_status},
};
use crate::{BalancerId, Class, CloudError, LoadBalancers, Step};

/// A caller gets this long to send its headers.
const HEADERS: Duration = Duration::from_secs(10);
/// After an error of `accept`, which usually means that there are too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What to listen on.
#[derive(Debug)]
pub enum Listener {
    /// A unix socket. Its file's mode says who may call.
    Unix(UnixListener),
    /// A port, which should be one of a loopback address: there are no credentials.
    Tcp(TcpListener),
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Wire>> {
        Ok(match self {
            Self::Unix(listener) => Box::new(TokioIo::new(listener.accept().await?.0)),
            Self::Tcp(listener) => Box::new(TokioIo::new(listener.accept().await?.0)),
        })
    }
}

/// Answers calls until `stop`, then finishes those that are under way.
pub async fn serve(listener: impl Into<Listener>, provider: Arc<dyn LoadBalancers>, stop: CancellationToken) {
    let listener = listener.into();
    let instance = uuid::Uuid::new_v4().to_string();
    let provider = Arc::new(Provider { provider, instance, turns: Mutex::default() });
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok(stream) => stream,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        connections.spawn(provider.clone().connection(stream, stop.clone()));
    }
    while connections.join_next().await.is_some() {}
}

struct Provider {
    provider: Arc<dyn LoadBalancers>,
    /// This run.
    instance: String,
    /// Whose balancer is being worked on.
    turns: Mutex<HashMap<BalancerId, Weak<tokio::sync::Mutex<()>>>>,
}

impl Provider {
    async fn connection(self: Arc<Self>, stream: Box<dyn Wire>, stop: CancellationToken) {
        let service = service_fn(move |request| {
            let this = self.clone();
            async move { Ok::<_, Infallible>(this.respond(request).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS)
            .serve_connection(stream, service);
        let mut connection = std::pin::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            debug!(%error, "a caller went away");
        }
    }

    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() == Method::GET && request.uri().path() == "/healthz" {
            return self.response(StatusCode::OK, &Answer::default());
        }
        let adopted = request.headers().get(ADOPTED).is_some_and(|value| value.as_bytes() == self.instance.as_bytes());
        let answer = match Route::of(request.uri().path()).filter(|_| request.method() == Method::POST) {
            None => {
                let message = format!("there is no {} {}", request.method(), request.uri().path());
                failed(CloudError::new(Class::Invalid, "UnknownCall", message))
            }
            Some(route) if route != Route::Adopt && !adopted => {
                let message = "the provider has started and does not know yet which addresses are in use; adopt first";
                failed(CloudError::new(Class::AdoptFirst, "AdoptFirst", message))
            }
            Some(route) => match read(request).await {
                Ok(question) => {
                    let this = self.clone();
                    // A task of its own: it goes on if the caller goes away, so nothing is left half done.
                    let work = tokio::spawn(async move { this.work(route, question).await });
                    work.await.unwrap_or_else(|error| {
                        let message = format!("the provider failed: {error}; see its log");
                        failed(CloudError::new(Class::Other, "ProviderPanicked", message))
                    })
                }
                Err(error) => failed(error),
            },
        };
        let status = answer.error.as_ref().map_or(StatusCode::OK, |error| http_status(error.class));
        self.response(status, &answer)
    }

    async fn work(&self, route: Route, question: Question) -> Answer {
        let id = question.id.as_ref().or(question.balancer.as_ref().map(|balancer| &balancer.id)).cloned();
        let turn = id.as_ref().map(|id| self.turn(id));
        let _turn = match &turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        let provider = &self.provider;
        let steps = Mutex::new(Vec::new());
        let observer = |step: Step| steps.lock().push(step);
        let answer = match (route, &question.balancer, &id) {
            (Route::Adopt, _, _) => provider.adopt(&question.held).await.map(|()| Answer::default()),
            (Route::List, _, _) => provider.list().await.map(|held| Answer { held, ..Answer::default() }),
            (Route::Ensure, Some(wanted), _) => {
                let status = provider.ensure(wanted, &observer).await;
                status.map(|status| Answer { status: Some(status), ..Answer::default() })
            }
            (Route::UpdateNodes, Some(wanted), _) => provider.update_nodes(wanted).await.map(|()| Answer::default()),
            (Route::Get, _, Some(id)) => provider.get(id).await.map(|status| Answer { status, ..Answer::default() }),
            (Route::Delete, _, Some(id)) => provider.delete(id).await.map(|()| Answer::default()),
            (Route::Ensure | Route::UpdateNodes | Route::Get | Route::Delete, _, _) => {
                let message = format!("{} needs a balancer or its id", route.path());
                Err(CloudError::new(Class::Invalid, "MissingField", message))
            }
        };
        Answer { steps: steps.into_inner(), ..answer.unwrap_or_else(failed) }
    }

    fn turn(&self, id: &BalancerId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock();
        if let Some(turn) = turns.get(id).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        turns.insert(id.clone(), Arc::downgrade(&turn));
        turn
    }

    fn response(&self, status: StatusCode, answer: &Answer) -> Response<Full<Bytes>> {
        let body = serde_json::to_vec(answer).unwrap_or_default();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(instance) = HeaderValue::from_str(&self.instance) {
            headers.insert(INSTANCE, instance);
        }
        if let Some(delay) = answer.error.as_ref().and_then(|error| error.retry_after) {
            // Rounded up: earlier would be against the vendor's wish.
            headers.insert(header::RETRY_AFTER, delay.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX).into());
        }
        response
    }
}

async fn read(request: Request<Incoming>) -> Result<Question, CloudError> {
    let malformed = |text: String| CloudError::new(Class::Invalid, "MalformedCall", text);
    let body = Limited::new(request.into_body(), LIMIT).collect().await;
    let body = body.map_err(|error| malformed(format!("cannot read the call: {error}")))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| malformed(format!("cannot read the call: {error}")))
}

fn failed(error: CloudError) -> Answer {
    Answer { error: Some(error), ..Answer::default() }
}
