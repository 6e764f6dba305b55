//! The slices that this controller has made, by the Service that they are labelled for.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use k8s_openapi::{api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use portolan_objects::{ObjectKey, endpoint};
use portolan_runtime::{Change, Observed};

/// Slices as the watch and this controller's own writes show them.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    slices: Observed<EndpointSlice>,
    by_service: HashMap<ObjectKey, BTreeSet<ObjectKey>>,
}

impl Slices {
    /// The slices of this Service, sorted by name. Those on their way out are left out.
    pub(crate) fn of(&self, service: &ObjectKey) -> Vec<Arc<EndpointSlice>> {
        let slices = self.by_service.get(service).into_iter().flatten().filter_map(|key| self.slices.get(key));
        slices.filter(|slice| slice.metadata.deletion_timestamp.is_none()).cloned().collect()
    }

    /// Takes a change that the watch shows. Returns the Services whose slices are no longer as this controller has left
    /// them.
    pub(crate) fn take(&mut self, change: Change<EndpointSlice>) -> BTreeSet<ObjectKey> {
        match change {
            Change::Apply(slice) => self.put(slice),
            Change::Delete(slice) => {
                let unexpected = self.remove(&slice);
                endpoint::service_of(&slice).filter(|_| unexpected).into_iter().collect()
            }
            Change::Reset(slices) => {
                let mut touched: BTreeSet<ObjectKey> = self.by_service.drain().map(|(service, _)| service).collect();
                self.slices.reset(slices);
                for slice in self.slices.iter() {
                    if let Some(service) = endpoint::service_of(slice) {
                        touched.insert(service.clone());
                        self.by_service.entry(service).or_default().insert(ObjectKey::of(&**slice));
                    }
                }
                touched
            }
        }
    }

    /// Takes the state of a slice. Labels and annotations alone are no reason to look at its Service again, as long as
    /// it remains a slice of the same one.
    pub(crate) fn put(&mut self, slice: EndpointSlice) -> BTreeSet<ObjectKey> {
        let (key, service) = (ObjectKey::of(&slice), endpoint::service_of(&slice));
        let generation = slice.metadata.generation;
        let before = self.slices.get(&key).cloned();
        if !self.slices.apply(slice) {
            return BTreeSet::new();
        }
        let was = before.as_ref().and_then(|before| endpoint::service_of(before));
        if let Some(before) = &before {
            self.unfile(before);
        }
        if let Some(service) = &service {
            self.by_service.entry(service.clone()).or_default().insert(key);
        }
        if service == was && before.is_some_and(|before| is_same_content(&before.metadata, generation)) {
            return BTreeSet::new();
        }
        service.into_iter().chain(was).collect()
    }

    /// Takes a deletion; `true` if it is news.
    pub(crate) fn remove(&mut self, slice: &EndpointSlice) -> bool {
        let is_news = self.slices.delete(slice);
        if is_news {
            self.unfile(slice);
        }
        is_news
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

/// The API server counts the changes of everything but metadata.
fn is_same_content(before: &ObjectMeta, generation: Option<i64>) -> bool {
    before.generation.is_some() && before.generation >= generation
}
