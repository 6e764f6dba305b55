//! What several checks need of a snapshot, worked out once.

use jiff::Timestamp;
use k8s_openapi::{
    Metadata,
    api::core::v1::{ContainerStatus, Node, Pod, PodCondition, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portolan_objects::{endpoint, pod, service};

use crate::{
    Evidence, Snapshot,
    history::{self, History},
    nearest::Labels,
};

/// A snapshot whose Service exists.
pub(crate) struct View<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) service: &'a Service,
    pub(crate) now: Timestamp,
    /// The selector's labels; empty if it has none.
    pub(crate) selector: Labels,
    /// Pods that the selector selects, in the order of their names, whatever their state.
    pub(crate) selected: Vec<&'a Pod>,
    /// Events about the Service.
    pub(crate) history: History<'a>,
}

impl<'a> View<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, service: &'a Service) -> Self {
        let selector = service::selector(service);
        let no_labels = Labels::new();
        let fits = |pod: &&Pod| {
            let labels = pod.metadata.labels.as_ref().unwrap_or(&no_labels);
            selector.as_ref().is_some_and(|selector| selector.matches(labels))
        };
        let mut selected: Vec<&Pod> = snapshot.pods.iter().filter(fits).collect();
        selected.sort_by_key(|pod| name(*pod));
        let map = service.spec.as_ref().and_then(|spec| spec.selector.clone());
        Self {
            snapshot,
            service,
            now: snapshot.taken_at.0,
            selector: map.filter(|_| selector.is_some()).unwrap_or_default(),
            selected,
            history: History::of(snapshot, "Service", &snapshot.name, service.metadata.uid.as_deref()),
        }
    }

    /// `service/NAME`.
    pub(crate) fn object(&self) -> String {
        format!("service/{}", self.snapshot.name)
    }

    /// Evidence from a field of the Service.
    pub(crate) fn field(&self, field: &str, value: impl Into<String>) -> Evidence {
        Evidence::new(self.object(), field, value)
    }

    /// `kubectl VERB ... -n NAMESPACE`.
    pub(crate) fn kubectl(&self, arguments: &str) -> String {
        format!("kubectl -n {} {arguments}", self.snapshot.namespace)
    }

    /// Seconds since the Service was created.
    pub(crate) fn age(&self) -> i64 {
        self.seconds_since(&self.service.metadata)
    }

    pub(crate) fn seconds_since(&self, metadata: &ObjectMeta) -> i64 {
        let created = metadata.creation_timestamp.as_ref().map_or(self.now, |time| time.0);
        history::seconds_between(created, self.now)
    }

    /// Events about one pod.
    pub(crate) fn pod_history(&self, pod: &Pod) -> History<'a> {
        History::of(self.snapshot, "Pod", name(pod), pod.metadata.uid.as_deref())
    }

    /// Selected pods that have not ended.
    pub(crate) fn live(&self) -> impl Iterator<Item = &'a Pod> {
        self.selected.iter().copied().filter(|pod| !pod::is_terminal(pod))
    }

    /// Selected pods that take new connections by their own account.
    pub(crate) fn ready(&self) -> impl Iterator<Item = &'a Pod> {
        let not_ready_too = service::publishes_not_ready(self.service);
        self.live().filter(move |pod| {
            let ready = pod::is_ready(pod) && !pod::is_terminating(pod);
            (ready || not_ready_too) && !pod::ips(pod).is_empty()
        })
    }

    /// (node name, address) of every ready endpoint in the slices.
    pub(crate) fn ready_endpoints(&self) -> impl Iterator<Item = (Option<&'a str>, &'a str)> {
        let endpoints = self.snapshot.slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
        endpoints.filter(|endpoint| endpoint::is_ready(endpoint)).flat_map(|endpoint| {
            let node = endpoint.node_name.as_deref();
            endpoint.addresses.iter().map(move |address| (node, address.as_str()))
        })
    }

    /// The selector as kubectl writes it: `app=web,tier=front`.
    pub(crate) fn selector_text(&self) -> String {
        labels_text(&self.selector)
    }
}

/// `a=b,c=d`.
pub(crate) fn labels_text(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

/// `metadata.name`.
pub(crate) fn name(object: &impl Metadata<Ty = ObjectMeta>) -> &str {
    object.metadata().name.as_deref().unwrap_or_default()
}

/// `pod/NAME`.
pub(crate) fn pod_object(pod: &Pod) -> String {
    format!("pod/{}", name(pod))
}

/// The pod's condition of this type.
pub(crate) fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == kind)
}

/// Status of its containers, init containers first.
pub(crate) fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    let main = status.and_then(|status| status.container_statuses.as_ref());
    init.into_iter().chain(main).flatten()
}

/// The node's condition Ready is True.
pub(crate) fn node_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.into_iter().flatten().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// At most `limit` words joined by commas; the rest is counted.
pub(crate) fn join_some(words: &[String], limit: usize) -> String {
    let shown = words.iter().take(limit).cloned().collect::<Vec<_>>().join(", ");
    match words.len().saturating_sub(limit) {
        0 => shown,
        more => format!("{shown}, +{more}"),
    }
}

/// `1 pod`, `has` or `3 pods`, `have`: for English texts.
pub(crate) fn counted(count: usize) -> (String, &'static str) {
    match count {
        1 => ("1 pod".to_owned(), "has"),
        _ => (format!("{count} pods"), "have"),
    }
}
