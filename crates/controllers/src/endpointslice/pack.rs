//! How the endpoints of one port set are spread over slices, with as few writes as possible.
//!
//! Slices are never merged on their own: a rewrite goes to every node of the cluster. Upstream:
//! `endpointslice/reconciler.go`, `reconcileByPortMapping`.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use portolan_objects::ports::PortSet;

use super::{
    desired::Wanted,
    slice::{Endpoint, Slice},
};

/// A slice under way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    /// The slice that is written over; `None` for a new one.
    pub(crate) slice: Option<Arc<Slice>>,
    pub(crate) ports: PortSet,
    pub(crate) endpoints: Vec<Endpoint>,
    /// It gets the Service's labels. The others keep those that they have, as upstream does.
    pub(crate) relabel: bool,
}

/// What becomes of the slices of one port set, or of one family.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Packed {
    /// New slices.
    pub(crate) creates: Vec<Draft>,
    /// Slices that are written over.
    pub(crate) updates: Vec<Draft>,
    /// Slices that stay as they are.
    pub(crate) kept: Vec<Arc<Slice>>,
    /// Slices that go.
    pub(crate) deletes: Vec<Arc<Slice>>,
    /// Endpoints that were in no slice.
    pub(crate) added: usize,
    /// Endpoints that were in a slice and are not wanted.
    pub(crate) removed: usize,
}

impl Draft {
    /// A slice that is written over with what it already holds.
    pub(crate) fn of(slice: &Arc<Slice>) -> Self {
        Self {
            slice: Some(Arc::clone(slice)),
            ports: slice.ports.clone(),
            endpoints: slice.endpoints.clone(),
            relabel: false,
        }
    }

    /// Writing it would change something.
    fn differs(&self) -> bool {
        self.relabel || self.slice.as_ref().is_none_or(|slice| slice.endpoints != self.endpoints)
    }
}

impl Packed {
    /// Takes what becomes of another port set.
    pub(crate) fn extend(&mut self, other: Self) {
        self.creates.extend(other.creates);
        self.updates.extend(other.updates);
        self.kept.extend(other.kept);
        self.deletes.extend(other.deletes);
        self.added += other.added;
        self.removed += other.removed;
    }

    /// The slices that are written, new ones first.
    pub(crate) fn drafts(&mut self) -> impl Iterator<Item = &mut Draft> {
        self.creates.iter_mut().chain(&mut self.updates)
    }

    /// Puts those slices under way that are not and of which `is_wanted` says so.
    pub(crate) fn take_up(&mut self, mut is_wanted: impl FnMut(&Slice) -> bool) {
        let (wanted, kept): (Vec<_>, Vec<_>) = self.kept.drain(..).partition(|slice| is_wanted(slice));
        self.kept = kept;
        self.updates.extend(wanted.iter().map(Draft::of));
    }

    /// Lets those slices be that would be written as they are.
    pub(crate) fn drop_repetitions(&mut self) {
        let (updates, same): (Vec<Draft>, Vec<Draft>) = self.updates.drain(..).partition(Draft::differs);
        self.updates = updates;
        self.kept.extend(same.into_iter().filter_map(|draft| draft.slice));
    }
}

/// Packs `wanted` into `existing`, at most `max` in a slice. `drifted` slices are rewritten even if their endpoints are
/// right.
pub(crate) fn pack(
    existing: Vec<Arc<Slice>>,
    wanted: &[Wanted<'_>],
    ports: &PortSet,
    max: usize,
    drifted: impl Fn(&Slice) -> bool,
) -> Packed {
    let mut packed = Packed::default();
    let mut missing: HashMap<&str, &Wanted<'_>> =
        wanted.iter().map(|endpoint| (&*endpoint.pod.name, endpoint)).collect();
    let (mut untouched, mut touched) = (Vec::new(), Vec::new());
    for slice in existing {
        let before = &slice.endpoints;
        let (mut kept, mut same) = (Vec::new(), true);
        for held in before {
            match missing.get(&*held.pod) {
                Some(wanted) if wanted.is(held) => {
                    same &= wanted.is_same(held);
                    kept.push(*wanted);
                    missing.remove(&*held.pod);
                }
                _ => same = false,
            }
        }
        packed.removed += before.len() - kept.len();
        if same && !drifted(&slice) {
            untouched.push(slice);
        } else if kept.is_empty() && !same {
            packed.deletes.push(slice);
        } else {
            // With nothing but other labels it keeps its endpoints, hints included.
            let endpoints =
                if same { before.clone() } else { kept.into_iter().map(|wanted| wanted.endpoint()).collect() };
            touched.push(Draft { endpoints, relabel: true, ..Draft::of(&slice) });
        }
    }
    packed.added = missing.len();
    let mut missing = Missing(missing.into_values().collect());
    // In order of pods, because that is how people read them.
    missing.0.sort_unstable_by(|one, two| two.pod.name.cmp(&one.pod.name));
    fill_touched(&mut touched, &mut missing, max);
    place_rest(&mut packed, &mut untouched, &mut touched, &mut missing, ports, max);
    packed.kept = untouched;
    packed.updates = touched;
    packed
}

/// Endpoints without a slice, the next one last.
struct Missing<'a>(Vec<&'a Wanted<'a>>);

impl Missing<'_> {
    /// Moves as many of them as there is room for.
    fn fill(&mut self, endpoints: &mut Vec<Endpoint>, max: usize) {
        let room = max.saturating_sub(endpoints.len());
        let rest = self.0.len().saturating_sub(room);
        endpoints.extend(self.0.drain(rest..).rev().map(|wanted| wanted.endpoint()));
    }
}

/// Slices that are written anyway take new endpoints first, the fullest of them before the others.
fn fill_touched(touched: &mut [Draft], missing: &mut Missing<'_>, max: usize) {
    touched.sort_by_key(|draft| Reverse(draft.endpoints.len()));
    for draft in touched {
        missing.fill(&mut draft.endpoints, max);
    }
}

/// The rest goes into the one untouched slice that it fits into best, or else into new slices.
fn place_rest(
    packed: &mut Packed,
    untouched: &mut Vec<Arc<Slice>>,
    touched: &mut Vec<Draft>,
    missing: &mut Missing<'_>,
    ports: &PortSet,
    max: usize,
) {
    while !missing.0.is_empty() {
        let left = missing.0.len();
        let fullest = (0..untouched.len())
            .filter(|at| left < max && untouched[*at].endpoints.len() + left <= max)
            .max_by_key(|at| (untouched[*at].endpoints.len(), Reverse(*at)));
        match fullest {
            Some(at) => {
                let mut draft = Draft::of(&untouched.remove(at));
                missing.fill(&mut draft.endpoints, max);
                touched.push(draft);
            }
            None => {
                let mut draft = Draft { slice: None, ports: ports.clone(), endpoints: Vec::new(), relabel: true };
                missing.fill(&mut draft.endpoints, max);
                packed.creates.push(draft);
            }
        }
    }
}

#[cfg(test)]
mod tests;
