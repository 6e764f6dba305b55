//! What the checks of the data plane share: the addresses that nodes must have rules for, the endpoints behind each, and
//! whether evidence and slices are of the same moment.

use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::{
    core::v1::ServicePort,
    discovery::v1::{Endpoint, EndpointSlice},
};
use portolan_objects::{Family, Protocol, endpoint, labels, service};

use crate::{evidence::NodeEvidence, history::seconds_between, view::View};

/// A change younger than this may not have reached the kernel.
pub(crate) const SETTLING: i64 = 10;
/// Evidence and snapshot this far apart are not compared.
const APART: i64 = 120;
/// On a Service: another proxy than the usual one is responsible for it.
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";

/// One way into the Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Way {
    /// The address; `None` for a node port.
    pub(crate) address: Option<IpAddr>,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    /// Name of the Service's port.
    name: String,
    /// Families whose slices stand behind it.
    families: Vec<Family>,
    /// Only endpoints on the same node may be used.
    local: bool,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{}/{}", SocketAddr::new(address, self.port), self.protocol),
            None => write!(f, "node port {}/{}", self.port, self.protocol),
        }
    }
}

/// The ways that a proxy has to provide: none for aliases, headless Services, and Services of another proxy.
pub(crate) fn ways(view: &View<'_>) -> Vec<Way> {
    let of_service = view.service;
    let labels = of_service.metadata.labels.as_ref();
    let others = labels.is_some_and(|labels| labels.contains_key(OTHER_PROXY));
    if service::is_external_name(of_service) || service::is_headless(of_service) || others {
        return Vec::new();
    }
    let addresses = service::cluster_ips(of_service);
    let mut ways = Vec::new();
    for port in service::ports(of_service) {
        let base = |address, number: i32, families, local| {
            let port_number = u16::try_from(number).ok().filter(|number| *number > 0)?;
            let protocol = Protocol::of(port.protocol.as_deref());
            let name = port.name.clone().unwrap_or_default();
            Some(Way { address, port: port_number, protocol, name, families, local })
        };
        for address in &addresses {
            let local = service::internal_local(of_service);
            ways.extend(base(Some(*address), port.port, vec![Family::of(*address)], local));
        }
        if let Some(number) = port.node_port.filter(|_| service::has_node_ports(of_service)) {
            let families = addresses.iter().map(|address| Family::of(*address)).collect();
            ways.extend(base(None, number, families, service::external_local(of_service)));
        }
    }
    ways
}

/// The Service's port behind a way.
pub(crate) fn port_of<'a>(view: &View<'a>, way: &Way) -> Option<&'a ServicePort> {
    let is_it = |port: &&ServicePort| {
        port.name.as_deref().unwrap_or_default() == way.name && Protocol::of(port.protocol.as_deref()) == way.protocol
    };
    service::ports(view.service).iter().find(is_it)
}

/// Whether the Service says that its port speaks HTTP/1.
pub(crate) fn http_port(view: &View<'_>, way: &Way) -> bool {
    port_of(view, way).is_some_and(|port| says_http(&way.name, port.app_protocol.as_deref()))
}

/// Whether a port of this name and `appProtocol` speaks HTTP/1. The names are those that meshes go by.
pub(crate) fn says_http(name: &str, app_protocol: Option<&str>) -> bool {
    match app_protocol {
        Some(protocol) => protocol.eq_ignore_ascii_case("http"),
        None => name == "http" || name.starts_with("http-"),
    }
}

/// The slices of a way, each with the number of its port.
fn slices<'a>(view: &'a View<'a>, way: &'a Way) -> impl Iterator<Item = (&'a EndpointSlice, u16)> {
    let fits = |slice: &EndpointSlice| endpoint::family(slice).is_some_and(|family| way.families.contains(&family));
    view.slices.iter().filter(move |slice| fits(slice)).filter_map(|slice| {
        let ports = slice.ports.iter().flatten();
        let number = ports
            .filter(|port| port.name.as_deref().unwrap_or_default() == way.name)
            .find(|port| Protocol::of(port.protocol.as_deref()) == way.protocol)
            .and_then(|port| u16::try_from(port.port?).ok())?;
        Some((*slice, number))
    })
}

fn endpoints<'a>(view: &'a View<'a>, way: &'a Way) -> impl Iterator<Item = (&'a Endpoint, SocketAddr)> {
    slices(view, way).flat_map(|(slice, port)| {
        let all = slice.endpoints.iter().flatten();
        all.flat_map(move |endpoint| {
            let addresses = endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
            addresses.map(move |address| (endpoint, SocketAddr::new(address, port)))
        })
    })
}

/// Endpoints that take new connections, in the order of their addresses, with their nodes.
pub(crate) fn ready_endpoints<'a>(view: &'a View<'a>, way: &'a Way) -> Vec<(Option<&'a str>, SocketAddr)> {
    let ready = endpoints(view, way).filter(|(endpoint, _)| endpoint::is_ready(endpoint));
    let mut all: Vec<_> = ready.map(|(endpoint, address)| (endpoint.node_name.as_deref(), address)).collect();
    all.sort_by_key(|(_, address)| *address);
    all.dedup_by_key(|(_, address)| *address);
    all
}

/// What a node's rule may and must lead to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Endpoints that rules may have: ready ones, and those that still answer while they end.
    pub(crate) may: BTreeSet<SocketAddr>,
    /// Endpoints that the rule of this node must have.
    pub(crate) must: BTreeSet<SocketAddr>,
    /// All that are in the slices, in whatever state.
    pub(crate) known: BTreeSet<SocketAddr>,
}

pub(crate) fn expected(view: &View<'_>, way: &Way, node: &str) -> Expected {
    let mut expected = Expected::default();
    // With hints a node keeps to the endpoints of its zone, and which it may ignore is the proxy's business.
    let hinted = endpoints(view, way).any(|(endpoint, _)| endpoint.hints.is_some());
    for (endpoint, address) in endpoints(view, way) {
        expected.known.insert(address);
        let ready = endpoint::is_ready(endpoint);
        if ready || endpoint::is_serving(endpoint) {
            expected.may.insert(address);
        }
        let here = endpoint.node_name.as_deref() == Some(node);
        if ready && !hinted && (here || !way.local) {
            expected.must.insert(address);
        }
    }
    expected
}

/// Whether nothing changed so shortly before this evidence was taken, or after it, that the kernel may differ.
pub(crate) fn settled(view: &View<'_>, evidence: &NodeEvidence) -> bool {
    let at = evidence.taken_at.0;
    if seconds_between(at, view.now).abs() > APART {
        return false;
    }
    let written = |metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta| {
        let entries = metadata.managed_fields.iter().flatten().filter_map(|entry| entry.time.as_ref());
        let trigger = metadata.annotations.as_ref().and_then(|annotations| annotations.get(labels::TRIGGER_TIME));
        let trigger = trigger.and_then(|text| text.parse().ok());
        let deleted = metadata.deletion_timestamp.as_ref().map(|time| time.0);
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
        entries.map(|time| time.0).chain(trigger).chain(deleted).chain(created).collect::<Vec<_>>()
    };
    let readiness = view.selected.iter().filter_map(|pod| portolan_objects::pod::ready_changed(pod)).map(|time| time.0);
    let ending = view.selected.iter().filter_map(|pod| pod.metadata.deletion_timestamp.as_ref()).map(|time| time.0);
    let slices = view.slices.iter().flat_map(|slice| written(&slice.metadata));
    let mut changes = readiness.chain(ending).chain(slices).chain(written(&view.service.metadata));
    changes.all(|change| seconds_between(change, at) >= SETTLING)
}
