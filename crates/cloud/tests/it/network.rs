//! The little network of these tests: outside 198.51.100.1, the edge, two nodes on its bridge with toy servers.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use portolan_cloud::{BalancerId, LoadBalancer, Node, Port};
use portolan_netns::{Links, Namespace};
use portolan_objects::{ObjectKey, Protocol};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    time::timeout,
};

pub const NODE_PORT: u16 = 30080;
const UDP_NODE_PORT: u16 = 30053;
const HEALTH_PORT: u16 = 10256;

pub struct Network {
    pub edge: Namespace,
    outside: Namespace,
    nodes: Vec<ToyNode>,
}

struct ToyNode {
    name: String,
    address: IpAddr,
    healthy: Arc<AtomicBool>,
    // The namespace lives as long as the servers in it need it.
    _namespace: Namespace,
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::other(error)
}

fn address(links: &mut Links, name: &str, address: &str) -> io::Result<()> {
    links.add_address(name, address.parse().map_err(failed)?).map_err(failed)?;
    links.up(name).map_err(failed)
}

fn route(links: &mut Links, destination: &str, via: &str) -> io::Result<()> {
    let via = via.parse().map_err(failed)?;
    links.add_route(destination.parse().map_err(failed)?, Some(via), None, false).map_err(failed)
}

impl Network {
    pub fn build() -> io::Result<Self> {
        let (outside, edge) = (Namespace::create()?, Namespace::create()?);
        edge.sysctl("net/ipv4/ip_forward", "1")?;
        let (mut out, mut links) = (outside.links()?, edge.links()?);
        links.veth("wan0", "wan0", &outside).map_err(failed)?;
        address(&mut links, "wan0", "198.51.100.254/24")?;
        address(&mut out, "wan0", "198.51.100.1/24")?;
        route(&mut out, "203.0.113.0/24", "198.51.100.254")?;
        links.bridge("lan0").map_err(failed)?;
        address(&mut links, "lan0", "172.30.0.1/24")?;
        let nodes = (1..=2).map(|number| ToyNode::start(number, &mut links)).collect::<io::Result<_>>()?;
        Ok(Self { edge, outside, nodes })
    }

    pub fn set_health(&self, node: &str, healthy: bool) {
        let node = self.nodes.iter().find(|candidate| candidate.name == node).expect("a node of this network");
        node.healthy.store(healthy, Ordering::SeqCst);
    }

    /// Connects from outside; the name of the node that answered and the address it saw.
    pub async fn ask_tcp(&self, to: SocketAddr) -> io::Result<(String, IpAddr)> {
        let mut stream = self.outside.tcp_connect(to).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        parse(&answer)
    }

    /// The same with one datagram from a fresh port; `None` without an answer.
    pub async fn ask_udp(&self, to: SocketAddr) -> Option<(String, IpAddr)> {
        let socket = self.outside.udp_connect(to).await.ok()?;
        socket.send(b"?").await.ok()?;
        let mut buffer = [0; 256];
        let length = timeout(Duration::from_millis(500), socket.recv(&mut buffer)).await.ok()?.ok()?;
        parse(std::str::from_utf8(&buffer[..length]).ok()?).ok()
    }
}

fn parse(answer: &str) -> io::Result<(String, IpAddr)> {
    let (node, peer) = answer.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
    Ok((node.to_owned(), peer.parse().map_err(failed)?))
}

impl ToyNode {
    fn start(number: u8, edge: &mut Links) -> io::Result<Self> {
        let namespace = Namespace::create()?;
        let name = format!("node-{number}");
        let port = format!("lan{number}");
        edge.veth(&port, "eth0", &namespace).map_err(failed)?;
        edge.set_master(&port, "lan0").map_err(failed)?;
        edge.up(&port).map_err(failed)?;
        let mut links = namespace.links()?;
        let ip = IpAddr::from([172, 30, 0, 10 + number]);
        address(&mut links, "eth0", &format!("{ip}/24"))?;
        route(&mut links, "0.0.0.0/0", "172.30.0.1")?;

        let healthy = Arc::new(AtomicBool::new(true));
        let listen = |port| TcpListener::from_std(namespace.tcp_listen(SocketAddr::new(ip, port))?);
        tokio::spawn(serve_health(listen(HEALTH_PORT)?, healthy.clone()));
        tokio::spawn(serve_tcp(listen(NODE_PORT)?, name.clone()));
        let udp = UdpSocket::from_std(namespace.udp_bind(SocketAddr::new(ip, UDP_NODE_PORT))?)?;
        tokio::spawn(serve_udp(udp, name.clone()));
        Ok(Self { name, address: ip, healthy, _namespace: namespace })
    }
}

async fn serve_tcp(listener: TcpListener, name: String) -> io::Result<()> {
    loop {
        let (mut stream, peer) = listener.accept().await?;
        stream.write_all(format!("{name} {}", peer.ip()).as_bytes()).await?;
    }
}

async fn serve_udp(socket: UdpSocket, name: String) -> io::Result<()> {
    let mut buffer = [0; 16];
    loop {
        let (_, peer) = socket.recv_from(&mut buffer).await?;
        socket.send_to(format!("{name} {}", peer.ip()).as_bytes(), peer).await?;
    }
}

async fn serve_health(listener: TcpListener, healthy: Arc<AtomicBool>) -> io::Result<()> {
    loop {
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).await?;
        let status = if healthy.load(Ordering::SeqCst) { "200 OK" } else { "503 Service Unavailable" };
        stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await?;
    }
}

/// A balancer of all nodes with a TCP and a UDP port.
pub fn balancer(name: &str, network: &Network) -> LoadBalancer {
    let port =
        |name: &str, protocol, port, node_port| Port { name: name.into(), protocol, port, node_port: Some(node_port) };
    let nodes = network.nodes.iter().map(|node| Node {
        name: node.name.clone(),
        address: Some(node.address),
        provider_id: None,
    });
    LoadBalancer {
        id: BalancerId { service: ObjectKey::new("shop", name), uid: name.into() },
        ports: vec![port("http", Protocol::Tcp, 80, NODE_PORT), port("dns", Protocol::Udp, 53, UDP_NODE_PORT)],
        requested: None,
        published: Vec::new(),
        source_ranges: Vec::new(),
        health_check_port: None,
        nodes: nodes.collect(),
    }
}
