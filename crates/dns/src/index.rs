//! Services, EndpointSlices and Namespaces into the records of a [`Zone`]. Synchronous; holds no client.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    future,
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use hickory_proto::rr::Name;
use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::{Endpoint as SliceEndpoint, EndpointSlice},
};
use portolan_objects::{ObjectKey, endpoint, ports, service};
use portolan_runtime::{Change, Failure, Reconciler};

use crate::zone::{Endpoint, Records, Target, Zone};

/// One change of a watched kind.
#[expect(clippy::large_enum_variant, reason = "only one is on its way at a time")]
#[derive(Debug, Clone)]
pub enum Input {
    /// Services.
    Service(Change<Service>),
    /// EndpointSlices.
    Slice(Change<EndpointSlice>),
    /// Namespaces.
    Namespace(Change<Namespace>),
}

/// What has been seen so far. Owned by the watch loop, which is the zone's only writer.
pub struct Index {
    zone: Arc<Zone>,
    services: HashMap<ObjectKey, ServiceFacts>,
    /// The Service of each slice.
    slices: HashMap<ObjectKey, ObjectKey>,
    /// The slices of each Service by name, also of Services that are not known (yet).
    by_service: HashMap<ObjectKey, BTreeMap<String, SliceFacts>>,
    synced: [bool; 3],
}

/// The part of a Service that its names are made of.
struct ServiceFacts {
    kind: Kind,
    ports: Vec<Port>,
    publish_not_ready: bool,
}

enum Kind {
    ClusterIp(Vec<IpAddr>),
    Headless,
    External(String),
}

struct Port {
    name: String,
    protocol: String,
    number: u16,
}

/// The part of a slice that names are made of.
struct SliceFacts {
    hosts: Vec<Host>,
    ports: Vec<Port>,
}

struct Host {
    label: String,
    addresses: Vec<IpAddr>,
    ready: bool,
}

impl Index {
    /// An index that writes into `zone`.
    pub fn new(zone: Arc<Zone>) -> Self {
        Self { zone, services: HashMap::new(), slices: HashMap::new(), by_service: HashMap::new(), synced: [false; 3] }
    }

    /// Takes one change in; the zone answers accordingly when this returns.
    pub fn apply(&mut self, input: Input) {
        match input {
            Input::Service(Change::Apply(service)) => self.apply_service(&service),
            Input::Service(Change::Delete(service)) => self.remove_service(&ObjectKey::of(&service)),
            Input::Service(Change::Reset(services)) => self.reset_services(&services),
            Input::Slice(Change::Apply(slice)) => self.apply_slice(&slice),
            Input::Slice(Change::Delete(slice)) => self.remove_slice(&ObjectKey::of(&slice)),
            Input::Slice(Change::Reset(slices)) => self.reset_slices(&slices),
            Input::Namespace(Change::Apply(namespace)) => {
                self.zone.add_namespace(namespace.metadata.name.unwrap_or_default());
            }
            Input::Namespace(Change::Delete(namespace)) => {
                self.zone.remove_namespace(&namespace.metadata.name.unwrap_or_default());
            }
            Input::Namespace(Change::Reset(namespaces)) => {
                let names = namespaces.into_iter().filter_map(|namespace| namespace.metadata.name);
                self.zone.set_namespaces(names.collect());
                self.sync(2);
            }
        }
    }

    fn sync(&mut self, watch: usize) {
        self.synced[watch] = true;
        if self.synced == [true; 3] {
            self.zone.set_synced();
        }
    }

    fn apply_service(&mut self, service: &Service) {
        let key = ObjectKey::of(service);
        self.services.insert(key.clone(), ServiceFacts::of(service));
        self.publish(key);
    }

    fn remove_service(&mut self, key: &ObjectKey) {
        self.services.remove(key);
        self.publish(key.clone());
    }

    fn reset_services(&mut self, services: &[Service]) {
        let kept: HashSet<ObjectKey> = services.iter().map(ObjectKey::of).collect();
        let gone: Vec<ObjectKey> = self.services.keys().filter(|key| !kept.contains(key)).cloned().collect();
        gone.iter().for_each(|key| self.remove_service(key));
        services.iter().for_each(|service| self.apply_service(service));
        self.sync(0);
    }

    fn apply_slice(&mut self, slice: &EndpointSlice) {
        let key = ObjectKey::of(slice);
        let Some(service) = endpoint::service_of(slice) else { return self.remove_slice(&key) };
        if self.slices.get(&key).is_some_and(|old| *old != service) {
            self.remove_slice(&key);
        }
        let facts = SliceFacts::of(slice);
        self.by_service.entry(service.clone()).or_default().insert(key.name.clone(), facts);
        self.slices.insert(key, service.clone());
        self.publish(service);
    }

    fn remove_slice(&mut self, key: &ObjectKey) {
        let Some(service) = self.slices.remove(key) else { return };
        if let Some(slices) = self.by_service.get_mut(&service) {
            slices.remove(&key.name);
            if slices.is_empty() {
                self.by_service.remove(&service);
            }
        }
        self.publish(service);
    }

    fn reset_slices(&mut self, slices: &[EndpointSlice]) {
        let kept: HashSet<ObjectKey> = slices.iter().map(ObjectKey::of).collect();
        let gone: Vec<ObjectKey> = self.slices.keys().filter(|key| !kept.contains(key)).cloned().collect();
        gone.iter().for_each(|key| self.remove_slice(key));
        slices.iter().for_each(|slice| self.apply_slice(slice));
        self.sync(1);
    }

    /// Computes the records of one Service anew.
    fn publish(&self, key: ObjectKey) {
        let records = self
            .services
            .get(&key)
            .map(|service| service.records(self.by_service.get(&key).into_iter().flat_map(BTreeMap::values)));
        self.zone.put(key, records);
    }
}

/// The index is the whole job: nothing is ever planned, so nothing is ever applied.
impl Reconciler for Index {
    type Input = Input;
    type Key = ();
    type Plan = ();
    type Outcome = ();

    fn index(&mut self, input: Input, _dirty: &mut Vec<()>) {
        self.apply(input);
    }

    fn plan(&mut self, _key: &()) -> Option<()> {
        None
    }

    fn apply(&self, _key: (), _plan: ()) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        future::ready(Ok(()))
    }

    fn applied(&mut self, _key: &(), _outcome: ()) -> Option<Duration> {
        None
    }
}

// === impl ServiceFacts ===

impl ServiceFacts {
    fn of(service: &Service) -> Self {
        let kind = if service::is_external_name(service) {
            let name = service.spec.as_ref().and_then(|spec| spec.external_name.clone());
            Kind::External(name.unwrap_or_default())
        } else if service::is_headless(service) {
            Kind::Headless
        } else {
            Kind::ClusterIp(service::cluster_ips(service))
        };
        let ports = service::ports(service).iter();
        let ports = ports
            .filter_map(|port| Port::of(port.name.as_deref(), port.protocol.as_deref(), Some(port.port)))
            .collect();
        Self { kind, ports, publish_not_ready: service::publishes_not_ready(service) }
    }

    fn records<'a>(&self, slices: impl Iterator<Item = &'a SliceFacts>) -> Records {
        match &self.kind {
            Kind::ClusterIp(addresses) => {
                let served = |port: &Port| vec![Endpoint { port: port.number, host: None }];
                let ports = self.ports.iter().map(|port| (port.labels(), served(port)));
                Records { target: Target::Addresses(addresses.clone()), ports: ports.collect() }
            }
            Kind::Headless => self.headless(slices),
            Kind::External(name) => Records { target: alias(name), ports: BTreeMap::new() },
        }
    }

    fn headless<'a>(&self, slices: impl Iterator<Item = &'a SliceFacts>) -> Records {
        let mut hosts: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
        let mut ports: BTreeMap<(String, String), BTreeSet<Endpoint>> = BTreeMap::new();
        for slice in slices {
            let ready = slice.hosts.iter().filter(|host| host.ready || self.publish_not_ready);
            for host in ready.filter(|host| !host.addresses.is_empty()) {
                hosts.entry(host.label.clone()).or_default().extend(&host.addresses);
                for port in &slice.ports {
                    let endpoint = Endpoint { port: port.number, host: Some(host.label.clone()) };
                    ports.entry(port.labels()).or_default().insert(endpoint);
                }
            }
        }
        let ports = ports.into_iter().map(|(labels, set)| (labels, set.into_iter().collect()));
        Records { target: Target::Hosts(hosts), ports: ports.collect() }
    }
}

/// An ExternalName that is an address is no alias: no CNAME can point at it.
fn alias(name: &str) -> Target {
    let name = name.trim_end_matches('.');
    if name.is_empty() || name.parse::<IpAddr>().is_ok() {
        return Target::Nothing;
    }
    let labels = name.split('.').map(str::as_bytes);
    Name::from_labels(labels).map_or(Target::Nothing, Target::Alias)
}

impl Port {
    /// A port with a name; one without has no SRV record.
    fn of(name: Option<&str>, protocol: Option<&str>, number: Option<i32>) -> Option<Self> {
        let name = name.filter(|name| !name.is_empty())?.to_ascii_lowercase();
        let number = ports::number(number?)?;
        Some(Self { name, protocol: protocol.unwrap_or("tcp").to_ascii_lowercase(), number })
    }

    fn labels(&self) -> (String, String) {
        (self.name.clone(), self.protocol.clone())
    }
}

impl SliceFacts {
    fn of(slice: &EndpointSlice) -> Self {
        let ports = slice.ports.iter().flatten();
        let ports =
            ports.filter_map(|port| Port::of(port.name.as_deref(), port.protocol.as_deref(), port.port)).collect();
        let hosts = slice.endpoints.iter().flatten().filter_map(Host::of).collect();
        Self { hosts, ports }
    }
}

impl Host {
    /// `None` for an endpoint whose addresses are no IP addresses (address type FQDN).
    fn of(endpoint: &SliceEndpoint) -> Option<Self> {
        let addresses: Vec<IpAddr> = endpoint.addresses.iter().filter_map(|address| address.parse().ok()).collect();
        let first = addresses.first()?;
        let label = match &endpoint.hostname {
            Some(hostname) if !hostname.is_empty() => hostname.to_ascii_lowercase(),
            _ => first.to_string().replace(['.', ':'], "-"),
        };
        Some(Self { label, addresses, ready: endpoint::is_ready(endpoint) })
    }
}
