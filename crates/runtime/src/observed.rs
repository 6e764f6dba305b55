//! The objects of one kind as the watch shows them, brought forward by the part's own writes.
//!
//! A watch is always a little behind. A part that plans from it alone repeats what it has just done; upstream notices
//! that afterwards and retries (`endpointslice/util` tracker: "cache is out of date"). Here what was written goes into
//! the index at once, and what the watch delivers later but is older is ignored.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::{Metadata, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use portolan_objects::ObjectKey;

use crate::gone::{Gone, revision};

/// Objects by key. Held by an index; filled by [`crate::Change`]s and by `applied`. For watches in which what is gone stays
/// gone; where an object can lose the label that is watched for, see [`Gone`].
#[derive(Debug)]
pub struct Observed<T> {
    objects: HashMap<ObjectKey, Arc<T>>,
    gone: Gone,
}

impl<T> Default for Observed<T> {
    fn default() -> Self {
        Self { objects: HashMap::new(), gone: Gone::default() }
    }
}

impl<T: Metadata<Ty = ObjectMeta>> Observed<T> {
    /// Takes what the watch or an answer of the API shows. `false` if it is not news: already held, or older than
    /// what is held, or of an object that has been deleted.
    pub fn apply(&mut self, object: T) -> bool {
        let metadata = object.metadata();
        if self.gone.is_before(metadata.uid.as_deref(), at(metadata)) {
            return false;
        }
        let key = ObjectKey::of(&object);
        if let Some(held) = self.objects.get(&key)
            && held.metadata().uid == metadata.uid
            && at(held.metadata()) >= at(metadata)
            && at(metadata).is_some()
        {
            return false;
        }
        self.objects.insert(key, Arc::new(object));
        true
    }

    /// Takes a deletion, whether the watch shows it or this part has done it and the API has confirmed it. `false` if
    /// it is not news: the key holds nothing, or a later object.
    pub fn delete(&mut self, object: &T) -> bool {
        let uid = object.metadata().uid.as_ref();
        if let Some(uid) = uid {
            self.gone.deleted(uid);
        }
        let key = ObjectKey::of(object);
        let same = self.objects.get(&key).is_some_and(|held| held.metadata().uid.as_ref() == uid);
        same && self.objects.remove(&key).is_some()
    }

    /// Takes the complete set. Returns every key that was or is held.
    pub fn reset(&mut self, objects: Vec<T>) -> HashSet<ObjectKey> {
        let mut before = std::mem::take(&mut self.objects);
        let mut keys: HashSet<ObjectKey> = before.keys().cloned().collect();
        for object in objects {
            let key = ObjectKey::of(&object);
            keys.insert(key.clone());
            // The set may be older than what this part has written since.
            if let Some(held) = before.remove(&key) {
                self.objects.insert(key, held);
            }
            self.apply(object);
        }
        keys
    }

    /// The object with this key.
    pub fn get(&self, key: &ObjectKey) -> Option<&Arc<T>> {
        self.objects.get(key)
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.objects.values()
    }
}

/// What does not parse is never taken as old.
fn at(metadata: &ObjectMeta) -> Option<u64> {
    revision(metadata.resource_version.as_deref())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use k8s_openapi::api::core::v1::ConfigMap;

    use super::*;

    fn object(uid: &str, revision: u64) -> ConfigMap {
        let metadata = ObjectMeta {
            namespace: Some("shop".into()),
            name: Some("web".into()),
            uid: Some(uid.into()),
            resource_version: Some(revision.to_string()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    fn held(observed: &Observed<ConfigMap>) -> Option<String> {
        observed.get(&ObjectKey::new("shop", "web")).map(|object| {
            let metadata = &object.metadata;
            format!("{}@{}", metadata.uid.clone().unwrap(), metadata.resource_version.clone().unwrap())
        })
    }

    #[test]
    fn own_writes_win_over_a_watch_that_is_behind() {
        let mut observed = Observed::default();
        assert!(observed.apply(object("a", 9)));
        assert!(!observed.apply(object("a", 8)), "older");
        assert!(!observed.apply(object("a", 9)), "an echo");
        assert!(observed.apply(object("a", 10)));
        assert!(observed.apply(object("b", 3)), "another object of the same name is always news");
        assert!(!observed.delete(&object("a", 11)), "the late deletion of its predecessor");
        assert_eq!(held(&observed).as_deref(), Some("b@3"));
    }

    #[test]
    fn what_this_part_deleted_does_not_come_back() {
        let mut observed = Observed::default();
        observed.apply(object("a", 1));
        observed.delete(&object("a", 1));
        assert!(!observed.apply(object("a", 2)), "the watch is behind the deletion");
        assert_eq!(held(&observed), None);
        assert!(!observed.delete(&object("a", 3)));
        assert!(observed.apply(object("b", 4)));
    }

    #[test]
    fn the_late_answer_to_a_write_does_not_bring_a_deleted_object_back() {
        let mut observed = Observed::default();
        observed.apply(object("a", 1));
        assert!(observed.delete(&object("a", 3)), "the watch is ahead of the answer");
        assert!(!observed.apply(object("a", 2)), "the answer to what was written before the deletion");
        assert_eq!(held(&observed), None);
    }

    #[test]
    fn a_complete_set_forgets_the_rest_but_keeps_the_newer_one() {
        let mut observed = Observed::default();
        observed.apply(object("a", 5));
        assert_eq!(observed.reset(vec![object("a", 4)]).len(), 1);
        assert_eq!(held(&observed).as_deref(), Some("a@5"));
        assert_eq!(observed.reset(Vec::new()).len(), 1);
        assert_eq!(held(&observed), None);
    }
}
