//! One question to a DNS server, over UDP, and over TCP when the answer does not fit.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, RecordType},
};
use portolan_diagnose::evidence::Outcome;
use portolan_netns::Namespace;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Addresses of both families of `name`, which is taken as it is. Whoever calls limits the time.
pub(crate) async fn resolve(namespace: &Namespace, name: &str, server: SocketAddr) -> io::Result<Outcome> {
    let name = match Name::from_ascii(name) {
        Ok(mut name) => {
            name.set_fqdn(true);
            name
        }
        Err(error) => return Ok(Outcome::Unreachable { why: format!("not a DNS name: {error}") }),
    };
    let both = [RecordType::A, RecordType::AAAA].map(|kind| ask(namespace, &name, kind, server));
    let [v4, v6] = both;
    let (v4, v6) = futures::try_join!(v4, v6)?;
    let mut addresses = BTreeSet::new();
    for reply in [&v4, &v6] {
        match reply.metadata.response_code {
            ResponseCode::NoError => addresses.extend(reply.answers.iter().filter_map(|record| match &record.data {
                RData::A(address) => Some(IpAddr::V4(address.0)),
                RData::AAAA(address) => Some(IpAddr::V6(address.0)),
                _ => None,
            })),
            ResponseCode::NXDomain => return Ok(Outcome::NoSuchName),
            code => return Ok(Outcome::Answered { text: code.to_str().to_owned() }),
        }
    }
    Ok(Outcome::Addresses(addresses.into_iter().collect()))
}

async fn ask(namespace: &Namespace, name: &Name, kind: RecordType, server: SocketAddr) -> io::Result<Message> {
    let mut question = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.queries.push(Query::query(name.clone(), kind));
    let bytes = question.to_vec().map_err(io::Error::other)?;
    let id = question.metadata.id;
    let reply = over_udp(namespace, &bytes, id, server).await?;
    if reply.metadata.truncation { over_tcp(namespace, &bytes, id, server).await } else { Ok(reply) }
}

async fn over_udp(namespace: &Namespace, question: &[u8], id: u16, server: SocketAddr) -> io::Result<Message> {
    let socket = namespace.udp_connect(server).await?;
    socket.send(question).await?;
    let mut buffer = [0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        // Anything else is the answer to somebody's older question.
        if let Some(reply) = reply(&buffer[..length], id) {
            return Ok(reply);
        }
    }
}

async fn over_tcp(namespace: &Namespace, question: &[u8], id: u16, server: SocketAddr) -> io::Result<Message> {
    let mut stream = namespace.tcp_connect(server).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await?;
    reply(&bytes, id).ok_or_else(|| io::Error::other("what answers does not speak DNS"))
}

fn reply(bytes: &[u8], id: u16) -> Option<Message> {
    let message = Message::from_vec(bytes).ok()?;
    (message.metadata.id == id && message.metadata.message_type == MessageType::Response).then_some(message)
}
