//! Lookups over a snapshot, built once and borrowed by every Service's view: a question about one Service costs what
//! belongs to that Service, not what is in the cluster.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::OnceLock,
};

use k8s_openapi::{
    Metadata,
    api::{
        core::v1::{Endpoints, Event, Namespace, Node, Pod, Service},
        discovery::v1::EndpointSlice,
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portolan_objects::{ObjectKey, Protocol, endpoint, labels, pod, selector::Selector, service};

use crate::{
    Evidence, Snapshot, Workload,
    evidence::{Kernel, NodeEvidence},
};

/// Lookups over one snapshot.
pub struct Index<'a> {
    /// What it indexes.
    pub snapshot: &'a Snapshot,
    services: HashMap<Name<'a>, &'a Service>,
    slices: HashMap<ObjectKey, Vec<&'a EndpointSlice>>,
    endpoints: HashMap<Name<'a>, &'a Endpoints>,
    pods: HashMap<&'a str, Vec<&'a Pod>>,
    pods_by_name: HashMap<Name<'a>, &'a Pod>,
    pods_by_address: HashMap<IpAddr, Vec<&'a Pod>>,
    pods_by_label: HashMap<LabelOf<'a>, Vec<&'a Pod>>,
    workloads: HashMap<&'a str, Vec<&'a Workload>>,
    nodes: HashMap<&'a str, &'a Node>,
    namespaces: HashMap<&'a str, &'a Namespace>,
    events: HashMap<(&'a str, Name<'a>), Vec<&'a Event>>,
    policies: HashMap<&'a str, Vec<&'a NetworkPolicy>>,
    cluster_ips: HashMap<IpAddr, Vec<&'a Service>>,
    node_ports: HashMap<(u16, Protocol), Vec<&'a Service>>,
    evidence: HashMap<&'a str, &'a NodeEvidence>,
    dns: Option<&'a Service>,
    strays: HashMap<&'a str, Vec<&'a EndpointSlice>>,
    refusals: HashMap<&'a str, Vec<&'a Event>>,
    host_ports: HashMap<(u16, Protocol), Vec<&'a Pod>>,
    enforcer: OnceLock<Option<Evidence>>,
    kernel: Kernel<'a>,
}

/// Namespace and name.
type Name<'a> = (&'a str, &'a str);
/// Namespace, label, value.
type LabelOf<'a> = (&'a str, &'a str, &'a str);

fn name_of<'a>(object: &'a impl Metadata<Ty = ObjectMeta>) -> Name<'a> {
    let metadata = object.metadata();
    (metadata.namespace.as_deref().unwrap_or_default(), metadata.name.as_deref().unwrap_or_default())
}

fn by_namespace<T: Metadata<Ty = ObjectMeta>>(objects: &[T]) -> HashMap<&str, Vec<&T>> {
    let mut map: HashMap<&str, Vec<&T>> = HashMap::new();
    for object in objects {
        map.entry(name_of(object).0).or_default().push(object);
    }
    map
}

fn by_name<T: Metadata<Ty = ObjectMeta>>(objects: &[T]) -> HashMap<Name<'_>, &T> {
    objects.iter().map(|object| (name_of(object), object)).collect()
}

impl<'a> Index<'a> {
    /// One pass over every list.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let mut slices: HashMap<ObjectKey, Vec<&EndpointSlice>> = HashMap::new();
        for slice in &snapshot.slices {
            if let Some(service) = endpoint::service_of(slice) {
                slices.entry(service).or_default().push(slice);
            }
        }
        let mut events: HashMap<_, Vec<&Event>> = HashMap::new();
        for event in &snapshot.events {
            let object = &event.involved_object;
            let name = object.name.as_deref().unwrap_or_default();
            let namespace = object.namespace.as_deref().unwrap_or_default();
            events.entry((object.kind.as_deref().unwrap_or_default(), (namespace, name))).or_default().push(event);
        }
        let mut workloads: HashMap<&str, Vec<&Workload>> = HashMap::new();
        for workload in &snapshot.workloads {
            workloads.entry(&workload.namespace).or_default().push(workload);
        }
        let (cluster_ips, node_ports) = allocations(&snapshot.services);
        let services = by_name(&snapshot.services);
        Self {
            snapshot,
            dns: crate::checks::name::find_server(&snapshot.services),
            strays: strays(snapshot, &services),
            refusals: refusals(&snapshot.events),
            host_ports: host_ports(&snapshot.pods),
            enforcer: OnceLock::new(),
            kernel: Kernel::new(&snapshot.evidence),
            services,
            slices,
            endpoints: by_name(&snapshot.endpoints),
            pods: by_namespace(&snapshot.pods),
            pods_by_name: by_name(&snapshot.pods),
            pods_by_address: by_address(&snapshot.pods),
            pods_by_label: by_label(snapshot),
            workloads,
            nodes: snapshot.nodes.iter().map(|node| (name_of(node).1, node)).collect(),
            namespaces: snapshot.namespaces.iter().map(|namespace| (name_of(namespace).1, namespace)).collect(),
            events,
            policies: by_namespace(&snapshot.network_policies),
            cluster_ips,
            node_ports,
            evidence: snapshot.evidence.iter().map(|evidence| (evidence.node.as_str(), evidence)).collect(),
        }
    }

    /// The Service.
    pub fn service(&self, key: &ObjectKey) -> Option<&'a Service> {
        self.services.get(&(key.namespace.as_str(), key.name.as_str())).copied()
    }

    /// Slices that carry the Service's name.
    pub fn slices_of(&self, key: &ObjectKey) -> &[&'a EndpointSlice] {
        self.slices.get(key).map_or(&[], Vec::as_slice)
    }

    /// The Endpoints of this name.
    pub fn endpoints(&self, key: &ObjectKey) -> Option<&'a Endpoints> {
        self.endpoints.get(&(key.namespace.as_str(), key.name.as_str())).copied()
    }

    /// Pods of a namespace.
    pub fn pods_of(&self, namespace: &str) -> &[&'a Pod] {
        self.pods.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// One pod.
    pub fn pod(&self, key: &ObjectKey) -> Option<&'a Pod> {
        self.pods_by_name.get(&(key.namespace.as_str(), key.name.as_str())).copied()
    }

    /// Pods that have this address and have not ended: one, unless they share the node's network.
    pub fn pods_at(&self, address: IpAddr) -> &[&'a Pod] {
        self.pods_by_address.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Pods of the namespace with all these labels, in the order of their names. Cheap for the selectors of Services.
    pub fn selected(&self, namespace: &str, labels: &BTreeMap<String, String>) -> Vec<&'a Pod> {
        let candidates = labels
            .iter()
            .filter_map(|(key, value)| self.pods_by_label.get(&(namespace, key.as_str(), value.as_str())))
            .min_by_key(|pods| pods.len())
            .map_or_else(|| self.pods_of(namespace), Vec::as_slice);
        let none = BTreeMap::new();
        let selector = Selector::from_map(labels);
        let fits = |pod: &&&Pod| selector.matches(pod.metadata.labels.as_ref().unwrap_or(&none));
        let mut selected: Vec<&Pod> = candidates.iter().filter(fits).copied().collect();
        selected.sort_by_key(|pod| name_of(*pod));
        selected
    }

    /// Workloads of a namespace.
    pub fn workloads_of(&self, namespace: &str) -> &[&'a Workload] {
        self.workloads.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// One node.
    pub fn node(&self, name: &str) -> Option<&'a Node> {
        self.nodes.get(name).copied()
    }

    /// One namespace.
    pub fn namespace(&self, name: &str) -> Option<&'a Namespace> {
        self.namespaces.get(name).copied()
    }

    /// Names of the Services in a namespace.
    pub fn service_names(&self, namespace: &str) -> impl Iterator<Item = &'a str> {
        let here = self.snapshot.services.iter().map(name_of);
        here.filter_map(move |(of, name)| (of == namespace).then_some(name))
    }

    /// Events about the object of this kind (`Service`), wherever they are stored.
    pub fn events_of<'b>(&'b self, kind: &'b str, namespace: &'b str, name: &'b str) -> &'b [&'a Event] {
        self.events.get(&(kind, (namespace, name))).map_or(&[], Vec::as_slice)
    }

    /// NetworkPolicies of a namespace.
    pub fn policies_of(&self, namespace: &str) -> &[&'a NetworkPolicy] {
        self.policies.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// Services with this cluster IP: more than one is a fault.
    pub fn cluster_ip_owners(&self, address: IpAddr) -> &[&'a Service] {
        self.cluster_ips.get(&address).map_or(&[], Vec::as_slice)
    }

    /// Services with this node port: more than one is a fault.
    pub fn node_port_owners(&self, port: u16, protocol: Protocol) -> &[&'a Service] {
        self.node_ports.get(&(port, protocol)).map_or(&[], Vec::as_slice)
    }

    /// Slices of a namespace that belong to no Service: without its label, or with the label of one that is not there.
    pub fn stray_slices(&self, namespace: &str) -> &[&'a EndpointSlice] {
        self.strays.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// Events of a namespace that tell of pods that could not be made.
    pub fn refused_pods(&self, namespace: &str) -> &[&'a Event] {
        self.refusals.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// Pods that ask for this port of their node and have not ended.
    pub fn host_port_users(&self, port: u16, protocol: Protocol) -> &[&'a Pod] {
        self.host_ports.get(&(port, protocol)).map_or(&[], Vec::as_slice)
    }

    /// What shows that NetworkPolicies are enforced here; looked for by `search` the first time.
    pub(crate) fn enforcer(&self, search: impl FnOnce() -> Option<Evidence>) -> Option<&Evidence> {
        self.enforcer.get_or_init(search).as_ref()
    }

    /// What all nodes said of their kernels.
    pub(crate) fn kernel(&self) -> &Kernel<'a> {
        &self.kernel
    }

    /// The Service of the cluster's DNS.
    pub(crate) fn dns(&self) -> Option<&'a Service> {
        self.dns
    }

    /// What a node said of its kernel.
    pub fn evidence(&self, node: &str) -> Option<&'a NodeEvidence> {
        self.evidence.get(node).copied()
    }
}

fn by_address(pods: &[Pod]) -> HashMap<IpAddr, Vec<&Pod>> {
    let mut map: HashMap<IpAddr, Vec<&Pod>> = HashMap::with_capacity(pods.len());
    for pod in pods.iter().filter(|pod| !pod::is_terminal(pod)) {
        for address in pod::ips(pod) {
            map.entry(address).or_default().push(pod);
        }
    }
    map
}

fn strays<'a>(
    snapshot: &'a Snapshot,
    services: &HashMap<Name<'a>, &'a Service>,
) -> HashMap<&'a str, Vec<&'a EndpointSlice>> {
    let mut map: HashMap<&str, Vec<&EndpointSlice>> = HashMap::new();
    for slice in &snapshot.slices {
        let namespace = name_of(slice).0;
        let service = slice.metadata.labels.as_ref().and_then(|labels| labels.get(labels::SERVICE_NAME));
        if service.is_none_or(|service| !services.contains_key(&(namespace, service.as_str()))) {
            map.entry(namespace).or_default().push(slice);
        }
    }
    map
}

fn refusals(events: &[Event]) -> HashMap<&str, Vec<&Event>> {
    let mut map: HashMap<&str, Vec<&Event>> = HashMap::new();
    for event in events.iter().filter(|event| event.reason.as_deref() == Some("FailedCreate")) {
        map.entry(event.involved_object.namespace.as_deref().unwrap_or_default()).or_default().push(event);
    }
    map
}

fn host_ports(pods: &[Pod]) -> HashMap<(u16, Protocol), Vec<&Pod>> {
    let mut map: HashMap<(u16, Protocol), Vec<&Pod>> = HashMap::new();
    for pod in pods.iter().filter(|pod| !pod::is_terminal(pod)) {
        let containers = pod.spec.as_ref().map(|spec| &spec.containers);
        for port in containers.into_iter().flatten().flat_map(|container| container.ports.iter().flatten()) {
            let number = port.host_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
            if let Some(number) = number {
                map.entry((number, Protocol::of(port.protocol.as_deref()))).or_default().push(pod);
            }
        }
    }
    map
}

/// Only the labels that some Service asks for: others nobody looks up.
fn by_label(snapshot: &Snapshot) -> HashMap<LabelOf<'_>, Vec<&Pod>> {
    let mut map: HashMap<LabelOf<'_>, Vec<&Pod>> = HashMap::new();
    for service in &snapshot.services {
        let (namespace, _) = name_of(service);
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        for (key, value) in selector.into_iter().flatten() {
            map.entry((namespace, key, value)).or_default();
        }
    }
    for pod in &snapshot.pods {
        let (namespace, _) = name_of(pod);
        for (key, value) in pod.metadata.labels.iter().flatten() {
            if let Some(pods) = map.get_mut(&(namespace, key.as_str(), value.as_str())) {
                pods.push(pod);
            }
        }
    }
    map
}

type Allocations<'a> = (HashMap<IpAddr, Vec<&'a Service>>, HashMap<(u16, Protocol), Vec<&'a Service>>);

fn allocations(services: &[Service]) -> Allocations<'_> {
    let (mut addresses, mut ports): Allocations<'_> = (HashMap::new(), HashMap::new());
    for service in services {
        for address in service::cluster_ips(service) {
            addresses.entry(address).or_default().push(service);
        }
        for port in service::ports(service) {
            let number = port.node_port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
            if let Some(number) = number {
                ports.entry((number, Protocol::of(port.protocol.as_deref()))).or_default().push(service);
            }
        }
    }
    (addresses, ports)
}
