//! Questions for other servers, passed on and back as they are: only the id changes.
//!
//! Every question leaves from a fresh socket with a fresh id, and an answer counts only if it comes from the server
//! that was asked, with that id and that question (RFC 5452). Upstreams are asked one after the other.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    sync::Semaphore,
    time::timeout,
};
use tracing::debug;

use crate::{Upstreams, message::Transport, metrics::Metrics};

/// Response codes after which the next upstream is asked: SERVFAIL, NOTIMP, REFUSED.
const TRY_ELSEWHERE: [u8; 3] = [2, 4, 5];
/// Length of a DNS header.
const HEADER: usize = 12;

/// Why no upstream answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardError {
    #[error("no upstream is configured")]
    NoUpstream,
    #[error("too many questions are under way to the upstreams")]
    Busy,
    #[error("no upstream answered")]
    Unanswered(#[source] io::Error),
}

/// The upstreams and how many questions may be under way.
pub(crate) struct Forwarder {
    upstreams: Upstreams,
    permits: Arc<Semaphore>,
    metrics: Metrics,
}

impl Forwarder {
    pub(crate) fn new(upstreams: Upstreams, metrics: Metrics) -> Self {
        let permits = Arc::new(Semaphore::new(upstreams.in_flight));
        Self { upstreams, permits, metrics }
    }

    pub(crate) fn has_upstreams(&self) -> bool {
        !self.upstreams.addrs.is_empty()
    }

    /// Asks until one upstream answers. `question` is a whole message; the answer carries its id.
    pub(crate) async fn ask(&self, question: &[u8], transport: Transport) -> Result<Vec<u8>, ForwardError> {
        if !self.has_upstreams() {
            return Err(ForwardError::NoUpstream);
        }
        let Ok(_permit) = self.permits.try_acquire() else {
            self.metrics.overflowed.inc();
            return Err(ForwardError::Busy);
        };
        let mut failure = io::Error::from(io::ErrorKind::TimedOut);
        let mut refusal = None;
        for upstream in &self.upstreams.addrs {
            self.metrics.forwarded.inc();
            match self.ask_one(*upstream, question, transport).await {
                Ok(answer) if TRY_ELSEWHERE.contains(&(answer[3] & 0x0f)) => refusal = Some(answer),
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    self.metrics.forward_failures.inc();
                    debug!(%upstream, %error, "the upstream did not answer");
                    failure = error;
                }
            }
        }
        refusal.ok_or(ForwardError::Unanswered(failure))
    }

    async fn ask_one(&self, upstream: SocketAddr, question: &[u8], transport: Transport) -> io::Result<Vec<u8>> {
        let mut query = question.to_vec();
        let id: [u8; 2] = fastrand::u16(..).to_be_bytes();
        query[..2].copy_from_slice(&id);
        let asked = within(self.upstreams.timeout, self.over_udp(upstream, &query)).await;
        let cut = asked.as_ref().is_ok_and(|answer| answer[2] & 0x02 != 0);
        let mut answer = match (&self.upstreams.connect, transport) {
            (Some(_), Transport::Tcp) if cut => within(self.upstreams.timeout, self.over_tcp(upstream, &query)).await?,
            _ => asked?,
        };
        answer[..2].copy_from_slice(&question[..2]);
        Ok(answer)
    }

    async fn over_udp(&self, upstream: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
        let bind = self.upstreams.bind.clone();
        // The socket may come from another process, so making it may wait.
        let socket = tokio::task::spawn_blocking(move || bind(upstream)).await??;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        socket.send_to(query, upstream).await?;
        let mut buffer = vec![0; usize::from(u16::MAX)];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await?;
            if from == upstream && answers(query, &buffer[..length]) {
                buffer.truncate(length);
                return Ok(buffer);
            }
            self.metrics.forward_mismatches.inc();
        }
    }

    async fn over_tcp(&self, upstream: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
        let connect = self.upstreams.connect.clone().ok_or(io::ErrorKind::Unsupported)?;
        let stream = tokio::task::spawn_blocking(move || connect(upstream)).await??;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream)?;
        write_message(&mut stream, query).await?;
        let answer = read_message(&mut stream).await?;
        match answers(query, &answer) {
            true => Ok(answer),
            false => Err(io::Error::other("the answer is to another question")),
        }
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    timeout(limit, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Reads one message with its length in front (RFC 1035, 4.2.2).
pub(crate) async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

/// Writes one message with its length in front, in one segment if it fits.
pub(crate) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut framed = Vec::with_capacity(message.len() + 2);
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    stream.write_all(&framed).await
}

/// Whether `answer` has the id and the question of `query`. A server that refuses may leave the question out.
fn answers(query: &[u8], answer: &[u8]) -> bool {
    if answer.len() < HEADER || query[..2] != answer[..2] || answer[2] & 0x80 == 0 {
        return false;
    }
    match u16::from_be_bytes([answer[4], answer[5]]) {
        0 => answer[3] & 0x0f != 0,
        1 => {
            let asked = question_section(query);
            asked.is_some_and(|asked| question_section(answer).is_some_and(|said| asked.eq_ignore_ascii_case(said)))
        }
        _ => false,
    }
}

/// The bytes of the first question. Compression has nothing to point at there, so a pointer is no question.
fn question_section(message: &[u8]) -> Option<&[u8]> {
    let mut at = HEADER;
    loop {
        match usize::from(*message.get(at)?) {
            0 => break,
            length if length < 64 => at += length + 1,
            _ => return None,
        }
    }
    message.get(HEADER..at + 5)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// `web.` A IN with id 0x0102, as a query.
    const QUERY: &[u8] = b"\x01\x02\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01";

    fn reply(change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = QUERY.to_vec();
        bytes[2] |= 0x80;
        change(&mut bytes);
        bytes
    }

    #[test]
    fn an_answer_counts_only_with_the_same_id_and_question() {
        let cases: [(&str, Vec<u8>, bool); 7] = [
            ("the answer", reply(|_| ()), true),
            ("the question in other case", reply(|bytes| bytes[13] = b'W'), true),
            ("another id", reply(|bytes| bytes[0] = 9), false),
            ("another name", reply(|bytes| bytes[13] = b'x'), false),
            ("a query", QUERY.to_vec(), false),
            ("a refusal without question", reply(|bytes| (bytes[3], bytes[5]) = (5, 0)), true),
            ("success without question", reply(|bytes| bytes[5] = 0), false),
        ];
        for (name, answer, expected) in cases {
            assert_eq!(answers(QUERY, &answer), expected, "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            answers(QUERY, &bytes);
            question_section(&bytes);
        }
    }
}
