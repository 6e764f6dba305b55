//! What the watches show, and which Endpoints a change touches. Keys are names that a Service, an Endpoints and the slices
//! between them share.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Endpoints, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portolan_objects::{ObjectKey, labels};
use portolan_runtime::Change;

use super::{
    Input,
    apply::Written,
    plan::{self, MirrorPlan, Totals, Writes},
    slices::Slices,
};
use crate::batch::Batch;

/// Label that keeps an Endpoints from being mirrored, with the value `true`.
const SKIP: &str = "endpointslice.kubernetes.io/skip-mirror";

/// Everything that a plan is made from.
#[derive(Debug)]
pub(crate) struct Index {
    max: usize,
    /// Every Service, and whether it has a selector.
    services: HashMap<ObjectKey, bool>,
    endpoints: HashMap<ObjectKey, Held>,
    slices: Slices,
    /// Services whose slices somebody else has touched.
    batch: Batch,
    /// What each mirrored Endpoints asked for when it was last planned.
    tallies: HashMap<ObjectKey, Tally>,
    tally: Tally,
}

/// An Endpoints.
#[derive(Debug)]
enum Held {
    /// As it is.
    Whole(Arc<Endpoints>),
    /// Its Service has a selector. Most are of this kind, and their content is nobody's business here.
    Brief(Brief),
}

/// What is kept of an Endpoints that another controller writes.
#[derive(Debug)]
struct Brief {
    uid: Option<String>,
    mirrored: bool,
}

/// Numbers of endpoints and slices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) endpoints: usize,
    pub(crate) slices: usize,
}

/// The outcome of one look at one Endpoints.
#[derive(Debug)]
pub(crate) struct Sync {
    /// `None` if nothing is to be done.
    pub(crate) plan: Option<MirrorPlan>,
    /// Absent if the Endpoints is not mirrored.
    pub(crate) totals: Option<Totals>,
}

impl Held {
    fn is_mirrored(&self) -> bool {
        match self {
            Self::Whole(endpoints) => is_mirrored(&endpoints.metadata),
            Self::Brief(brief) => brief.mirrored,
        }
    }

    /// What was read may be ahead of the watch.
    fn is_later_than(&self, metadata: &ObjectMeta) -> bool {
        let Self::Whole(endpoints) = self else { return false };
        let held = &endpoints.metadata;
        let revision = |metadata: &ObjectMeta| portolan_runtime::revision(metadata.resource_version.as_deref());
        held.uid == metadata.uid && revision(held).zip(revision(metadata)).is_some_and(|(held, new)| held > new)
    }

    fn brief(endpoints: &Endpoints) -> Self {
        let metadata = &endpoints.metadata;
        Self::Brief(Brief { uid: metadata.uid.clone(), mirrored: is_mirrored(metadata) })
    }
}

impl Index {
    pub(crate) fn new(max: usize, batch: Batch) -> Self {
        Self {
            max,
            services: HashMap::new(),
            endpoints: HashMap::new(),
            slices: Slices::default(),
            batch,
            tallies: HashMap::new(),
            tally: Tally::default(),
        }
    }

    pub(crate) fn take(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        match input {
            Input::Service(change) => self.services_changed(*change, dirty),
            Input::Endpoints(change) => self.endpoints_changed(*change, dirty),
            Input::Slice(change) => {
                let touched = self.slices.take(*change);
                self.batch.add(touched, dirty);
            }
            Input::Due(key) => self.batch.due(key, dirty),
        }
    }

    /// What has to be done for this Endpoints, whether it exists or not.
    pub(crate) fn plan(&mut self, key: &ObjectKey) -> Sync {
        let slices = self.slices.of(key);
        let wanted = self.services.get(key) == Some(&false);
        let (plan, totals) = match self.endpoints.get(key).filter(|held| wanted && held.is_mirrored()) {
            Some(Held::Brief(_)) => (Some(MirrorPlan::Fetch), None),
            Some(Held::Whole(endpoints)) => {
                let (writes, totals) = plan::plan(endpoints, slices, self.max);
                ((!writes.is_empty()).then_some(MirrorPlan::Write(writes)), Some(totals))
            }
            None => {
                let writes = Writes { deletes: slices, ..Writes::default() };
                ((!writes.is_empty()).then_some(MirrorPlan::Write(writes)), None)
            }
        };
        self.count(key, totals);
        Sync { plan, totals }
    }

    /// Brings the index forward by what this controller has written or read itself. Returns when to plan again.
    pub(crate) fn wrote(&mut self, written: Written) -> Option<Duration> {
        for slice in written.written {
            self.slices.put(slice);
        }
        for slice in written.deleted {
            self.slices.deleted(&slice);
        }
        let endpoints = written.read?;
        let key = ObjectKey::of(&*endpoints);
        let held = self.endpoints.get_mut(&key)?;
        // Unless the watch has been faster.
        if matches!(held, Held::Brief(brief) if brief.uid == endpoints.metadata.uid) {
            *held = Held::Whole(Arc::new(*endpoints));
            return Some(Duration::ZERO);
        }
        None
    }

    /// Of all Endpoints together.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    fn count(&mut self, key: &ObjectKey, totals: Option<Totals>) {
        let now = totals.map(|totals| Tally { endpoints: totals.endpoints, slices: totals.slices });
        let before = match now {
            Some(now) => self.tallies.insert(key.clone(), now),
            None => self.tallies.remove(key),
        };
        let (now, before) = (now.unwrap_or_default(), before.unwrap_or_default());
        self.tally.endpoints = self.tally.endpoints + now.endpoints - before.endpoints;
        self.tally.slices = self.tally.slices + now.slices - before.slices;
    }

    fn services_changed(&mut self, change: Change<Service>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(service) => drop(self.put_service(&service, dirty)),
            Change::Delete(service) => self.remove_service(ObjectKey::of(&service), dirty),
            Change::Reset(services) => {
                let mut gone: HashSet<ObjectKey> = self.services.keys().cloned().collect();
                for service in &services {
                    gone.remove(&self.put_service(service, dirty));
                }
                gone.into_iter().for_each(|key| self.remove_service(key, dirty));
            }
        }
    }

    /// A Service counts only when it begins or ceases to have a selector.
    fn put_service(&mut self, service: &Service, dirty: &mut Vec<ObjectKey>) -> ObjectKey {
        let key = ObjectKey::of(service);
        let selects = has_selector(service);
        if self.services.insert(key.clone(), selects).unwrap_or(true) != selects {
            dirty.push(key.clone());
        }
        if selects
            && let Some(held) = self.endpoints.get_mut(&key)
            && let Held::Whole(endpoints) = held
        {
            *held = Held::brief(endpoints);
        }
        key
    }

    fn remove_service(&mut self, key: ObjectKey, dirty: &mut Vec<ObjectKey>) {
        if self.services.remove(&key) == Some(false) {
            dirty.push(key);
        }
    }

    fn endpoints_changed(&mut self, change: Change<Endpoints>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(endpoints) => drop(self.put_endpoints(endpoints, dirty)),
            Change::Delete(endpoints) => self.remove_endpoints(ObjectKey::of(&endpoints), dirty),
            Change::Reset(all) => {
                let mut gone: HashSet<ObjectKey> = self.endpoints.keys().cloned().collect();
                for endpoints in all {
                    gone.remove(&self.put_endpoints(endpoints, dirty));
                }
                gone.into_iter().for_each(|key| self.remove_endpoints(key, dirty));
            }
        }
    }

    fn put_endpoints(&mut self, mut endpoints: Endpoints, dirty: &mut Vec<ObjectKey>) -> ObjectKey {
        endpoints.metadata.managed_fields = None;
        let key = ObjectKey::of(&endpoints);
        if self.endpoints.get(&key).is_some_and(|held| held.is_later_than(&endpoints.metadata)) {
            return key;
        }
        let held = match self.services.get(&key) {
            Some(true) => Held::brief(&endpoints),
            _ => Held::Whole(Arc::new(endpoints)),
        };
        let is_mirrored = held.is_mirrored();
        let before = self.endpoints.insert(key.clone(), held);
        if is_mirrored || before.is_some_and(|before| before.is_mirrored()) {
            dirty.push(key.clone());
        }
        key
    }

    fn remove_endpoints(&mut self, key: ObjectKey, dirty: &mut Vec<ObjectKey>) {
        if self.endpoints.remove(&key).is_some_and(|held| held.is_mirrored()) {
            dirty.push(key);
        }
    }
}

/// Not asked to be left alone, and not a lock.
fn is_mirrored(metadata: &ObjectMeta) -> bool {
    let skip = metadata.labels.as_ref().and_then(|set| set.get(SKIP)).is_some_and(|value| value == "true");
    let lock = metadata.annotations.as_ref().is_some_and(|set| set.contains_key(labels::LEADER));
    !skip && !lock
}

/// Also of an alias: its type does not count here, only whether another controller writes its Endpoints.
fn has_selector(service: &Service) -> bool {
    let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
    selector.is_some_and(|selector| !selector.is_empty())
}

#[cfg(test)]
mod tests;
