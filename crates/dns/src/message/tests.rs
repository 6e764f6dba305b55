#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use hickory_proto::rr::{RData, Record, rdata::A};
use proptest::prelude::*;

use super::*;

fn name() -> Name {
    Name::from_ascii("web.default.svc.cluster.local.").unwrap()
}

fn query() -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name(), RecordType::A));
    message
}

fn with_payload(payload: u16) -> Message {
    let mut message = query();
    let mut edns = Edns::new();
    edns.set_max_payload(payload);
    message.set_edns(edns);
    message
}

fn answer(addresses: u32) -> Answer {
    let record = |n: u32| {
        let address = Ipv4Addr::from(0x0af4_0000 + n);
        Record::from_rdata(name(), 5, RData::A(A(address)))
    };
    Answer {
        code: ResponseCode::NoError,
        answers: (0..addresses).map(record).collect(),
        authorities: Vec::new(),
        additionals: Vec::new(),
        chase: None,
    }
}

fn code_of(rejected: Rejected) -> Option<ResponseCode> {
    match rejected {
        Rejected::Silently => None,
        Rejected::With(bytes) => Some(Message::from_vec(&bytes).unwrap().response_code),
    }
}

#[test]
fn what_is_not_a_question_is_refused_with_the_right_code() {
    let mut response = query();
    response.metadata.message_type = MessageType::Response;
    let mut update = query();
    update.metadata.op_code = OpCode::Update;
    let mut none = query();
    none.queries.clear();
    let mut two = query();
    two.add_query(Query::query(name(), RecordType::AAAA));
    let mut chaos = query();
    chaos.queries[0].set_query_class(DNSClass::CH);
    let mut transfer = query();
    transfer.queries[0].set_query_type(RecordType::AXFR);
    let mut version = with_payload(1232);
    version.edns.as_mut().unwrap().set_version(1);
    let cases = [
        ("a response", response.to_vec().unwrap(), None),
        ("eleven bytes", vec![0; 11], None),
        ("an update", update.to_vec().unwrap(), Some(ResponseCode::NotImp)),
        ("no question", none.to_vec().unwrap(), Some(ResponseCode::FormErr)),
        ("two questions", two.to_vec().unwrap(), Some(ResponseCode::FormErr)),
        ("a cut question", query().to_vec().unwrap()[..20].to_vec(), Some(ResponseCode::FormErr)),
        ("class CH", chaos.to_vec().unwrap(), Some(ResponseCode::Refused)),
        ("a zone transfer", transfer.to_vec().unwrap(), Some(ResponseCode::Refused)),
        ("EDNS version 1", version.to_vec().unwrap(), Some(ResponseCode::BADVERS)),
    ];
    for (case, packet, expected) in cases {
        let rejected = parse(&packet, Transport::Udp).expect_err(case);
        // 16 has two names: compare numbers.
        assert_eq!(code_of(rejected).map(u16::from), expected.map(u16::from), "{case}");
    }
}

#[test]
fn answers_keep_to_the_size_that_the_client_takes() {
    // (announced size, transport, addresses, cut?, at least so many answers)
    let cases = [
        (None, Transport::Udp, 10, false, 10),
        (None, Transport::Udp, 100, true, 25),
        (Some(1232), Transport::Udp, 60, false, 60),
        (Some(4096), Transport::Udp, 200, true, 70),
        (None, Transport::Tcp, 1000, false, 1000),
        (None, Transport::Tcp, 9000, true, 1500),
    ];
    for (payload, transport, addresses, cut, at_least) in cases {
        let message = payload.map_or_else(query, with_payload);
        let question = parse(&message.to_vec().unwrap(), transport).unwrap();
        let bytes = question.reply(answer(addresses), true);
        let limit = match (transport, payload) {
            (Transport::Tcp, _) => 65535,
            (Transport::Udp, None) => 512,
            (Transport::Udp, Some(_)) => 1232,
        };
        assert!(bytes.len() <= limit, "{} bytes", bytes.len());
        let reply = Message::from_vec(&bytes).unwrap();
        assert_eq!(reply.truncation, cut, "{addresses} addresses over {transport:?}");
        assert!(reply.answers.len() >= at_least, "{} answers", reply.answers.len());
        assert_eq!(reply.edns.is_some(), payload.is_some());
        assert_eq!(reply.id, message.id);
        assert!(reply.authoritative && reply.recursion_desired && reply.recursion_available);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        if let Ok(question) = parse(&bytes, Transport::Udp) {
            prop_assert!(question.error(ResponseCode::ServFail).len() <= 1232);
        }
    }

    /// A valid question with some bytes changed gets further into the reader than noise does.
    #[test]
    fn damaged_questions_are_taken_without_panic(
        changes in proptest::collection::vec((0_usize..60, any::<u8>()), 1..6),
        cut in 0_usize..60,
    ) {
        let mut bytes = with_payload(1232).to_vec().unwrap();
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(question) = parse(&bytes, Transport::Tcp) {
            question.reply(answer(3), false);
        }
    }
}
