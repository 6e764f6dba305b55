//! Who owns whom, and what follows from an owner's end. Pure.
//! Upstream: `pkg/controller/garbagecollector/{graph,graph_builder,garbagecollector}.go`.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use portolan_objects::ObjectKey;

/// Finalizer of an owner that waits for its dependents.
pub(super) const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an owner whose dependents are to be left alone.
pub(super) const ORPHAN: &str = "orphan";

/// What the graph knows of one object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    /// Which of the watched resources it is.
    pub resource: usize,
    pub key: ObjectKey,
    pub uid: String,
    pub owners: Vec<OwnerReference>,
    pub deleting: bool,
    pub finalizers: Vec<String>,
}

impl Item {
    /// `None` for an object without UID, which the API never shows.
    pub fn new(resource: usize, metadata: &ObjectMeta) -> Option<Self> {
        Some(Self {
            resource,
            key: ObjectKey {
                namespace: metadata.namespace.clone().unwrap_or_default(),
                name: metadata.name.clone().unwrap_or_default(),
            },
            uid: metadata.uid.clone().filter(|uid| !uid.is_empty())?,
            owners: metadata.owner_references.clone().unwrap_or_default(),
            deleting: metadata.deletion_timestamp.is_some(),
            finalizers: metadata.finalizers.clone().unwrap_or_default(),
        })
    }

    fn waits(&self, finalizer: &str) -> bool {
        self.deleting && self.finalizers.iter().any(|candidate| candidate == finalizer)
    }

    fn blocks(&self, owner: &str) -> bool {
        self.owners.iter().any(|reference| reference.uid == owner && reference.block_owner_deletion == Some(true))
    }
}

/// How dependents of a deleted object are treated in turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Policy {
    Background,
    Foreground,
}

/// What to do about one object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plan {
    /// Its owners are gone: after asking the API about those in `verify`, delete it.
    Collect { item: Item, verify: Vec<OwnerReference>, policy: Policy },
    /// Some owners are gone: after asking about `verify`, take them and `waiting` out of its references.
    Detach { item: Item, verify: Vec<OwnerReference>, waiting: Vec<String> },
    /// An owner is leaving its dependents alone: take it out of their references, then let it go.
    Orphan { owner: Item, dependents: Vec<Item> },
    /// Everyone that an owner waited for is gone: let it go.
    Release { owner: Item },
}

/// All objects and their dependents.
#[derive(Debug, Default)]
pub(super) struct Graph {
    items: HashMap<String, Item>,
    dependents: HashMap<String, BTreeSet<String>>,
    /// Owners that the API knows although no watch has shown them.
    verified: HashSet<String>,
}

impl Graph {
    /// Takes an object in; pushes the UIDs that this concerns.
    pub fn put(&mut self, item: Item, dirty: &mut Vec<String>) {
        let uid = item.uid.clone();
        self.verified.remove(&uid);
        if let Some(old) = self.items.get(&uid) {
            if *old == item {
                return;
            }
            let owners: Vec<String> = old.owners.iter().map(|owner| owner.uid.clone()).collect();
            self.unlink(&uid, &owners);
            dirty.extend(owners);
        }
        for owner in &item.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(uid.clone());
        }
        if item.waits(FOREGROUND) {
            dirty.extend(self.dependents.get(&uid).into_iter().flatten().cloned());
        }
        self.items.insert(uid.clone(), item);
        dirty.push(uid);
    }

    pub fn remove(&mut self, uid: &str, dirty: &mut Vec<String>) {
        self.verified.remove(uid);
        let Some(old) = self.items.remove(uid) else { return };
        let owners: Vec<String> = old.owners.into_iter().map(|owner| owner.uid).collect();
        self.unlink(uid, &owners);
        dirty.extend(owners);
        dirty.extend(self.dependents.get(uid).into_iter().flatten().cloned());
    }

    /// Everything of one resource that is there.
    pub fn reset(&mut self, resource: usize, items: Vec<Item>, dirty: &mut Vec<String>) {
        let listed: HashSet<&str> = items.iter().map(|item| item.uid.as_str()).collect();
        let absent = |item: &&Item| item.resource == resource && !listed.contains(item.uid.as_str());
        let gone: Vec<String> = self.items.values().filter(absent).map(|item| item.uid.clone()).collect();
        gone.iter().for_each(|uid| self.remove(uid, dirty));
        items.into_iter().for_each(|item| self.put(item, dirty));
    }

    /// The API knows these owners.
    pub fn verify(&mut self, uids: Vec<String>) {
        self.verified.extend(uids.into_iter().filter(|uid| !self.items.contains_key(uid)));
    }

    fn unlink(&mut self, uid: &str, owners: &[String]) {
        for owner in owners {
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(uid);
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    fn dependents(&self, uid: &str) -> impl Iterator<Item = &Item> {
        self.dependents.get(uid).into_iter().flatten().filter_map(|uid| self.items.get(uid))
    }

    pub fn plan(&self, uid: &str) -> Option<Plan> {
        let item = self.items.get(uid)?;
        if item.waits(ORPHAN) {
            let dependents = self.dependents(uid).cloned().collect();
            return Some(Plan::Orphan { owner: item.clone(), dependents });
        }
        if item.waits(FOREGROUND) && !self.dependents(uid).any(|dependent| dependent.blocks(uid)) {
            return Some(Plan::Release { owner: item.clone() });
        }
        if item.deleting || item.owners.is_empty() {
            return None;
        }
        self.plan_dependent(item)
    }

    /// Sorts the owners into those that are there, those that wait for their dependents, and those nobody has seen.
    fn plan_dependent(&self, item: &Item) -> Option<Plan> {
        let (mut solid, mut waiting, mut verify) = (0, Vec::new(), Vec::new());
        for reference in &item.owners {
            match self.items.get(&reference.uid) {
                Some(owner) if owner.waits(FOREGROUND) => waiting.push(reference.uid.clone()),
                Some(_) => solid += 1,
                None if self.verified.contains(&reference.uid) => solid += 1,
                None => verify.push(reference.clone()),
            }
        }
        if waiting.is_empty() && verify.is_empty() {
            return None;
        }
        if solid > 0 {
            return Some(Plan::Detach { item: item.clone(), verify, waiting });
        }
        let nested = !waiting.is_empty() && self.dependents(&item.uid).next().is_some();
        let policy = if nested { Policy::Foreground } else { Policy::Background };
        Some(Plan::Collect { item: item.clone(), verify, policy })
    }

    /// How many objects of each resource are known, for the log.
    pub fn sizes(&self) -> BTreeMap<usize, usize> {
        let mut sizes = BTreeMap::new();
        self.items.values().for_each(|item| *sizes.entry(item.resource).or_default() += 1);
        sizes
    }
}
