//! A map that forgets what was used longest ago: the memory of the correlators is bounded by it.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Holds at most `capacity` entries; every look counts as use.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    capacity: usize,
    entries: HashMap<K, (u64, V)>,
    by_use: BTreeMap<u64, K>,
    uses: u64,
}

impl<K: Clone + Eq + Hash, V> Lru<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { capacity, entries: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    /// The value of `key`, made by `fresh` if it is not held, and the value that had to make room for it.
    pub(crate) fn entry(&mut self, key: &K, fresh: impl FnOnce() -> V) -> (&mut V, Option<V>) {
        self.uses += 1;
        let used = self.uses;
        let slot = self.entries.entry(key.clone()).or_insert_with(|| (used, fresh()));
        self.by_use.remove(&slot.0);
        self.by_use.insert(used, key.clone());
        slot.0 = used;
        let oldest = if self.by_use.len() > self.capacity { self.by_use.pop_first() } else { None };
        let evicted = oldest.and_then(|(_, oldest)| self.entries.remove(&oldest)).map(|(_, value)| value);
        // The entry itself is the newest, so it was not the one to go: looked up again to satisfy the borrow checker.
        (&mut self.entries.get_mut(key).expect("the newest entry is never evicted").1, evicted)
    }

    /// The values, those used longest ago first.
    pub(crate) fn values_mut(&mut self) -> Vec<&mut V> {
        let mut values: Vec<_> = self.entries.values_mut().collect();
        values.sort_by_key(|(used, _)| *used);
        values.into_iter().map(|(_, value)| value).collect()
    }

    /// Forgets the values that `keep` does not want.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        let by_use = &mut self.by_use;
        self.entries.retain(|_, (used, value)| {
            let kept = keep(value);
            if !kept {
                by_use.remove(used);
            }
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_used_longest_ago_goes_first() {
        let mut lru = Lru::new(2);
        *lru.entry(&"a", || 0).0 += 1;
        *lru.entry(&"b", || 0).0 += 1;
        *lru.entry(&"a", || 0).0 += 1;
        let (_, evicted) = lru.entry(&"c", || 7);
        assert_eq!(evicted, Some(1), "b had to make room for c");
        assert_eq!(lru.values_mut(), [&mut 2, &mut 7]);
        assert_eq!(*lru.entry(&"a", || 100).0, 2);
        assert_eq!(*lru.entry(&"b", || 100).0, 100);
    }

    #[test]
    fn what_is_not_kept_makes_room() {
        let mut lru = Lru::new(2);
        lru.entry(&1, || 1);
        lru.entry(&2, || 2);
        lru.retain(|value| *value == 2);
        assert_eq!(lru.entry(&3, || 3).1, None);
        assert_eq!(lru.values_mut(), [&mut 2, &mut 3]);
    }
}
