//! The slices that exist: as the watch shows them, brought forward by this controller's own writes.
//!
//! Upstream plans from the watch alone and keeps beside it which generation of which slice it has written, to notice
//! when the watch is behind (`endpointslice/util/endpointslice_tracker.go`). Here a write is taken in at once, so a
//! plan is never made from less than what this controller has done. What upstream's tracker decides besides, which
//! changes by others are a reason to look at the Service, is decided by the same rule.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use portolan_objects::ObjectKey;
use portolan_runtime::Change;

use super::slice::Slice;
use crate::{
    backends::Watched,
    gone::{self, Gone},
};

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
                // Not remembered as gone: the set may be older than a slice that was made meanwhile, and then the watch
                // shows it next.
                for key in gone {
                    if let Some(held) = self.held.remove(&key) {
                        self.unfile(&held.slice);
                        dirty.extend(held.slice.service());
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
        if let Some(uid) = &slice.metadata.uid {
            self.gone.deleted(uid);
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
        if self.gone.is_before(slice.metadata.uid.as_ref(), revision(&slice)) {
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
            self.gone.left(uid, revision(slice));
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

fn revision(slice: &Slice) -> Option<u64> {
    gone::revision(slice.metadata.resource_version.as_ref())
}

#[cfg(test)]
mod tests;
