//! A map that forgets what was used longest ago: the memory of the correlator is bounded by it.

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

    /// The value of `key`, made by `fresh` if it is not held.
    pub(crate) fn entry(&mut self, key: &K, fresh: impl FnOnce() -> V) -> &mut V {
        self.uses += 1;
        let used = self.uses;
        let slot = self.entries.entry(key.clone()).or_insert_with(|| (used, fresh()));
        self.by_use.remove(&slot.0);
        self.by_use.insert(used, key.clone());
        slot.0 = used;
        if self.by_use.len() > self.capacity
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.entries.remove(&oldest);
        }
        // The entry itself is the newest, so it was not the one to go: looked up again to satisfy the borrow checker.
        &mut self.entries.get_mut(key).expect("the newest entry is never evicted").1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_used_longest_ago_goes_first() {
        let mut lru = Lru::new(2);
        *lru.entry(&"a", || 0) += 1;
        *lru.entry(&"b", || 0) += 1;
        *lru.entry(&"a", || 0) += 1;
        *lru.entry(&"c", || 0) += 1;
        assert_eq!(*lru.entry(&"a", || 100), 2);
        assert_eq!(*lru.entry(&"b", || 100), 100, "b had to make room for c");
    }
}
