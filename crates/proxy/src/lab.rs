//! A node, pods and an outside host in network namespaces of a private world, with the real proxy on the node, fed
//! with objects by hand. What packets do is asked with real connections.
#![allow(clippy::unwrap_used)]

mod api;
mod changes;
mod features;
mod flush;
mod six;
mod trouble;

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use ipnet::IpNet;
use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use portolan_netns::Namespace;
use portolan_nftables::{Data, Element, Family, Socket, TableId, Value};
use portolan_runtime::{Change, Inputs};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinHandle,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Config, Input, OPTIONS, TABLE, prepare};

/// Long enough for a loaded machine; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long no answer at all means "dropped", where that is expected.
const SILENCE: Duration = Duration::from_millis(300);
/// The same where an answer is expected: below the second after which TCP would send again and hide a loss.
const ANSWER: Duration = Duration::from_millis(900);

pub(super) const OUTSIDE: &str = "198.51.100.1";
pub(super) const NODE: &str = "198.51.100.2";

/// A pod: name, address, and whether it is on the node (the others are on another one).
const PODS: [(&str, &str, bool); 3] =
    [("a", "10.244.1.11", true), ("b", "10.244.1.12", true), ("c", "10.244.2.11", false)];

/// The namespaces.
pub(super) struct Lab {
    pub(super) node: Namespace,
    pub(super) outside: Namespace,
    pods: Vec<(&'static str, Namespace)>,
    sentinel: u16,
}

/// What came of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// The pod that answered and the client address it saw.
    Reached(String, IpAddr),
    Refused,
    Dropped,
    Other(String),
}

impl Lab {
    /// Builds it in the namespace of the calling thread, which becomes the outside. `None` if `/proc/sys` is closed.
    pub(super) fn new(test: &str) -> Option<Self> {
        let outside = Namespace::current().unwrap();
        let node = Namespace::create().unwrap();
        for (setting, value) in [
            ("net/ipv4/ip_forward", "1"),
            ("net/ipv4/conf/all/rp_filter", "0"),
            // Refusals of datagrams come as ICMP, of which there are normally few a second.
            ("net/ipv4/icmp_ratelimit", "0"),
        ] {
            if let Err(error) = node.sysctl(setting, value) {
                portolan_netns::world::skip(test, &error.to_string());
                return None;
            }
        }
        let net = |text: &str| -> IpNet { text.parse().unwrap() };
        let mut here = outside.links().unwrap();
        here.veth("out0", "eth0", &node).unwrap();
        here.add_address("out0", net(&format!("{OUTSIDE}/24"))).unwrap();
        here.up("out0").unwrap();
        let mut links = node.links().unwrap();
        links.add_address("eth0", net(&format!("{NODE}/24"))).unwrap();
        links.up("eth0").unwrap();
        links.add_route(net("0.0.0.0/0"), Some(OUTSIDE.parse().unwrap()), None, false).unwrap();
        for route in ["10.244.0.0/16", "10.96.0.0/16", "203.0.113.0/24"] {
            here.add_route(net(route), Some(NODE.parse().unwrap()), None, false).unwrap();
        }
        introduce(&outside, "out0", NODE, &node, "eth0", OUTSIDE);
        let pods = PODS.iter().map(|(name, address, _)| (*name, pod(&node, name, address))).collect();
        Some(Self { node, outside, pods, sentinel: 0 })
    }

    pub(super) fn namespace(&self, name: &str) -> &Namespace {
        match name {
            "outside" => &self.outside,
            "node" => &self.node,
            name => &self.pods.iter().find(|(pod, _)| *pod == name).unwrap().1,
        }
    }

    /// Starts the pods' servers: each answers TCP and UDP on port 8080 with its name and the client's address.
    pub(super) fn serve(&self) {
        for (name, namespace) in &self.pods {
            let name = *name;
            // Both families in one socket; clients are named in their own.
            let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080));
            let tcp = tokio::net::TcpListener::from_std(namespace.tcp_listen(address).unwrap()).unwrap();
            tokio::spawn(async move {
                while let Ok((mut stream, client)) = tcp.accept().await {
                    tokio::spawn(async move {
                        stream.write_all(format!("{name} {}", client.ip().to_canonical()).as_bytes()).await
                    });
                }
            });
            let udp = tokio::net::UdpSocket::from_std(namespace.udp_bind(address).unwrap()).unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 64];
                while let Ok((_, client)) = udp.recv_from(&mut buffer).await {
                    let _ = udp.send_to(format!("{name} {}", client.ip().to_canonical()).as_bytes(), client).await;
                }
            });
        }
    }

    /// A configuration for the proxy on the node.
    pub(super) fn config(&self) -> Config {
        Config {
            pod_cidrs: vec!["10.244.0.0/16".parse().unwrap()],
            service_cidr: Some("10.96.0.0/16".parse().unwrap()),
            ..Config::new("node-1", self.node.clone())
        }
    }

    /// A netlink socket of somebody else on the node.
    pub(super) fn stranger(&self) -> Socket {
        self.node.run(Socket::open).unwrap().unwrap()
    }

    /// Waits until every change sent before has reached the kernel: a marker is sent behind them.
    pub(super) async fn settle(&mut self, feed: &Feed) {
        self.sentinel += 1;
        let number = self.sentinel;
        feed.put(service("zz-sentinel", json!({"clusterIP": "10.96.255.254", "ports": [{"port": number}]})));
        feed.put_slice(slice("zz-sentinel", &[], &[("10.244.9.9", "node-9")], i32::from(number)));
        let address = |text: &str| Value::new().address(text.parse().unwrap());
        let key = address("10.96.255.254").protocol(6).port(number).number(0);
        let marker = Element::map(key, Data::Value(address("10.244.9.9").port(number)));
        let mut socket = self.stranger();
        let start = Instant::now();
        // A new table gets its hooks after its elements.
        let mut hooked = || socket.chains(&table()).is_ok_and(|chains| chains.iter().any(|name| name == "postrouting"));
        let mut dump = self.stranger();
        while !(dump.elements(&table(), "ep").unwrap_or_default().contains(&marker) && hooked()) {
            assert!(start.elapsed() < PATIENCE, "the proxy did not take the changes");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

pub(super) fn table() -> TableId {
    TableId::new(Family::Ip, TABLE)
}

fn pod(node: &Namespace, name: &str, address: &str) -> Namespace {
    let net = |text: &str| -> IpNet { text.parse().unwrap() };
    let namespace = Namespace::create().unwrap();
    let device = format!("pod-{name}");
    let mut links = node.links().unwrap();
    links.veth(&device, "eth0", &namespace).unwrap();
    links.up(&device).unwrap();
    links.add_route(net(&format!("{address}/32")), None, Some(&device), false).unwrap();
    let mut inside = namespace.links().unwrap();
    inside.add_address("eth0", net(&format!("{address}/32"))).unwrap();
    inside.up("eth0").unwrap();
    let gateway = Some("169.254.1.1".parse().unwrap());
    inside.add_route(net("0.0.0.0/0"), gateway, Some("eth0"), true).unwrap();
    introduce(&namespace, "eth0", "169.254.1.1", node, &device, address);
    namespace
}

/// Both ends of a link know each other for good: a question for a neighbour takes time and can lose a packet.
fn introduce(a: &Namespace, a_device: &str, b_address: &str, b: &Namespace, b_device: &str, a_address: &str) {
    let (mut a, mut b) = (a.links().unwrap(), b.links().unwrap());
    let (a_hardware, b_hardware) = (a.hardware_address(a_device).unwrap(), b.hardware_address(b_device).unwrap());
    a.set_neighbour(a_device, b_address.parse().unwrap(), &b_hardware).unwrap();
    b.set_neighbour(b_device, a_address.parse().unwrap(), &a_hardware).unwrap();
}

/// Connects once and asks who is there, expecting an answer.
pub(super) async fn ask(from: &Namespace, protocol: &str, destination: &str) -> Outcome {
    ask_within(ANSWER, from, protocol, destination).await
}

/// The same with a limit of its own.
pub(super) async fn ask_within(limit: Duration, from: &Namespace, protocol: &str, destination: &str) -> Outcome {
    let destination: SocketAddr = destination.parse().unwrap();
    let dialog = async {
        match protocol {
            "tcp" => {
                let mut stream = from.tcp_connect(destination).await?;
                let mut text = String::new();
                stream.read_to_string(&mut text).await?;
                Ok(text)
            }
            _ => ask_udp(&from.udp_connect(destination).await?).await,
        }
    };
    outcome(timeout(limit, dialog).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())))
}

pub(super) async fn ask_udp(socket: &tokio::net::UdpSocket) -> io::Result<String> {
    let mut buffer = [0; 64];
    socket.send(b"?").await?;
    let length = socket.recv(&mut buffer).await?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn outcome(result: io::Result<String>) -> Outcome {
    match result {
        Ok(text) => match text.split_once(' ') {
            Some((pod, client)) => Outcome::Reached(pod.to_owned(), client.parse().unwrap()),
            None => Outcome::Other(text),
        },
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => Outcome::Refused,
            // The node's own refused datagram dies in the output hook.
            io::ErrorKind::PermissionDenied => Outcome::Refused,
            io::ErrorKind::TimedOut => Outcome::Dropped,
            _ => Outcome::Other(error.to_string()),
        },
    }
}

/// The running proxy and its inputs.
pub(super) struct Feed {
    services: UnboundedSender<Change<Service>>,
    slices: UnboundedSender<Change<EndpointSlice>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Feed {
    /// Starts the proxy with these objects as its first sets.
    pub(super) fn start(config: &Config, services: Vec<Service>, slices: Vec<EndpointSlice>) -> Self {
        let stop = CancellationToken::new();
        let (part, signals) = prepare(config, &stop).unwrap();
        let (service_sender, service_changes) = unbounded_channel();
        let (slice_sender, slice_changes) = unbounded_channel();
        let node: Node = serde_json::from_value(json!({
            "metadata": {"name": "node-1"},
            "status": {"addresses": [{"type": "InternalIP", "address": NODE}]},
        }))
        .unwrap();
        service_sender.send(Change::Reset(services)).unwrap();
        slice_sender.send(Change::Reset(slices)).unwrap();
        let inputs = Inputs::new()
            .stream(stream(service_changes), |change| Input::Service(Box::new(change)))
            .stream(stream(slice_changes), |change| Input::Slice(Box::new(change)))
            .stream(futures::stream::iter([Change::Reset(vec![node])]), |change| Input::Node(Box::new(change)))
            .signal(signals);
        let loop_metrics = config.metrics.loop_metrics.clone();
        let task = tokio::spawn(portolan_runtime::run(part, inputs, OPTIONS, loop_metrics, stop.clone()));
        Self { services: service_sender, slices: slice_sender, stop, task }
    }

    pub(super) fn put(&self, service: Service) {
        self.services.send(Change::Apply(service)).unwrap();
    }

    pub(super) fn put_slice(&self, slice: EndpointSlice) {
        self.slices.send(Change::Apply(slice)).unwrap();
    }

    pub(super) fn delete(&self, service: Service) {
        self.services.send(Change::Delete(service)).unwrap();
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn stream<T: Send + 'static>(
    mut changes: tokio::sync::mpsc::UnboundedReceiver<T>,
) -> impl futures::Stream<Item = T> + Send {
    futures::stream::poll_fn(move |context| changes.poll_recv(context))
}

/// A Service from its spec; `ingress` addresses go to its status.
pub(super) fn service(name: &str, mut spec: serde_json::Value) -> Service {
    let ingress = spec.as_object_mut().unwrap().remove("ingress").unwrap_or(json!([]));
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": name},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": ingress}},
    }))
    .unwrap()
}

/// The pods behind names such as `abc`.
pub(super) fn pods(names: &str) -> Vec<(&'static str, &'static str)> {
    let chosen = PODS.iter().filter(|(name, _, _)| names.contains(name));
    chosen.map(|(_, address, here)| (*address, if *here { "node-1" } else { "node-2" })).collect()
}

/// A slice with ready endpoints; `names` are the ports' names, one unnamed TCP port if there are none.
pub(super) fn slice(service: &str, names: &[(&str, &str)], endpoints: &[(&str, &str)], port: i32) -> EndpointSlice {
    let ports: Vec<_> = match names {
        [] => vec![json!({"name": "", "protocol": "TCP", "port": port})],
        names => {
            names.iter().map(|(name, protocol)| json!({"name": name, "protocol": protocol, "port": port})).collect()
        }
    };
    let six = endpoints.first().is_some_and(|(address, _)| address.contains(':'));
    let address_type = if six { "IPv6" } else { "IPv4" };
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|(address, node)| json!({"addresses": [address], "nodeName": node, "conditions": {"ready": true}}))
        .collect();
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": format!("{service}-x"),
                     "labels": {"kubernetes.io/service-name": service}},
        "addressType": address_type, "ports": ports, "endpoints": endpoints,
    }))
    .unwrap()
}

/// Runs a test in a world, with a runtime.
pub(super) fn in_world<F: Future<Output = ()>>(test: &str, body: impl FnOnce(Lab) -> F) {
    if !portolan_netns::world::enter_for_test(test) {
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let guard = runtime.enter();
    if let Some(lab) = Lab::new(test) {
        runtime.block_on(body(lab));
    }
    drop(guard);
    runtime.shutdown_background();
}

/// What came of `attempts` connections; none means a single one that should be dropped.
pub(super) async fn reached(from: &Namespace, protocol: &str, destination: &str, attempts: usize) -> BTreeSet<Outcome> {
    let mut seen = BTreeSet::new();
    if attempts == 0 {
        return [ask_within(SILENCE, from, protocol, destination).await].into();
    }
    for _ in 0..attempts {
        seen.insert(ask(from, protocol, destination).await);
    }
    seen
}
