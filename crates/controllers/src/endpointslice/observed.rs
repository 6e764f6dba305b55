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
use portolan_runtime::{self as runtime, Change, Gone};

use super::slice::Slice;
use crate::backends::Watched;

/// The slices that carry this controller's name.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    held: HashMap<ObjectKey, Held>,
    /// Names of the slices of each Service.
    of_service: HashMap<ObjectKey, BTreeSet<String>>,
    gone: Gone,
    /// What the watch has shown of the slices of each Service and this controller does not know as its own.
    news: HashMap<ObjectKey, Vec<News>>,
    /// The first complete set has come.
    complete: bool,
}

#[derive(Debug)]
struct Held {
    slice: Arc<Slice>,
    /// The generation that this controller has written last. A later one is somebody else's.
    written: Option<i64>,
}

/// A state of a slice, or its end. The watch is often faster than the answer to a write, above all to one of several:
/// what comes later may show that it was an echo.
#[derive(Debug, Clone)]
struct News {
    uid: Option<String>,
    revision: Option<u64>,
}

impl News {
    fn of(slice: &Slice) -> Self {
        Self { uid: slice.metadata.uid.clone(), revision: revision(slice) }
    }
}

impl Slices {
    /// Takes what the watch shows and pushes the Services that have to be looked at because of it, after a while.
    pub(crate) fn changed(&mut self, change: Change<Watched<Slice>>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(slice) => self.show(slice.facts, dirty),
            Change::Delete(slice) => self.remove(&slice.facts, dirty),
            Change::Reset(slices) => {
                let mut gone: HashSet<ObjectKey> = self.held.keys().cloned().collect();
                for slice in slices {
                    gone.remove(&slice.facts.key());
                    self.show(slice.facts, dirty);
                }
                // Not remembered as gone: the set may be older than a slice that was made meanwhile, and then the watch
                // shows it next.
                for key in gone {
                    if let Some(held) = self.held.remove(&key) {
                        self.unfile(&held.slice);
                        self.note(News::of(&held.slice), held.slice.service(), dirty);
                    }
                }
                // At the start every Service is looked at anyway.
                if !std::mem::replace(&mut self.complete, true) {
                    dirty.clear();
                    self.news.clear();
                }
            }
        }
    }

    /// Takes the API's answer to a write.
    pub(crate) fn wrote(&mut self, slice: Slice) {
        let (key, generation) = (slice.key(), slice.metadata.generation);
        let uid = slice.metadata.uid.clone();
        let (service, now) = (slice.service(), revision(&slice));
        // It was written on top of all that came before it.
        self.explain(service, |news| news.uid == uid && news.revision.is_some_and(|then| now >= Some(then)));
        self.put(slice);
        if let Some(held) = self.held.get_mut(&key).filter(|held| held.slice.metadata.uid == uid) {
            held.written = generation.or(Some(0));
        }
    }

    /// Takes a deletion that the API has confirmed.
    pub(crate) fn deleted(&mut self, slice: &Slice) {
        if let Some(uid) = &slice.metadata.uid {
            self.gone.deleted(uid);
            self.explain(slice.service(), |news| news.uid.as_ref() == Some(uid));
        }
        self.take_out(slice);
    }

    /// A Service has waited after a change of its slices: whether somebody else's change is among what was shown.
    pub(crate) fn is_news(&mut self, service: &ObjectKey) -> bool {
        self.news.remove(service).is_some()
    }

    /// The slices of this Service that nobody has begun to delete, sorted by name.
    pub(crate) fn of(&self, service: &ObjectKey) -> Vec<Arc<Slice>> {
        let names = self.of_service.get(service).into_iter().flatten();
        let held = names.filter_map(|name| self.held.get(&ObjectKey::new(&*service.namespace, &**name)));
        let slices = held.map(|held| &held.slice).filter(|slice| slice.metadata.deletion_timestamp.is_none());
        slices.cloned().collect()
    }

    fn show(&mut self, slice: Slice, dirty: &mut Vec<ObjectKey>) {
        let news = News::of(&slice);
        let touched = self.put(slice);
        self.note(news, touched, dirty);
    }

    fn note(&mut self, news: News, touched: impl IntoIterator<Item = ObjectKey>, dirty: &mut Vec<ObjectKey>) {
        for service in touched {
            self.news.entry(service.clone()).or_default().push(news.clone());
            dirty.push(service);
        }
    }

    /// Forgets news that was an echo.
    fn explain(&mut self, service: Option<ObjectKey>, echo: impl Fn(&News) -> bool) {
        if let Some(service) = service
            && let Some(news) = self.news.get_mut(&service)
        {
            news.retain(|one| !echo(one));
            if news.is_empty() {
                self.news.remove(&service);
            }
        }
    }

    /// Returns the Services for which this may be news.
    fn put(&mut self, slice: Slice) -> Vec<ObjectKey> {
        let mut touched = Vec::new();
        if self.gone.is_before(slice.metadata.uid.as_deref(), revision(&slice)) {
            return touched;
        }
        let key = slice.key();
        let service = slice.service();
        let before = self.held.get(&key).filter(|held| held.slice.metadata.uid == slice.metadata.uid);
        let mut written = None;
        match before {
            None => touched.extend(service.clone()),
            Some(before) => {
                let (old, new) = (revision(&before.slice), revision(&slice));
                if new.is_some() && old >= new {
                    return touched;
                }
                written = before.written;
                let was_of = before.slice.service();
                if was_of == service {
                    // Changes of nothing but metadata do not raise the generation.
                    let news = written.is_none_or(|written| slice.metadata.generation.is_none_or(|now| now > written));
                    touched.extend(service.clone().filter(|_| news));
                } else {
                    touched.extend(was_of.into_iter().chain(service.clone()));
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
        touched
    }

    fn remove(&mut self, slice: &Slice, dirty: &mut Vec<ObjectKey>) {
        if let Some(uid) = &slice.metadata.uid {
            self.gone.left(uid, revision(slice));
        }
        if let Some(held) = self.take_out(slice) {
            self.note(News::of(slice), held.slice.service(), dirty);
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
    runtime::revision(slice.metadata.resource_version.as_deref())
}

#[cfg(test)]
mod tests;
