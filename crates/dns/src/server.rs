//! The sockets. A question about the cluster is answered where it is read; one that must be forwarded gets a task.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hickory_proto::{
    op::{Edns, Message, Query, ResponseCode},
    rr::{Name, Record, RecordType},
};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    Trouble, Upstreams, Zone,
    answer::{Answer, Outcome, answer},
    forward::{ForwardError, Forwarder, read_message, write_message},
    message::{Question, Rejected, Transport, UDP_PAYLOAD, parse},
    metrics::Metrics,
};

/// Open TCP connections; further ones are closed at once.
const MAX_CONNECTIONS: usize = 256;
/// A TCP connection without a question for this long is closed.
const IDLE: Duration = Duration::from_secs(10);
/// After a failing socket call.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers questions from the zone and the upstreams.
pub(crate) struct Resolver {
    zone: Arc<Zone>,
    forwarder: Forwarder,
    metrics: Metrics,
    trouble: watch::Receiver<Option<Trouble>>,
}

/// Where a packet leads.
enum Step {
    /// No answer.
    Ignore,
    /// The answer.
    Done(Vec<u8>),
    /// An upstream has to be asked.
    Ask(Box<Pending>),
}

struct Pending {
    packet: Vec<u8>,
    question: Question,
    /// The zone's part of the answer, which ends in an alias to the name.
    alias: Option<(Answer, Name)>,
}

impl Resolver {
    pub(crate) fn new(
        zone: Arc<Zone>,
        upstreams: Upstreams,
        metrics: Metrics,
        trouble: watch::Receiver<Option<Trouble>>,
    ) -> Self {
        Self { zone, forwarder: Forwarder::new(upstreams, metrics.clone()), metrics, trouble }
    }

    /// Does everything that needs no upstream.
    fn begin(&self, packet: &[u8], transport: Transport) -> Step {
        let step = match parse(packet, transport) {
            Ok(question) => {
                self.metrics.question(transport, question.kind());
                let trouble = *self.trouble.borrow();
                match trouble {
                    None => self.decide(packet, question),
                    Some(Trouble::ServerFailure) => Step::Done(question.error(ResponseCode::ServFail)),
                    Some(Trouble::NoSuchName) => Step::Done(question.error(ResponseCode::NXDomain)),
                    Some(Trouble::Silent) => Step::Ignore,
                }
            }
            Err(Rejected::With(reply)) => Step::Done(reply),
            Err(Rejected::Silently) => Step::Ignore,
        };
        match &step {
            Step::Done(reply) => self.metrics.answer(reply),
            Step::Ignore => drop(self.metrics.ignored.inc()),
            Step::Ask(_) => (),
        }
        step
    }

    fn decide(&self, packet: &[u8], question: Question) -> Step {
        let recursive = self.forwarder.has_upstreams();
        let pending = |question, alias| Step::Ask(Box::new(Pending { packet: packet.to_vec(), question, alias }));
        match answer(&self.zone, question.name(), question.kind()) {
            Outcome::Forward if recursive => pending(question, None),
            Outcome::Forward => Step::Done(question.error(ResponseCode::ServFail)),
            Outcome::Answer(mut reply) => match reply.chase.take() {
                Some(target) if recursive => pending(question, Some((reply, target))),
                _ => {
                    // Clients that take the first address share the load.
                    fastrand::shuffle(tail_after_aliases(&mut reply));
                    Step::Done(question.reply(reply, recursive))
                }
            },
        }
    }

    async fn finish(&self, pending: Pending) -> Vec<u8> {
        let Pending { packet, question, alias } = pending;
        let result = match alias {
            None => self.forwarder.ask(&packet, question.transport).await,
            Some((reply, target)) => self.complete(&question, reply, &target).await,
        };
        let reply = result.unwrap_or_else(|error| {
            debug!(name = %question.name(), %error, "cannot resolve");
            question.error(ResponseCode::ServFail)
        });
        self.metrics.answer(&reply);
        reply
    }

    /// Adds what the upstream says about the alias' target: a pod's resolver does not ask again by itself.
    async fn complete(&self, question: &Question, mut reply: Answer, target: &Name) -> Result<Vec<u8>, ForwardError> {
        let mut query = Message::query();
        query.metadata.recursion_desired = true;
        query.add_query(Query::query(target.clone(), question.kind()));
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        query.set_edns(edns);
        let unreadable = |error: hickory_proto::ProtoError| {
            ForwardError::Unanswered(io::Error::new(io::ErrorKind::InvalidData, error))
        };
        let query = query.to_vec().map_err(unreadable)?;
        let answered = self.forwarder.ask(&query, question.transport).await?;
        let answered = Message::from_vec(&answered).map_err(|error| unreadable(error.into()))?;
        reply.code = answered.response_code;
        reply.answers.extend(answered.answers);
        reply.authorities.extend(answered.authorities);
        Ok(question.reply(reply, true))
    }
}

/// The answers behind leading CNAMEs, whose order matters.
fn tail_after_aliases(reply: &mut Answer) -> &mut [Record] {
    let aliases = reply.answers.iter().take_while(|record| record.record_type() == RecordType::CNAME).count();
    &mut reply.answers[aliases..]
}

/// Hands a bound socket to the event loop.
pub(crate) fn udp(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// Hands a listening socket to the event loop.
pub(crate) fn tcp(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Answers on one UDP socket until `stop`; answers under way are given up then.
pub(crate) async fn serve_udp(socket: UdpSocket, resolver: Arc<Resolver>, stop: CancellationToken) {
    let socket = Arc::new(socket);
    let mut buffer = vec![0; usize::from(u16::MAX)];
    loop {
        let received = tokio::select! {
            () = stop.cancelled() => return,
            received = socket.recv_from(&mut buffer) => received,
        };
        let (length, client) = match received {
            Ok(received) => received,
            Err(error) => {
                // Usually short of memory, which says nothing about the next question; only do not spin.
                warn!(%error, "cannot receive DNS questions");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        match resolver.begin(&buffer[..length], Transport::Udp) {
            Step::Ignore => (),
            Step::Done(reply) => send(&socket, &reply, client, &resolver).await,
            Step::Ask(pending) => {
                let (socket, resolver, stop) = (socket.clone(), resolver.clone(), stop.clone());
                // As many at a time as the forwarder lets through; the others are answered at once.
                tokio::spawn(stop.run_until_cancelled_owned(async move {
                    let reply = resolver.finish(*pending).await;
                    send(&socket, &reply, client, &resolver).await;
                }));
            }
        }
    }
}

async fn send(socket: &UdpSocket, reply: &[u8], client: SocketAddr, resolver: &Resolver) {
    if let Err(error) = socket.send_to(reply, client).await {
        resolver.metrics.unsent.inc();
        debug!(%client, %error, "cannot send the answer");
    }
}

/// Answers on one TCP listener until `stop`.
pub(crate) async fn serve_tcp(listener: TcpListener, resolver: Arc<Resolver>, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "cannot accept a DNS connection");
                // Out of descriptors: accepting again at once would only spin.
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = permits.clone().try_acquire_owned() else {
            resolver.metrics.refused_connections.inc();
            continue;
        };
        let (resolver, stop) = (resolver.clone(), stop.clone());
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            let _permit = permit;
            if let Err(error) = converse(stream, &resolver).await {
                debug!(%error, "a DNS connection ended");
            }
        }));
    }
}

/// Answers one question after the other until the client is done or idle.
async fn converse(mut stream: TcpStream, resolver: &Resolver) -> io::Result<()> {
    stream.set_nodelay(true)?;
    while let Ok(Ok(packet)) = timeout(IDLE, read_message(&mut stream)).await {
        let reply = match resolver.begin(&packet, Transport::Tcp) {
            Step::Ignore => return Ok(()),
            Step::Done(reply) => reply,
            Step::Ask(pending) => resolver.finish(*pending).await,
        };
        timeout(IDLE, write_message(&mut stream, &reply)).await??;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
