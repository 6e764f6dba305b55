//! What the watches show, and which Services a change touches.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use portolan_objects::{ObjectKey, endpoint, labels};
use portolan_runtime::{Change, Observed};

use super::{
    Input, MAX_PER_SLICE,
    apply::Written,
    desired::{self, Zones},
    plan::{self, SlicePlan},
};
use crate::{backends::Backends, trigger::Triggers};

/// Everything that a plan is made from.
#[derive(Debug, Default)]
pub(crate) struct Index {
    backends: Backends,
    /// Zone of each node that exists.
    zones: Zones,
    slices: Observed<EndpointSlice>,
    slices_of: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    triggers: Triggers,
}

impl Index {
    pub(crate) fn take(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        match input {
            Input::Service(change) => self.backends.services_changed(*change, dirty),
            Input::Pod(change) => self.backends.pods_changed(*change, dirty),
            Input::Node(change) => self.nodes_changed(*change, dirty),
            Input::Slice(change) => self.slices_changed(*change, dirty),
        }
    }

    /// What has to be written for this Service; `None` if nothing, or if its slices are nobody's business.
    pub(crate) fn plan(&mut self, key: &ObjectKey) -> Option<SlicePlan> {
        let Some((service, pods)) = self.backends.selected(key) else {
            self.triggers.forget(key);
            return None;
        };
        let service: Arc<Service> = Arc::clone(service);
        let trigger = self.triggers.sync(key, &service, &pods);
        let desired = desired::desired(&service, &pods, &self.zones);
        let plan = plan::plan(&service, desired, &self.existing(key), trigger, MAX_PER_SLICE);
        (!plan.is_empty()).then_some(plan)
    }

    /// Brings the slices forward by what this controller has written itself.
    pub(crate) fn wrote(&mut self, written: Written) {
        for slice in written.written {
            self.put_slice(slice, &mut Vec::new());
        }
        for slice in written.deleted {
            if self.slices.delete(&slice) {
                self.unfile(&slice);
            }
        }
    }

    /// The slices of this Service that this controller writes, sorted by name.
    fn existing(&self, key: &ObjectKey) -> Vec<Arc<EndpointSlice>> {
        let slices = self.slices_of.get(key).into_iter().flatten().filter_map(|slice| self.slices.get(slice));
        slices.filter(|slice| is_own(slice) && slice.metadata.deletion_timestamp.is_none()).cloned().collect()
    }

    fn nodes_changed(&mut self, change: Change<Node>, dirty: &mut Vec<ObjectKey>) {
        let mut zones = Zones::new();
        let mut touched = BTreeSet::new();
        match change {
            Change::Apply(node) => zones.extend([zone(&node)]),
            Change::Delete(node) => {
                let (name, _) = zone(&node);
                self.zones.remove(&name);
                touched.insert(name);
            }
            Change::Reset(nodes) => {
                zones.extend(nodes.iter().map(zone));
                let gone: Vec<String> = self.zones.keys().filter(|name| !zones.contains_key(*name)).cloned().collect();
                for name in gone {
                    self.zones.remove(&name);
                    touched.insert(name);
                }
            }
        }
        for (name, zone) in zones {
            if self.zones.get(&name) != Some(&zone) {
                self.zones.insert(name.clone(), zone);
                touched.insert(name);
            }
        }
        dirty.extend(touched.iter().flat_map(|node| self.backends.services_on_node(node)));
    }

    fn slices_changed(&mut self, change: Change<EndpointSlice>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(slice) => self.put_slice(slice, dirty),
            Change::Delete(slice) => {
                if self.slices.delete(&slice) {
                    self.unfile(&slice);
                    dirty.extend(endpoint::service_of(&slice));
                }
            }
            Change::Reset(slices) => {
                dirty.extend(self.slices_of.keys().cloned());
                self.slices.reset(slices);
                self.slices_of.clear();
                for slice in self.slices.iter() {
                    if let Some(service) = endpoint::service_of(slice) {
                        dirty.push(service.clone());
                        self.slices_of.entry(service).or_default().insert(ObjectKey::of(&**slice));
                    }
                }
            }
        }
    }

    fn put_slice(&mut self, slice: EndpointSlice, dirty: &mut Vec<ObjectKey>) {
        let key = ObjectKey::of(&slice);
        let service = endpoint::service_of(&slice);
        let before = self.slices.get(&key).cloned();
        if !self.slices.apply(slice) {
            return;
        }
        if let Some(before) = before {
            self.unfile(&before);
            dirty.extend(endpoint::service_of(&before));
        }
        if let Some(service) = service {
            dirty.push(service.clone());
            self.slices_of.entry(service).or_default().insert(key);
        }
    }

    fn unfile(&mut self, slice: &EndpointSlice) {
        let Some(service) = endpoint::service_of(slice) else { return };
        if let Some(slices) = self.slices_of.get_mut(&service) {
            slices.remove(&ObjectKey::of(slice));
            if slices.is_empty() {
                self.slices_of.remove(&service);
            }
        }
    }
}

fn is_own(slice: &EndpointSlice) -> bool {
    let manager = slice.metadata.labels.as_ref().and_then(|set| set.get(labels::SLICE_MANAGED_BY));
    manager.is_some_and(|manager| manager == labels::SLICE_CONTROLLER)
}

fn zone(node: &Node) -> (String, Option<String>) {
    let zone = node.metadata.labels.as_ref().and_then(|set| set.get(labels::ZONE)).cloned();
    (node.metadata.name.clone().unwrap_or_default(), zone)
}

#[cfg(test)]
mod tests;
