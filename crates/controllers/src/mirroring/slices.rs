//! The slices that this controller has made, by the Service that they are labelled for: as the watch shows them, brought
//! forward by this controller's own writes.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::{api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use portolan_objects::{ObjectKey, endpoint};
use portolan_runtime::{self as runtime, Change, Gone};

/// The slices that carry this controller's name.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    held: HashMap<ObjectKey, Arc<EndpointSlice>>,
    by_service: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
    gone: Gone,
}

impl Slices {
    /// The slices of this Service, sorted by name. Those on their way out are left out.
    pub(crate) fn of(&self, service: &ObjectKey) -> Vec<Arc<EndpointSlice>> {
        let slices = self.by_service.get(service).into_iter().flatten().filter_map(|key| self.held.get(key));
        slices.filter(|slice| slice.metadata.deletion_timestamp.is_none()).cloned().collect()
    }

    /// Takes a change that the watch shows. Returns the Services whose slices are no longer as this controller has left
    /// them.
    pub(crate) fn take(&mut self, change: Change<EndpointSlice>) -> BTreeSet<ObjectKey> {
        match change {
            Change::Apply(slice) => self.put(slice),
            Change::Delete(slice) => self.leave(&slice),
            Change::Reset(slices) => {
                let mut missing: HashSet<ObjectKey> = self.held.keys().cloned().collect();
                let mut touched = BTreeSet::new();
                for slice in slices {
                    missing.remove(&ObjectKey::of(&slice));
                    touched.extend(self.put(slice));
                }
                // Not remembered as gone: the set may be older than a slice that was made meanwhile, and then the watch
                // shows it next.
                for key in missing {
                    let Some(slice) = self.held.remove(&key) else { continue };
                    self.unfile(&slice);
                    touched.extend(endpoint::service_of(&slice));
                }
                touched
            }
        }
    }

    /// Takes the state of a slice. Labels and annotations alone are no reason to look at its Service again, as long as
    /// it remains a slice of the same one.
    pub(crate) fn put(&mut self, slice: EndpointSlice) -> BTreeSet<ObjectKey> {
        let (key, service) = (ObjectKey::of(&slice), endpoint::service_of(&slice));
        let metadata = &slice.metadata;
        let before = self.held.get(&key).cloned();
        let same = before.as_ref().filter(|before| before.metadata.uid == metadata.uid);
        let is_echo = same.is_some_and(|before| revision(&before.metadata) >= revision(metadata));
        if self.gone.is_before(metadata.uid.as_deref(), revision(metadata)) || (is_echo && revision(metadata).is_some())
        {
            return BTreeSet::new();
        }
        // The API server counts the changes of everything but metadata.
        let is_same = same.is_some_and(|before| {
            let generation = before.metadata.generation;
            generation.is_some() && generation >= metadata.generation
        });
        let was = before.as_ref().and_then(|before| endpoint::service_of(before));
        before.iter().for_each(|before| self.unfile(before));
        if let Some(service) = &service {
            self.by_service.entry(service.clone()).or_default().insert(key.clone());
        }
        self.held.insert(key, Arc::new(slice));
        if service == was && is_same { BTreeSet::new() } else { service.into_iter().chain(was).collect() }
    }

    /// Takes a deletion of this controller's own that the API has confirmed.
    pub(crate) fn deleted(&mut self, slice: &EndpointSlice) {
        if let Some(uid) = &slice.metadata.uid {
            self.gone.deleted(uid);
        }
        self.take_out(slice);
    }

    /// The watch no longer shows the slice.
    fn leave(&mut self, slice: &EndpointSlice) -> BTreeSet<ObjectKey> {
        if let Some(uid) = &slice.metadata.uid {
            self.gone.left(uid, revision(&slice.metadata));
        }
        let unexpected = self.take_out(slice);
        endpoint::service_of(slice).filter(|_| unexpected).into_iter().collect()
    }

    /// `true` if it was there.
    fn take_out(&mut self, slice: &EndpointSlice) -> bool {
        let (key, uid) = (ObjectKey::of(slice), &slice.metadata.uid);
        let is_held = self.held.get(&key).is_some_and(|held| held.metadata.uid == *uid);
        if is_held && let Some(held) = self.held.remove(&key) {
            self.unfile(&held);
        }
        is_held
    }

    fn unfile(&mut self, slice: &EndpointSlice) {
        let Some(service) = endpoint::service_of(slice) else { return };
        if let Some(slices) = self.by_service.get_mut(&service) {
            slices.remove(&ObjectKey::of(slice));
            if slices.is_empty() {
                self.by_service.remove(&service);
            }
        }
    }
}

fn revision(metadata: &ObjectMeta) -> Option<u64> {
    runtime::revision(metadata.resource_version.as_deref())
}
