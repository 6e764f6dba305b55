//! Who is next: what waits for its turn, the most urgent first. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Every so many turns the least urgent lane has its turn, so that nothing waits for ever.
const SHARE: u32 = 8;

/// Kinds of work, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Lane {
    /// A Service without an address: somebody waits.
    Waiting,
    /// A Service was changed or deleted.
    Changed,
    /// It failed before.
    Retry,
    /// Nobody waits for it: other nodes, a look after a restart, a check.
    Routine,
}

impl Lane {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Changed, Self::Retry, Self::Routine];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Changed => "changed",
            Self::Retry => "retry",
            Self::Routine => "routine",
        }
    }
}

/// Keys in lanes; each key is in one, and in it first come, first served.
#[derive(Debug)]
pub(super) struct Lanes<K> {
    order: BTreeMap<(Lane, u64), K>,
    places: HashMap<K, (Lane, u64)>,
    counts: [usize; Lane::ALL.len()],
    arrivals: u64,
    turns: u32,
}

impl<K: Clone + Eq + Hash> Lanes<K> {
    pub fn new() -> Self {
        Self { order: BTreeMap::new(), places: HashMap::new(), counts: [0; 4], arrivals: 0, turns: 0 }
    }

    /// Puts the key into a lane. It keeps its place if it is there already, and leaves any other lane.
    pub fn push(&mut self, key: K, lane: Lane) {
        if self.places.get(&key).is_some_and(|place| place.0 == lane) {
            return;
        }
        self.remove(&key);
        let place = (lane, self.arrivals);
        self.arrivals += 1;
        self.counts[lane as usize] += 1;
        self.places.insert(key.clone(), place);
        self.order.insert(place, key);
    }

    /// Takes out the one whose turn it is.
    pub fn pop(&mut self) -> Option<K> {
        self.turns = (self.turns + 1) % SHARE;
        let lane = if self.turns == 0 { self.order.last_key_value()?.0.0 } else { self.order.first_key_value()?.0.0 };
        let place = *self.order.range((lane, 0)..).next()?.0;
        let key = self.order.get(&place).cloned()?;
        self.remove(&key);
        Some(key)
    }

    pub fn remove(&mut self, key: &K) {
        if let Some(place) = self.places.remove(key) {
            self.counts[place.0 as usize] -= 1;
            self.order.remove(&place);
        }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// How many are in one lane.
    pub fn in_lane(&self, lane: Lane) -> usize {
        self.counts[lane as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_urgent_go_first_and_the_others_have_their_share() {
        let mut lanes = Lanes::new();
        for key in 0..20 {
            lanes.push(key, Lane::Routine);
        }
        for key in 100..120 {
            lanes.push(key, Lane::Waiting);
        }
        let order: Vec<i32> = std::iter::from_fn(|| lanes.pop()).take(16).collect();
        assert_eq!(order[..8], [100, 101, 102, 103, 104, 105, 106, 0]);
        assert_eq!(order[8..], [107, 108, 109, 110, 111, 112, 113, 1]);
    }

    #[test]
    fn a_key_waits_once_and_changes_lanes() {
        let mut lanes = Lanes::new();
        lanes.push("a", Lane::Routine);
        lanes.push("b", Lane::Routine);
        lanes.push("a", Lane::Routine);
        assert_eq!((lanes.len(), lanes.in_lane(Lane::Routine)), (2, 2));
        lanes.push("b", Lane::Waiting);
        assert_eq!((lanes.in_lane(Lane::Waiting), lanes.in_lane(Lane::Routine)), (1, 1));
        assert_eq!((lanes.pop(), lanes.pop(), lanes.pop()), (Some("b"), Some("a"), None));
        lanes.push("c", Lane::Retry);
        lanes.remove(&"c");
        assert_eq!(lanes.pop(), None);
    }
}
