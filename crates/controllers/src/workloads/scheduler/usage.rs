//! What is taken on each node, by the pods that are there and by those that were sent there. Pure.
//!
//! Kept up to date pod by pod: a change costs what the one pod takes, whatever else is on the node. A decision counts
//! from the moment it is made; the watch showing the pod on its node replaces it.
//! Upstream: `pkg/scheduler/framework` (`NodeInfo`) and `pkg/scheduler/backend/cache` (assumed pods).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use k8s_openapi::api::core::v1::Pod;
use portolan_objects::{ObjectKey, Protocol, Resources, pod};

use crate::workloads::cache::{Transition, controller_of, uid};

/// What one pod takes on a node.
#[derive(Debug, Clone, Default)]
pub(super) struct Share {
    pub requests: Resources,
    /// UID of the owner that controls it.
    pub owner: Option<String>,
    pub ports: Vec<HostPort>,
}

impl Share {
    pub fn of(pod: &Pod) -> Self {
        let owner = controller_of(pod).map(|owner| owner.uid.clone());
        Self { requests: Resources::of_pod(pod), owner, ports: host_ports(pod) }
    }
}

/// A port on the node that a pod takes for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HostPort {
    /// Empty for every address of the node.
    address: String,
    protocol: Protocol,
    port: i32,
}

impl HostPort {
    pub fn conflicts(&self, other: &HostPort) -> bool {
        let same_address = self.address == other.address || self.address.is_empty() || other.address.is_empty();
        self.protocol == other.protocol && self.port == other.port && same_address
    }
}

fn host_ports(pod: &Pod) -> Vec<HostPort> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let sidecars = spec.init_containers.iter().flatten().filter(|container| pod::is_sidecar(container));
    let ports = spec.containers.iter().chain(sidecars).flat_map(|container| container.ports.iter().flatten());
    ports
        .filter_map(|port| {
            let address = port.host_ip.clone().filter(|address| address != "0.0.0.0").unwrap_or_default();
            let taken = port.host_port.filter(|number| *number > 0)?;
            Some(HostPort { address, protocol: Protocol::of(port.protocol.as_deref()), port: taken })
        })
        .collect()
}

/// What the pods of one node take together.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub pods: usize,
    pub requests: Resources,
    pub ports: Vec<HostPort>,
    /// Pods by owner.
    owners: BTreeMap<String, usize>,
}

impl Used {
    /// How many pods of this owner are there.
    pub fn siblings(&self, owner: Option<&str>) -> usize {
        owner.and_then(|owner| self.owners.get(owner)).copied().unwrap_or_default()
    }

    pub fn add(&mut self, share: &Share) {
        self.pods += 1;
        self.requests.add(&share.requests);
        self.ports.extend(share.ports.iter().cloned());
        if let Some(owner) = &share.owner {
            *self.owners.entry(owner.clone()).or_default() += 1;
        }
    }

    fn subtract(&mut self, share: &Share) {
        self.pods = self.pods.saturating_sub(1);
        self.requests.subtract(&share.requests);
        for port in &share.ports {
            if let Some(index) = self.ports.iter().position(|taken| taken == port) {
                self.ports.swap_remove(index);
            }
        }
        if let Some(owner) = &share.owner
            && let Some(count) = self.owners.get_mut(owner)
        {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(owner);
            }
        }
    }
}

/// Where a pod is counted.
struct Seat {
    uid: String,
    node: String,
    share: Share,
    certainty: Certainty,
}

#[derive(PartialEq, Eq)]
enum Certainty {
    /// Decided here.
    Planned,
    /// The API has accepted it.
    Bound,
    /// The watch shows it.
    Seen,
}

/// The pods that are counted, and their sums by node.
#[derive(Default)]
pub(super) struct Usage {
    seats: HashMap<ObjectKey, Seat>,
    nodes: HashMap<String, Used>,
}

impl Usage {
    /// What is taken on a node; nothing if no pod was ever sent there.
    pub fn of(&self, node: &str) -> Option<&Used> {
        self.nodes.get(node)
    }

    /// Takes a change of a pod in. True if it made room somewhere.
    pub fn track(&mut self, (old, new): Transition<'_, Pod>) -> bool {
        let Some(any) = new.or(old) else { return false };
        let key = ObjectKey::of(&**any);
        match new.filter(|new| !pod::is_terminal(new)) {
            Some(new) => match pod::node(new) {
                Some(node) => {
                    self.seat(key, new, node, Certainty::Seen);
                    false
                }
                None => {
                    let assumed = |seat: &Seat| seat.uid == uid(&**new) && seat.certainty != Certainty::Seen;
                    !self.seats.get(&key).is_some_and(assumed) && self.release(&key)
                }
            },
            None => self.release(&key),
        }
    }

    /// Counts the pod on the node that it is being sent to.
    pub fn assume(&mut self, key: &ObjectKey, pod: &Arc<Pod>, node: &str) {
        self.seat(key.clone(), pod, node, Certainty::Planned);
    }

    /// The API has accepted where the pod was sent.
    pub fn bound(&mut self, key: &ObjectKey) {
        if let Some(seat) = self.seats.get_mut(key).filter(|seat| seat.certainty == Certainty::Planned) {
            seat.certainty = Certainty::Bound;
        }
    }

    /// Whether this very pod has a node already, although the watch may not show it yet.
    pub fn is_bound(&self, key: &ObjectKey, uid: &str) -> bool {
        self.seats.get(key).is_some_and(|seat| seat.certainty != Certainty::Planned && seat.uid == uid)
    }

    /// Counts the pod nowhere. True if it was counted.
    pub fn release(&mut self, key: &ObjectKey) -> bool {
        let Some(seat) = self.seats.remove(key) else { return false };
        if let Some(used) = self.nodes.get_mut(&seat.node) {
            used.subtract(&seat.share);
            if used.pods == 0 {
                self.nodes.remove(&seat.node);
            }
        }
        true
    }

    fn seat(&mut self, key: ObjectKey, pod: &Arc<Pod>, node: &str, certainty: Certainty) {
        self.release(&key);
        let seat = Seat { uid: uid(&**pod).to_owned(), node: node.to_owned(), share: Share::of(pod), certainty };
        self.nodes.entry(seat.node.clone()).or_default().add(&seat.share);
        self.seats.insert(key, seat);
    }
}
