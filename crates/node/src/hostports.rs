//! Host ports: who has which port of the node, the sockets that hold them, and the rules that lead them to pods.
//!
//! Called by a pod's worker before anything else of the pod is made ([`HostPorts::claim`]) and by its sandbox
//! ([`Rules`]). The conflict rule is the one that scheduler and kubelet share: same protocol, same port, and the same
//! host address or every address on either side.
//!
//! In the full vocabulary a claimed port is also *bound* (never listened on) in the node's network for as long as the
//! pod has it. That is what finds a port that some process has already, with the kernel as the judge, and it is what keeps
//! a process that comes later from believing that the port is its own while its traffic goes to the pod. No packet ever
//! reaches such a socket: destination translation comes first. The ports of a pod in the node's own network are probed and let go,
//! since the pod's process is to bind them itself. Kubernetes binds nothing and so does not notice processes; in its
//! vocabulary neither do we.
//!
//! Upstream: `pkg/scheduler/framework/plugins/nodeports`, the `portmap` plugin of CNI.

mod holder;
mod rules;
mod socket;

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, PoisonError},
};

use k8s_openapi::api::core::v1::PodSpec;
use portolan_netns::Namespace;
use portolan_objects::{ObjectKey, Protocol, pod as reading};
use tokio::sync::watch;

pub use rules::{Rules, RulesError};

/// A port of the node that a pod asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostPort {
    /// On which of the node's addresses; 0.0.0.0 is every one.
    pub address: IpAddr,
    /// Of which protocol.
    pub protocol: Protocol,
    /// Its number on the node.
    pub port: u16,
    /// Its number in the pod.
    pub target: u16,
}

impl HostPort {
    fn is_everywhere(&self) -> bool {
        self.address == IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    }

    /// Whether two pods cannot have these on one node.
    pub fn conflicts(&self, other: &HostPort) -> bool {
        let address = self.address == other.address || self.is_everywhere() || other.is_everywhere();
        self.protocol == other.protocol && self.port == other.port && address
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.port, self.protocol.as_str())?;
        if self.is_everywhere() { Ok(()) } else { write!(f, " on {}", self.address) }
    }
}

/// The host ports of a pod: those of its containers and of the init containers that keep running.
pub fn of_spec(spec: &PodSpec) -> Vec<HostPort> {
    let sidecars = spec.init_containers.iter().flatten().filter(|container| reading::is_sidecar(container));
    let ports = sidecars.chain(&spec.containers).flat_map(|container| container.ports.iter().flatten());
    let number = |port: i32| u16::try_from(port).ok().filter(|port| *port > 0);
    let host_port = ports.filter_map(|port| {
        Some(HostPort {
            address: port.host_ip.as_ref().and_then(|ip| ip.parse().ok()).unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            protocol: Protocol::of(port.protocol.as_deref()),
            port: port.host_port.and_then(number)?,
            target: number(port.container_port)?,
        })
    });
    host_port.collect()
}

/// Why a pod cannot have a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    port: HostPort,
    by: Holder,
}

/// Who has a port.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Holder {
    /// Another pod of the node.
    Pod(ObjectKey),
    /// Sockets in the node's network, by their inodes; none if there must be one that cannot be seen.
    Sockets(Vec<u64>),
}

impl Conflict {
    /// Whether a pod has the port: then its end is told of, while a process has to be watched.
    pub fn is_pod(&self) -> bool {
        matches!(self.by, Holder::Pod(_))
    }

    /// The text of the event. Blocking: it looks for the process that has the port, through the descriptors of all.
    pub fn describe(&self) -> String {
        let holder = match &self.by {
            Holder::Pod(pod) => format!("pod {}/{}", pod.namespace, pod.name),
            Holder::Sockets(inodes) => match holder::process_with(inodes) {
                Some((pid, command)) => format!("process {pid} ({command})"),
                None => "a socket of the node".into(),
            },
        };
        format!("hostPort {} is already in use by {holder}", self.port)
    }
}

/// The host ports of one node.
#[derive(Debug)]
pub struct HostPorts {
    namespace: Namespace,
    /// Ports are bound too, so that processes take part.
    binds: bool,
    held: Mutex<HashMap<String, Held>>,
    freed: watch::Sender<()>,
}

#[derive(Debug)]
struct Held {
    pod: ObjectKey,
    ports: Vec<HostPort>,
}

/// A pod's right to its ports; dropping it gives them back.
#[derive(Debug)]
pub struct Claim {
    host_ports: Arc<HostPorts>,
    uid: String,
    sockets: Vec<OwnedFd>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        // The sockets first: whoever is woken by the release binds at once.
        self.sockets.clear();
        self.host_ports.release(&self.uid);
    }
}

/// Which pod asks.
#[derive(Debug, Clone)]
pub struct Claimant {
    /// Its uid.
    pub uid: String,
    /// Its name.
    pub pod: ObjectKey,
    /// It is in the node's own network and binds its ports itself.
    pub on_host: bool,
}

impl HostPorts {
    /// No pod has any. With `binds`, processes count as well.
    pub fn new(namespace: Namespace, binds: bool) -> Self {
        Self { namespace, binds, held: Mutex::default(), freed: watch::Sender::new(()) }
    }

    /// Tells when any pod gives ports back. Subscribe before claiming.
    pub fn freed(&self) -> watch::Receiver<()> {
        self.freed.subscribe()
    }

    /// Keeps the ports that a pod had in an earlier life of the agent, if nobody has them.
    pub fn keep(&self, uid: &str, pod: &ObjectKey, ports: &[HostPort]) {
        // Who comes second has to wait as usual.
        drop(self.take(uid, pod, ports));
    }

    /// Gives a pod all of its ports or none. Blocking: a few system calls.
    ///
    /// # Errors
    /// The first port that somebody else has.
    pub fn claim(self: &Arc<Self>, claimant: &Claimant, ports: &[HostPort]) -> Result<Claim, Conflict> {
        self.take(&claimant.uid, &claimant.pod, ports)?;
        let mut claim = Claim { host_ports: self.clone(), uid: claimant.uid.clone(), sockets: Vec::new() };
        if self.binds && !ports.is_empty() {
            let sockets = socket::bind_all(&self.namespace, ports)?;
            if !claimant.on_host {
                claim.sockets = sockets;
            }
        }
        Ok(claim)
    }

    fn take(&self, uid: &str, pod: &ObjectKey, ports: &[HostPort]) -> Result<(), Conflict> {
        if ports.is_empty() {
            return Ok(());
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for port in ports {
            let others = held.iter().filter(|(other, _)| *other != uid);
            let mut conflicting = others.filter(|(_, held)| held.ports.iter().any(|other| port.conflicts(other)));
            if let Some((_, other)) = conflicting.next() {
                return Err(Conflict { port: *port, by: Holder::Pod(other.pod.clone()) });
            }
        }
        held.insert(uid.to_owned(), Held { pod: pod.clone(), ports: ports.to_vec() });
        Ok(())
    }

    /// Frees the ports of a pod.
    pub fn release(&self, uid: &str) {
        if self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(uid).is_some() {
            self.freed.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests;
