//! Logs of pods: the request goes to the node agent that runs the pod, over HTTPS with the server's certificate.

use std::error::Error;

use form_urlencoded::Serializer;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use serde_json::Value;

use super::{Answer, Registry, nodes::stream_of, view};
use crate::{
    http::request::ResourceRequest,
    kubelet::{self, KubeletError},
    status::ApiError,
};

/// Longest error text taken from a node.
const ERROR_BYTES: usize = 64 << 10;
/// Parameters of the log API that a node understands.
const PASSED_ON: [&str; 7] =
    ["follow", "tailLines", "timestamps", "previous", "sinceSeconds", "sinceTime", "limitBytes"];

impl Registry {
    pub(super) async fn logs(
        &self,
        request: &ResourceRequest,
        name: &str,
        query: &[(String, String)],
    ) -> Result<Answer, ApiError> {
        let current = self.current(request.resource, &request.namespace, name)?;
        let pod = view(request.resource, &current);
        let container = container(&pod, name, query)?;
        let node = pod["spec"]["nodeName"]
            .as_str()
            .filter(|node| !node.is_empty())
            .ok_or_else(|| ApiError::bad_request(format!("pod {name} does not have a host assigned")))?;
        let address = self.node_address(node)?;
        let tls = self.kubelet.clone().ok_or_else(|| {
            ApiError::not_implemented("this server has no client certificate for node agents; logs are not available")
        })?;
        let passed_on = query.iter().filter(|(key, _)| PASSED_ON.contains(&key.as_str()));
        let parameters = Serializer::new(String::new()).extend_pairs(passed_on).finish();
        let path = format!("/containerLogs/{}/{name}/{container}?{parameters}", request.namespace);
        let unreachable = |error: KubeletError| {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            ApiError::unavailable(format!("cannot read the log of pod {name} from node {node}: {error}{cause}"))
        };
        let response = kubelet::get(tls, address, &path).await.map_err(unreachable)?;
        if response.status() != StatusCode::OK {
            let code = response.status().as_u16();
            let text = Limited::new(response.into_body(), ERROR_BYTES).collect().await;
            let text = text.map(|body| String::from_utf8_lossy(&body.to_bytes()).trim().to_owned()).unwrap_or_default();
            return Err(if code < 500 {
                ApiError { code, ..ApiError::bad_request(text) }
            } else {
                ApiError::internal(text)
            });
        }
        Ok(Answer {
            code: 200,
            content_type: "text/plain",
            body: stream_of(response.into_body()),
            warnings: Vec::new(),
        })
    }
}

/// The container asked for, or the only one.
fn container(pod: &Value, name: &str, query: &[(String, String)]) -> Result<String, ApiError> {
    let names: Vec<_> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| pod["spec"][*list].as_array().into_iter().flatten())
        .filter_map(|container| container["name"].as_str())
        .collect();
    match query.iter().find(|(key, value)| key == "container" && !value.is_empty()) {
        Some((_, asked)) if names.contains(&asked.as_str()) => Ok(asked.clone()),
        Some((_, asked)) => Err(ApiError::bad_request(format!("container {asked} is not valid for pod {name}"))),
        None => match names.as_slice() {
            [only] => Ok((*only).to_owned()),
            several => Err(ApiError::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                several.join(" ")
            ))),
        },
    }
}
