//! Slices that exist against the Endpoints that they are made from: what to create, update and delete. Pure.

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::{
    api::{
        core::v1::{Endpoints, ObjectReference},
        discovery::v1::{Endpoint, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use portolan_catalogue::Reason;
use portolan_objects::{Family, endpoint, labels, ports::PortSet};

use super::{
    MANAGER,
    desired::{self, Desired, Identity, Members},
};

/// Annotation of `kubectl apply`: about the Endpoints, not about the slice.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What to do for one Endpoints.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum MirrorPlan {
    /// Bring its slices in step.
    Write(Writes),
    /// Read it: its content has not been kept while its Service had a selector.
    Fetch,
}

/// Writes for one Endpoints. Empty is the proof that its slices are right and that nothing was left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Writes {
    /// The Endpoints, unless the slices go because it should not be mirrored.
    pub(crate) endpoints: Option<Arc<Endpoints>>,
    /// New slices: without a name, the API server gives them one.
    pub(crate) creates: Vec<EndpointSlice>,
    /// Complete new states, on the revision that was observed.
    pub(crate) updates: Vec<EndpointSlice>,
    /// The observed states of slices to delete.
    pub(crate) deletes: Vec<Arc<EndpointSlice>>,
    /// What its author has to hear, with each sync.
    pub(crate) complaints: Vec<Complaint>,
}

/// An Event about the Endpoints.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Complaint {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

impl Writes {
    /// Nothing to write and nothing to complain about.
    pub(crate) fn is_empty(&self) -> bool {
        self.creates.is_empty() && self.updates.is_empty() && self.deletes.is_empty() && self.complaints.is_empty()
    }
}

/// How far the slices were from the Endpoints, and what it asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) added: usize,
    pub(crate) updated: usize,
    pub(crate) removed: usize,
    pub(crate) skipped: usize,
    /// Endpoints in all its slices.
    pub(crate) endpoints: usize,
    /// Its slices.
    pub(crate) slices: usize,
}

/// Plans for one Endpoints that is mirrored. `existing` are the slices made from it, sorted by name; `max` is the most
/// addresses of one of its subsets.
pub(crate) fn plan(endpoints: &Arc<Endpoints>, existing: Vec<Arc<EndpointSlice>>, max: usize) -> (Writes, Totals) {
    let desired = desired::desired(endpoints, max);
    let complaints = complaints(&desired, max);
    let mut writes = Writes { endpoints: Some(Arc::clone(endpoints)), complaints, ..Writes::default() };
    let mut totals = Totals { skipped: desired.skipped, slices: desired.slices.len(), ..Totals::default() };
    let mut by_key: BTreeMap<(Option<Family>, PortSet), Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        by_key.entry((endpoint::family(&slice), PortSet::of_slice(&slice))).or_default().push(slice);
    }
    for ((family, ports), members) in desired.slices {
        totals.endpoints += members.len();
        let held = by_key.remove(&(Some(family), ports.clone())).unwrap_or_default();
        let mut held = held.into_iter();
        let Some(first) = held.next() else {
            totals.added += members.len();
            writes.creates.push(new_slice(endpoints, family, &ports, members));
            continue;
        };
        // One is enough. There are more after a create whose answer was lost.
        writes.deletes.extend(held);
        if !compare(&first, &members, &mut totals) || !is_labelled(&first, endpoints) {
            writes.updates.push(over(&first, new_slice(endpoints, family, &ports, members)));
        }
    }
    for slice in by_key.into_values().flatten() {
        totals.removed += slice.endpoints.as_ref().map_or(0, Vec::len);
        writes.deletes.push(slice);
    }
    recycle(&mut writes);
    if endpoints.metadata.deletion_timestamp.is_some() {
        writes.creates.clear();
    }
    (writes, totals)
}

fn complaints(desired: &Desired, max: usize) -> Vec<Complaint> {
    let Desired { invalid, skipped, .. } = desired;
    let mut complaints = Vec::new();
    if *invalid > 0 {
        let message = format!("Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices");
        complaints.push(Complaint { reason: Reason::InvalidIPAddress, message });
    }
    if skipped > invalid {
        let message = format!(
            "A max of {max} addresses can be mirrored to EndpointSlices per Endpoints subset. {skipped} addresses were skipped"
        );
        complaints.push(Complaint { reason: Reason::TooManyAddressesToMirror, message });
    }
    complaints
}

/// Whether the slice has exactly these endpoints; counts those that differ.
fn compare(slice: &EndpointSlice, members: &Members, totals: &mut Totals) -> bool {
    let before = *totals;
    let held = slice.endpoints.as_deref().unwrap_or_default();
    let mut found = 0;
    for endpoint in held {
        match members.get(&Identity::of(endpoint)) {
            Some(wanted) => {
                found += 1;
                totals.updated += usize::from(!is_same(wanted, endpoint));
            }
            None => totals.removed += 1,
        }
    }
    totals.added += members.len().saturating_sub(found);
    *totals == before && found == members.len()
}

/// Nothing that is published about the endpoint differs.
fn is_same(new: &Endpoint, old: &Endpoint) -> bool {
    let conditions = |endpoint: &Endpoint| endpoint.conditions.clone().unwrap_or_default();
    conditions(new) == conditions(old)
        && new.node_name == old.node_name
        && new.zone == old.zone
        && target(new) == target(old)
}

/// Which revision of the target was current when somebody wrote its address does not count.
fn target(endpoint: &Endpoint) -> Option<ObjectReference> {
    endpoint.target_ref.clone().map(|target| ObjectReference { resource_version: None, ..target })
}

/// The slice carries the labels and annotations of the Endpoints, and is not of an earlier one of the same name.
fn is_labelled(slice: &EndpointSlice, endpoints: &Endpoints) -> bool {
    let metadata = &endpoints.metadata;
    let is_stranger = |owner: &OwnerReference| {
        owner.kind == "Endpoints"
            && Some(&owner.name) == metadata.name.as_ref()
            && Some(&owner.uid) != metadata.uid.as_ref()
    };
    free_labels(&slice.metadata) == free_labels(metadata)
        && slice.metadata.annotations.clone().unwrap_or_default() == annotations(metadata)
        && !slice.metadata.owner_references.iter().flatten().any(is_stranger)
}

/// All labels but those that say what a slice is.
fn free_labels(metadata: &ObjectMeta) -> BTreeMap<String, String> {
    let mut set = metadata.labels.clone().unwrap_or_default();
    set.retain(|key, _| key != labels::SERVICE_NAME && key != labels::SLICE_MANAGED_BY);
    set
}

/// The annotations that are about the addresses.
fn annotations(metadata: &ObjectMeta) -> BTreeMap<String, String> {
    let mut set = metadata.annotations.clone().unwrap_or_default();
    set.retain(|key, _| key != labels::TRIGGER_TIME && key != LAST_APPLIED);
    set
}

fn new_slice(endpoints: &Endpoints, family: Family, ports: &PortSet, members: Members) -> EndpointSlice {
    let metadata = &endpoints.metadata;
    let name = metadata.name.clone().unwrap_or_default();
    let mut labels = free_labels(metadata);
    labels.insert(labels::SERVICE_NAME.to_owned(), name.clone());
    labels.insert(labels::SLICE_MANAGED_BY.to_owned(), MANAGER.to_owned());
    EndpointSlice {
        address_type: family.to_string(),
        endpoints: Some(members.into_values().collect()),
        ports: Some(ports.to_slice()),
        metadata: ObjectMeta {
            generate_name: Some(format!("{name}-")),
            namespace: metadata.namespace.clone(),
            labels: Some(labels),
            annotations: Some(annotations(metadata)).filter(|annotations| !annotations.is_empty()),
            owner_references: Some(vec![OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Endpoints".to_owned(),
                name,
                uid: metadata.uid.clone().unwrap_or_default(),
                controller: Some(true),
                block_owner_deletion: Some(true),
            }]),
            ..ObjectMeta::default()
        },
    }
}

/// The new content under an old slice's name. Nothing else of the old one stays: it is made from the Endpoints alone.
fn over(old: &EndpointSlice, new: EndpointSlice) -> EndpointSlice {
    let before = &old.metadata;
    let metadata = ObjectMeta {
        name: before.name.clone(),
        uid: before.uid.clone(),
        resource_version: before.resource_version.clone(),
        creation_timestamp: before.creation_timestamp.clone(),
        generate_name: None,
        ..new.metadata
    };
    EndpointSlice { metadata, ..new }
}

/// Turns a deletion and a creation of the same family into one update: the family of a slice is immutable.
fn recycle(writes: &mut Writes) {
    let deletes = std::mem::take(&mut writes.deletes);
    for old in deletes {
        match writes.creates.iter().position(|new| new.address_type == old.address_type) {
            Some(at) => writes.updates.push(over(&old, writes.creates.remove(at))),
            None => writes.deletes.push(old),
        }
    }
}

#[cfg(test)]
mod tests;
