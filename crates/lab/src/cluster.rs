//! The API as the laboratory uses it: objects of any kind by their names, faults, and what has come about.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::core::v1::{ConfigMap, Event, Node};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, Patch as Change, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::{
    fault::{self, Fault},
    kinds::{self, Kind},
    scenario::{Patch, PatchStyle},
};

/// How long faults may take to be in force.
const FAULT_PATIENCE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// An object by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    pub kind: Kind,
    /// Empty for kinds without namespaces.
    pub namespace: String,
    pub name: String,
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace.as_str() {
            "" => f.write_str(&self.kind.object(&self.name)),
            namespace => write!(f, "{} in {namespace}", self.kind.object(&self.name)),
        }
    }
}

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A name that is no kind.
    #[error("{0} is no kind that the laboratory knows")]
    Kind(String),
    /// The API refused.
    #[error("cannot {action} {object}: {}", portolan_runtime::describe(cause))]
    Api {
        /// What was tried.
        action: &'static str,
        /// With what.
        object: String,
        /// Why not.
        cause: kube::Error,
    },
    /// Faults were not taken.
    #[error("the faults are not in force: {0}")]
    Faults(String),
    /// Something that was waited for did not come.
    #[error("waited {seconds} s for {what}; last seen: {seen}")]
    Late {
        /// For what.
        what: String,
        /// How long.
        seconds: u64,
        /// What there was instead.
        seen: String,
    },
}

/// One network.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub client: Client,
}

impl Reference {
    /// The object of a manifest.
    pub fn of(object: &Value) -> Result<Self, ClusterError> {
        let kind = object["kind"].as_str().unwrap_or_default();
        let metadata = &object["metadata"];
        let name = metadata["name"].as_str().unwrap_or_default();
        Self::new(kind, metadata["namespace"].as_str(), name)
    }

    /// `default` where a namespace is needed and none is given.
    pub fn new(kind: &str, namespace: Option<&str>, name: &str) -> Result<Self, ClusterError> {
        let kind = kinds::find(kind).ok_or_else(|| ClusterError::Kind(kind.to_owned()))?;
        let namespace = if kind.namespaced { namespace.unwrap_or("default") } else { "" };
        Ok(Self { kind, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    fn error(&self, action: &'static str) -> impl FnOnce(kube::Error) -> ClusterError {
        let object = self.to_string();
        move |cause| ClusterError::Api { action, object, cause }
    }
}

impl Cluster {
    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        match kind.namespaced {
            true => Api::namespaced_with(self.client.clone(), namespace, &kind.resource()),
            false => Api::all_with(self.client.clone(), &kind.resource()),
        }
    }

    fn of(&self, reference: &Reference) -> Api<DynamicObject> {
        self.api(reference.kind, &reference.namespace)
    }

    /// The object as it is.
    pub async fn get(&self, reference: &Reference) -> Result<Option<Value>, ClusterError> {
        let found = self.of(reference).get_opt(&reference.name).await.map_err(reference.error("read"))?;
        Ok(found.and_then(|object| serde_json::to_value(object).ok()))
    }

    pub async fn create(&self, reference: &Reference, object: &Value) -> Result<(), ClusterError> {
        let object: DynamicObject = serde_json::from_value(object.clone())
            .map_err(|error| reference.error("create")(kube::Error::SerdeError(error)))?;
        let created = self.of(reference).create(&PostParams::default(), &object).await;
        created.map(drop).map_err(reference.error("create"))
    }

    /// Creates it, or merges it into what is there.
    pub async fn apply(&self, object: &Value) -> Result<Reference, ClusterError> {
        let reference = Reference::of(object)?;
        if self.get(&reference).await?.is_none() {
            self.create(&reference, object).await?;
            return Ok(reference);
        }
        let merged = self.of(&reference).patch(&reference.name, &PatchParams::default(), &Change::Merge(object)).await;
        merged.map(|_| reference.clone()).map_err(reference.error("change"))
    }

    pub async fn replace(&self, reference: &Reference, object: &Value) -> Result<(), ClusterError> {
        let object: DynamicObject = serde_json::from_value(object.clone())
            .map_err(|error| reference.error("put back")(kube::Error::SerdeError(error)))?;
        let replaced = self.of(reference).replace(&reference.name, &PostParams::default(), &object).await;
        replaced.map(drop).map_err(reference.error("put back"))
    }

    pub async fn patch(&self, patch: &Patch) -> Result<Reference, ClusterError> {
        let reference = Reference::new(&patch.kind, patch.namespace.as_deref(), &patch.name)?;
        let wrong = |error| reference.error("patch")(kube::Error::SerdeError(error));
        let change: Change<Value> = match patch.style {
            PatchStyle::Strategic => Change::Strategic(patch.patch.clone()),
            PatchStyle::Merge => Change::Merge(patch.patch.clone()),
            PatchStyle::Json => Change::Json(serde_json::from_value(patch.patch.clone()).map_err(wrong)?),
        };
        let (api, parameters) = (self.of(&reference), PatchParams::default());
        let patched = match patch.subresource.as_deref() {
            Some(below) => api.patch_subresource(below, &patch.name, &parameters, &change).await,
            None => api.patch(&patch.name, &parameters, &change).await,
        };
        patched.map(|_| reference.clone()).map_err(reference.error("patch"))
    }

    /// Takes finalizers from an object that is on its way out.
    pub async fn release(&self, reference: &Reference) -> Result<(), ClusterError> {
        let none = Change::Merge(json!({"metadata": {"finalizers": null}}));
        match self.of(reference).patch(&reference.name, &PatchParams::default(), &none).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop).map_err(reference.error("release")),
        }
    }

    /// It being gone already is fine.
    pub async fn delete(&self, reference: &Reference, grace: Option<u32>) -> Result<(), ClusterError> {
        let parameters = DeleteParams { grace_period_seconds: grace, ..DeleteParams::background() };
        match self.of(reference).delete(&reference.name, &parameters).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => other.map(drop).map_err(reference.error("delete")),
        }
    }

    /// Objects with these labels, such as `app=web`.
    pub async fn list(&self, kind: Kind, namespace: &str, labels: &str) -> Result<Vec<Value>, ClusterError> {
        let listed = self.api(kind, namespace).list(&ListParams::default().labels(labels)).await;
        let error =
            |cause| ClusterError::Api { action: "list", object: format!("{} in {namespace}", kind.kind), cause };
        let listed = listed.map_err(error)?;
        Ok(listed.items.into_iter().filter_map(|object| serde_json::to_value(object).ok()).collect())
    }

    pub async fn events(&self) -> Result<Vec<Event>, ClusterError> {
        let listed = Api::<Event>::all(self.client.clone()).list(&ListParams::default()).await;
        let error = |cause| ClusterError::Api { action: "list", object: "events".to_owned(), cause };
        Ok(listed.map_err(error)?.items)
    }

    pub async fn nodes(&self) -> Result<Vec<Node>, ClusterError> {
        let listed = Api::<Node>::all(self.client.clone()).list(&ListParams::default()).await;
        let error = |cause| ClusterError::Api { action: "list", object: "nodes".to_owned(), cause };
        Ok(listed.map_err(error)?.items)
    }

    /// Makes exactly these faults be in force, and waits until they are.
    pub async fn faults(&self, faults: &[Fault]) -> Result<(), ClusterError> {
        let text = fault::render(faults);
        let reference = Reference::new("ConfigMap", Some(fault::NAMESPACE), fault::CONFIG_MAP)?;
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": fault::NAMESPACE, "name": fault::CONFIG_MAP},
            "data": {fault::KEY: text},
        });
        self.apply(&object).await?;
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), fault::NAMESPACE);
        let wanted = fault::digest(&text);
        until("the faults to be in force", FAULT_PATIENCE, || async {
            let found = api.get_opt(fault::CONFIG_MAP).await.map_err(reference.error("read"))?;
            let annotations = found.and_then(|found| found.metadata.annotations).unwrap_or_default();
            let applied = annotations.get(fault::APPLIED) == Some(&wanted);
            match annotations.get(fault::ERROR) {
                Some(error) if applied => Err(ClusterError::Faults(error.clone())),
                _ if applied => Ok(Ok(())),
                _ => Ok(Err(format!("{annotations:?}"))),
            }
        })
        .await
    }

    /// Whether every node says that it is one of `portolan up`: faults are switched nowhere else.
    pub async fn is_laboratory(&self) -> Result<bool, ClusterError> {
        let nodes = self.nodes().await?;
        let ours = |node: &Node| {
            let info = node.status.as_ref().and_then(|status| status.node_info.as_ref());
            info.is_some_and(|info| info.container_runtime_version.starts_with("portolan://"))
        };
        Ok(!nodes.is_empty() && nodes.iter().all(ours))
    }
}

/// Asks again and again until `look` says yes; what it says instead is the error's text.
pub(crate) async fn until<F>(what: &str, patience: Duration, mut look: impl FnMut() -> F) -> Result<(), ClusterError>
where
    F: Future<Output = Result<Result<(), String>, ClusterError>>,
{
    let start = tokio::time::Instant::now();
    loop {
        let seen = match look().await? {
            Ok(()) => return Ok(()),
            Err(seen) => seen,
        };
        if start.elapsed() > patience {
            return Err(ClusterError::Late { what: what.to_owned(), seconds: patience.as_secs(), seen });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The reasons among events, without those that had been there before.
pub(crate) fn reasons(events: &[Event]) -> BTreeSet<String> {
    events.iter().filter_map(|event| event.reason.clone()).collect()
}
