//! Hints of Services with `service.kubernetes.io/topology-mode: Auto`: each zone gets endpoints in proportion to the
//! CPU of its nodes, of its own zone as far as they go.
//!
//! Upstream: `endpointslice/topologycache`. Where upstream's choice hangs on the order of a Go map, this is the order
//! of the zones' names.

use std::collections::{BTreeMap, HashMap, HashSet};

use portolan_catalogue::Reason;
use portolan_objects::{Family, ObjectKey};

use super::{
    distribution::take_hints,
    nodes::Shares,
    pack::{Draft, Packed},
    slice::{Hints, Slice},
};

/// How much more than its share an endpoint may have to bear.
const OVERLOAD: f64 = 0.2;

/// Endpoints with a hint for each zone.
type Allocated = BTreeMap<Box<str>, i64>;

/// One Event of a plan.
pub(crate) type Event = (Reason, String);

/// Which Services have hints, and how many for each zone.
#[derive(Debug, Default)]
pub(crate) struct Topology {
    allocated: HashMap<ObjectKey, BTreeMap<Family, Allocated>>,
    /// Upstream keeps this for the Service as a whole, so two families with different luck switch it to and fro.
    populated: HashSet<ObjectKey>,
}

/// The endpoints that one zone should get.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Allocation {
    minimum: i64,
    maximum: i64,
    desired: f64,
}

/// Why there can be no hints: the Event's text. A Service in this state is told so at every sync.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Unable {
    #[error("Insufficient Node information: allocatable CPU or zone not specified on one or more nodes")]
    Nodes,
    #[error("Insufficient number of endpoints ({endpoints} endpoints, {zones} zones)")]
    Endpoints { endpoints: i64, zones: usize },
    #[error(
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold \
         ({endpoints} endpoints, {zones} zones)"
    )]
    Minimum { endpoints: i64, zones: usize },
    #[error("One or more endpoints do not have a zone specified")]
    Zone,
    #[error("No hints allocated for zones")]
    Nothing,
}

impl Topology {
    /// Gives the endpoints of one family their hints, or takes them away if that is not possible.
    pub(crate) fn give_hints(
        &mut self,
        service: &ObjectKey,
        family: Family,
        shares: Option<&Shares>,
        packed: &mut Packed,
    ) -> Option<Event> {
        match allocate(shares, packed) {
            Ok(allocated) => {
                self.allocated.entry(service.clone()).or_default().insert(family, allocated);
                let enabled =
                    || (Reason::TopologyAwareHintsEnabled, text("Topology Aware Hints has been enabled", family));
                self.populated.insert(service.clone()).then(enabled)
            }
            Err(unable) => {
                self.remove(service, family);
                take_hints(packed);
                Some((Reason::TopologyAwareHintsDisabled, text(&unable.to_string(), family)))
            }
        }
    }

    /// The Service does not ask for such hints, or not any more.
    pub(crate) fn leave(&mut self, service: &ObjectKey, family: Family) -> Option<Event> {
        let disabled = || (Reason::TopologyAwareHintsDisabled, text("Topology Aware Hints has been disabled", family));
        let event = self.populated.contains(service).then(disabled);
        self.remove(service, family);
        event
    }

    /// Forgets the endpoints of one family.
    pub(crate) fn remove(&mut self, service: &ObjectKey, family: Family) {
        if let Some(families) = self.allocated.get_mut(service) {
            families.remove(&family);
            if families.is_empty() {
                self.allocated.remove(service);
            }
        }
        self.populated.remove(service);
    }

    /// The Service is gone.
    pub(crate) fn forget(&mut self, service: &ObjectKey) {
        self.allocated.remove(service);
        self.populated.remove(service);
    }

    /// The Services whose hints leave a zone with too few endpoints for its share.
    pub(crate) fn overloaded(&self, shares: Option<&Shares>) -> Vec<ObjectKey> {
        let any = |families: &BTreeMap<Family, Allocated>| families.values().any(|held| is_overloaded(held, shares));
        self.allocated.iter().filter(|(_, families)| any(families)).map(|(key, _)| key.clone()).collect()
    }
}

fn text(what: &str, family: Family) -> String {
    format!("{what}, addressType: {family}")
}

#[expect(clippy::cast_precision_loss)] // Numbers of endpoints are far below what a float holds exactly.
fn float(count: i64) -> f64 {
    count as f64
}

/// Rounds up to whole endpoints.
#[expect(clippy::cast_possible_truncation)] // As above.
fn least(share: f64) -> i64 {
    (share * (1.0 / (1.0 + OVERLOAD))).ceil() as i64
}

fn is_overloaded(allocated: &Allocated, shares: Option<&Shares>) -> bool {
    if allocated.is_empty() {
        return false;
    }
    let Some(shares) = shares else { return true };
    let total = float(allocated.values().sum());
    shares.iter().any(|(zone, share)| allocated.get(zone).is_none_or(|held| *held < least(total * share)))
}

/// Sets the hints of all slices that are written. What was set before an error is for the caller to undo.
fn allocate(shares: Option<&Shares>, packed: &mut Packed) -> Result<Allocated, Unable> {
    let drafted = packed.drafts().flat_map(|draft| &draft.endpoints).filter(|endpoint| endpoint.is_ready()).count();
    let kept: usize = packed.kept.iter().map(|slice| slice.ready()).sum();
    let allocations = allocations(shares, i64::try_from(drafted + kept).unwrap_or(i64::MAX))?;
    let mut allocated = Allocated::new();
    packed.take_up(|slice| match hints_of(slice, &allocated, &allocations) {
        Some(hints) => {
            hints.into_iter().for_each(|(zone, count)| *allocated.entry(zone).or_default() += count);
            false
        }
        None => true,
    });
    for endpoint in packed.drafts().flat_map(|draft| &mut draft.endpoints).filter(|endpoint| endpoint.is_ready()) {
        let zone = endpoint.zone.as_ref().filter(|zone| !zone.is_empty()).ok_or(Unable::Zone)?;
        *allocated.entry(zone.clone()).or_default() += 1;
        endpoint.hints = Some(Hints::zone(zone));
    }
    let mut moves = Moves::between(&allocations, &allocated);
    moves.redistribute(packed.drafts(), &mut allocated);
    if allocated.is_empty() { Err(Unable::Nothing) } else { Ok(allocated) }
}

fn allocations(shares: Option<&Shares>, endpoints: i64) -> Result<BTreeMap<&str, Allocation>, Unable> {
    let shares = shares.ok_or(Unable::Nodes)?;
    let zones = shares.len();
    if i64::try_from(zones).is_ok_and(|zones| zones > endpoints) {
        return Err(Unable::Endpoints { endpoints, zones });
    }
    let of = |share: &f64| {
        let desired = share * float(endpoints);
        let minimum = least(desired);
        Allocation { minimum, maximum: 0, desired: desired.max(float(minimum)) }
    };
    let mut allocations: BTreeMap<&str, Allocation> = shares.iter().map(|(zone, share)| (&**zone, of(share))).collect();
    let minimum: i64 = allocations.values().map(|allocation| allocation.minimum).sum();
    if minimum > endpoints {
        return Err(Unable::Minimum { endpoints, zones });
    }
    for allocation in allocations.values_mut() {
        allocation.maximum = allocation.minimum + endpoints - minimum;
    }
    Ok(allocations)
}

/// How many hints a slice gives to each zone; `None` if it has to be written anew: an endpoint has no hint, or one for
/// a zone that needs none, or a zone would get more than the others leave it.
fn hints_of(slice: &Slice, allocated: &Allocated, allocations: &BTreeMap<&str, Allocation>) -> Option<Allocated> {
    let mut found = Allocated::new();
    for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.is_ready()) {
        let hints = endpoint.hints.as_ref().filter(|hints| !hints.zones.is_empty())?;
        for zone in &hints.zones {
            allocations.get(&**zone)?;
            *found.entry(zone.clone()).or_default() += 1;
        }
    }
    let fits = |zone: &str, count: i64| {
        let already = allocated.get(zone).copied().unwrap_or_default();
        allocations.get(zone).is_some_and(|allocation| count + already <= allocation.maximum)
    };
    found.iter().all(|(zone, count)| fits(zone, *count)).then_some(found)
}

/// How many endpoints zones with too many give, and zones with too few get.
#[derive(Debug, Default, PartialEq)]
struct Moves {
    giving: Allocated,
    receiving: Allocated,
}

impl Moves {
    fn between(allocations: &BTreeMap<&str, Allocation>, allocated: &Allocated) -> Self {
        let (mut over, mut under): (BTreeMap<&str, f64>, BTreeMap<&str, f64>) = Default::default();
        for (zone, allocation) in allocations {
            let has = float(allocated.get(*zone).copied().unwrap_or_default());
            if has > allocation.desired {
                over.insert(zone, has - allocation.desired);
            } else if has < allocation.desired {
                under.insert(zone, allocation.desired - has);
            }
        }
        let mut moves = Self::default();
        while let (Some((giver, surplus)), Some((receiver, need))) = (most(&over), most(&under)) {
            // Half an endpoint is not worth a move, unless the other side wants a whole one.
            if (surplus < 1.0 && need < 1.0) || surplus < 0.5 || need < 0.5 {
                break;
            }
            *moves.giving.entry(giver.into()).or_default() += 1;
            *moves.receiving.entry(receiver.into()).or_default() += 1;
            over.insert(giver, surplus - 1.0);
            under.insert(receiver, need - 1.0);
        }
        moves
    }

    /// Turns hints for giving zones into hints for receiving ones.
    fn redistribute<'a>(&mut self, drafts: impl Iterator<Item = &'a mut Draft>, allocated: &mut Allocated) {
        let endpoints = drafts.flat_map(|draft| &mut draft.endpoints);
        for endpoint in endpoints.filter(|endpoint| endpoint.is_ready()) {
            let Some(zone) = &endpoint.zone else { continue };
            let Some(receiver) = self.receiving.keys().next().cloned() else { return };
            if !take_one(&mut self.giving, zone) {
                continue;
            }
            take_one(&mut self.receiving, &receiver);
            *allocated.entry(zone.clone()).or_default() -= 1;
            *allocated.entry(receiver.clone()).or_default() += 1;
            endpoint.hints = Some(Hints::zone(&receiver));
        }
    }
}

/// The zone with the greatest number above zero.
fn most<'a>(zones: &BTreeMap<&'a str, f64>) -> Option<(&'a str, f64)> {
    let positive = zones.iter().filter(|(_, count)| **count > 0.0);
    // The first of several, which `max_by` would not give.
    positive.map(|(zone, count)| (*zone, *count)).reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// Takes one of the zone's endpoints, if there is any. A zone that has none left is not held.
fn take_one(zones: &mut Allocated, zone: &str) -> bool {
    let Some(left) = zones.get_mut(zone) else { return false };
    *left -= 1;
    if *left == 0 {
        zones.remove(zone);
    }
    true
}

#[cfg(test)]
mod tests;
