//! Requests as data: what the generator makes, what both API servers get, what a file keeps for a repetition.

use anyhow::{Context, Result};
use http::{Method, header::CONTENT_TYPE};
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A collection of the API: group, version and plural name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Collection {
    /// Empty for core.
    pub group: &'static str,
    /// The plural name, as in paths.
    pub plural: &'static str,
    /// The kind.
    pub kind: &'static str,
}

/// Services.
pub const SERVICES: Collection = Collection { group: "", plural: "services", kind: "Service" };
/// Pods.
pub const PODS: Collection = Collection { group: "", plural: "pods", kind: "Pod" };
/// Nodes.
pub const NODES: Collection = Collection { group: "", plural: "nodes", kind: "Node" };
/// Endpoints.
pub const ENDPOINTS: Collection = Collection { group: "", plural: "endpoints", kind: "Endpoints" };
/// Events of core/v1.
pub const EVENTS: Collection = Collection { group: "", plural: "events", kind: "Event" };
/// EndpointSlices.
pub const SLICES: Collection =
    Collection { group: "discovery.k8s.io", plural: "endpointslices", kind: "EndpointSlice" };
/// IPAddresses.
pub const ADDRESSES: Collection = Collection { group: "networking.k8s.io", plural: "ipaddresses", kind: "IPAddress" };
/// ServiceCIDRs.
pub const CIDRS: Collection = Collection { group: "networking.k8s.io", plural: "servicecidrs", kind: "ServiceCIDR" };

impl Collection {
    /// The path of all objects of one namespace, or of the cluster where the namespace is empty.
    pub fn path(&self, namespace: &str) -> String {
        let root = if self.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/v1", self.group) };
        match namespace {
            "" => format!("{root}/{}", self.plural),
            namespace => format!("{root}/namespaces/{namespace}/{}", self.plural),
        }
    }

    /// The path of one object.
    pub fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.path(namespace))
    }

    /// `apiVersion`, as objects carry it.
    pub fn version(&self) -> String {
        if self.group.is_empty() { "v1".to_owned() } else { format!("{}/v1", self.group) }
    }
}

/// What a request does with its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// POST of a new object.
    Create,
    /// PUT of a whole object.
    Replace,
    /// A JSON merge patch.
    Merge,
    /// DELETE, with DeleteOptions.
    Delete,
    /// A JSON merge patch of every object of the collection: generated names differ between the peers.
    MergeEach,
    /// No request: what comes later waits for what came before.
    Barrier,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What to do.
    pub verb: Verb,
    /// With which object or collection; the query belongs to it.
    pub path: String,
    /// The body.
    pub body: Value,
}

impl Request {
    /// Creates an object; `apiVersion`, `kind` and the name are filled in.
    pub fn create(collection: Collection, namespace: &str, name: &str, mut body: Value) -> Self {
        body["apiVersion"] = collection.version().into();
        body["kind"] = collection.kind.into();
        body["metadata"]["name"] = name.into();
        if !namespace.is_empty() {
            body["metadata"]["namespace"] = namespace.into();
        }
        Self { verb: Verb::Create, path: collection.path(namespace), body }
    }

    /// Replaces an object unconditionally.
    pub fn replace(collection: Collection, namespace: &str, name: &str, body: Value) -> Self {
        let created = Self::create(collection, namespace, name, body);
        Self { verb: Verb::Replace, path: collection.object(namespace, name), body: created.body }
    }

    /// Patches an object.
    pub fn merge(collection: Collection, namespace: &str, name: &str, body: Value) -> Self {
        Self { verb: Verb::Merge, path: collection.object(namespace, name), body }
    }

    /// Patches an object's status.
    pub fn status(collection: Collection, namespace: &str, name: &str, status: Value) -> Self {
        Self {
            verb: Verb::Merge,
            path: collection.object(namespace, name) + "/status",
            body: json!({"status": status}),
        }
    }

    /// Deletes an object.
    pub fn delete(collection: Collection, namespace: &str, name: &str, grace: Option<u32>) -> Self {
        let mut body = json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if let Some(grace) = grace {
            body["gracePeriodSeconds"] = grace.into();
        }
        Self { verb: Verb::Delete, path: collection.object(namespace, name), body }
    }

    /// A point that divides requests whose order does not matter otherwise.
    pub fn barrier() -> Self {
        Self { verb: Verb::Barrier, path: String::new(), body: Value::Null }
    }

    /// Deletes every object of a namespace that a label selector selects.
    pub fn delete_selected(collection: Collection, namespace: &str, selector: &str) -> Self {
        let path = format!("{}?labelSelector={selector}", collection.path(namespace));
        Self { verb: Verb::Delete, path, body: json!({"apiVersion": "v1", "kind": "DeleteOptions"}) }
    }

    /// Patches every object of a namespace that a label selector selects.
    pub fn merge_selected(collection: Collection, namespace: &str, selector: &str, body: Value) -> Self {
        let path = format!("{}?labelSelector={selector}", collection.path(namespace));
        Self { verb: Verb::MergeEach, path, body }
    }
}

/// What an API server answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The HTTP status; 200 for every success.
    pub code: u16,
    /// The reason of a failure.
    pub reason: String,
    /// The text of a failure.
    pub message: String,
    /// What a success returned.
    #[serde(skip)]
    pub object: Value,
}

impl Answer {
    /// Whether the request was carried out.
    pub fn succeeded(&self) -> bool {
        self.code < 300
    }
}

/// Sends one request. A refusal is an answer; only a broken connection is an error.
pub async fn send(client: &Client, request: &Request) -> Result<Answer> {
    let (method, content) = match request.verb {
        Verb::Create => (Method::POST, "application/json"),
        Verb::Replace => (Method::PUT, "application/json"),
        Verb::Merge => (Method::PATCH, "application/merge-patch+json"),
        Verb::Delete => (Method::DELETE, "application/json"),
        Verb::MergeEach => return send_each(client, request).await,
        Verb::Barrier => {
            return Ok(Answer { code: 200, reason: String::new(), message: String::new(), object: Value::Null });
        }
    };
    let body = serde_json::to_vec(&request.body).context("a body that is no JSON")?;
    let built = http::Request::builder().method(method).uri(&request.path).header(CONTENT_TYPE, content).body(body);
    match client.request::<Value>(built.context("a request that is none")?).await {
        Ok(object) => Ok(Answer { code: 200, reason: String::new(), message: String::new(), object }),
        Err(kube::Error::Api(status)) => {
            Ok(Answer { code: status.code, reason: status.reason, message: status.message, object: Value::Null })
        }
        Err(error) => Err(error).with_context(|| format!("{:?} {}", request.verb, request.path)),
    }
}

/// Reads one object or list.
pub async fn get(client: &Client, path: &str) -> Result<Value> {
    let built = http::Request::get(path).body(Vec::new()).context("a request that is none")?;
    client.request(built).await.with_context(|| format!("GET {path}"))
}

/// The first refusal, or the last success. Objects that vanish meanwhile do not count.
async fn send_each(client: &Client, request: &Request) -> Result<Answer> {
    let list = get(client, &request.path).await?;
    let base = request.path.split('?').next().unwrap_or_default();
    let mut last = Answer { code: 200, reason: String::new(), message: String::new(), object: Value::Null };
    for item in list["items"].as_array().into_iter().flatten() {
        let name = item["metadata"]["name"].as_str().unwrap_or_default();
        let one = Request { verb: Verb::Merge, path: format!("{base}/{name}"), body: request.body.clone() };
        let answer = Box::pin(send(client, &one)).await?;
        if !answer.succeeded() && answer.code != 404 {
            return Ok(answer);
        }
        last.object = answer.object;
    }
    Ok(last)
}
