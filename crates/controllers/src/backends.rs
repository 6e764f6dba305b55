//! Which Services select which pods: the index that the Endpoints and the EndpointSlice controllers share.
//!
//! Pods of one namespace with the same labels are a *crowd*: a Service selects all of a crowd or none of it. A change
//! of one pod therefore costs a look at its crowd, however many pods and Services there are; only a new set of labels
//! is compared with selectors, and only with those filed under one of its labels. (Upstream looks through the Services
//! of the pod's namespace: `endpointslice/util/controller_utils.go`.)

pub(crate) mod pod;
pub(crate) mod watched;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::api::core::v1::Service;
use portolan_objects::{ObjectKey, service};
use portolan_runtime::Change;

pub(crate) use pod::{Pod, target_ref};
pub(crate) use watched::Watched;

/// Services and pods, and how they belong together. Holds what the watches show; never written to by an apply.
#[derive(Debug, Default)]
pub(crate) struct Backends {
    services: HashMap<ObjectKey, Selecting>,
    services_by_label: HashMap<Label, BTreeSet<ObjectKey>>,
    /// The crowd of each pod.
    pods: HashMap<ObjectKey, CrowdId>,
    crowds: HashMap<CrowdId, Crowd>,
    crowds_by_labels: HashMap<(Arc<str>, Arc<Labels>), CrowdId>,
    crowds_by_label: HashMap<Label, BTreeSet<CrowdId>>,
    next: u64,
}

/// The labels of an object, or the pairs of a selector.
pub(crate) type Labels = BTreeMap<String, String>;

/// Numbers are given in the order of appearance and not used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct CrowdId(u64);

/// The pods of one namespace that have the same labels.
#[derive(Debug)]
struct Crowd {
    namespace: Arc<str>,
    labels: Arc<Labels>,
    pods: BTreeMap<Box<str>, Arc<Pod>>,
    /// Who selects them.
    services: BTreeSet<ObjectKey>,
}

#[derive(Debug)]
struct Selecting {
    service: Arc<Service>,
    /// What it selects; `None` if nobody should choose its endpoints.
    crowds: Option<BTreeSet<CrowdId>>,
}

/// One label of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Label {
    namespace: String,
    key: String,
    value: String,
}

impl Backends {
    /// Takes changes of Services and pushes their keys.
    pub(crate) fn services_changed(&mut self, change: Change<Watched<Service>>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(service) => dirty.push(self.put_service(service.facts)),
            Change::Delete(service) => dirty.extend(self.remove_service(&ObjectKey::of(&service.facts))),
            Change::Reset(services) => {
                let mut gone: HashSet<ObjectKey> = self.services.keys().cloned().collect();
                for service in services {
                    let key = self.put_service(service.facts);
                    gone.remove(&key);
                    dirty.push(key);
                }
                dirty.extend(gone.iter().filter_map(|key| self.remove_service(key)));
            }
        }
    }

    /// Takes changes of pods and pushes the Services that have to be looked at.
    pub(crate) fn pods_changed(&mut self, change: Change<Pod>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(pod) => drop(self.put_pod(pod, dirty)),
            Change::Delete(pod) => self.remove_pod(&pod.key(), dirty),
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
        let crowds = held.crowds.as_ref()?.iter().filter_map(|crowd| self.crowds.get(crowd));
        let mut pods: Vec<Arc<Pod>> = crowds.flat_map(|crowd| crowd.pods.values()).cloned().collect();
        // Each crowd is sorted already, so this merges a few runs.
        pods.sort_by(|one, two| one.name.cmp(&two.name));
        Some((&held.service, pods))
    }

    /// How many pods this Service selects.
    pub(crate) fn pods_of(&self, key: &ObjectKey) -> usize {
        let crowds = self.services.get(key).and_then(|held| held.crowds.as_ref()).into_iter().flatten();
        crowds.filter_map(|crowd| self.crowds.get(crowd)).map(|crowd| crowd.pods.len()).sum()
    }

    fn put_service(&mut self, service: Service) -> ObjectKey {
        let key = ObjectKey::of(&service);
        let pairs = selector(&service);
        let same = self.services.get(&key).is_some_and(|held| selector(&held.service) == pairs);
        if !same {
            self.unfile_service(&key);
            if let Some(label) = pairs.and_then(|pairs| filing_label(&key.namespace, pairs)) {
                self.services_by_label.entry(label).or_default().insert(key.clone());
            }
        }
        let crowds = match self.services.remove(&key) {
            Some(held) if same => held.crowds,
            _ => pairs.map(|pairs| self.crowds_of(&key.namespace, pairs)),
        };
        if !same {
            for crowd in crowds.iter().flatten() {
                if let Some(crowd) = self.crowds.get_mut(crowd) {
                    crowd.services.insert(key.clone());
                }
            }
        }
        self.services.insert(key.clone(), Selecting { service: Arc::new(service), crowds });
        key
    }

    fn remove_service(&mut self, key: &ObjectKey) -> Option<ObjectKey> {
        self.unfile_service(key);
        self.services.remove(key).map(|_| key.clone())
    }

    /// Takes the Service out of the files and out of its crowds.
    fn unfile_service(&mut self, key: &ObjectKey) {
        let Some(held) = self.services.get_mut(key) else { return };
        let crowds = held.crowds.take();
        if let Some(label) = selector(&held.service).and_then(|pairs| filing_label(&key.namespace, pairs)) {
            unfile(&mut self.services_by_label, &label, key);
        }
        for crowd in crowds.iter().flatten() {
            if let Some(crowd) = self.crowds.get_mut(crowd) {
                crowd.services.remove(key);
            }
        }
    }

    /// The crowds whose labels have all these pairs.
    fn crowds_of(&self, namespace: &str, pairs: &Labels) -> BTreeSet<CrowdId> {
        let sets = labels_of(namespace, pairs).map(|label| self.crowds_by_label.get(&label));
        // The rarest pair leaves the fewest crowds to look at.
        let rarest = sets.min_by_key(|set| set.map_or(0, BTreeSet::len)).flatten();
        let is_selected = |id: &&CrowdId| self.crowds.get(id).is_some_and(|crowd| selects(pairs, &crowd.labels));
        rarest.into_iter().flatten().filter(is_selected).copied().collect()
    }

    /// The Services that select pods with these labels.
    fn services_of(&self, namespace: &str, labels: &Labels) -> BTreeSet<ObjectKey> {
        let filed = labels_of(namespace, labels).filter_map(|label| self.services_by_label.get(&label)).flatten();
        let selects = |key: &&ObjectKey| {
            let held = self.services.get(*key).and_then(|held| selector(&held.service));
            held.is_some_and(|pairs| selects(pairs, labels))
        };
        filed.filter(selects).cloned().collect()
    }

    fn put_pod(&mut self, mut pod: Pod, dirty: &mut Vec<ObjectKey>) -> ObjectKey {
        let key = pod.key();
        let id = self.crowd(&pod);
        let before = self.pods.insert(key.clone(), id);
        let old = before.and_then(|crowd| self.crowds.get_mut(&crowd)?.pods.remove(&pod.name));
        let Some(crowd) = self.crowds.get_mut(&id) else { return key };
        // Pods with the same labels are made from the same template, as a rule.
        if let Some(neighbour) = old.as_ref().or_else(|| crowd.pods.values().next())
            && neighbour.ports == pod.ports
        {
            pod.ports = Arc::clone(&neighbour.ports);
        }
        pod.namespace = Arc::clone(&crowd.namespace);
        pod.labels = Arc::clone(&crowd.labels);
        let changed = old.is_none_or(|old| !old.shows_the_same(&pod));
        crowd.pods.insert(pod.name.clone(), Arc::new(pod));
        let moved = before.filter(|before| *before != id);
        let now = &self.crowds[&id].services;
        let then = moved.and_then(|before| self.crowds.get(&before)).map(|crowd| &crowd.services);
        match then {
            // If only its labels have changed, those who select it before and after see no difference.
            Some(then) if !changed => dirty.extend(now.symmetric_difference(then).cloned()),
            Some(then) => dirty.extend(now.union(then).cloned()),
            None if changed => dirty.extend(now.iter().cloned()),
            None => {}
        }
        moved.into_iter().for_each(|before| self.leave_empty(before));
        key
    }

    fn remove_pod(&mut self, key: &ObjectKey, dirty: &mut Vec<ObjectKey>) {
        let Some(id) = self.pods.remove(key) else { return };
        if let Some(crowd) = self.crowds.get_mut(&id) {
            crowd.pods.remove(&*key.name);
            dirty.extend(crowd.services.iter().cloned());
        }
        self.leave_empty(id);
    }

    /// The crowd that a pod belongs to.
    fn crowd(&mut self, pod: &Pod) -> CrowdId {
        let by = (Arc::clone(&pod.namespace), Arc::clone(&pod.labels));
        if let Some(id) = self.crowds_by_labels.get(&by) {
            return *id;
        }
        let id = CrowdId(self.next);
        self.next += 1;
        let services = self.services_of(&pod.namespace, &pod.labels);
        for service in &services {
            if let Some(crowds) = self.services.get_mut(service).and_then(|held| held.crowds.as_mut()) {
                crowds.insert(id);
            }
        }
        for label in labels_of(&pod.namespace, &pod.labels) {
            self.crowds_by_label.entry(label).or_default().insert(id);
        }
        let (namespace, labels) = by.clone();
        self.crowds_by_labels.insert(by, id);
        self.crowds.insert(id, Crowd { namespace, labels, pods: BTreeMap::new(), services });
        id
    }

    /// Forgets the crowd if nobody is left in it.
    fn leave_empty(&mut self, id: CrowdId) {
        if self.crowds.get(&id).is_none_or(|crowd| !crowd.pods.is_empty()) {
            return;
        }
        let Some(crowd) = self.crowds.remove(&id) else { return };
        for label in labels_of(&crowd.namespace, &crowd.labels) {
            unfile(&mut self.crowds_by_label, &label, &id);
        }
        for service in &crowd.services {
            if let Some(crowds) = self.services.get_mut(service).and_then(|held| held.crowds.as_mut()) {
                crowds.remove(&id);
            }
        }
        self.crowds_by_labels.remove(&(crowd.namespace, crowd.labels));
    }
}

/// What a Service selects by. `None` when nobody should choose its endpoints: no selector, or an alias.
fn selector(service: &Service) -> Option<&Labels> {
    if service::is_external_name(service) {
        return None;
    }
    service.spec.as_ref()?.selector.as_ref().filter(|pairs| !pairs.is_empty())
}

fn selects(pairs: &Labels, labels: &Labels) -> bool {
    pairs.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// Where a Service is filed: its last pair, because the first is so often `app.kubernetes.io/...` of a whole suite.
fn filing_label(namespace: &str, pairs: &Labels) -> Option<Label> {
    let (key, value) = pairs.last_key_value()?;
    Some(Label { namespace: namespace.to_owned(), key: key.clone(), value: value.clone() })
}

fn labels_of<'a>(namespace: &'a str, labels: &'a Labels) -> impl Iterator<Item = Label> + 'a {
    labels.iter().map(move |(key, value)| Label {
        namespace: namespace.to_owned(),
        key: key.clone(),
        value: value.clone(),
    })
}

fn unfile<K: Ord>(files: &mut HashMap<Label, BTreeSet<K>>, label: &Label, key: &K) {
    if let Some(file) = files.get_mut(label) {
        file.remove(key);
        if file.is_empty() {
            files.remove(label);
        }
    }
}

#[cfg(test)]
mod tests;
