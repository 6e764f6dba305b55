//! Loopback ports on the host for what the outside of the world can reach: node ports and balancer addresses.
//!
//! index: Services -> plan: which forwards a Service should have -> apply: a listener on the host's loopback (lent by
//! the broker) and a task that carries its connections into the world. Nothing here balances or rewrites: a connection
//! enters the world from the outside address and meets the edge and the nodes like any other.

use std::{
    collections::{BTreeMap, HashMap},
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, runtime::watcher};
use portolan_netns::broker::BrokerClient;
use portolan_objects::{ObjectKey, Protocol};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, warn};

use crate::output;

/// Connections that one forward carries at a time; more wait in the listener's backlog.
const CONNECTIONS: usize = 1024;
/// UDP clients that one forward remembers, and for how long without a datagram.
const UDP_CLIENTS: usize = 256;
const UDP_IDLE: Duration = Duration::from_secs(60);

/// One way in: what is reachable inside the world under a node port or a balancer address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Entrance {
    inside: SocketAddr,
    protocol: Protocol,
    /// The host port to take if it is free: a node port keeps its number.
    wish: u16,
}

impl fmt::Display for Entrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.inside, self.protocol)
    }
}

/// A forward that is open; dropping it closes it.
struct Open {
    outside: SocketAddr,
    _guard: DropGuard,
}

struct Forwarder {
    broker: Arc<BrokerClient>,
    node: IpAddr,
    list: PathBuf,
    /// Host ports of the last run, by `NAMESPACE/NAME INSIDE/PROTOCOL`.
    remembered: HashMap<String, u16>,
    services: HashMap<ObjectKey, Service>,
    open: BTreeMap<ObjectKey, BTreeMap<Entrance, Open>>,
}

/// What has to change for one Service.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    open: Vec<Entrance>,
    close: Vec<Entrance>,
}

/// Keeps the forwards in step with the Services until `stop`. `node` is the node whose address stands for all node
/// ports; the open forwards are printed and listed in the file `list`.
pub async fn run(client: Client, broker: Arc<BrokerClient>, node: IpAddr, list: PathBuf, stop: CancellationToken) {
    let inputs = Inputs::new().watch(Api::<Service>::all(client), watcher::Config::default(), |change| change);
    let options = Options {
        name: "forwards",
        workers: 4,
        backoff: Backoff { base: Duration::from_millis(200), max: Duration::from_secs(30), attempts: None },
        timeout: Duration::from_secs(5),
    };
    let remembered = remembered(&std::fs::read_to_string(&list).unwrap_or_default());
    let part = Forwarder { broker, node, list, remembered, services: HashMap::new(), open: BTreeMap::new() };
    portolan_runtime::run(part, inputs, options, Metrics::default(), stop).await;
}

impl Reconciler for Forwarder {
    type Input = Change<Service>;
    type Key = ObjectKey;
    type Plan = Plan;
    type Outcome = (Vec<(Entrance, Open)>, Vec<Entrance>);

    fn index(&mut self, change: Self::Input, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Reset(services) => {
                dirty.extend(self.open.keys().cloned());
                self.services = services.into_iter().map(|service| (ObjectKey::of(&service), service)).collect();
                dirty.extend(self.services.keys().cloned());
            }
            Change::Apply(service) => {
                let key = ObjectKey::of(&service);
                self.services.insert(key.clone(), service);
                dirty.push(key);
            }
            Change::Delete(service) => {
                let key = ObjectKey::of(&service);
                self.services.remove(&key);
                dirty.push(key);
            }
        }
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<Plan> {
        let mut wanted = self.services.get(key).map(|service| entrances(service, self.node)).unwrap_or_default();
        for entrance in wanted.iter_mut().filter(|entrance| entrance.wish == 0) {
            entrance.wish = self.remembered.get(&format!("{key} {entrance}")).copied().unwrap_or_default();
        }
        let current = self.open.get(key);
        let has = |entrance: &Entrance| current.is_some_and(|open| open.contains_key(entrance));
        let plan = Plan {
            open: wanted.iter().filter(|entrance| !has(entrance)).cloned().collect(),
            close: current
                .into_iter()
                .flat_map(BTreeMap::keys)
                .filter(|open| !wanted.contains(open))
                .cloned()
                .collect(),
        };
        (!plan.open.is_empty() || !plan.close.is_empty()).then_some(plan)
    }

    fn apply(
        &self,
        key: ObjectKey,
        plan: Plan,
    ) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send + 'static {
        let broker = self.broker.clone();
        async move {
            let mut opened = Vec::new();
            for entrance in plan.open {
                let forward = open(&broker, &entrance).map_err(|error| Failure::new(&error))?;
                output::say(format!("forward    {key} {entrance} on {}", forward.outside));
                opened.push((entrance, forward));
            }
            Ok((opened, plan.close))
        }
    }

    fn applied(&mut self, key: &ObjectKey, (opened, closed): Self::Outcome) -> Option<Duration> {
        let forwards = self.open.entry(key.clone()).or_default();
        for entrance in &closed {
            if forwards.remove(entrance).is_some() {
                output::say(format!("forward    {key} {entrance} closed"));
            }
        }
        forwards.extend(opened);
        if forwards.is_empty() {
            self.open.remove(key);
        }
        if let Err(error) = self.write_list() {
            warn!(file = %self.list.display(), %error, "cannot list the forwards");
        }
        None
    }
}

impl Forwarder {
    /// `NAMESPACE/NAME INSIDE/PROTOCOL OUTSIDE`, one forward a line.
    fn write_list(&self) -> io::Result<()> {
        let lines: String = self
            .open
            .iter()
            .flat_map(|(key, forwards)| forwards.iter().map(move |(entrance, open)| (key, entrance, open)))
            .map(|(key, entrance, open)| format!("{key} {}/{} {}\n", entrance.inside, entrance.protocol, open.outside))
            .collect();
        std::fs::write(&self.list, lines)
    }
}

/// The ports in a list that [`Forwarder::write_list`] wrote: a balancer keeps its port on the host over a restart.
fn remembered(list: &str) -> HashMap<String, u16> {
    list.lines()
        .filter_map(|line| {
            let (entrance, outside) = line.rsplit_once(' ')?;
            Some((entrance.to_owned(), outside.parse::<SocketAddr>().ok()?.port()))
        })
        .collect()
}

/// The node ports and balancer addresses of a Service.
fn entrances(service: &Service, node: IpAddr) -> Vec<Entrance> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let balancers: Vec<IpAddr> = service
        .status
        .iter()
        .filter_map(|status| status.load_balancer.as_ref()?.ingress.as_ref())
        .flatten()
        .filter_map(|ingress| ingress.ip.as_ref()?.parse().ok())
        .collect();
    let mut entrances = Vec::new();
    for port in spec.ports.iter().flatten() {
        let Ok(protocol) = port.protocol.as_deref().unwrap_or("TCP").parse::<Protocol>() else { continue };
        if protocol == Protocol::Sctp {
            continue;
        }
        if let Some(number) = port.node_port.and_then(|number| u16::try_from(number).ok()) {
            entrances.push(Entrance { inside: SocketAddr::new(node, number), protocol, wish: number });
        }
        if let Ok(number) = u16::try_from(port.port) {
            let at = |address: &IpAddr| Entrance { inside: SocketAddr::new(*address, number), protocol, wish: 0 };
            entrances.extend(balancers.iter().map(at));
        }
    }
    entrances
}

/// Opens the host's side of a forward and starts to carry.
fn open(broker: &BrokerClient, entrance: &Entrance) -> io::Result<Open> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stop = CancellationToken::new();
    let outside = match entrance.protocol {
        Protocol::Tcp => {
            let listener = broker.tcp_listen(loopback(entrance.wish)).or_else(|_| broker.tcp_listen(loopback(0)))?;
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            let outside = listener.local_addr()?;
            tokio::spawn(stop.clone().run_until_cancelled_owned(carry_tcp(listener, entrance.inside)));
            outside
        }
        Protocol::Udp => {
            let socket = broker.udp_bind(loopback(entrance.wish)).or_else(|_| broker.udp_bind(loopback(0)))?;
            socket.set_nonblocking(true)?;
            let socket = UdpSocket::from_std(socket)?;
            let outside = socket.local_addr()?;
            tokio::spawn(stop.clone().run_until_cancelled_owned(carry_udp(socket, entrance.inside)));
            outside
        }
        Protocol::Sctp => return Err(io::Error::new(io::ErrorKind::Unsupported, "SCTP is not forwarded to the host")),
    };
    Ok(Open { outside, _guard: stop.drop_guard() })
}

async fn carry_tcp(listener: TcpListener, inside: SocketAddr) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((mut client, _)) => drop(tokio::spawn(async move {
                let _slot = slot;
                // A failed connect closes the client's connection: that is the answer it would get inside.
                match TcpStream::connect(inside).await {
                    Ok(mut server) => drop(tokio::io::copy_bidirectional(&mut client, &mut server).await),
                    Err(error) => debug!(%inside, %error, "a forwarded connection was not accepted inside"),
                }
            })),
            // Out of descriptors, mostly: wait for some to come back instead of spinning.
            Err(error) => {
                warn!(%inside, %error, "cannot accept a connection to forward");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn carry_udp(socket: UdpSocket, inside: SocketAddr) {
    let socket = Arc::new(socket);
    let mut clients: HashMap<SocketAddr, (Arc<UdpSocket>, CancellationToken)> = HashMap::new();
    let mut buffer = vec![0; 65_536];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut buffer).await else { continue };
        clients.retain(|_, (_, ended)| !ended.is_cancelled());
        if !clients.contains_key(&client) {
            if clients.len() >= UDP_CLIENTS {
                debug!(%inside, "too many UDP clients at a time, a datagram is dropped");
                continue;
            }
            let Ok(upstream) = connect_udp(inside).await else { continue };
            let (upstream, ended) = (Arc::new(upstream), CancellationToken::new());
            tokio::spawn(answer_udp(socket.clone(), upstream.clone(), client, ended.clone()));
            clients.insert(client, (upstream, ended));
        }
        if let Some((upstream, _)) = clients.get(&client) {
            // A lost datagram is UDP's ordinary fate; the client asks again.
            drop(upstream.send(&buffer[..length]).await);
        }
    }
}

async fn connect_udp(inside: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(inside).await?;
    Ok(socket)
}

/// Carries answers back until the client has been silent for a while.
async fn answer_udp(to: Arc<UdpSocket>, from: Arc<UdpSocket>, client: SocketAddr, ended: CancellationToken) {
    let _ended = ended.drop_guard();
    let mut buffer = vec![0; 65_536];
    while let Ok(Ok(length)) = tokio::time::timeout(UDP_IDLE, from.recv(&mut buffer)).await {
        if to.send_to(&buffer[..length], client).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ports_of_the_last_run_are_remembered_by_service_and_entrance() {
        let list = "default/web 203.0.113.1:80/TCP 127.0.0.1:40001\nnonsense\n";
        let ports = remembered(list);
        assert_eq!(ports.get("default/web 203.0.113.1:80/TCP"), Some(&40001));
        assert_eq!(ports.len(), 1);
    }

    #[test]
    fn node_ports_keep_their_number_and_balancer_addresses_take_any() {
        let service: Service = serde_json::from_value(serde_json::json!({
            "metadata": {"namespace": "default", "name": "web"},
            "spec": {"ports": [{"port": 80, "nodePort": 30080}, {"port": 53, "protocol": "UDP"}, {"port": 9, "protocol": "SCTP"}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}, {"hostname": "elsewhere"}]}},
        }))
        .unwrap();
        let found = entrances(&service, "172.30.0.11".parse().unwrap());
        let words: Vec<_> = found.iter().map(|e| format!("{}/{} {}", e.inside, e.protocol, e.wish)).collect();
        assert_eq!(words, ["172.30.0.11:30080/TCP 30080", "203.0.113.1:80/TCP 0", "203.0.113.1:53/UDP 0"]);
    }
}
