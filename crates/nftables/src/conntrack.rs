//! Tracked connections: list and delete. The proxy needs it for UDP, where a flow would otherwise stick to an
//! endpoint that is gone for as long as the client keeps sending; whoever collects evidence looks at all of them.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use crate::{
    DumpError, Family, Socket,
    uapi::*,
    wire::{Attributes, Head, Message, Writer, read_u16, read_u32},
};

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
}

/// A tracked connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// IP protocol number.
    pub protocol: u8,
    /// As the first packet came.
    pub original: Tuple,
    /// As answers come: its source is the endpoint.
    pub reply: Tuple,
    /// The kernel's number of the entry, so that a deletion cannot hit a successor.
    pub id: u32,
    /// Whether a packet ever came back.
    pub answered: bool,
    /// State of a TCP connection, as the kernel numbers them.
    pub tcp_state: Option<u8>,
}

impl Socket {
    /// All tracked connections of a family and protocol. `family` is `Ip` or `Ip6`.
    pub fn flows(&mut self, family: Family, protocol: u8) -> Result<Vec<Flow>, DumpError> {
        let mut flows = Vec::new();
        self.each_flow(family, |flow| flows.extend((flow.protocol == protocol).then_some(flow)))?;
        Ok(flows)
    }

    /// Hands every tracked connection of a family to `take`: there may be millions. `family` is `Ip` or `Ip6`.
    pub fn each_flow(&mut self, family: Family, mut take: impl FnMut(Flow)) -> Result<(), DumpError> {
        let build = |w: &mut Writer, sequence: u32| {
            let kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
            w.message(Head { kind, flags: NLM_F_DUMP, sequence, family: family.number() }, 0, |_| {});
        };
        match self.request(build, |message| read_flow(message).into_iter().for_each(&mut take)) {
            Ok(()) => Ok(()),
            // Connections come and go all the time: what was seen is good enough.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(source) => Err(DumpError { what: "the tracked connections".into(), source }),
        }
    }

    /// Deletes a tracked connection. One that is gone already counts as deleted; `false` says so.
    pub fn delete_flow(&mut self, flow: &Flow) -> io::Result<bool> {
        let family = if flow.original.source.is_ipv4() { Family::Ip } else { Family::Ip6 };
        let build = |w: &mut Writer, sequence: u32| {
            let kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE;
            let head = Head { kind, flags: NLM_F_ACK, sequence, family: family.number() };
            w.message(head, 0, |w| {
                w.nest(CTA_TUPLE_ORIG, |w| write_tuple(w, &flow.original, flow.protocol));
                w.u32(CTA_ID, flow.id);
            });
        };
        match self.request(build, |_| {}) {
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn write_tuple(w: &mut Writer, tuple: &Tuple, protocol: u8) {
    w.nest(CTA_TUPLE_IP, |w| {
        for (address, v4, v6) in
            [(tuple.source.ip(), CTA_IP_V4_SRC, CTA_IP_V6_SRC), (tuple.destination.ip(), CTA_IP_V4_DST, CTA_IP_V6_DST)]
        {
            match address {
                IpAddr::V4(address) => w.attribute(v4, &address.octets()),
                IpAddr::V6(address) => w.attribute(v6, &address.octets()),
            }
        }
    });
    w.nest(CTA_TUPLE_PROTO, |w| {
        w.u8(CTA_PROTO_NUM, protocol);
        w.u16(CTA_PROTO_SRC_PORT, tuple.source.port());
        w.u16(CTA_PROTO_DST_PORT, tuple.destination.port());
    });
}

/// `None` for protocols without ports.
fn read_flow(message: &Message<'_>) -> Option<Flow> {
    let attributes = message.attributes();
    let (protocol, original) = read_tuple(attributes.get(CTA_TUPLE_ORIG)?)?;
    let (_, reply) = read_tuple(attributes.get(CTA_TUPLE_REPLY)?)?;
    let id = attributes.get(CTA_ID).and_then(read_u32)?;
    let status = attributes.get(CTA_STATUS).and_then(read_u32).unwrap_or_default();
    let details = attributes.get(CTA_PROTOINFO).and_then(|info| Attributes(info).get(CTA_PROTOINFO_TCP));
    let tcp_state = details.and_then(|tcp| Attributes(tcp).get(CTA_PROTOINFO_TCP_STATE)?.first().copied());
    Some(Flow { protocol, original, reply, id, answered: status & IPS_SEEN_REPLY != 0, tcp_state })
}

fn read_tuple(bytes: &[u8]) -> Option<(u8, Tuple)> {
    let attributes = Attributes(bytes);
    let addresses = Attributes(attributes.get(CTA_TUPLE_IP)?);
    let ports = Attributes(attributes.get(CTA_TUPLE_PROTO)?);
    let address = |v4, v6| {
        let v4 = addresses.get(v4).and_then(|bytes| bytes.first_chunk::<4>());
        let v6 = || addresses.get(v6).and_then(|bytes| bytes.first_chunk::<16>());
        v4.map(|octets| IpAddr::from(*octets)).or_else(|| v6().map(|octets| IpAddr::from(*octets)))
    };
    let port = |kind| ports.get(kind).and_then(read_u16);
    let tuple = Tuple {
        source: SocketAddr::new(address(CTA_IP_V4_SRC, CTA_IP_V6_SRC)?, port(CTA_PROTO_SRC_PORT)?),
        destination: SocketAddr::new(address(CTA_IP_V4_DST, CTA_IP_V6_DST)?, port(CTA_PROTO_DST_PORT)?),
    };
    Some((*ports.get(CTA_PROTO_NUM)?.first()?, tuple))
}
