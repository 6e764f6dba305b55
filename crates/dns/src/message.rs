//! Packets to questions and answers to packets. Takes any bytes without panicking.
//!
//! UDP answers fit the client's announced size, at most [`UDP_PAYLOAD`]: what does not fit is left out and TC is set,
//! so that the client comes back over TCP. As many answers as fit are sent, because some resolvers never come back.

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RecordType},
};

use crate::answer::Answer;

/// The largest UDP message sent, and the size announced for receiving: passes every usual link unfragmented.
pub(crate) const UDP_PAYLOAD: u16 = 1232;
/// Length of a DNS header.
const HEADER: usize = 12;

/// How a question came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

/// A question that can be answered.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) message: Message,
    pub(crate) transport: Transport,
}

/// What is not a question for us.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// Too short, or itself an answer: replying could start a loop.
    Silently,
    /// Answered with an error.
    With(Vec<u8>),
}

/// Reads a packet.
pub(crate) fn parse(packet: &[u8], transport: Transport) -> Result<Question, Rejected> {
    let header = packet.get(..HEADER).ok_or(Rejected::Silently)?;
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let is_response = header[2] & 0x80 != 0;
    if is_response {
        return Err(Rejected::Silently);
    }
    let operation = OpCode::from_u8((header[2] >> 3) & 0x0f);
    if operation != OpCode::Query {
        return Err(refuse(word(0), operation, ResponseCode::NotImp));
    }
    // One question and nothing answered yet; more than a few additional records is no resolver's doing.
    let plausible = word(4) == 1 && word(6) == 0 && word(8) <= 1 && word(10) <= 4;
    let message = plausible.then(|| Message::from_vec(packet));
    let Some(Ok(message)) = message else {
        return Err(refuse(word(0), operation, ResponseCode::FormErr));
    };
    let question = Question { message, transport };
    if question.message.edns.as_ref().is_some_and(|edns| edns.version() > 0) {
        return Err(Rejected::With(question.error(ResponseCode::BADVERS)));
    }
    let transfer = matches!(question.kind(), RecordType::AXFR | RecordType::IXFR);
    if question.query().query_class() != DNSClass::IN || transfer {
        return Err(Rejected::With(question.error(ResponseCode::Refused)));
    }
    Ok(question)
}

fn refuse(id: u16, operation: OpCode, code: ResponseCode) -> Rejected {
    let reply = Message::error_msg(id, operation, code);
    reply.to_vec().map_or(Rejected::Silently, Rejected::With)
}

impl Question {
    /// The one question; [`parse`] has counted them.
    fn query(&self) -> &Query {
        &self.message.queries[0]
    }

    pub(crate) fn name(&self) -> &Name {
        self.query().name()
    }

    pub(crate) fn kind(&self) -> RecordType {
        self.query().query_type()
    }

    /// An answer without records.
    pub(crate) fn error(&self, code: ResponseCode) -> Vec<u8> {
        let mut reply = self.empty_reply();
        reply.metadata.response_code = code;
        self.encode(reply)
    }

    /// An answer from the zone.
    pub(crate) fn reply(&self, answer: Answer, recursion_available: bool) -> Vec<u8> {
        let mut reply = self.empty_reply();
        reply.metadata.response_code = answer.code;
        reply.metadata.authoritative = answer.code != ResponseCode::ServFail;
        reply.metadata.recursion_available = recursion_available;
        reply.answers = answer.answers;
        reply.authorities = answer.authorities;
        reply.additionals = answer.additionals;
        self.encode(reply)
    }

    fn empty_reply(&self) -> Message {
        let mut reply = Message::response(self.message.id, OpCode::Query);
        reply.metadata.message_type = MessageType::Response;
        reply.metadata.recursion_desired = self.message.recursion_desired;
        reply.metadata.checking_disabled = self.message.checking_disabled;
        reply.queries = self.message.queries.clone();
        if self.message.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD);
            reply.edns = Some(edns);
        }
        reply
    }

    /// The most bytes that the client takes.
    fn limit(&self) -> usize {
        match self.transport {
            Transport::Tcp => usize::from(u16::MAX),
            Transport::Udp => usize::from(self.message.max_payload().clamp(512, UDP_PAYLOAD)),
        }
    }

    /// Encodes what fits: additional records go first, then answers from the end.
    fn encode(&self, mut reply: Message) -> Vec<u8> {
        if let Some(bytes) = fitting(&reply, self.limit()) {
            return bytes;
        }
        reply.additionals.clear();
        if let Some(bytes) = fitting(&reply, self.limit()) {
            return bytes;
        }
        reply.metadata.truncation = true;
        let answers = std::mem::take(&mut reply.answers);
        let (mut fits, mut too_many) = (0, answers.len());
        let mut best = fitting(&reply, self.limit());
        while fits + 1 < too_many {
            let middle = fits.midpoint(too_many);
            reply.answers = answers[..middle].to_vec();
            match fitting(&reply, self.limit()) {
                Some(bytes) => (fits, best) = (middle, Some(bytes)),
                None => too_many = middle,
            }
        }
        // Header and question always fit into 512 bytes, so `best` is set from the first try.
        best.unwrap_or_default()
    }
}

/// The encoded message, if it is not longer than `limit`.
fn fitting(message: &Message, limit: usize) -> Option<Vec<u8>> {
    message.to_vec().ok().filter(|bytes| bytes.len() <= limit)
}

#[cfg(test)]
mod tests;
