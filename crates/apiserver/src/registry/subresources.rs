//! Subresources that are created: the binding of a pod to a node, and eviction.

use bytes::Bytes;
use portolan_kinds::ContentType;
use serde_json::{Value, json};

use super::{Answer, RETRIES, Registry, meta, view};
use crate::{
    http::{options::WriteOptions, request::ResourceRequest},
    status::ApiError,
    store::Key,
};

impl Registry {
    /// POST below an object.
    pub(super) async fn create_below(
        &self,
        request: &ResourceRequest,
        name: &str,
        options: WriteOptions,
        body: &Bytes,
        format: ContentType,
    ) -> Result<Answer, ApiError> {
        let (object, _) = portolan_kinds::parse(body, format)?;
        match request.subresource.map(|part| part.name) {
            Some("binding") => self.bind(request, name, &object, options.dry_run).await,
            Some("eviction") => self.evict(request, name, &object).await,
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    /// Places a pod on a node. A pod is placed once.
    async fn bind(
        &self,
        request: &ResourceRequest,
        name: &str,
        binding: &Value,
        dry_run: bool,
    ) -> Result<Answer, ApiError> {
        let resource = request.resource;
        let node = binding["target"]["name"].as_str().unwrap_or("");
        if node.is_empty() || !matches!(binding["target"]["kind"].as_str(), None | Some("" | "Node")) {
            return Err(ApiError::unprocessable("Binding is invalid: target must name a Node"));
        }
        for _ in 0..RETRIES {
            let current = self.current(resource, &request.namespace, name)?;
            if current.deleting {
                let why = format!("pod {name} is being deleted, cannot be assigned to a host");
                return Err(ApiError::conflict(resource, name, &why));
            }
            let mut pod = view(resource, &current);
            if let Some(taken) = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) {
                let why = format!("pod {name} is already assigned to node {taken:?}");
                return Err(ApiError::conflict(resource, name, &why));
            }
            place(&mut pod, node);
            self.label_with_topology(&mut pod);
            let bound = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
            if dry_run || self.replace(resource, &current, pod).await?.is_some() {
                return Ok(Answer::value(201, &bound));
            }
        }
        Err(ApiError::stale(resource, name))
    }

    /// Gives a pod that has a node the labels of that node's place, over its own. Upstream: the admission plugin
    /// PodTopologyLabels.
    pub(super) fn label_with_topology(&self, pod: &mut Value) {
        let Some(node) = pod["spec"]["nodeName"].as_str().filter(|node| !node.is_empty()) else { return };
        let Some(node) = self.store.get("nodes", &Key::new("", node)) else { return };
        for name in ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"] {
            if let Some(value) = node.labels.get(name) {
                pod["metadata"]["labels"][name] = value.as_str().into();
            }
        }
    }
}

fn place(pod: &mut Value, node: &str) {
    pod["spec"]["nodeName"] = node.into();
    let condition =
        json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": meta::now()});
    let conditions = &mut pod["status"]["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    if let Some(conditions) = conditions.as_array_mut() {
        conditions.retain(|condition| condition["type"] != "PodScheduled");
        conditions.push(condition);
    }
}
