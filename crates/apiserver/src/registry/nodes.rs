//! The agents of nodes: where they are, and requests that are passed on to them as they are.
//!
//! As with everything else here, whoever is authenticated may ask: there is no RBAC. The agent itself only talks to
//! holders of a certificate of the cluster. Upstream: `pkg/registry/core/node/rest/proxy.go`.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
};

use form_urlencoded::Serializer;
use futures::stream;
use http::header;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use portolan_kinds::Resource;

use super::{Answer, Registry};
use crate::{
    http::body::Body,
    kubelet::{self, KubeletError},
    status::ApiError,
    store::Key,
};

/// Where node agents listen, unless the Node says otherwise.
const PORT: u16 = 10250;

impl Registry {
    /// `GET path` of a node's agent. Whatever it answers is the answer.
    pub(super) async fn node_proxy(
        &self,
        nodes: &Resource,
        name: &str,
        path: &str,
        query: &[(String, String)],
    ) -> Result<Answer, ApiError> {
        let (node, port) = node_and_port(name)?;
        self.current(nodes, "", node)?;
        let known = self.node_address(node)?;
        // The agent's certificate proves nothing about other ports, and nothing there speaks TLS with ours.
        if port.is_some_and(|port| port != known.port()) {
            let message = format!("only the agent of node {node} can be asked, on port {}", known.port());
            return Err(ApiError::bad_request(message));
        }
        let tls = self.kubelet.clone().ok_or_else(|| {
            ApiError::not_implemented("this server has no client certificate for node agents; they cannot be asked")
        })?;
        let parameters = Serializer::new(String::new()).extend_pairs(query).finish();
        let unreachable = |error: KubeletError| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            ApiError::unavailable(format!("cannot ask the agent of node {node}: {error}{cause}"))
        };
        let response = kubelet::get(tls, known, &format!("/{path}?{parameters}")).await.map_err(unreachable)?;
        let declared = response.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes());
        let content_type = if declared.is_some_and(|value| value.starts_with(b"application/json")) {
            "application/json"
        } else {
            "text/plain"
        };
        Ok(Answer {
            code: response.status().as_u16(),
            content_type,
            body: stream_of(response.into_body()),
            warnings: Vec::new(),
        })
    }

    pub(super) fn node_address(&self, name: &str) -> Result<SocketAddr, ApiError> {
        let node = self.store.get("nodes", &Key::new("", name)).map(|node| node.value()).unwrap_or_default();
        let port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64();
        let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0).unwrap_or(PORT);
        let addresses = node["status"]["addresses"].as_array().map(Vec::as_slice).unwrap_or_default();
        addresses
            .iter()
            .find(|address| address["type"] == "InternalIP")
            .and_then(|address| address["address"].as_str()?.parse::<IpAddr>().ok())
            .map(|address| SocketAddr::new(address, port))
            .ok_or_else(|| ApiError::internal(format!("node {name} has no InternalIP address")))
    }
}

/// `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
fn node_and_port(text: &str) -> Result<(&str, Option<u16>), ApiError> {
    let wrong = || ApiError::bad_request(format!("invalid node request {text:?}"));
    let parts: Vec<&str> = text.split(':').collect();
    let (name, port) = match *parts.as_slice() {
        [name] => return Ok((name, None)),
        [name, port] | ["https", name, port] => (name, port),
        _ => return Err(wrong()),
    };
    // Nothing behind the colon is the usual port.
    let port = if port.is_empty() { None } else { Some(port.parse().map_err(|_| wrong())?) };
    Ok((name, port))
}

pub(super) fn stream_of(body: Incoming) -> Body {
    Body::stream(stream::unfold(body, |mut body| async move {
        loop {
            match body.frame().await? {
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some((Ok(data), body));
                    }
                }
                Err(error) => return Some((Err(std::io::Error::other(error)), body)),
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_named_with_or_without_a_port() {
        for (text, expected) in [
            ("n", Some(("n", None))),
            ("n:10250", Some(("n", Some(10250)))),
            ("n:", Some(("n", None))),
            ("https:n:10250", Some(("n", Some(10250)))),
            ("http:n:10250", None),
            ("n:https", None),
            ("a:b:c:d", None),
        ] {
            assert_eq!(node_and_port(text).ok(), expected, "{text}");
        }
    }
}
