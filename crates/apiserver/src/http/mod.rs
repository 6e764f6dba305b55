//! The HTTP face: head -> [`request::Operation`] -> registry or a fixed document -> response.
//!
//! [`Api`] is the whole API as a function from request to response. The listener (`serve`) and the in-process client
//! both call it, so whatever a test proves in process holds on the wire.

pub mod accept;
pub mod body;
mod metrics;
pub mod options;
pub mod request;
pub mod select;
pub mod serve;

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::json;

pub use self::metrics::Metrics;
use self::{accept::SwaggerForm, body::Body, request::Operation};
use crate::{
    auth::Identity,
    discovery,
    faults::{self, Burden, Faults},
    registry::{self, Answer, Registry},
    status::ApiError,
};

/// Largest request body, as upstream.
pub const BODY_LIMIT: usize = 3 << 20;

/// The Kubernetes version whose API this server speaks.
pub const VERSION: &str = "v1.36.0";

/// The API.
pub struct Api {
    registry: Arc<Registry>,
    metrics: Metrics,
    faults: Faults,
}

impl Api {
    /// The API over a registry.
    pub fn new(registry: Arc<Registry>) -> Self {
        Self { registry, metrics: Metrics::default(), faults: Faults::default() }
    }

    /// What it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is wrong with it.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The registry behind it.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Answers one request; errors become Status answers. `identity` is None for an anonymous client.
    pub async fn call<B>(&self, identity: Option<&Identity>, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let begin = Instant::now();
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let operation = request::parse(&head.method, path, head.uri.query().unwrap_or(""), &head.headers);
        let (verb, resource) = match &operation {
            Ok(Operation::Resource(request)) => (request.verb.as_str(), request.resource.plural),
            _ => ("get", "none"),
        };
        let result = match operation {
            // Credentials that nobody can check are bad credentials, also where none are needed.
            _ if identity.is_none() && head.headers.contains_key(header::AUTHORIZATION) => {
                Err(ApiError::unauthorized())
            }
            Err(error) if identity.is_some() => Err(error),
            Ok(operation) if identity.is_some() || is_public(&operation) => {
                self.execute(operation, identity, &head.headers, body).await
            }
            _ => Err(ApiError::unauthorized()),
        };
        let mut response = result.unwrap_or_else(|error| {
            // Not its message: that may quote what the client sent, and the client may have sent a Secret.
            tracing::debug!(method = %head.method, path, code = error.code, reason = error.reason, "refused");
            failure(&error)
        });
        if head.method == Method::HEAD {
            *response.body_mut() = Body::full("");
        }
        self.metrics.observe(verb, resource, response.status().as_u16(), begin.elapsed());
        response
    }

    async fn execute<B>(
        &self,
        operation: Operation,
        identity: Option<&Identity>,
        headers: &HeaderMap,
        body: B,
    ) -> Result<Response<Body>, ApiError>
    where
        B: http_body::Body + Send,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let json = |value: serde_json::Value| Ok(respond(200, "application/json", Body::full(value.to_string())));
        match operation {
            Operation::Resource(request) => {
                let body = read(body).await?;
                if let Some(burden) = self.faults.befall(identity, &request)
                    && let Some(refusal) = bear(burden).await
                {
                    return Ok(refusal);
                }
                if !request.resource.is_stored() {
                    let identity = identity.ok_or_else(ApiError::unauthorized)?;
                    return registry::review(&request, identity, &body).map(success);
                }
                let silence = self.faults.silence_of(identity, &request);
                let answer = self.registry.handle(&request, &body).await?;
                Ok(success(Answer { body: answer.body.silenced(silence), ..answer }))
            }
            Operation::Faults { replace } => {
                if !identity.is_some_and(faults::is_operator) {
                    return Err(ApiError::not_allowed("only members of system:masters may see and switch faults"));
                }
                if replace {
                    let body = read(body).await?;
                    let list = serde_json::from_slice(&body).map_err(|error| error.to_string());
                    list.and_then(|list| self.faults.replace(list)).map_err(ApiError::bad_request)?;
                }
                json(json!(self.faults.list()))
            }
            Operation::Probe { name, verbose } => Ok(self.probe(&name, verbose)),
            Operation::Version => json(version()),
            Operation::Metrics => {
                let text = self.metrics.render(&self.registry);
                let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                Ok(respond(200, content_type, Body::full(text)))
            }
            Operation::Api(form) => Ok(document(discovery::core(form), headers)),
            Operation::Apis(form) => Ok(document(discovery::groups(form), headers)),
            Operation::Group(group) => json(discovery::group(&group)?),
            Operation::GroupVersion { group, version } => json(discovery::group_version(&group, &version)?),
            Operation::Swagger(form) => {
                let body = Bytes::from(match form {
                    SwaggerForm::Json => portolan_kinds::openapi::v2_json().to_string().into_bytes(),
                    SwaggerForm::Protobuf => portolan_kinds::openapi::v2_protobuf(),
                });
                Ok(cached(form.content_type(), &discovery::etag(&body), body, headers))
            }
            Operation::OpenApiIndex => {
                let body = Bytes::from(portolan_kinds::openapi::v3_index().to_string());
                Ok(cached("application/json", &discovery::etag(&body), body, headers))
            }
            Operation::OpenApiDocument { path, hashed } => {
                let document = portolan_kinds::openapi::v3_document(&path).ok_or_else(ApiError::no_such_path)?;
                let etag = format!("\"{}\"", document.hash);
                let body = Bytes::from_static(&document.json);
                let mut response = cached("application/json", &etag, body, headers);
                if hashed {
                    let forever = HeaderValue::from_static("public, immutable, max-age=31536000");
                    response.headers_mut().insert(header::CACHE_CONTROL, forever);
                }
                Ok(response)
            }
        }
    }

    fn probe(&self, name: &str, verbose: bool) -> Response<Body> {
        let (code, text) = match (self.registry.store().failed(), verbose) {
            (false, false) => (200, "ok".to_owned()),
            (false, true) => (200, format!("[+]ping ok\n[+]store ok\n{name} check passed\n")),
            (true, _) => {
                let why = "the disk refused a write; see the log";
                (500, format!("[+]ping ok\n[-]store failed: {why}\n{name} check failed\n"))
            }
        };
        respond(code, "text/plain; charset=utf-8", Body::full(text))
    }
}

/// What anonymous clients may see, as upstream's public info viewer role.
fn is_public(operation: &Operation) -> bool {
    matches!(operation, Operation::Probe { .. } | Operation::Version)
}

/// Waits as long as the burden says; the answer, if it refuses.
async fn bear(burden: Burden) -> Option<Response<Body>> {
    tokio::time::sleep(burden.delay).await;
    let refusal = burden.refusal?;
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": refusal.message, "reason": refusal.reason, "code": refusal.code,
    });
    let mut response = respond(refusal.code, "application/json", Body::full(status.to_string()));
    if let Some(seconds) = refusal.retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Some(response)
}

async fn read<B>(body: B) -> Result<Bytes, ApiError>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::too_large(format!("the request body is larger than the limit of {BODY_LIMIT} bytes")))
        }
        Err(error) => Err(ApiError::bad_request(format!("the request body cannot be read: {error}"))),
    }
}

fn respond(code: u16, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

fn success(answer: Answer) -> Response<Body> {
    let mut response = respond(answer.code, answer.content_type, answer.body);
    for warning in answer.warnings {
        let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

fn failure(error: &ApiError) -> Response<Body> {
    respond(error.code, "application/json", Body::full(error.to_json()))
}

fn document(document: &'static discovery::Document, headers: &HeaderMap) -> Response<Body> {
    cached(document.content_type, &document.etag, document.body.clone(), headers)
}

/// A document with an entity tag: not sent again to who has it.
fn cached(content_type: &'static str, etag: &str, body: Bytes, headers: &HeaderMap) -> Response<Body> {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let unchanged = known.is_some_and(|known| known.split(',').any(|tag| tag.trim() == etag));
    let mut response = if unchanged {
        respond(304, content_type, Body::full(""))
    } else {
        respond(200, content_type, Body::full(body))
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept"));
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    response
}

fn version() -> serde_json::Value {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let arch = match arch {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": format!("{VERSION}+portolan.{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "rustc",
        "platform": format!("{os}/{arch}"),
    })
}
