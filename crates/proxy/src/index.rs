//! Services, slices and the own node as facts; and what each Service therefore wants in the kernel.
//! Synchronous and without a client: changes go in, elements come out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::SocketAddr,
    sync::Arc,
};

use k8s_openapi::api::{
    core::v1::{Node, ObjectReference, Service},
    discovery::v1::EndpointSlice,
};
use portolan_nftables::Value;
use portolan_objects::{Family, ObjectKey, Protocol, endpoint};
use portolan_runtime::Change;

use crate::{
    choose::{Lists, choose, ready_here, slots},
    elements::{Elements, Port, Slots, elements, protocol_number, zero},
    facts::{NodeFacts, PortFacts, ServiceFacts, SliceFacts, endpoints_of},
    targets::{MOST_ENDPOINTS, MOST_STICKY},
};

/// Everything the proxy knows of the API.
#[derive(Debug)]
pub(crate) struct Index {
    node: NodeFacts,
    services: HashMap<Arc<ObjectKey>, ServiceFacts>,
    /// By Service, then by name of the slice.
    slices: HashMap<ObjectKey, BTreeMap<String, SliceFacts>>,
    /// Ports with their slots, as they were last asked for.
    ports: HashMap<(Arc<ObjectKey>, Family), Vec<Port>>,
    dirty: BTreeSet<ObjectKey>,
}

/// Which UDP flows of a Service are alive: those from a destination to one of its serving endpoints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LiveFlows {
    pub(crate) addresses: HashMap<SocketAddr, Arc<BTreeSet<SocketAddr>>>,
    pub(crate) node_ports: HashMap<u16, Arc<BTreeSet<SocketAddr>>>,
}

impl Index {
    pub(crate) fn new(node: &str) -> Self {
        Self {
            node: NodeFacts::unknown(node),
            services: HashMap::new(),
            slices: HashMap::new(),
            ports: HashMap::new(),
            dirty: BTreeSet::new(),
        }
    }

    pub(crate) fn node(&self) -> &NodeFacts {
        &self.node
    }

    /// Takes a change of Services.
    pub(crate) fn service(&mut self, change: Change<Service>) {
        match change {
            Change::Apply(object) => self.put_service(&object),
            Change::Delete(object) => self.drop_service(&ObjectKey::of(&object)),
            Change::Reset(objects) => {
                let present: BTreeSet<ObjectKey> = objects.iter().map(ObjectKey::of).collect();
                let gone = self.services.keys().filter(|key| !present.contains(key)).map(|key| (**key).clone());
                for key in gone.collect::<Vec<_>>() {
                    self.drop_service(&key);
                }
                objects.iter().for_each(|object| self.put_service(object));
            }
        }
    }

    fn put_service(&mut self, object: &Service) {
        let key = ObjectKey::of(object);
        match ServiceFacts::of(object) {
            None => self.drop_service(&key),
            Some(facts) if self.services.get(&key) == Some(&facts) => {}
            Some(facts) => {
                self.services.insert(Arc::new(key.clone()), facts);
                self.dirty.insert(key);
            }
        }
    }

    fn drop_service(&mut self, key: &ObjectKey) {
        if self.services.remove(key).is_some() {
            self.dirty.insert(key.clone());
        }
    }

    /// Takes a change of slices.
    pub(crate) fn slice(&mut self, change: Change<EndpointSlice>) {
        match change {
            Change::Apply(object) => self.put_slice(&object),
            Change::Delete(object) => {
                if let Some(service) = endpoint::service_of(&object) {
                    self.drop_slice(&service, object.metadata.name.as_deref().unwrap_or_default());
                }
            }
            Change::Reset(objects) => {
                let named = |object: &EndpointSlice| {
                    Some((endpoint::service_of(object)?, object.metadata.name.clone().unwrap_or_default()))
                };
                let present: BTreeSet<_> = objects.iter().filter_map(named).collect();
                let known = self
                    .slices
                    .iter()
                    .flat_map(|(service, slices)| slices.keys().map(|name| (service.clone(), name.clone())));
                let gone: Vec<_> = known.filter(|slice| !present.contains(slice)).collect();
                for (service, name) in gone {
                    self.drop_slice(&service, &name);
                }
                objects.iter().for_each(|object| self.put_slice(object));
            }
        }
    }

    fn put_slice(&mut self, object: &EndpointSlice) {
        let (Some(service), Some(facts)) = (endpoint::service_of(object), SliceFacts::of(object)) else { return };
        let name = object.metadata.name.clone().unwrap_or_default();
        let slices = self.slices.entry(service.clone()).or_default();
        if slices.get(&name) != Some(&facts) {
            slices.insert(name, facts);
            self.dirty.insert(service);
        }
    }

    fn drop_slice(&mut self, service: &ObjectKey, name: &str) {
        let Some(slices) = self.slices.get_mut(service) else { return };
        if slices.remove(name).is_some() {
            self.dirty.insert(service.clone());
        }
        if slices.is_empty() {
            self.slices.remove(service);
        }
    }

    /// Takes a change of the own node. Its zone and addresses touch every Service.
    pub(crate) fn node_change(&mut self, change: Change<Node>) {
        let node = match change {
            Change::Apply(node) => NodeFacts::of(&node),
            Change::Reset(nodes) => match nodes.first() {
                Some(node) => NodeFacts::of(node),
                None => return,
            },
            // What was known of the node stays true until it returns with something else.
            Change::Delete(_) => NodeFacts { eligible: false, ..self.node.clone() },
        };
        let moved = node.zone != self.node.zone || node.addresses != self.node.addresses;
        self.node = node;
        if moved {
            self.dirty.extend(self.services.keys().map(|key| (**key).clone()));
        }
    }

    /// Services whose facts or endpoints have changed since the last call.
    pub(crate) fn take_dirty(&mut self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut self.dirty)
    }

    /// There are such Services.
    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// What the Service wants in one family. `held` tells which endpoints the kernel holds under a key from a slot
    /// on; it is asked only for Services that are new here, so that a restarted proxy keeps the slots.
    pub(crate) fn project(
        &mut self,
        key: &Arc<ObjectKey>,
        family: Family,
        held: impl Fn(&Value, u32) -> Vec<SocketAddr>,
    ) -> Elements {
        let at = (Arc::clone(key), family);
        let Some(service) = self.services.get(key) else {
            self.ports.remove(&at);
            return Elements::new();
        };
        let previous = self.ports.remove(&at);
        let empty = BTreeMap::new();
        let slices = self.slices.get(&**key).unwrap_or(&empty);
        let ports: Vec<Port> = service
            .ports
            .iter()
            .map(|facts| {
                let lists = choose(endpoints_of(slices.values(), facts, family), &self.node);
                let known = previous.iter().flatten().find(|port| port.facts.name == facts.name);
                let slots = match (known, &previous) {
                    (Some(port), _) => port.slots.clone(),
                    (None, Some(_)) => Slots::default(),
                    (None, None) => held_slots(service, facts, family, &held),
                };
                let slots = place(&slots, &lists, service.affinity.is_some());
                Port { facts: facts.clone(), lists, slots }
            })
            .collect();
        let wanted = elements(service, &ports, family, &self.node);
        self.ports.insert(at, ports);
        wanted
    }

    /// Adds the UDP flows of a Service that are alive to `live`. A port without serving endpoints is left alone.
    pub(crate) fn live_flows(&self, key: &Arc<ObjectKey>, family: Family, live: &mut LiveFlows) {
        let Some(service) = self.services.get(key) else { return };
        let ports = self.ports.get(&(Arc::clone(key), family)).into_iter().flatten();
        let with_flows = ports.filter(|port| port.facts.protocol == Protocol::Udp && !port.lists.serving.is_empty());
        for port in with_flows {
            let serving = Arc::new(port.lists.serving.clone());
            let addresses = service.cluster_ips.iter().chain(&service.external_ips).chain(&service.load_balancer_ips);
            for address in addresses.filter(|address| Family::of(**address) == family) {
                live.addresses.insert(SocketAddr::new(*address, port.facts.port), Arc::clone(&serving));
            }
            if let Some(number) = port.facts.node_port {
                live.node_ports.insert(number, serving);
            }
        }
    }

    /// How an Event names the Service.
    pub(crate) fn reference(&self, key: &ObjectKey) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(key.namespace.clone()),
            name: Some(key.name.clone()),
            uid: self.services.get(key).map(|service| service.uid.clone()),
            ..ObjectReference::default()
        }
    }

    /// The health check ports that should be open, with the endpoints that each counts.
    pub(crate) fn health_checks(&self) -> BTreeMap<u16, (ObjectKey, usize)> {
        let with_port = self.services.iter().filter_map(|(key, service)| Some((service.health_check_port?, key)));
        with_port
            .map(|(port, key)| {
                let slices = self.slices.get(&**key).into_iter().flat_map(BTreeMap::values);
                let count = ready_here(slices.flat_map(|slice| &slice.endpoints), &self.node);
                (port, ((**key).clone(), count))
            })
            .collect()
    }

    /// When the oldest change that the slices of a Service carry happened.
    pub(crate) fn triggers<'a>(&'a self, key: &ObjectKey) -> impl Iterator<Item = &'a str> + use<'a> {
        let slices = self.slices.get(key).into_iter().flat_map(BTreeMap::values);
        slices.filter_map(|slice| slice.triggered.as_deref())
    }
}

/// Slots in the kernel, read from a key that has the list: the cluster address has the main list unless its policy is
/// Local; local lists are only under external keys.
fn held_slots(
    service: &ServiceFacts,
    port: &PortFacts,
    family: Family,
    held: &impl Fn(&Value, u32) -> Vec<SocketAddr>,
) -> Slots {
    use crate::rules::LOCAL_SLOTS;
    let key = |address, number| Value::new().address(address).protocol(protocol_number(port.protocol)).port(number);
    let ours = |addresses: &[std::net::IpAddr]| addresses.iter().copied().find(|a| Family::of(*a) == family);
    let outside = ours(&service.external_ips).or_else(|| ours(&service.load_balancer_ips));
    let external = outside
        .map(|address| key(address, port.port))
        .or_else(|| port.node_port.map(|number| key(zero(family), number)));
    let internal = ours(&service.cluster_ips).map(|address| key(address, port.port));
    let list = |key: &Option<Value>, first| key.as_ref().map(|key| held(key, first)).unwrap_or_default();
    if service.internal_local {
        return Slots { main: list(&external, 0), local: list(&internal, 0) };
    }
    Slots { main: list(&internal, 0), local: list(&external, LOCAL_SLOTS) }
}

fn place(previous: &Slots, lists: &Lists, sticky: bool) -> Slots {
    let most = if sticky { MOST_STICKY } else { MOST_ENDPOINTS };
    Slots { main: slots(&previous.main, &lists.main, most), local: slots(&previous.local, &lists.local, most) }
}
