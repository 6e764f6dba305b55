//! The interfaces, addresses and routes of one namespace, over rtnetlink: what `ip link`, `ip address` and
//! `ip route` do. Blocking; a request and its answer take some microseconds.
//!
//! Every call may be repeated: adding what is there and removing what is gone are both success.

use std::{io, net::IpAddr, os::fd::AsRawFd};

use ipnet::IpNet;
use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    route::{
        RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
    },
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::Namespace;

/// A change to links, addresses or routes that the kernel refused.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation}")]
pub struct LinksError {
    /// What was to be done, with the names of the interfaces and addresses.
    operation: String,
    /// The kernel's answer.
    source: io::Error,
}

impl LinksError {
    /// The kernel's answer.
    pub fn cause(&self) -> &io::Error {
        &self.source
    }
}

impl From<LinksError> for io::Error {
    fn from(error: LinksError) -> Self {
        io::Error::new(error.source.kind(), format!("{error}: {}", error.source))
    }
}

/// Requests to the kernel about one namespace. Made by [`Namespace::links`].
pub struct Links {
    socket: Socket,
    sequence: u32,
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

type Result<T> = std::result::Result<T, LinksError>;

impl Links {
    /// A socket in the namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0 })
    }

    /// Makes a pair of connected interfaces: `name` here and `peer` in `peer_ns`. Both are down.
    ///
    /// # Errors
    /// If the kernel refuses; not if `name` exists already.
    pub fn veth(&mut self, name: &str, peer: &str, peer_ns: &Namespace) -> Result<()> {
        let mut other = LinkMessage::default();
        other.attributes.push(LinkAttribute::IfName(peer.into()));
        other.attributes.push(LinkAttribute::NetNsFd(peer_ns.as_fd().as_raw_fd()));
        let info = vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other)))];
        self.new_link(name, info, || format!("make the veth pair {name} and {peer}"))
    }

    /// Makes a bridge, down.
    ///
    /// # Errors
    /// If the kernel refuses; not if `name` exists already.
    pub fn bridge(&mut self, name: &str) -> Result<()> {
        let info = vec![LinkInfo::Kind(InfoKind::Bridge)];
        self.new_link(name, info, || format!("make the bridge {name}"))
    }

    /// Puts the interface into the bridge.
    ///
    /// # Errors
    /// If one of them does not exist, or the kernel refuses.
    pub fn set_master(&mut self, name: &str, bridge: &str) -> Result<()> {
        let operation = || format!("put {name} into the bridge {bridge}");
        let master = self.index(bridge).map_err(|source| failed(operation(), source))?;
        let mut link = self.link(name).map_err(|source| failed(operation(), source))?;
        link.attributes.push(LinkAttribute::Controller(master));
        self.acknowledged(RouteNetlinkMessage::SetLink(link), 0).map_err(|source| failed(operation(), source))
    }

    /// Sets the interface up.
    ///
    /// # Errors
    /// If it does not exist, or the kernel refuses.
    pub fn up(&mut self, name: &str) -> Result<()> {
        self.set_up(name, true)
    }

    /// Sets the interface down, as if its cable were pulled.
    ///
    /// # Errors
    /// If it does not exist, or the kernel refuses.
    pub fn down(&mut self, name: &str) -> Result<()> {
        self.set_up(name, false)
    }

    fn set_up(&mut self, name: &str, up: bool) -> Result<()> {
        let operation = || format!("set {name} {}", if up { "up" } else { "down" });
        let mut link = self.link(name).map_err(|source| failed(operation(), source))?;
        link.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        link.header.change_mask = LinkFlags::Up;
        self.acknowledged(RouteNetlinkMessage::SetLink(link), 0).map_err(|source| failed(operation(), source))
    }

    /// Gives the interface an address.
    ///
    /// # Errors
    /// If the interface does not exist, or the kernel refuses; not if it has the address already.
    pub fn add_address(&mut self, name: &str, address: IpNet) -> Result<()> {
        let flags = NLM_F_CREATE | NLM_F_REPLACE;
        self.address_message(name, address)
            .and_then(|m| self.acknowledged(RouteNetlinkMessage::NewAddress(m), flags))
            .map_err(|source| failed(format!("add {address} to {name}"), source))
    }

    /// Takes an address from the interface.
    ///
    /// # Errors
    /// If the kernel refuses; not if the address or the interface is already gone.
    pub fn remove_address(&mut self, name: &str, address: IpNet) -> Result<()> {
        self.address_message(name, address)
            .and_then(|m| self.acknowledged(RouteNetlinkMessage::DelAddress(m), 0))
            .or_else(|error| ignore(error, &[libc::EADDRNOTAVAIL, libc::ENODEV]))
            .map_err(|source| failed(format!("remove {address} from {name}"), source))
    }

    /// Sends packets for `dst` to the gateway `via` or straight out of `dev`, replacing the route that was there.
    /// `onlink`: the gateway is taken as a neighbour on `dev` although no address says so.
    ///
    /// # Errors
    /// If `dev` does not exist, the gateway is not reachable, or the kernel refuses.
    pub fn add_route(&mut self, dst: IpNet, via: Option<IpAddr>, dev: Option<&str>, onlink: bool) -> Result<()> {
        let operation = || format!("route {dst} via {via:?} dev {dev:?}");
        let mut route = route_message(dst);
        if via.is_none() {
            route.header.scope = RouteScope::Link;
        }
        if onlink {
            route.header.flags = RouteFlags::Onlink;
        }
        if let Some(gateway) = via {
            route.attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
        }
        if let Some(dev) = dev {
            let index = self.index(dev).map_err(|source| failed(operation(), source))?;
            route.attributes.push(RouteAttribute::Oif(index));
        }
        self.acknowledged(RouteNetlinkMessage::NewRoute(route), NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(|source| failed(operation(), source))
    }

    /// Answers packets for `dst` with "host unreachable", unless a more specific route takes them.
    ///
    /// # Errors
    /// If the kernel refuses.
    pub fn add_unreachable(&mut self, dst: IpNet) -> Result<()> {
        let mut route = route_message(dst);
        route.header.kind = RouteType::Unreachable;
        self.acknowledged(RouteNetlinkMessage::NewRoute(route), NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(|source| failed(format!("refuse packets for {dst}"), source))
    }

    /// Removes the route for exactly `dst`.
    ///
    /// # Errors
    /// If the kernel refuses; not if there is no such route.
    pub fn delete_route(&mut self, dst: IpNet) -> Result<()> {
        let mut route = route_message(dst);
        // Any scope and origin: what is to go is known by its destination alone.
        route.header.scope = RouteScope::NoWhere;
        route.header.protocol = RouteProtocol::Unspec;
        self.acknowledged(RouteNetlinkMessage::DelRoute(route), 0)
            .or_else(|error| ignore(error, &[libc::ESRCH]))
            .map_err(|source| failed(format!("remove the route to {dst}"), source))
    }

    /// Removes the interface; a veth takes its other end with it.
    ///
    /// # Errors
    /// If the kernel refuses; not if there is no such interface.
    pub fn delete_link(&mut self, name: &str) -> Result<()> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.into()));
        self.acknowledged(RouteNetlinkMessage::DelLink(link), 0)
            .or_else(|error| ignore(error, &[libc::ENODEV]))
            .map_err(|source| failed(format!("remove the interface {name}"), source))
    }

    /// The hardware address of the interface.
    ///
    /// # Errors
    /// If it does not exist or has none.
    pub fn hardware_address(&mut self, name: &str) -> Result<Vec<u8>> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.into()));
        let operation = || format!("read the hardware address of {name}");
        let answers = self
            .request(RouteNetlinkMessage::GetLink(link), NLM_F_ACK)
            .map_err(|source| failed(operation(), source))?;
        let address = answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => link.attributes.into_iter().find_map(|attribute| match attribute {
                LinkAttribute::Address(address) => Some(address),
                _ => None,
            }),
            _ => None,
        });
        address.ok_or_else(|| failed(operation(), io::Error::from_raw_os_error(libc::ENODEV)))
    }

    /// Tells the kernel for good which hardware address `address` has behind the interface: nobody has to be asked.
    ///
    /// # Errors
    /// If the interface does not exist, or the kernel refuses.
    pub fn set_neighbour(&mut self, name: &str, address: IpAddr, hardware: &[u8]) -> Result<()> {
        let operation = || format!("set the hardware address of {address} behind {name}");
        let mut neighbour = NeighbourMessage::default();
        neighbour.header.family = family(address);
        neighbour.header.ifindex = self.index(name).map_err(|source| failed(operation(), source))?;
        neighbour.header.state = NeighbourState::Permanent;
        neighbour.attributes.push(NeighbourAttribute::Destination(match address {
            IpAddr::V4(address) => NeighbourAddress::Inet(address),
            IpAddr::V6(address) => NeighbourAddress::Inet6(address),
        }));
        neighbour.attributes.push(NeighbourAttribute::LinkLayerAddress(hardware.to_vec()));
        self.acknowledged(RouteNetlinkMessage::NewNeighbour(neighbour), NLM_F_CREATE | NLM_F_REPLACE)
            .map_err(|source| failed(operation(), source))
    }

    /// The names of all interfaces, in the kernel's order.
    ///
    /// # Errors
    /// If the kernel does not answer.
    pub fn links(&mut self) -> Result<Vec<String>> {
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let answers =
            self.request(request, NLM_F_DUMP).map_err(|source| failed("list the interfaces".into(), source))?;
        Ok(answers.iter().filter_map(link_name).collect())
    }

    fn new_link(&mut self, name: &str, info: Vec<LinkInfo>, operation: impl FnOnce() -> String) -> Result<()> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.into()));
        link.attributes.push(LinkAttribute::LinkInfo(info));
        self.acknowledged(RouteNetlinkMessage::NewLink(link), NLM_F_CREATE | NLM_F_EXCL)
            .or_else(|error| ignore(error, &[libc::EEXIST]))
            .map_err(|source| failed(operation(), source))
    }

    /// A message that names an existing interface.
    fn link(&mut self, name: &str) -> io::Result<LinkMessage> {
        let mut link = LinkMessage::default();
        link.header.index = self.index(name)?;
        Ok(link)
    }

    fn index(&mut self, name: &str) -> io::Result<u32> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.into()));
        let answers = self.request(RouteNetlinkMessage::GetLink(link), NLM_F_ACK)?;
        let found = answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewLink(link) => Some(link.header.index),
            _ => None,
        });
        found.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
    }

    fn address_message(&mut self, name: &str, address: IpNet) -> io::Result<AddressMessage> {
        let mut message = AddressMessage::default();
        message.header.family = family(address.addr());
        message.header.prefix_len = address.prefix_len();
        message.header.index = self.index(name)?;
        message.attributes.push(AddressAttribute::Local(address.addr()));
        message.attributes.push(AddressAttribute::Address(address.addr()));
        Ok(message)
    }

    fn acknowledged(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.request(message, flags | NLM_F_ACK).map(drop)
    }

    /// Sends one request and collects its answers up to the acknowledgement or the end of the dump.
    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let mut buffer = vec![0; packet.buffer_len()];
        packet.serialize(&mut buffer);
        self.socket.send(&buffer, 0)?;

        let mut answers = Vec::new();
        loop {
            let (datagram, _) = self.socket.recv_from_full()?;
            if self.collect(&datagram, &mut answers)? {
                return Ok(answers);
            }
        }
    }

    /// Takes the messages of one datagram; true when the answer is complete.
    fn collect(&self, datagram: &[u8], answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
        let mut rest = datagram;
        while rest.len() >= HEADER_LEN {
            let length = NetlinkBuffer::new_checked(rest).map_err(invalid)?.length() as usize;
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).map_err(invalid)?;
            // An answer to an earlier request that was given up on is not ours.
            if message.header.sequence_number == self.sequence {
                match message.payload {
                    NetlinkPayload::Error(error) => {
                        return match error.code {
                            None => Ok(true),
                            Some(_) => Err(error.to_io()),
                        };
                    }
                    NetlinkPayload::Done(_) => return Ok(true),
                    NetlinkPayload::InnerMessage(inner) => answers.push(inner),
                    _ => {}
                }
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(false)
    }
}

/// Length of a netlink message header.
const HEADER_LEN: usize = 16;

fn failed(operation: String, source: io::Error) -> LinksError {
    LinksError { operation, source }
}

/// Turns the errors that mean "already so" into success.
fn ignore(error: io::Error, codes: &[i32]) -> io::Result<()> {
    match error.raw_os_error() {
        Some(code) if codes.contains(&code) => Ok(()),
        _ => Err(error),
    }
}

fn invalid(error: netlink_packet_core::DecodeError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn route_message(dst: IpNet) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = family(dst.addr());
    route.header.destination_prefix_length = dst.prefix_len();
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Static;
    route.header.scope = RouteScope::Universe;
    route.header.kind = RouteType::Unicast;
    if dst.prefix_len() > 0 {
        route.attributes.push(RouteAttribute::Destination(RouteAddress::from(dst.network())));
    }
    route
}

fn link_name(answer: &RouteNetlinkMessage) -> Option<String> {
    let RouteNetlinkMessage::NewLink(link) = answer else { return None };
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}
