//! What several checks need of a snapshot, worked out once.

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::{
    Metadata,
    api::{
        core::v1::{ContainerStatus, Node, Pod, PodCondition, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portolan_objects::{ObjectKey, endpoint, pod, service};

use crate::{
    Evidence, Index, Snapshot, Workload,
    history::{self, History},
    nearest::Labels,
};

/// Who asks: some checks depend on where the traffic comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Where the caller is.
    pub from: From,
}

/// Where a caller is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum From {
    /// Nobody in particular: only what fails for every caller is broken.
    #[default]
    Anywhere,
    /// In this pod.
    Pod(ObjectKey),
    /// Outside the cluster, with this address if it is known.
    Outside(Option<IpAddr>),
}

/// A Service that exists, in an index.
pub(crate) struct View<'a> {
    pub(crate) index: &'a Index<'a>,
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) ask: &'a Ask,
    pub(crate) key: ObjectKey,
    pub(crate) service: &'a Service,
    pub(crate) now: Timestamp,
    /// The selector's labels; empty if it has none.
    pub(crate) selector: Labels,
    /// Pods that the selector selects, in the order of their names, whatever their state.
    pub(crate) selected: Vec<&'a Pod>,
    /// Slices that carry the Service's name.
    pub(crate) slices: &'a [&'a EndpointSlice],
    /// Events about the Service.
    pub(crate) history: History<'a>,
}

impl<'a> View<'a> {
    pub(crate) fn new(index: &'a Index<'a>, key: ObjectKey, service: &'a Service, ask: &'a Ask) -> Self {
        // A selector that selects nothing by rule (ExternalName) counts as none.
        let selector = service::selector(service).and_then(|_| service.spec.as_ref()?.selector.clone());
        let selector = selector.unwrap_or_default();
        let selected = match selector.is_empty() {
            true => Vec::new(),
            false => index.selected(&key.namespace, &selector),
        };
        let uid = service.metadata.uid.as_deref();
        Self {
            index,
            snapshot: index.snapshot,
            ask,
            service,
            now: index.snapshot.taken_at.0,
            selector,
            selected,
            slices: index.slices_of(&key),
            history: History::of(index, "Service", &key.namespace, &key.name, uid),
            key,
        }
    }

    /// Name of the Service.
    pub(crate) fn name(&self) -> &str {
        &self.key.name
    }

    /// Its namespace.
    pub(crate) fn namespace(&self) -> &str {
        &self.key.namespace
    }

    /// Pods of its namespace.
    pub(crate) fn pods(&self) -> &'a [&'a Pod] {
        self.index.pods_of(&self.key.namespace)
    }

    /// Workloads of its namespace.
    pub(crate) fn workloads(&self) -> &'a [&'a Workload] {
        self.index.workloads_of(&self.key.namespace)
    }

    /// `service/NAME`.
    pub(crate) fn object(&self) -> String {
        format!("service/{}", self.name())
    }

    /// Evidence from a field of the Service.
    pub(crate) fn field(&self, field: &str, value: impl Into<String>) -> Evidence {
        Evidence::new(self.object(), field, value)
    }

    /// `kubectl VERB ... -n NAMESPACE`.
    pub(crate) fn kubectl(&self, arguments: &str) -> String {
        format!("kubectl -n {} {arguments}", self.namespace())
    }

    /// Seconds since the Service was created.
    pub(crate) fn age(&self) -> i64 {
        self.seconds_since(&self.service.metadata)
    }

    /// Seconds since anybody last wrote to the Service, as far as it is known.
    pub(crate) fn written(&self) -> i64 {
        let entries = self.service.metadata.managed_fields.iter().flatten();
        let newest = entries.filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max();
        newest.map_or(i64::MAX, |time| history::seconds_between(time, self.now))
    }

    pub(crate) fn seconds_since(&self, metadata: &ObjectMeta) -> i64 {
        let created = metadata.creation_timestamp.as_ref().map_or(self.now, |time| time.0);
        history::seconds_between(created, self.now)
    }

    /// Events about one pod.
    pub(crate) fn pod_history(&self, pod: &Pod) -> History<'a> {
        History::of(self.index, "Pod", self.namespace(), name(pod), pod.metadata.uid.as_deref())
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
        let endpoints = self.slices.iter().flat_map(|slice| slice.endpoints.iter().flatten());
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
