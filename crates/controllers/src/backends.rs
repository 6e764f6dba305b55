//! Which Services select which pods: the index that the Endpoints and the EndpointSlice controllers share.
//!
//! A change of one pod costs the labels of that pod, not the number of Services: each Service is filed under one of
//! its selector's pairs, each pod under all of its labels. (Upstream looks through the Services of the pod's
//! namespace: `endpointslice/util/controller_utils.go`.)

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use k8s_openapi::api::core::v1::{ObjectReference, Pod, Service};
use portolan_objects::{ObjectKey, pod, selector::Selector, service};
use portolan_runtime::Change;

/// Services and pods, and how they belong together. Holds what the watches show; never written to by an apply.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    services: HashMap<ObjectKey, Selecting>,
    pods: HashMap<ObjectKey, Arc<Pod>>,
    services_by_label: HashMap<Label, BTreeSet<ObjectKey>>,
    pods_by_label: HashMap<Label, BTreeSet<ObjectKey>>,
}

#[derive(Debug)]
struct Selecting {
    service: Arc<Service>,
    selector: Option<Selector>,
}

/// One label of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Label {
    namespace: String,
    key: String,
    value: String,
}

/// Everything of a pod that can show in Endpoints or slices.
#[derive(Debug, PartialEq, Eq)]
struct Facts<'a> {
    uid: Option<&'a str>,
    labels: Option<&'a BTreeMap<String, String>>,
    addresses: Vec<IpAddr>,
    ready: bool,
    terminal: bool,
    terminating: bool,
    node: Option<&'a str>,
    hostname: Option<&'a str>,
    subdomain: Option<&'a str>,
}

impl<'a> Facts<'a> {
    fn of(pod: &'a Pod) -> Self {
        let spec = pod.spec.as_ref();
        Self {
            uid: pod.metadata.uid.as_deref(),
            labels: pod.metadata.labels.as_ref(),
            addresses: pod::ips(pod),
            ready: pod::is_ready(pod),
            terminal: pod::is_terminal(pod),
            terminating: pod::is_terminating(pod),
            node: pod::node(pod),
            hostname: spec.and_then(|spec| spec.hostname.as_deref()),
            subdomain: spec.and_then(|spec| spec.subdomain.as_deref()),
        }
    }
}

impl Backends {
    /// Takes changes of Services and pushes their keys.
    pub(crate) fn services_changed(&mut self, change: Change<Service>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(service) => dirty.push(self.put_service(service)),
            Change::Delete(service) => dirty.extend(self.remove_service(&ObjectKey::of(&service))),
            Change::Reset(services) => {
                let mut gone: HashSet<ObjectKey> = self.services.keys().cloned().collect();
                for service in services {
                    let key = self.put_service(service);
                    gone.remove(&key);
                    dirty.push(key);
                }
                dirty.extend(gone.iter().filter_map(|key| self.remove_service(key)));
            }
        }
    }

    /// Takes changes of pods and pushes the Services that select them now or did before.
    pub(crate) fn pods_changed(&mut self, change: Change<Pod>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(pod) => drop(self.put_pod(pod, dirty)),
            Change::Delete(pod) => self.remove_pod(&ObjectKey::of(&pod), dirty),
            Change::Reset(pods) => {
                let mut gone: HashSet<ObjectKey> = self.pods.keys().cloned().collect();
                for pod in pods {
                    gone.remove(&self.put_pod(pod, dirty));
                }
                gone.iter().for_each(|key| self.remove_pod(key, dirty));
            }
        }
    }

    /// The Service with this key.
    pub(crate) fn service(&self, key: &ObjectKey) -> Option<&Arc<Service>> {
        self.services.get(key).map(|held| &held.service)
    }

    /// The Service with this key and the pods that it selects, sorted by name. `None` if there is no such Service, or
    /// if nobody should choose its endpoints.
    pub(crate) fn selected(&self, key: &ObjectKey) -> Option<(&Arc<Service>, Vec<Arc<Pod>>)> {
        let held = self.services.get(key)?;
        let selector = held.selector.as_ref()?;
        let pairs = labels_of(&key.namespace, service_pairs(&held.service));
        // The rarest pair leaves the fewest pods to look at.
        let sets = pairs.map(|label| self.pods_by_label.get(&label));
        let Some(rarest) = sets.min_by_key(|set| set.map_or(0, BTreeSet::len)).flatten() else {
            return Some((&held.service, Vec::new()));
        };
        let pods = rarest.iter().filter_map(|key| self.pods.get(key));
        Some((&held.service, pods.filter(|pod| selects(selector, pod)).cloned().collect()))
    }

    /// The Services that select any of the pods on this node. Looks at every pod: for changes of nodes only.
    pub(crate) fn services_on_node(&self, node: &str) -> BTreeSet<ObjectKey> {
        let pods = self.pods.values().filter(|pod| pod::node(pod) == Some(node));
        pods.flat_map(|pod| self.services_of(pod)).collect()
    }

    fn services_of(&self, pod: &Pod) -> Vec<ObjectKey> {
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        labels_of(&namespace, pod.metadata.labels.as_ref())
            .filter_map(|label| self.services_by_label.get(&label))
            .flatten()
            .filter(|key| {
                let held = self.services.get(*key).and_then(|held| held.selector.as_ref());
                held.is_some_and(|selector| selects(selector, pod))
            })
            .cloned()
            .collect()
    }

    fn put_service(&mut self, service: Service) -> ObjectKey {
        let key = ObjectKey::of(&service);
        self.remove_service(&key);
        let selector = service::selector(&service);
        if selector.is_some()
            && let Some(label) = filing_label(&service)
        {
            self.services_by_label.entry(label).or_default().insert(key.clone());
        }
        self.services.insert(key.clone(), Selecting { service: Arc::new(service), selector });
        key
    }

    fn remove_service(&mut self, key: &ObjectKey) -> Option<ObjectKey> {
        let held = self.services.remove(key)?;
        if let Some(label) = filing_label(&held.service) {
            unfile(&mut self.services_by_label, &label, key);
        }
        Some(key.clone())
    }

    fn put_pod(&mut self, pod: Pod, dirty: &mut Vec<ObjectKey>) -> ObjectKey {
        let key = ObjectKey::of(&pod);
        let before = self.pods.get(&key).cloned();
        if before.as_ref().is_some_and(|before| Facts::of(before) == Facts::of(&pod)) {
            // Only what no endpoint shows has changed, such as a container's restart count.
            self.pods.insert(key.clone(), Arc::new(pod));
            return key;
        }
        if before.is_some() {
            self.remove_pod(&key, dirty);
        }
        dirty.extend(self.services_of(&pod));
        for label in labels_of(&key.namespace, pod.metadata.labels.as_ref()) {
            self.pods_by_label.entry(label).or_default().insert(key.clone());
        }
        self.pods.insert(key.clone(), Arc::new(pod));
        key
    }

    fn remove_pod(&mut self, key: &ObjectKey, dirty: &mut Vec<ObjectKey>) {
        let Some(pod) = self.pods.remove(key) else { return };
        dirty.extend(self.services_of(&pod));
        for label in labels_of(&key.namespace, pod.metadata.labels.as_ref()) {
            unfile(&mut self.pods_by_label, &label, key);
        }
    }
}

fn selects(selector: &Selector, pod: &Pod) -> bool {
    pod.metadata.labels.as_ref().is_some_and(|labels| selector.matches(labels))
}

fn service_pairs(service: &Service) -> Option<&BTreeMap<String, String>> {
    service.spec.as_ref()?.selector.as_ref()
}

/// How an endpoint names the pod that it stands for.
pub(crate) fn target_ref(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

/// Where a Service is filed: its last pair, because the first is so often `app.kubernetes.io/...` of a whole suite.
fn filing_label(service: &Service) -> Option<Label> {
    let namespace = service.metadata.namespace.clone().unwrap_or_default();
    let (key, value) = service_pairs(service)?.last_key_value()?;
    Some(Label { namespace, key: key.clone(), value: value.clone() })
}

fn labels_of<'a>(namespace: &'a str, labels: Option<&'a BTreeMap<String, String>>) -> impl Iterator<Item = Label> + 'a {
    labels.into_iter().flatten().map(move |(key, value)| Label {
        namespace: namespace.to_owned(),
        key: key.clone(),
        value: value.clone(),
    })
}

fn unfile(files: &mut HashMap<Label, BTreeSet<ObjectKey>>, label: &Label, key: &ObjectKey) {
    if let Some(file) = files.get_mut(label) {
        file.remove(key);
        if file.is_empty() {
            files.remove(label);
        }
    }
}

#[cfg(test)]
mod tests;
