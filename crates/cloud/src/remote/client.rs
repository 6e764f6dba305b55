//! The caller's side.

use std::{error::Error, time::Duration};

use futures::future::{BoxFuture, FutureExt};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1,
};
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::{
    endpoint::{Endpoint, EndpointError},
    wire::{ADOPTED, Answer, INSTANCE, LIMIT, Question, Route, class_of},
};
use crate::{BalancerId, Class, CloudError, Held, LoadBalancer, LoadBalancers, Observer, Status};

/// For the connection alone.
const CONNECT: Duration = Duration::from_secs(5);
/// For a whole call. Vendors take minutes to make a balancer.
const CALL: Duration = Duration::from_secs(180);

/// A provider in another process.
#[derive(Debug)]
pub struct Remote {
    endpoint: Endpoint,
    limit: Duration,
    /// The run of the provider that has heard what exists.
    adopted: Mutex<Option<String>>,
}

impl Remote {
    /// A provider at `endpoint`, which is the path of a unix socket or `http://127.0.0.1:PORT`. Nothing is sent yet.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Ok(Self { endpoint: endpoint.parse()?, limit: CALL, adopted: Mutex::new(None) })
    }

    /// The same with another limit for a whole call.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Asks; the answer may carry an error.
    async fn ask(&self, route: Route, question: &Question) -> Result<Answer, CloudError> {
        match timeout(self.limit, self.exchange(route, question)).await {
            Ok(answered) => answered,
            Err(_) => {
                let message = format!(
                    "{} has not answered {} within {} s; the call may have been carried out",
                    self.endpoint,
                    route.path(),
                    self.limit.as_secs()
                );
                Err(CloudError::new(Class::Timeout, "DeadlineExceeded", message))
            }
        }
    }

    async fn exchange(&self, route: Route, question: &Question) -> Result<Answer, CloudError> {
        let body = serde_json::to_vec(question).map_err(|error| self.garbled(&error))?;
        let mut request = Request::post(route.path())
            .header(header::HOST, "portolan")
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(instance) = self.adopted.lock().as_deref() {
            request = request.header(ADOPTED, instance);
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| self.garbled(&error))?;
        let stream = match timeout(CONNECT, self.endpoint.connect()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.unreachable(&error)),
            Err(late) => return Err(self.unreachable(&late)),
        };
        let (mut sender, connection) = http1::handshake(stream).await.map_err(|error| self.unreachable(&error))?;
        let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
        // The request is out: from here on the provider may have acted.
        let response = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
        self.read(route, response).await
    }

    async fn read(&self, route: Route, response: Response<Incoming>) -> Result<Answer, CloudError> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LIMIT).collect().await.map_err(|error| self.broken(&*error))?.to_bytes();
        if route == Route::Adopt && head.status.is_success() {
            let instance = head.headers.get(INSTANCE).and_then(|value| value.to_str().ok());
            *self.adopted.lock() = instance.map(str::to_owned);
        }
        let answer = serde_json::from_slice::<Answer>(&body);
        match answer {
            Ok(answer) if head.status.is_success() || answer.error.is_some() => Ok(answer),
            Ok(_) | Err(_) if !head.status.is_success() => {
                let text: String = String::from_utf8_lossy(&body).chars().take(200).collect();
                let code = format!("HTTP{}", head.status.as_u16());
                let error = CloudError::new(class_of(head.status), code, format!("{} says: {text}", self.endpoint));
                Err(CloudError { retry_after: retry_after(&head.headers), ..error })
            }
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.garbled(&error)),
        }
    }

    /// Asks; an error in the answer is the result.
    async fn call(&self, route: Route, question: Question) -> Result<Answer, CloudError> {
        let answer = self.ask(route, &question).await?;
        answer.error.clone().map_or(Ok(answer), Err)
    }

    fn unreachable(&self, error: &dyn Error) -> CloudError {
        let message = format!("cannot connect to {} (is the provider running?): {error}", self.endpoint);
        CloudError::new(Class::Unreachable, "ConnectionFailed", message)
    }

    fn broken(&self, error: &dyn Error) -> CloudError {
        let message =
            format!("{} broke the connection off: {error}; the call may have been carried out", self.endpoint);
        CloudError::new(Class::Unreachable, "ConnectionBroken", message)
    }

    fn garbled(&self, error: &dyn Error) -> CloudError {
        let message = format!("{} does not speak the protocol: {error}", self.endpoint);
        CloudError::new(Class::Other, "ProtocolError", message)
    }
}

/// Whole seconds, as HTTP has it.
fn retry_after(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

impl LoadBalancers for Remote {
    fn adopt<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), CloudError>> {
        let question = Question { held: held.to_vec(), ..Question::default() };
        async move { self.call(Route::Adopt, question).await.map(drop) }.boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<Held>>, CloudError>> {
        async move { Ok(self.call(Route::List, Question::default()).await?.held) }.boxed()
    }

    fn get<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<Option<Status>, CloudError>> {
        async move { Ok(self.call(Route::Get, about(id)).await?.status) }.boxed()
    }

    fn ensure<'a>(
        &'a self,
        wanted: &'a LoadBalancer,
        observer: Observer<'a>,
    ) -> BoxFuture<'a, Result<Status, CloudError>> {
        async move {
            let answer = self.ask(Route::Ensure, &asking(wanted)).await?;
            answer.steps.into_iter().for_each(observer);
            match (answer.error, answer.status) {
                (Some(error), _) => Err(error),
                (None, Some(status)) => Ok(status),
                (None, None) => {
                    let message = format!("{} gives no status", self.endpoint);
                    Err(CloudError::new(Class::NoStatus, "NoStatus", message))
                }
            }
        }
        .boxed()
    }

    fn update_nodes<'a>(&'a self, wanted: &'a LoadBalancer) -> BoxFuture<'a, Result<(), CloudError>> {
        async move { self.call(Route::UpdateNodes, asking(wanted)).await.map(drop) }.boxed()
    }

    fn delete<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<(), CloudError>> {
        async move { self.call(Route::Delete, about(id)).await.map(drop) }.boxed()
    }
}

fn about(id: &BalancerId) -> Question {
    Question { id: Some(id.clone()), ..Question::default() }
}

fn asking(wanted: &LoadBalancer) -> Question {
    Question { balancer: Some(wanted.clone()), ..Question::default() }
}
