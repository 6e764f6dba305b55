//! Objects as the watch shows them, with the part's own writes on top.
//!
//! A watch is always a little behind. A controller that plans from it alone would create a pod twice. So every write
//! goes into a [`Ledger`] the moment the API has acknowledged it, and the cache takes the ledger in before each plan;
//! the watch catches up later and changes nothing. Versions are compared as numbers, which the API has promised since
//! Kubernetes 1.35; where one is not a number the later arrival wins.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::{
    Metadata,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use portolan_objects::ObjectKey;
use portolan_runtime::{Change, Gone, revision};

/// Where applies note what the API has acknowledged. Clones write into the same cache.
pub(crate) struct Ledger<T>(Arc<Mutex<Vec<Write<T>>>>);

enum Write<T> {
    Put(T),
    Gone { key: ObjectKey, uid: String },
}

impl<T> Clone for Ledger<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Metadata<Ty = ObjectMeta>> Ledger<T> {
    /// The object was created or changed, and this is the API's answer.
    pub fn put(&self, object: T) {
        self.push(Write::Put(object));
    }

    /// The object was deleted and is gone at once.
    pub fn gone(&self, object: &T) {
        self.push(Write::Gone { key: ObjectKey::of(object), uid: uid(object).to_owned() });
    }

    fn push(&self, write: Write<T>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(write);
    }
}

/// An object before and after a change; `None` is "not there".
pub(crate) type Transition<'a, T> = (Option<&'a Arc<T>>, Option<&'a Arc<T>>);

/// All objects of one kind, findable by key and by one group each.
pub(crate) struct Cache<T> {
    group_of: fn(&T) -> String,
    objects: BTreeMap<ObjectKey, Arc<T>>,
    groups: BTreeMap<String, BTreeSet<ObjectKey>>,
    ledger: Ledger<T>,
    /// Own writes that the watch has not shown yet.
    unseen: HashSet<ObjectKey>,
    /// In case an acknowledgement of ours arrives behind the deletion.
    gone: Gone,
}

impl<T: Metadata<Ty = ObjectMeta>> Cache<T> {
    /// An empty cache; `group_of` says by what else than their key objects are looked up.
    pub fn new(group_of: fn(&T) -> String) -> Self {
        Self {
            group_of,
            objects: BTreeMap::new(),
            groups: BTreeMap::new(),
            ledger: Ledger(Arc::default()),
            unseen: HashSet::new(),
            gone: Gone::default(),
        }
    }

    pub fn ledger(&self) -> Ledger<T> {
        self.ledger.clone()
    }

    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<T>> {
        self.objects.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.objects.values()
    }

    /// The objects of one group, by key.
    pub fn group<'a>(&'a self, group: &str) -> impl Iterator<Item = &'a Arc<T>> {
        self.groups.get(group).into_iter().flatten().filter_map(|key| self.objects.get(key))
    }

    /// Takes a change of the watch in; `changed` hears every object that it concerns.
    pub fn take(&mut self, change: Change<T>, mut changed: impl FnMut(Transition<'_, T>)) {
        match change {
            Change::Apply(object) => {
                self.unseen.remove(&ObjectKey::of(&object));
                self.put(object, &mut changed);
            }
            Change::Delete(object) => {
                let (key, uid) = (ObjectKey::of(&object), uid(&object).to_owned());
                self.unseen.remove(&key);
                self.remove(&key, &uid, &mut changed);
            }
            Change::Reset(objects) => self.reset(objects, &mut changed),
        }
    }

    /// Takes the ledger in. Call it before planning.
    pub fn settle(&mut self, mut changed: impl FnMut(Transition<'_, T>)) {
        let writes = std::mem::take(&mut *self.ledger.0.lock().unwrap_or_else(PoisonError::into_inner));
        for write in writes {
            match write {
                Write::Put(object) => {
                    let key = ObjectKey::of(&object);
                    if self.put(object, &mut changed) {
                        self.unseen.insert(key);
                    }
                }
                Write::Gone { key, uid } => self.remove(&key, &uid, &mut changed),
            }
        }
    }

    /// True if the object was news.
    fn put(&mut self, object: T, changed: &mut impl FnMut(Transition<'_, T>)) -> bool {
        if self.gone.is_before(Some(uid(&object)), None) {
            return false;
        }
        let key = ObjectKey::of(&object);
        let old = self.objects.get(&key).cloned();
        if old.as_ref().is_some_and(|old| uid(&**old) == uid(&object) && version(&**old) > version(&object)) {
            return false;
        }
        let new = Arc::new(object);
        self.regroup(&key, old.as_deref(), Some(&new));
        self.objects.insert(key, new.clone());
        changed((old.as_ref(), Some(&new)));
        old.is_none_or(|old| version(&*old) != version(&*new))
    }

    fn remove(&mut self, key: &ObjectKey, uid_gone: &str, changed: &mut impl FnMut(Transition<'_, T>)) {
        if !uid_gone.is_empty() {
            self.gone.deleted(uid_gone);
        }
        if self.objects.get(key).is_some_and(|object| uid(&**object) == uid_gone)
            && let Some(old) = self.objects.remove(key)
        {
            self.regroup(key, Some(&old), None);
            changed((Some(&old), None));
        }
    }

    fn reset(&mut self, objects: Vec<T>, changed: &mut impl FnMut(Transition<'_, T>)) {
        let newest = objects.iter().filter_map(version).max();
        let listed: HashSet<ObjectKey> = objects.iter().map(ObjectKey::of).collect();
        // An own write that is newer than anything in the list was made after it.
        let kept = |object: &T, unseen: bool| unseen && version(object) > newest;
        let absent: Vec<(ObjectKey, String)> = self
            .objects
            .iter()
            .filter(|(key, object)| !listed.contains(key) && !kept(object, self.unseen.contains(key)))
            .map(|(key, object)| (key.clone(), uid(&**object).to_owned()))
            .collect();
        for (key, uid) in absent {
            self.unseen.remove(&key);
            self.remove(&key, &uid, changed);
        }
        for object in objects {
            self.put(object, changed);
        }
    }

    fn regroup(&mut self, key: &ObjectKey, old: Option<&T>, new: Option<&Arc<T>>) {
        let (before, after) = (old.map(self.group_of), new.map(|object| (self.group_of)(object)));
        if before == after {
            return;
        }
        if let Some(before) = before
            && let Some(keys) = self.groups.get_mut(&before)
        {
            keys.remove(key);
            if keys.is_empty() {
                self.groups.remove(&before);
            }
        }
        if let Some(after) = after {
            self.groups.entry(after).or_default().insert(key.clone());
        }
    }
}

/// The object's UID, empty if it has none.
pub(crate) fn uid(object: &impl Metadata<Ty = ObjectMeta>) -> &str {
    object.metadata().uid.as_deref().unwrap_or_default()
}

fn version(object: &impl Metadata<Ty = ObjectMeta>) -> Option<u64> {
    revision(object.metadata().resource_version.as_deref())
}

/// The owner that controls the object.
pub(crate) fn controller_of(object: &impl Metadata<Ty = ObjectMeta>) -> Option<&OwnerReference> {
    let owners = object.metadata().owner_references.as_ref()?;
    owners.iter().find(|owner| owner.controller == Some(true))
}

/// Group for controllers: the UID of the controlling owner, or [`orphans`] of the namespace.
pub(crate) fn by_controller(object: &impl Metadata<Ty = ObjectMeta>) -> String {
    match controller_of(object) {
        Some(owner) => owner.uid.clone(),
        None => orphans(object.metadata().namespace.as_deref().unwrap_or_default()),
    }
}

/// The group of a namespace's objects without a controller.
pub(crate) fn orphans(namespace: &str) -> String {
    format!("orphans/{namespace}")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    fn pod(name: &str, uid: &str, version: u64) -> Pod {
        let mut pod = Pod::default();
        pod.metadata.name = Some(name.into());
        pod.metadata.namespace = Some("shop".into());
        pod.metadata.uid = Some(uid.into());
        pod.metadata.resource_version = Some(version.to_string());
        pod
    }

    fn names(cache: &Cache<Pod>) -> Vec<String> {
        cache.group(&orphans("shop")).map(|pod| ObjectKey::of(&**pod).name).collect()
    }

    #[test]
    fn own_writes_count_before_the_watch_shows_them() {
        let mut cache = Cache::new(by_controller);
        cache.take(Change::Reset(vec![pod("a", "1", 5)]), |_| {});
        cache.ledger().put(pod("b", "2", 7));
        cache.settle(|_| {});
        assert_eq!(names(&cache), ["a", "b"]);
        // The watch was opened before our write: it does not take it away.
        cache.take(Change::Reset(vec![pod("a", "1", 5)]), |_| {});
        assert_eq!(names(&cache), ["a", "b"]);
        // One that was opened later and does not have it says that it is gone.
        cache.take(Change::Reset(vec![pod("a", "1", 9)]), |_| {});
        assert_eq!(names(&cache), ["a"]);
    }

    #[test]
    fn an_acknowledgement_behind_the_deletion_brings_nothing_back() {
        let mut cache = Cache::new(by_controller);
        let ledger = cache.ledger();
        cache.take(Change::Apply(pod("a", "1", 5)), |_| {});
        cache.take(Change::Delete(pod("a", "1", 6)), |_| {});
        ledger.put(pod("a", "1", 5));
        cache.settle(|_| {});
        assert!(names(&cache).is_empty());
        cache.take(Change::Apply(pod("a", "2", 8)), |_| {});
        ledger.gone(&pod("a", "1", 6));
        cache.settle(|_| {});
        assert_eq!(names(&cache), ["a"], "the successor of that name is another object");
    }

    #[test]
    fn older_versions_do_not_replace_newer_ones() {
        let mut cache = Cache::new(by_controller);
        cache.ledger().put(pod("a", "1", 9));
        cache.settle(|_| {});
        let mut news = 0;
        cache.take(Change::Apply(pod("a", "1", 8)), |_| news += 1);
        assert_eq!(news, 0);
        cache.take(Change::Apply(pod("a", "1", 9)), |_| news += 1);
        assert_eq!(news, 1, "the watch catching up is told once");
    }
}
