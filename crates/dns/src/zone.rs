//! The records of every Service, shared between the watch side (one writer) and the answering side (many readers).
//!
//! Invariant: [`State::reverse`] holds exactly the owners that the records in [`State::services`] name. A change
//! costs what the changed Service holds, never what the cluster holds.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use hickory_proto::rr::Name;
use ipnet::IpNet;
use parking_lot::RwLock;
use portolan_objects::ObjectKey;

use crate::PodRecords;

/// The cluster domain is not a DNS name.
#[derive(Debug, thiserror::Error)]
#[error("cluster domain {domain:?} is not a DNS name; use one such as cluster.local")]
pub struct InvalidDomain {
    domain: String,
}

/// The authoritative data: the cluster domain and its reverse zones.
pub struct Zone {
    /// The cluster domain, absolute.
    pub(crate) origin: Name,
    /// Labels of `origin`, lower case, outermost last.
    pub(crate) origin_labels: Vec<String>,
    pub(crate) reverse_nets: Vec<IpNet>,
    pub(crate) pods: PodRecords,
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    services: HashMap<ObjectKey, Arc<Records>>,
    namespaces: HashSet<String>,
    reverse: HashMap<IpAddr, BTreeSet<Owner>>,
    /// Goes up with every change of records.
    serial: u32,
    synced: bool,
}

/// Whom an address belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub(crate) service: ObjectKey,
    /// The endpoint's host label; `None` for a ClusterIP.
    pub(crate) host: Option<String>,
}

/// Everything below `NAME.NAMESPACE.svc.DOMAIN`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Records {
    pub(crate) target: Target,
    /// (port label, protocol label) without underscores, such as (`https`, `tcp`), to where it is served.
    pub(crate) ports: BTreeMap<(String, String), Vec<Endpoint>>,
}

/// What the Service's own name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Its ClusterIPs: none while they are not allocated.
    Addresses(Vec<IpAddr>),
    /// Headless: ready endpoints by host label.
    Hosts(BTreeMap<String, BTreeSet<IpAddr>>),
    /// ExternalName.
    Alias(Name),
    /// ExternalName with something that is not a DNS name: the name exists and has no records.
    Nothing,
}

impl Default for Target {
    fn default() -> Self {
        Self::Addresses(Vec::new())
    }
}

/// One SRV target.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) port: u16,
    /// Host label of a headless endpoint; `None` is the Service's own name.
    pub(crate) host: Option<String>,
}

impl Zone {
    /// An empty zone, not yet synced.
    ///
    /// # Errors
    /// `domain` is not a DNS name.
    pub fn new(domain: &str, reverse: Vec<IpNet>, pods: PodRecords) -> Result<Self, InvalidDomain> {
        let domain = domain.trim_end_matches('.').to_ascii_lowercase();
        let origin_labels: Vec<String> = domain.split('.').map(str::to_owned).collect();
        let origin = Name::from_labels(origin_labels.iter().map(|label| label.as_bytes()));
        match origin {
            Ok(origin) if !domain.is_empty() => {
                Ok(Self { origin, origin_labels, reverse_nets: reverse, pods, state: RwLock::default() })
            }
            _ => Err(InvalidDomain { domain }),
        }
    }

    /// Whether every watch has delivered its first set.
    pub fn synced(&self) -> bool {
        self.state.read().synced
    }

    pub(crate) fn set_synced(&self) {
        self.state.write().synced = true;
    }

    pub(crate) fn serial(&self) -> u32 {
        self.state.read().serial
    }

    pub(crate) fn service(&self, key: &ObjectKey) -> Option<Arc<Records>> {
        self.state.read().services.get(key).cloned()
    }

    pub(crate) fn has_namespace(&self, namespace: &str) -> bool {
        self.state.read().namespaces.contains(namespace)
    }

    pub(crate) fn owners(&self, address: &IpAddr) -> Vec<Owner> {
        let state = self.state.read();
        state.reverse.get(address).into_iter().flatten().cloned().collect()
    }

    /// Replaces the records of one Service; `None` removes them.
    pub(crate) fn put(&self, key: ObjectKey, records: Option<Records>) {
        let mut state = self.state.write();
        let state = &mut *state;
        let old = state.services.get(&key);
        if old.map(|old| &**old) == records.as_ref() {
            return;
        }
        let before = old.map(|old| old.owned(&key)).unwrap_or_default();
        let after = records.as_ref().map(|new| new.owned(&key)).unwrap_or_default();
        for (address, owner) in before.difference(&after) {
            if let Some(owners) = state.reverse.get_mut(address) {
                owners.remove(owner);
                if owners.is_empty() {
                    state.reverse.remove(address);
                }
            }
        }
        for (address, owner) in after.difference(&before) {
            state.reverse.entry(*address).or_default().insert(owner.clone());
        }
        match records {
            Some(records) => drop(state.services.insert(key, Arc::new(records))),
            None => drop(state.services.remove(&key)),
        }
        state.serial = state.serial.wrapping_add(1);
    }

    pub(crate) fn add_namespace(&self, namespace: String) {
        self.state.write().namespaces.insert(namespace);
    }

    pub(crate) fn remove_namespace(&self, namespace: &str) {
        self.state.write().namespaces.remove(namespace);
    }

    pub(crate) fn set_namespaces(&self, namespaces: HashSet<String>) {
        self.state.write().namespaces = namespaces;
    }
}

impl Records {
    /// The addresses whose reverse name points at this Service.
    fn owned(&self, key: &ObjectKey) -> BTreeSet<(IpAddr, Owner)> {
        let owner = |host| Owner { service: key.clone(), host };
        match &self.target {
            Target::Addresses(addresses) => addresses.iter().map(|address| (*address, owner(None))).collect(),
            Target::Hosts(hosts) => hosts
                .iter()
                .flat_map(|(host, addresses)| addresses.iter().map(move |address| (host, address)))
                .map(|(host, address)| (*address, owner(Some(host.clone()))))
                .collect(),
            Target::Alias(_) | Target::Nothing => BTreeSet::new(),
        }
    }
}
