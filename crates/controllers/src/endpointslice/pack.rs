//! How the endpoints of one port set are spread over slices, with as few writes as possible.
//!
//! Slices are never merged on their own: a rewrite goes to every node of the cluster. Upstream:
//! `endpointslice/reconciler.go`, `reconcileByPortMapping`.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

/// What becomes of the slices of one port set. Slices that stay as they are appear nowhere.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Packed {
    /// Endpoints of new slices.
    pub(crate) creates: Vec<Vec<Endpoint>>,
    /// Slices that get these endpoints.
    pub(crate) updates: Vec<(Arc<EndpointSlice>, Vec<Endpoint>)>,
    /// Slices without any wanted endpoint.
    pub(crate) emptied: Vec<Arc<EndpointSlice>>,
    /// How many slices stay untouched.
    pub(crate) kept: usize,
}

/// Which endpoint it is, whatever its conditions: address, host name, pod.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    addresses: Vec<String>,
    hostname: Option<String>,
    namespace: Option<String>,
    pod: Option<String>,
}

impl Identity {
    fn of(endpoint: &Endpoint) -> Self {
        let mut addresses = endpoint.addresses.clone();
        addresses.sort();
        let target = endpoint.target_ref.as_ref();
        Self {
            addresses,
            hostname: endpoint.hostname.clone(),
            namespace: target.and_then(|target| target.namespace.clone()),
            pod: target.and_then(|target| target.name.clone()),
        }
    }
}

/// A slice under way: what it holds, and what it will hold.
struct Draft {
    slice: Arc<EndpointSlice>,
    endpoints: Vec<Endpoint>,
}

/// Packs `wanted` into `existing`, at most `max` in a slice. `drifted` slices are rewritten even if their endpoints are
/// right.
pub(crate) fn pack(
    existing: Vec<Arc<EndpointSlice>>,
    wanted: Vec<Endpoint>,
    max: usize,
    drifted: impl Fn(&EndpointSlice) -> bool,
) -> Packed {
    let mut packed = Packed::default();
    let mut missing: BTreeMap<Identity, Endpoint> =
        wanted.into_iter().map(|endpoint| (Identity::of(&endpoint), endpoint)).collect();
    let (mut untouched, mut touched) = (Vec::new(), Vec::new());
    for slice in existing {
        let before = slice.endpoints.as_deref().unwrap_or_default();
        let kept: Vec<Endpoint> =
            before.iter().filter_map(|endpoint| missing.remove(&Identity::of(endpoint))).collect();
        let same = kept.len() == before.len() && kept.iter().zip(before).all(|(new, old)| is_same(new, old));
        if kept.is_empty() {
            packed.emptied.push(slice);
        } else if same && !drifted(&slice) {
            untouched.push(Draft { slice, endpoints: kept });
        } else {
            touched.push(Draft { slice, endpoints: kept });
        }
    }
    // In order of pods, because that is how people read them; the map above is in order of addresses.
    let mut missing: Vec<Endpoint> = missing.into_values().collect();
    missing.sort_by_cached_key(|endpoint| Reverse(target_name(endpoint)));
    fill_touched(&mut touched, &mut missing, max);
    place_rest(&mut packed, &mut untouched, &mut touched, &mut missing, max);
    packed.kept = untouched.len();
    packed.updates = touched.into_iter().map(|draft| (draft.slice, draft.endpoints)).collect();
    packed
}

/// Slices that are written anyway take new endpoints first, the fullest of them before the others.
fn fill_touched(touched: &mut [Draft], missing: &mut Vec<Endpoint>, max: usize) {
    touched.sort_by_key(|draft| Reverse(draft.endpoints.len()));
    for draft in touched {
        take(&mut draft.endpoints, missing, max);
    }
}

/// The rest goes into the one untouched slice that it fits into best, or else into new slices.
fn place_rest(
    packed: &mut Packed,
    untouched: &mut Vec<Draft>,
    touched: &mut Vec<Draft>,
    missing: &mut Vec<Endpoint>,
    max: usize,
) {
    while !missing.is_empty() {
        let fullest = (0..untouched.len())
            .filter(|at| missing.len() < max && untouched[*at].endpoints.len() + missing.len() <= max)
            .max_by_key(|at| (untouched[*at].endpoints.len(), Reverse(*at)));
        match fullest {
            Some(at) => {
                let mut draft = untouched.remove(at);
                take(&mut draft.endpoints, missing, max);
                touched.push(draft);
            }
            None => {
                let mut endpoints = Vec::new();
                take(&mut endpoints, missing, max);
                packed.creates.push(endpoints);
            }
        }
    }
}

fn take(endpoints: &mut Vec<Endpoint>, missing: &mut Vec<Endpoint>, max: usize) {
    let room = max.saturating_sub(endpoints.len());
    // `missing` is reversed, so that taking from its end is cheap.
    let rest = missing.len().saturating_sub(room);
    endpoints.extend(missing.drain(rest..).rev());
}

fn target_name(endpoint: &Endpoint) -> (String, Vec<String>) {
    let name = endpoint.target_ref.as_ref().and_then(|target| target.name.clone());
    (name.unwrap_or_default(), endpoint.addresses.clone())
}

/// Nothing that is published about the endpoint differs.
fn is_same(new: &Endpoint, old: &Endpoint) -> bool {
    let uid = |endpoint: &Endpoint| endpoint.target_ref.as_ref().and_then(|target| target.uid.clone());
    new.conditions == old.conditions
        && new.node_name == old.node_name
        && new.zone == old.zone
        && new.hints == old.hints
        && uid(new) == uid(old)
}

#[cfg(test)]
mod tests;
