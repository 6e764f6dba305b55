//! The wire below the real client, for tests in the runtime's own paused time.

use std::{
    io,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::service_fn;

/// A request as it went out.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) at: Instant,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) body: Value,
}

/// What comes back.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    /// The object as it was sent, like a creation.
    Echo,
    /// A refusal.
    Status(u16, Value),
    /// Not what a client can read.
    Garbage,
    /// Nothing: the connection breaks.
    Broken,
    /// Nothing at all.
    Hangs,
}

impl Answer {
    pub(crate) fn code(code: u16) -> Self {
        Self::Status(code, json!({}))
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Wire {
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Wire {
    /// A client whose requests, numbered from 0, get the answers of `answer`.
    pub(crate) fn new(answer: impl Fn(usize, &Sent) -> Answer + Send + Sync + 'static) -> (Client, Self) {
        let wire = Self::default();
        let sent = Arc::clone(&wire.sent);
        let answer = Arc::new(answer);
        let service = service_fn(move |request: Request<Body>| {
            let (sent, answer) = (Arc::clone(&sent), Arc::clone(&answer));
            async move {
                let (parts, body) = request.into_parts();
                let bytes = body.collect_bytes().await.map_err(io::Error::other)?;
                let one = Sent {
                    at: Instant::now(),
                    method: parts.method.to_string(),
                    path: parts.uri.path().to_owned(),
                    body: serde_json::from_slice(&bytes).unwrap(),
                };
                let number = {
                    let mut sent = sent.lock().unwrap();
                    sent.push(one.clone());
                    sent.len() - 1
                };
                let (code, text) = match answer(number, &one) {
                    Answer::Echo => (200, echo(&one)),
                    Answer::Garbage => (200, "not JSON".to_owned()),
                    Answer::Status(code, details) => {
                        let status = json!({"kind": "Status", "status": "Failure", "code": code, "details": details});
                        (code, status.to_string())
                    }
                    Answer::Broken => return Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                    Answer::Hangs => std::future::pending().await,
                };
                Ok(Response::builder().status(code).body(Body::from(text.into_bytes())).unwrap())
            }
        });
        (Client::new(service, "default"), wire)
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// The methods in order.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.sent().into_iter().map(|sent| sent.method).collect()
    }
}

/// A patch is not an object: the answer has what a client needs to read it as one.
fn echo(sent: &Sent) -> String {
    let mut object = sent.body.clone();
    for (field, value) in [("metadata", json!({})), ("involvedObject", json!({})), ("regarding", json!({}))] {
        object.as_object_mut().unwrap().entry(field).or_insert(value);
    }
    object.to_string()
}
