//! Which elements are wanted by whom, and which of them the kernel holds.
//!
//! Two Services may want the same element: ports share a cluster address, Services share an endpoint, and two may even
//! claim one external address. The Service whose key sorts first decides what a shared element holds, so the outcome
//! does not depend on the order of events.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use portolan_nftables::Data;
use portolan_objects::ObjectKey;

use crate::elements::{ElementKey, Elements};

#[derive(Debug, Default)]
struct Entry {
    /// Sorted by owner.
    claims: Vec<(Arc<ObjectKey>, Option<Data>)>,
    /// What the kernel holds; outer `None`: not this element.
    kernel: Option<Option<Data>>,
}

impl Entry {
    fn wanted(&self) -> Option<&Option<Data>> {
        self.claims.first().map(|(_, data)| data)
    }

    fn settled(&self) -> bool {
        self.wanted() == self.kernel.as_ref()
    }
}

/// One difference between what is wanted and what the kernel holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) key: ElementKey,
    /// What the kernel holds now.
    pub(crate) was: Option<Option<Data>>,
    /// What it should hold.
    pub(crate) wanted: Option<Option<Data>>,
}

/// The ledger of one table.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: HashMap<Arc<ElementKey>, Entry>,
    unsettled: HashSet<Arc<ElementKey>>,
}

impl Ledger {
    /// Replaces what one Service wants. Costs as much as differs, plus a comparison of both.
    pub(crate) fn claim(&mut self, owner: &Arc<ObjectKey>, old: &Elements, new: &Elements) {
        for key in old.keys().filter(|key| !new.contains_key(key)) {
            self.change(key, |entry| entry.claims.retain(|(claimant, _)| claimant != owner));
        }
        for (key, data) in new.iter().filter(|(key, data)| old.get(key) != Some(data)) {
            self.change(key, |entry| match entry.claims.binary_search_by(|(claimant, _)| claimant.cmp(owner)) {
                Ok(at) => entry.claims[at].1 = data.clone(),
                Err(at) => entry.claims.insert(at, (Arc::clone(owner), data.clone())),
            });
        }
    }

    fn change(&mut self, key: &ElementKey, change: impl FnOnce(&mut Entry)) {
        let shared = match self.entries.get_key_value(key) {
            Some((shared, _)) => Arc::clone(shared),
            None => Arc::new(key.clone()),
        };
        let entry = self.entries.entry(Arc::clone(&shared)).or_default();
        change(entry);
        if entry.settled() {
            let gone = entry.claims.is_empty() && entry.kernel.is_none();
            self.unsettled.remove(&shared);
            if gone {
                self.entries.remove(&shared);
            }
        } else {
            self.unsettled.insert(shared);
        }
    }

    /// Every difference, in order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self
            .unsettled
            .iter()
            .filter_map(|key| {
                let entry = self.entries.get(key)?;
                Some(Step { key: (**key).clone(), was: entry.kernel.clone(), wanted: entry.wanted().cloned() })
            })
            .collect();
        steps.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        steps
    }

    /// The kernel has taken the steps.
    pub(crate) fn took(&mut self, steps: Vec<Step>) {
        for step in steps {
            self.change(&step.key, |entry| entry.kernel = step.wanted);
        }
    }

    /// The kernel holds exactly this, whatever was believed.
    pub(crate) fn observe(&mut self, kernel: Elements) {
        let stale: Vec<_> = self
            .entries
            .iter()
            .filter(|(key, entry)| entry.kernel.is_some() && !kernel.contains_key(&***key))
            .map(|(key, _)| Arc::clone(key))
            .collect();
        for key in stale {
            self.change(&key, |entry| entry.kernel = None);
        }
        for (key, data) in kernel {
            self.change(&key, |entry| entry.kernel = Some(data));
        }
    }

    /// Everything that is wanted.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = (&ElementKey, &Option<Data>)> {
        self.entries.iter().filter_map(|(key, entry)| Some((&**key, entry.wanted()?)))
    }

    /// What the kernel holds for a key.
    pub(crate) fn held(&self, key: &ElementKey) -> Option<&Data> {
        self.entries.get(key)?.kernel.as_ref()?.as_ref()
    }
}

#[cfg(test)]
mod tests;
