//! The cluster that manifests would make, if all went well.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use jiff::{Span, Timestamp};
use k8s_openapi::{
    api::{
        core::v1::{
            Container, ContainerPort, ContainerState, ContainerStateRunning, ContainerStatus, LoadBalancerIngress,
            LoadBalancerStatus, Namespace, Node, NodeCondition, NodeStatus, Pod, PodCondition, PodIP, PodSpec,
            PodStatus, Service, ServiceStatus,
        },
        discovery::v1::{Endpoint, EndpointConditions, EndpointSlice},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::{
        apis::meta::v1::{ObjectMeta, OwnerReference, Time},
        util::intstr::IntOrString,
    },
};
use portolan_objects::{Family, labels, pod, ports::PortSet, service};

use crate::{
    Scope, Snapshot, Workload,
    lint::world::{Maker, Served, World},
};

/// The only node.
const NODE: &str = "node";

/// Grows into a snapshot.
pub(super) struct WouldBe {
    snapshot: Snapshot,
    /// Places of makers' pods in the snapshot.
    pods: BTreeMap<(String, String), usize>,
    /// Addresses given away.
    given: u32,
}

impl Default for WouldBe {
    fn default() -> Self {
        let mut snapshot = Snapshot::empty(Time(now()), Scope::Manifests);
        snapshot.nodes.push(node());
        Self { snapshot, pods: BTreeMap::new(), given: 0 }
    }
}

/// Any moment will do: nothing here depends on the clock.
fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(Span::new().days(1).hours(0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Long enough ago for everything to have settled.
fn created() -> Option<Time> {
    Some(Time(Timestamp::UNIX_EPOCH))
}

impl WouldBe {
    /// A Service, and the pods behind it: those of `makers`, or one that fits if there are none.
    pub(super) fn service(&mut self, served: &Served<'_>, makers: &[&Maker<'_>]) {
        let service = self.addressed(served);
        let own: Vec<usize> = makers.iter().map(|maker| self.pod_of(maker)).collect();
        let places = match (own.is_empty(), service::is_external_name(&service)) {
            (false, _) => own,
            (true, true) => Vec::new(),
            (true, false) => vec![self.assumed(&service)],
        };
        for (number, (ports, places)) in by_ports(&self.snapshot.pods, &service, places).into_iter().enumerate() {
            for family in service::families(&service) {
                let slice = self.slice(&service, family, number, &ports, &places);
                self.snapshot.slices.push(slice);
            }
        }
        self.snapshot.services.push(service);
    }

    /// NetworkPolicies and namespaces.
    pub(super) fn policies(&mut self, world: &World<'_>) {
        for object in world.objects {
            if (object.group(), object.kind.as_str()) == ("networking.k8s.io", "NetworkPolicy") {
                let policy: Result<NetworkPolicy, _> = serde_json::from_value(object.value.clone());
                if let Ok(mut policy) = policy {
                    policy.metadata.namespace = Some(object.key.namespace.clone());
                    self.snapshot.network_policies.push(policy);
                }
            }
        }
    }

    pub(super) fn finish(mut self) -> Snapshot {
        let names = self.snapshot.services.iter().filter_map(|service| service.metadata.namespace.clone());
        let names: std::collections::BTreeSet<String> = names.collect();
        let namespace = |name| Namespace {
            metadata: ObjectMeta { name: Some(name), creation_timestamp: created(), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        self.snapshot.namespaces = names.into_iter().map(namespace).collect();
        self.snapshot
    }

    /// The Service with what the API server and a balancer would have given it.
    fn addressed(&mut self, served: &Served<'_>) -> Service {
        let mut service = served.service.clone();
        service.metadata.namespace = Some(served.object.key.namespace.clone());
        service.metadata.name = Some(served.object.key.name.clone());
        service.metadata.creation_timestamp = created();
        let (alias, balancer) = (service::is_external_name(&service), service::is_load_balancer(&service));
        let Some(spec) = &mut service.spec else { return service };
        if !alias {
            let dual = spec.ip_family_policy.as_deref() == Some("RequireDualStack");
            let first = spec.ip_families.iter().flatten().next().cloned().unwrap_or_else(|| "IPv4".to_owned());
            let second = if first == "IPv4" { "IPv6" } else { "IPv4" };
            let asked = spec.ip_families.as_ref().map_or(0, Vec::len);
            let families = if dual || asked > 1 { vec![first, second.to_owned()] } else { vec![first] };
            if spec.cluster_ip.as_deref().unwrap_or_default().is_empty() {
                let ips: Vec<String> = families.iter().map(|family| self.service_address(family == "IPv6")).collect();
                spec.cluster_ip = ips.first().cloned();
                spec.cluster_ips = Some(ips);
            }
            spec.ip_families = Some(families);
        }
        if balancer {
            let ip = Some(self.service_address(false));
            let ingress = Some(vec![LoadBalancerIngress { ip, ..LoadBalancerIngress::default() }]);
            let load_balancer = Some(LoadBalancerStatus { ingress });
            service.status = Some(ServiceStatus { load_balancer, ..ServiceStatus::default() });
        }
        service
    }

    fn next(&mut self) -> u32 {
        self.given += 1;
        self.given
    }

    /// Of the ranges for benchmarks and documentation: no manifest asks for them.
    fn service_address(&mut self, six: bool) -> String {
        let number = self.next();
        if six {
            Ipv6Addr::from(0x2001_0db8_0001_u128 << 80 | u128::from(number)).to_string()
        } else {
            Ipv4Addr::from(0xc612_0000 | (number & 0x1_ffff)).to_string()
        }
    }

    /// The pod of a maker; made when first asked for.
    fn pod_of(&mut self, maker: &Maker<'_>) -> usize {
        let object = maker.object;
        let key = (object.key.namespace.clone(), object.to_string());
        if let Some(place) = self.pods.get(&key) {
            return *place;
        }
        let labels = maker.labels().cloned().unwrap_or_default();
        let mut pod = maker.pod.clone();
        pod.metadata.name = Some(object.key.name.clone());
        if object.kind != "Pod" {
            pod.metadata.owner_references = Some(vec![OwnerReference {
                api_version: object.api_version.clone(),
                kind: object.kind.clone(),
                name: object.key.name.clone(),
                controller: Some(true),
                ..OwnerReference::default()
            }]);
        }
        let place = self.run(pod);
        self.pods.insert(key, place);
        if object.kind != "Pod" {
            self.snapshot.workloads.push(Workload {
                namespace: object.key.namespace.clone(),
                kind: object.kind.to_lowercase(),
                name: object.key.name.clone(),
                labels,
                // Something may scale it up.
                replicas: Some(maker.replicas.unwrap_or(1).max(1)),
                owned: false,
            });
        }
        place
    }

    /// A pod that another file may make: it has the labels that are asked for and listens where it should.
    fn assumed(&mut self, service: &Service) -> usize {
        let ports = service::ports(service).iter().map(|port| {
            let (name, number) = match service::target_port(port) {
                IntOrString::Int(number) => (None, number),
                IntOrString::String(name) => (Some(name), port.port),
            };
            ContainerPort { name, container_port: number, protocol: port.protocol.clone(), ..ContainerPort::default() }
        });
        let container = Container { name: "assumed".to_owned(), ports: Some(ports.collect()), ..Container::default() };
        let metadata = ObjectMeta {
            name: service.metadata.name.clone(),
            namespace: service.metadata.namespace.clone(),
            labels: service.spec.as_ref().and_then(|spec| spec.selector.clone()),
            ..ObjectMeta::default()
        };
        let spec = PodSpec { containers: vec![container], ..PodSpec::default() };
        self.run(Pod { metadata, spec: Some(spec), status: None })
    }

    /// Starts a pod.
    fn run(&mut self, mut pod: Pod) -> usize {
        let number = self.next();
        let four = IpAddr::from(Ipv4Addr::from(0x0a80_0000 | (number & 0x7f_ffff)));
        let six = IpAddr::from(Ipv6Addr::from(0x2001_0db8_0002_u128 << 80 | u128::from(number)));
        pod.metadata.creation_timestamp = created();
        pod.metadata.uid = Some(format!("pod-{number}"));
        let spec = pod.spec.get_or_insert_default();
        spec.node_name = Some(NODE.to_owned());
        let statuses = spec.containers.iter().map(|container| ContainerStatus {
            name: container.name.clone(),
            ready: true,
            started: Some(true),
            state: Some(ContainerState {
                running: Some(ContainerStateRunning::default()),
                ..ContainerState::default()
            }),
            ..ContainerStatus::default()
        });
        let condition = |kind: &str| PodCondition {
            type_: kind.to_owned(),
            status: "True".to_owned(),
            last_transition_time: created(),
            ..PodCondition::default()
        };
        pod.status = Some(PodStatus {
            phase: Some("Running".to_owned()),
            pod_ip: Some(four.to_string()),
            pod_ips: Some([four, six].iter().map(|ip| PodIP { ip: ip.to_string() }).collect()),
            conditions: Some(["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(condition).to_vec()),
            container_statuses: Some(statuses.collect()),
            start_time: created(),
            ..PodStatus::default()
        });
        self.snapshot.pods.push(pod);
        self.snapshot.pods.len() - 1
    }

    fn slice(
        &self,
        service: &Service,
        family: Family,
        number: usize,
        ports: &PortSet,
        places: &[usize],
    ) -> EndpointSlice {
        let name = service.metadata.name.clone().unwrap_or_default();
        let endpoint = |place: &usize| {
            let pod = self.snapshot.pods.get(*place)?;
            let address = pod::ip(pod, family)?;
            let conditions = EndpointConditions { ready: Some(true), serving: Some(true), terminating: Some(false) };
            Some(Endpoint {
                addresses: vec![address.to_string()],
                node_name: Some(NODE.to_owned()),
                conditions: Some(conditions),
                ..Endpoint::default()
            })
        };
        let pairs = [(labels::SERVICE_NAME, name.as_str()), (labels::SLICE_MANAGED_BY, labels::SLICE_CONTROLLER)];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
        EndpointSlice {
            metadata: ObjectMeta {
                name: Some(format!("{name}-{number}-{family}")),
                namespace: service.metadata.namespace.clone(),
                labels: Some(pairs.into()),
                creation_timestamp: created(),
                ..ObjectMeta::default()
            },
            address_type: family.to_string(),
            ports: Some(ports.to_slice()),
            endpoints: Some(places.iter().filter_map(endpoint).collect()),
        }
    }
}

/// Pods grouped by the ports that the Service finds on them.
fn by_ports(pods: &[Pod], service: &Service, places: Vec<usize>) -> BTreeMap<PortSet, Vec<usize>> {
    let mut groups: BTreeMap<PortSet, Vec<usize>> = BTreeMap::new();
    for place in places {
        if let Some(pod) = pods.get(place) {
            groups.entry(PortSet::resolve(service, pod)).or_default().push(place);
        }
    }
    groups
}

fn node() -> Node {
    let ready = NodeCondition { type_: "Ready".to_owned(), status: "True".to_owned(), ..NodeCondition::default() };
    Node {
        metadata: ObjectMeta { name: Some(NODE.to_owned()), creation_timestamp: created(), ..ObjectMeta::default() },
        status: Some(NodeStatus { conditions: Some(vec![ready]), ..NodeStatus::default() }),
        ..Node::default()
    }
}
