//! Slices that exist against endpoints that are wanted: what to create, update and delete. Pure, but for what the
//! hints of a Service remember of its last sync.
//!
//! Upstream: `endpointslice/reconciler.go`, `utils.go`.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::Service,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use portolan_objects::{Family, ObjectKey, labels, ports::PortSet, service};

use super::{
    desired::{self, Skipped, Wanted},
    distribution::{self, Mode},
    nodes::Nodes,
    pack::{self, Draft, Packed},
    slice::Slice,
    topology::{Event, Topology},
};
use crate::{backends::Pod, trigger};

/// Labels of slices that the Service's own cannot be.
const RESERVED: [&str; 3] = [labels::SERVICE_NAME, labels::SLICE_MANAGED_BY, labels::HEADLESS];
/// Longest name of an object.
const LONGEST_NAME: usize = 253;

/// What to write for one Service. Empty is the proof that its slices are right.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlicePlan {
    pub(crate) service: Arc<Service>,
    pub(crate) mode: Mode,
    /// Each family of the Service. What goes wrong in one does not keep the other from being written.
    pub(crate) families: Vec<FamilyPlan>,
    /// Slices of families that the Service does not have any more.
    pub(crate) unwanted: Vec<Arc<Slice>>,
    /// Pods that could not be published: the writes are made, and then the sync counts as failed.
    pub(crate) skipped: Vec<Skipped>,
    /// What became of the hints.
    pub(crate) events: Vec<Event>,
}

/// What to write for one address family: first creates, then updates, then deletes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct FamilyPlan {
    /// New slices: without a name, the API server gives them one.
    pub(crate) creates: Vec<Slice>,
    /// Complete new states: on the revision that was observed, or, of slices that are put to another use, on whichever.
    pub(crate) updates: Vec<Slice>,
    pub(crate) deletes: Vec<Arc<Slice>>,
    /// For the metrics.
    pub(crate) counts: Counts,
}

/// What one sync of one family found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) added: usize,
    pub(crate) removed: usize,
    /// Endpoints that are wanted.
    pub(crate) endpoints: usize,
    /// Slices afterwards.
    pub(crate) slices: usize,
    /// Slices that perfect packing would need.
    pub(crate) fewest: usize,
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) service: &'a Arc<Service>,
    /// The pods that it selects, sorted by name.
    pub(crate) pods: &'a [Arc<Pod>],
    /// The slices that this controller manages for it, sorted by name.
    pub(crate) existing: &'a [Arc<Slice>],
    pub(crate) nodes: &'a Nodes,
    /// Goes into every slice that is written.
    pub(crate) trigger: Option<Timestamp>,
    /// The most endpoints of one slice.
    pub(crate) max: usize,
}

impl FamilyPlan {
    /// How many slices it writes.
    pub(crate) fn writes(&self) -> usize {
        self.creates.len() + self.updates.len() + self.deletes.len()
    }
}

impl SlicePlan {
    /// Nothing to write, to report and to complain about.
    pub(crate) fn is_empty(&self) -> bool {
        self.unwanted.is_empty()
            && self.skipped.is_empty()
            && self.events.is_empty()
            && self.families.iter().all(|family| family.writes() == 0)
    }
}

/// Plans for one Service.
pub(crate) fn plan(inputs: Inputs<'_>, topology: &mut Topology) -> SlicePlan {
    let Inputs { service, pods, existing, nodes, trigger, max } = inputs;
    let desired = desired::desired(service, pods, nodes);
    let key = ObjectKey::of(&**service);
    let is_wanted = |family: &Family| desired.families.contains_key(family);
    // The address type of a slice is immutable, so those of other families cannot be put to use.
    let (wanted, unwanted): (Vec<_>, Vec<_>) =
        existing.iter().cloned().partition(|slice| slice.family.as_ref().is_some_and(is_wanted));
    unwanted.iter().filter_map(|slice| slice.family).for_each(|family| topology.remove(&key, family));
    let mode = distribution::mode(service);
    let (mut families, mut events) = (Vec::new(), Vec::new());
    for (family, sets) in &desired.families {
        let slices = wanted.iter().filter(|slice| slice.family == Some(*family)).cloned().collect();
        let (mut packed, counts) = pack_family(service, sets, slices, max);
        let event = match mode {
            Mode::Auto => topology.give_hints(&key, *family, nodes.shares(), &mut packed),
            Mode::Near(_) | Mode::None => topology.leave(&key, *family),
        };
        events.extend(event);
        match mode {
            Mode::Near(near) => distribution::give_hints(near, &mut packed),
            Mode::None => distribution::take_hints(&mut packed),
            Mode::Auto => {}
        }
        packed.drop_repetitions();
        families.push(FamilyPlan { counts, ..finish(service, *family, packed, trigger) });
    }
    SlicePlan { service: Arc::clone(service), mode, families, unwanted, skipped: desired.skipped, events }
}

/// Spreads the endpoints of one family over slices, without their hints.
fn pack_family(
    service: &Service,
    sets: &BTreeMap<PortSet, Vec<Wanted<'_>>>,
    slices: Vec<Arc<Slice>>,
    max: usize,
) -> (Packed, Counts) {
    let existing = slices.len();
    let mut all = Packed::default();
    let mut by_ports: BTreeMap<&PortSet, Vec<Arc<Slice>>> = BTreeMap::new();
    let (owned, others): (Vec<_>, Vec<_>) = slices.into_iter().partition(|slice| is_owned(slice, service));
    for slice in &owned {
        by_ports.entry(&slice.ports).or_default().push(Arc::clone(slice));
    }
    // Of an earlier Service of the same name; garbage collection may already be on its way.
    all.deletes = others;
    let mut counts = Counts::default();
    for (ports, wanted) in sets {
        let slices = by_ports.remove(ports).unwrap_or_default();
        let before = slices.len();
        let packed = pack::pack(slices, wanted, ports, max, |slice| has_drifted(slice, service));
        counts.endpoints += wanted.len();
        counts.slices += before + packed.creates.len() - packed.deletes.len();
        counts.fewest += wanted.len().div_ceil(max.max(1));
        all.extend(packed);
    }
    // Nobody has these ports any more.
    all.deletes.extend(by_ports.into_values().flatten());
    if all.deletes.len() == existing && all.creates.is_empty() {
        keep_placeholder(service, &mut all);
        counts.slices += 1;
    }
    counts.fewest = counts.fewest.max(1);
    counts.added = all.added;
    counts.removed = all.removed;
    (all, counts)
}

/// Readers can tell "no endpoints" from "not looked at yet": one empty slice is always there.
fn keep_placeholder(service: &Service, packed: &mut Packed) {
    if let [only] = packed.deletes.as_slice()
        && is_placeholder(only, service)
    {
        packed.kept.append(&mut packed.deletes);
        return;
    }
    let ports = PortSet::default();
    packed.creates.push(Draft { slice: None, ports, endpoints: Vec::new(), relabel: true });
}

/// Turns drafts into slices, and pairs of a deletion and a creation into one update.
fn finish(service: &Service, family: Family, packed: Packed, trigger: Option<Timestamp>) -> FamilyPlan {
    let mut plan = FamilyPlan::default();
    let stamp = |mut slice: Slice| {
        set_trigger(&mut slice.metadata, trigger);
        slice
    };
    let mut creates: Vec<Slice> =
        packed.creates.into_iter().map(|draft| stamp(new_slice(service, family, draft))).collect();
    plan.updates = packed.updates.into_iter().filter_map(|draft| updated(service, draft)).map(stamp).collect();
    for old in packed.deletes {
        // A slice of an earlier Service is being collected as garbage: no use can be made of it.
        match creates.pop_if(|_| is_owned(&old, service)) {
            Some(mut new) => {
                new.metadata.name = old.metadata.name.clone();
                new.metadata.uid = old.metadata.uid.clone();
                plan.updates.push(new);
            }
            None => plan.deletes.push(old),
        }
    }
    // Garbage collection would race with what is created for a Service that is being deleted.
    if service.metadata.deletion_timestamp.is_none() {
        plan.creates = creates;
    }
    plan
}

fn updated(service: &Service, draft: Draft) -> Option<Slice> {
    let old = draft.slice?;
    let mut metadata = old.metadata.clone();
    if draft.relabel {
        metadata.labels = Some(slice_labels(service));
    }
    Some(Slice { metadata, family: old.family, ports: draft.ports, endpoints: draft.endpoints })
}

fn new_slice(service: &Service, family: Family, draft: Draft) -> Slice {
    let metadata = &service.metadata;
    let name = metadata.name.clone().unwrap_or_default();
    let metadata = ObjectMeta {
        generate_name: Some(prefix(&name)),
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
    };
    Slice { metadata, family: Some(family), ports: draft.ports, endpoints: draft.endpoints }
}

/// What the API server makes a name of. The dash is for readers and goes where it does not fit.
fn prefix(service: &str) -> String {
    if service.len() < LONGEST_NAME { format!("{service}-") } else { service.to_owned() }
}

fn is_owned(slice: &Slice, service: &Service) -> bool {
    let mut owners = slice.metadata.owner_references.iter().flatten();
    let uid = service.metadata.uid.as_deref().unwrap_or_default();
    owners.any(|owner| owner.api_version == "v1" && owner.kind == "Service" && owner.uid == uid)
}

/// Upstream also takes the placeholder of an earlier Service of the same name for one, and then has none when that is
/// collected.
fn is_placeholder(slice: &Slice, service: &Service) -> bool {
    let text = |set: &BTreeMap<String, String>| -> Vec<(String, String)> {
        // No label and an empty one are the same here, as upstream has it.
        set.clone().into_iter().filter(|(_, value)| !value.is_empty()).collect()
    };
    is_owned(slice, service)
        && slice.endpoints.is_empty()
        && slice.ports.is_empty()
        && slice.metadata.labels.as_ref().map(text).unwrap_or_default() == text(&slice_labels(service))
}

/// The Service's own labels and those that say what the slice is. These win.
fn slice_labels(service: &Service) -> BTreeMap<String, String> {
    let name = service.metadata.name.clone().unwrap_or_default();
    let free = free_labels(service.metadata.labels.as_ref());
    let mut set: BTreeMap<String, String> = free.map(|(key, value)| (key.clone(), value.clone())).collect();
    set.insert(labels::SERVICE_NAME.to_owned(), name);
    set.insert(labels::SLICE_MANAGED_BY.to_owned(), labels::SLICE_CONTROLLER.to_owned());
    if service::is_headless(service) {
        set.insert(labels::HEADLESS.to_owned(), String::new());
    }
    set
}

fn free_labels(set: Option<&BTreeMap<String, String>>) -> impl Iterator<Item = (&String, &String)> {
    set.into_iter().flatten().filter(|(key, _)| !RESERVED.contains(&key.as_str()))
}

/// The slice does not carry the Service's labels. The reserved ones alone are no reason to write: upstream compares
/// likewise.
fn has_drifted(slice: &Slice, service: &Service) -> bool {
    !free_labels(slice.metadata.labels.as_ref()).eq(free_labels(service.metadata.labels.as_ref()))
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
