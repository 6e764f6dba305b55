//! A set of addresses as runs of neighbours, with a fast search for the next one that is not in it.
//!
//! A service range may be an IPv6 /64, which no bitmap can hold, and ranges may overlap: so the set knows no range. Its
//! size and the time of each operation follow the number of runs, however long they are.

use std::collections::BTreeMap;

/// First to last number of each run; runs neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs(BTreeMap<u128, u128>);

impl Runs {
    /// The run that `number` is in.
    fn around(&self, number: u128) -> Option<(u128, u128)> {
        let (first, last) = self.0.range(..=number).next_back()?;
        (*last >= number).then_some((*first, *last))
    }

    pub(crate) fn contains(&self, number: u128) -> bool {
        self.around(number).is_some()
    }

    /// Adds `number`; false if it was there.
    pub(crate) fn insert(&mut self, number: u128) -> bool {
        if self.contains(number) {
            return false;
        }
        let before = number.checked_sub(1).and_then(|left| self.around(left));
        let after = number.checked_add(1).and_then(|right| self.around(right));
        let first = before.map_or(number, |(first, _)| first);
        let last = after.map_or(number, |(_, last)| last);
        if let Some((start, _)) = after {
            self.0.remove(&start);
        }
        self.0.insert(first, last);
        true
    }

    /// Takes `number` out; false if it was not there.
    pub(crate) fn remove(&mut self, number: u128) -> bool {
        let Some((first, last)) = self.around(number) else { return false };
        // Inside its run the number has neighbours, so neither step leaves the numbers.
        if first == number {
            self.0.remove(&first);
        } else {
            self.0.insert(first, number - 1);
        }
        if last > number {
            self.0.insert(number + 1, last);
        }
        true
    }

    /// The first number in `from..=to` that is not in the set.
    pub(crate) fn next_free(&self, from: u128, to: u128) -> Option<u128> {
        let free = match self.around(from) {
            Some((_, last)) => last.checked_add(1)?,
            None => from,
        };
        (free <= to).then_some(free)
    }

    /// The same, looking from `from + seed % (to - from + 1)` on and around.
    pub(crate) fn next_free_around(&self, from: u128, to: u128, seed: u64) -> Option<u128> {
        let width = to.checked_sub(from)?.saturating_add(1);
        let start = from + u128::from(seed) % width;
        self.next_free(start, to).or_else(|| self.next_free(from, start))
    }

    /// How many numbers of `from..=to` are in the set.
    pub(crate) fn count(&self, from: u128, to: u128) -> u128 {
        let start = self.around(from).map_or(from, |(first, _)| first);
        let runs = self.0.range(start..).take_while(|(first, _)| **first <= to);
        runs.map(|(first, last)| (*last).min(to).saturating_sub((*first).max(from)) + 1).sum()
    }
}
