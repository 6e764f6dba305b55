//! Slices that exist against endpoints that are wanted: what to create, update and delete. Pure.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        core::v1::Service,
        discovery::v1::{Endpoint, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use portolan_objects::{Family, endpoint, labels, ports::PortSet, service};

use super::{
    desired::{Desired, Skipped},
    pack,
};
use crate::trigger;

/// What to write for one Service. Empty is the proof that its slices are right.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SlicePlan {
    pub(crate) service: Arc<Service>,
    /// New slices: without a name, the API server gives them one.
    pub(crate) creates: Vec<EndpointSlice>,
    /// Complete new states, on the revision that was observed.
    pub(crate) updates: Vec<EndpointSlice>,
    /// The observed states of slices to delete.
    pub(crate) deletes: Vec<Arc<EndpointSlice>>,
    /// Pods that could not be published: the writes are made, and then the sync counts as failed.
    pub(crate) skipped: Vec<Skipped>,
}

impl SlicePlan {
    /// Nothing to write and nothing to complain about.
    pub(crate) fn is_empty(&self) -> bool {
        self.creates.is_empty() && self.updates.is_empty() && self.deletes.is_empty() && self.skipped.is_empty()
    }
}

/// Plans for one Service. `existing` are the slices that this controller manages for it, sorted by name; `max` is the
/// most endpoints of one slice; `trigger` goes into every slice that is written.
pub(crate) fn plan(
    service: &Arc<Service>,
    desired: Desired,
    existing: &[Arc<EndpointSlice>],
    trigger: Option<Timestamp>,
    max: usize,
) -> SlicePlan {
    let mut plan = SlicePlan { service: Arc::clone(service), skipped: desired.skipped, ..SlicePlan::default() };
    let (wanted, other): (Vec<_>, Vec<_>) = existing
        .iter()
        .cloned()
        .partition(|slice| endpoint::family(slice).is_some_and(|family| desired.families.contains_key(&family)));
    // The address type of a slice is immutable, so these cannot be put to use.
    plan.deletes.extend(other);
    for (family, sets) in desired.families {
        let slices = wanted.iter().filter(|slice| endpoint::family(slice) == Some(family)).cloned().collect();
        plan_family(&mut plan, family, sets, slices, max);
    }
    if service.metadata.deletion_timestamp.is_some() {
        plan.creates.clear();
    }
    for slice in plan.creates.iter_mut().chain(&mut plan.updates) {
        set_trigger(&mut slice.metadata, trigger);
    }
    plan
}

fn plan_family(
    plan: &mut SlicePlan,
    family: Family,
    sets: BTreeMap<PortSet, Vec<Endpoint>>,
    slices: Vec<Arc<EndpointSlice>>,
    max: usize,
) {
    let service = Arc::clone(&plan.service);
    let (mut creates, mut updates, mut deletes, mut kept) = (Vec::new(), Vec::new(), Vec::new(), 0);
    let mut by_ports: BTreeMap<PortSet, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in slices {
        if is_owned(&slice, &service) {
            by_ports.entry(PortSet::of_slice(&slice)).or_default().push(slice);
        } else {
            // Of an earlier Service of the same name; garbage collection may already be on its way.
            deletes.push(slice);
        }
    }
    for (ports, endpoints) in sets {
        let slices = by_ports.remove(&ports).unwrap_or_default();
        let packed = pack::pack(slices, endpoints, max, |slice| has_drifted(slice, &service));
        creates.extend(packed.creates.into_iter().map(|endpoints| new_slice(&service, family, &ports, endpoints)));
        updates.extend(packed.updates.into_iter().map(|(slice, endpoints)| EndpointSlice {
            endpoints: Some(endpoints),
            metadata: ObjectMeta { labels: Some(slice_labels(&service)), ..slice.metadata.clone() },
            ..EndpointSlice::clone(&slice)
        }));
        deletes.extend(packed.emptied);
        kept += packed.kept;
    }
    // Nobody has these ports any more.
    deletes.extend(by_ports.into_values().flatten());
    if creates.is_empty() && updates.is_empty() && kept == 0 {
        // Readers can tell "no endpoints" from "not looked at yet": one empty slice stays.
        match deletes.iter().position(|slice| is_placeholder(slice, &service)) {
            Some(at) => drop(deletes.remove(at)),
            None => creates.push(new_slice(&service, family, &PortSet::default(), Vec::new())),
        }
    }
    recycle(&service, &mut creates, &mut updates, &mut deletes);
    plan.creates.extend(creates);
    plan.updates.extend(updates);
    plan.deletes.extend(deletes);
}

/// Turns a deletion and a creation into one update. All are of one family here.
fn recycle(
    service: &Service,
    creates: &mut Vec<EndpointSlice>,
    updates: &mut Vec<EndpointSlice>,
    deletes: &mut Vec<Arc<EndpointSlice>>,
) {
    let pairs = creates.len().min(deletes.iter().filter(|slice| is_owned(slice, service)).count());
    let mut fresh = creates.drain(..pairs);
    deletes.retain(|old| {
        if !is_owned(old, service) {
            return true;
        }
        let Some(new) = fresh.next() else { return true };
        let mut metadata = old.metadata.clone();
        metadata.labels = new.metadata.labels;
        updates.push(EndpointSlice { metadata, ..new });
        false
    });
}

fn new_slice(service: &Service, family: Family, ports: &PortSet, endpoints: Vec<Endpoint>) -> EndpointSlice {
    let metadata = &service.metadata;
    let name = metadata.name.clone().unwrap_or_default();
    EndpointSlice {
        address_type: family.to_string(),
        endpoints: Some(endpoints),
        ports: Some(ports.to_slice()),
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: metadata.namespace.clone(),
            labels: Some(slice_labels(service)),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Service".to_owned(),
                name,
                uid: metadata.uid.clone().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            ..ObjectMeta::default()
        },
    }
}

fn is_owned(slice: &EndpointSlice, service: &Service) -> bool {
    let owners = slice.metadata.owner_references.iter().flatten();
    let uid = service.metadata.uid.as_deref().unwrap_or_default();
    owners.into_iter().any(|owner| owner.controller == Some(true) && owner.kind == "Service" && owner.uid == uid)
}

fn is_placeholder(slice: &EndpointSlice, service: &Service) -> bool {
    is_owned(slice, service)
        && slice.endpoints.as_ref().is_none_or(Vec::is_empty)
        && PortSet::of_slice(slice).is_empty()
        && !has_drifted(slice, service)
}

/// The Service's own labels and those that say what the slice is. These win.
fn slice_labels(service: &Service) -> BTreeMap<String, String> {
    let name = service.metadata.name.clone().unwrap_or_default();
    let mut set = free_labels(service.metadata.labels.as_ref());
    set.insert(labels::SERVICE_NAME.to_owned(), name);
    set.insert(labels::SLICE_MANAGED_BY.to_owned(), labels::SLICE_CONTROLLER.to_owned());
    if service::is_headless(service) {
        set.insert(labels::HEADLESS.to_owned(), String::new());
    }
    set
}

fn free_labels(set: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let reserved = [labels::SERVICE_NAME, labels::SLICE_MANAGED_BY, labels::HEADLESS];
    let mut set = set.cloned().unwrap_or_default();
    set.retain(|key, _| !reserved.contains(&key.as_str()));
    set
}

/// The slice does not carry the Service's labels. The reserved ones alone are no reason to write: upstream compares
/// likewise.
fn has_drifted(slice: &EndpointSlice, service: &Service) -> bool {
    free_labels(slice.metadata.labels.as_ref()) != free_labels(service.metadata.labels.as_ref())
}

fn set_trigger(metadata: &mut ObjectMeta, trigger: Option<Timestamp>) {
    let annotations = metadata.annotations.get_or_insert_default();
    match trigger {
        Some(time) => annotations.insert(labels::TRIGGER_TIME.to_owned(), trigger::annotation(time)),
        None => annotations.remove(labels::TRIGGER_TIME),
    };
    if annotations.is_empty() {
        metadata.annotations = None;
    }
}

#[cfg(test)]
mod tests;
