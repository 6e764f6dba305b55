//! The slices that exist: as the watch shows them, brought forward by this controller's own writes.
//!
//! Upstream plans from the watch alone and keeps beside it which generation of which slice it has written, to notice
//! when the watch is behind (`endpointslice/util/endpointslice_tracker.go`). Here a write is taken in at once, so a
//! plan is never made from less than what this controller has done. What upstream's tracker decides besides, which
//! changes by others are a reason to look at the Service, is decided by the same rule.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use portolan_objects::ObjectKey;
use portolan_runtime::Change;

use super::slice::Slice;
use crate::backends::Watched;

/// Deleted slices that are remembered. Only news that is under way when they go can still name them.
const REMEMBERED: usize = 4096;

/// The slices that carry this controller's name.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    held: HashMap<ObjectKey, Held>,
    /// Names of the slices of each Service.
    of_service: HashMap<ObjectKey, BTreeSet<String>>,
    gone: Gone,
    /// The first complete set has come.
    complete: bool,
}

#[derive(Debug)]
struct Held {
    slice: Arc<Slice>,
    /// The generation that this controller has written last. A later one is somebody else's.
    written: Option<i64>,
}

/// Slices that have left the watch, with the revision at which they did. One that was only given another
/// `managed-by` can come back, at a later revision.
#[derive(Debug, Default)]
struct Gone {
    uids: HashMap<String, Option<u64>>,
    order: VecDeque<String>,
}

impl Gone {
    /// `None` for a deletion of this controller's own, whose revision only the watch will show.
    fn insert(&mut self, uid: &str, revision: Option<u64>) {
        if self.uids.insert(uid.to_owned(), revision).is_none() {
            self.order.push_back(uid.to_owned());
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.uids.remove(&oldest);
        }
    }

    /// The slice is of the time before it went.
    fn is_before(&self, slice: &Slice) -> bool {
        let went = slice.metadata.uid.as_ref().and_then(|uid| self.uids.get(uid));
        went.is_some_and(|went| went.is_none_or(|went| revision(slice).is_none_or(|now| now <= went)))
    }
}

impl Slices {
    /// Takes what the watch shows and pushes the Services that have to be looked at because of it, after a while.
    pub(crate) fn changed(&mut self, change: Change<Watched<Slice>>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(slice) => self.put(slice.facts, dirty),
            Change::Delete(slice) => self.remove(&slice.facts, dirty),
            Change::Reset(slices) => {
                let mut gone: HashSet<ObjectKey> = self.held.keys().cloned().collect();
                for slice in slices {
                    gone.remove(&slice.facts.key());
                    self.put(slice.facts, dirty);
                }
                for key in gone {
                    if let Some(held) = self.held.get(&key) {
                        let slice = Arc::clone(&held.slice);
                        self.remove(&slice, dirty);
                    }
                }
                // At the start every Service is looked at anyway.
                if !std::mem::replace(&mut self.complete, true) {
                    dirty.clear();
                }
            }
        }
    }

    /// Takes the API's answer to a write.
    pub(crate) fn wrote(&mut self, slice: Slice) {
        let (key, generation) = (slice.key(), slice.metadata.generation);
        let uid = slice.metadata.uid.clone();
        self.put(slice, &mut Vec::new());
        if let Some(held) = self.held.get_mut(&key).filter(|held| held.slice.metadata.uid == uid) {
            held.written = generation.or(Some(0));
        }
    }

    /// Takes a deletion that the API has confirmed.
    pub(crate) fn deleted(&mut self, slice: &Slice) {
        if let Some(uid) = slice.metadata.uid.as_deref().filter(|uid| !self.gone.uids.contains_key(*uid)) {
            self.gone.insert(uid, None);
        }
        self.take_out(slice);
    }

    /// The slices of this Service that nobody has begun to delete, sorted by name.
    pub(crate) fn of(&self, service: &ObjectKey) -> Vec<Arc<Slice>> {
        let names = self.of_service.get(service).into_iter().flatten();
        let held = names.filter_map(|name| self.held.get(&ObjectKey::new(&*service.namespace, &**name)));
        let slices = held.map(|held| &held.slice).filter(|slice| slice.metadata.deletion_timestamp.is_none());
        slices.cloned().collect()
    }

    fn put(&mut self, slice: Slice, dirty: &mut Vec<ObjectKey>) {
        if self.gone.is_before(&slice) {
            return;
        }
        let key = slice.key();
        let service = slice.service();
        let before = self.held.get(&key).filter(|held| held.slice.metadata.uid == slice.metadata.uid);
        let mut written = None;
        match before {
            None => dirty.extend(service.clone()),
            Some(before) => {
                let (old, new) = (revision(&before.slice), revision(&slice));
                if new.is_some() && old >= new {
                    return;
                }
                written = before.written;
                let was_of = before.slice.service();
                if was_of == service {
                    // Changes of nothing but metadata do not raise the generation.
                    let news = written.is_none_or(|written| slice.metadata.generation.is_none_or(|now| now > written));
                    dirty.extend(service.clone().filter(|_| news));
                } else {
                    dirty.extend(was_of.into_iter().chain(service.clone()));
                }
            }
        }
        if let Some(held) = self.held.get(&key) {
            let before = Arc::clone(&held.slice);
            self.unfile(&before);
        }
        if let Some(service) = service {
            self.of_service.entry(service).or_default().insert(key.name.clone());
        }
        self.held.insert(key, Held { slice: Arc::new(slice), written });
    }

    fn remove(&mut self, slice: &Slice, dirty: &mut Vec<ObjectKey>) {
        if let Some(uid) = &slice.metadata.uid {
            self.gone.insert(uid, revision(slice));
        }
        if let Some(held) = self.take_out(slice) {
            dirty.extend(held.slice.service());
        }
    }

    fn take_out(&mut self, slice: &Slice) -> Option<Held> {
        let key = slice.key();
        self.held.get(&key).filter(|held| held.slice.metadata.uid == slice.metadata.uid)?;
        let held = self.held.remove(&key)?;
        self.unfile(&held.slice);
        Some(held)
    }

    fn unfile(&mut self, slice: &Slice) {
        let Some(service) = slice.service() else { return };
        if let Some(names) = self.of_service.get_mut(&service) {
            names.remove(slice.name());
            if names.is_empty() {
                self.of_service.remove(&service);
            }
        }
    }
}

/// Revisions of one kind are ordered numbers: documented since Kubernetes 1.35, true of etcd always.
fn revision(slice: &Slice) -> Option<u64> {
    slice.metadata.resource_version.as_ref()?.parse().ok()
}

#[cfg(test)]
mod tests;
