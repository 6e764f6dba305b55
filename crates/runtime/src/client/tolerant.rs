//! Answers in which a condition has no time, read all the same.
//!
//! `lastTransitionTime` is the one field that the typed structs insist on; upstream's are content with its zero, which is
//! sent as null. One Service that somebody wrote so, of whatever kind, would make every list of Services unreadable.
//! Watches are read line by line and have the same patience elsewhere (`crate::lenient`).

use http::{Request, Response, Uri, header};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use tower::{BoxError, service_fn};

/// Exactly as servers send it. Inside a string its quotes would be escaped.
const WITHOUT_TIME: &str = r#""lastTransitionTime":null"#;
const AT_NO_TIME: &str = r#""lastTransitionTime":"1970-01-01T00:00:00Z""#;

/// The same client, tolerant of such answers.
pub fn tolerant(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            let stream = is_watch(request.uri());
            let response = client.send(request).await?;
            if stream || !is_json(&response) { Ok::<_, BoxError>(response) } else { whole(response).await }
        }
    });
    Client::new(service, namespace)
}

/// Whether the answer comes for as long as it is asked for.
pub(super) fn is_watch(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.contains("watch=1") || query.contains("watch=true"))
}

fn is_json<B>(response: &Response<B>) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/json"))
}

async fn whole(response: Response<Body>) -> Result<Response<Body>, BoxError> {
    let (mut head, body) = response.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let body = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains(WITHOUT_TIME) => {
            // It was the length of what came.
            head.headers.remove(header::CONTENT_LENGTH);
            Body::from(text.replace(WITHOUT_TIME, AT_NO_TIME).into_bytes())
        }
        _ => Body::from(bytes),
    };
    Ok(Response::from_parts(head, body))
}
