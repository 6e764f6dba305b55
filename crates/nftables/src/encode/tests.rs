//! The bytes, against an independent decoder, and the way back from an error to its element.
#![allow(clippy::unwrap_used)]

use netlink_packet_core::NetlinkMessage;
use netlink_packet_netfilter::NetfilterMessage;

use super::*;
use crate::{Batch, Expr, Family, FibOf, Meta, Reg, Value, Verdict, wire::Messages};

fn key(n: u32) -> Value {
    Value::new().address(std::net::Ipv4Addr::from(n).into()).protocol(6).port(80)
}

fn sample() -> Batch {
    let id = TableId::new(Family::Ip, "t");
    let mut batch = Batch::new();
    batch
        .table(&id)
        .declare(Table::new(id.clone()).owned().comment("hello"))
        .add_set(Set::map("m", &[Field::Ipv4, Field::Protocol, Field::Port], &[Field::Class]))
        .add_set(Set::new("nets", &[Field::Ipv4]).interval())
        .add_chain(Chain::base("pre", ChainType::Nat, Hook::Prerouting, -100))
        .add_chain(Chain::new("x").comment("a chain"))
        .add_rule(
            "pre",
            vec![
                Expr::daddr(Family::Ip, Reg(0)),
                Expr::Meta(Meta::L4Proto, Reg(1)),
                Expr::dport(Reg(2)),
                Expr::load("m", Reg(0), Reg(0)),
                Expr::SetMeta(Meta::Priority, Reg(0)),
                Expr::Fib(FibOf::Destination, Reg(1)),
                Expr::goto("x"),
            ],
        )
        .add_elements("m", vec![Element::map(key(1), Value::new().number(7))])
        .add_elements("v", vec![Element::map(key(1), Verdict::goto("x"))])
        .delete_elements("m", vec![Element::new(key(1))])
        .flush_chain("x")
        .delete_chain("x");
    batch
}

#[test]
fn an_independent_decoder_reads_every_message_and_writes_the_same_bytes() {
    let encoded = Encoded::new(&sample(), 1, true);
    let mut rest = &encoded.bytes[..];
    let mut count = 0;
    while !rest.is_empty() {
        let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
        let (message, tail) = rest.split_at(length);
        rest = tail;
        let kind = u16::from_ne_bytes([message[4], message[5]]);
        let decoded = NetlinkMessage::<NetfilterMessage>::deserialize(message)
            .unwrap_or_else(|error| panic!("message {count}: {error:?}"));
        let mut again = vec![0; decoded.buffer_len()];
        decoded.serialize(&mut again);
        // Framing messages come out with another length of padding; objects must agree to the byte.
        if kind >> 8 == NFNL_SUBSYS_NFTABLES {
            assert_eq!(again, message, "message {count}: {decoded:?}");
        }
        count += 1;
    }
    assert_eq!(count, sample().ops().len() + 2);
}

#[test]
fn long_lists_are_cut_into_messages_whose_length_fields_fit() {
    let id = TableId::new(Family::Ip, "t");
    let mut batch = Batch::new();
    let elements: Vec<_> = (0..10_000).map(|n| Element::map(key(n), Value::new().number(n))).collect();
    batch.table(&id).add_elements("m", elements);
    let encoded = Encoded::new(&batch, 5, true);
    let mut seen = Vec::new();
    for message in Messages(&encoded.bytes) {
        if let Some(list) = message.attributes().get(NFTA_SET_ELEM_LIST_ELEMENTS) {
            seen.extend(Attributes(list).map(|(_, element)| element.to_vec()));
        }
    }
    assert_eq!(seen.len(), 10_000);
    let acknowledged: Vec<u32> = Messages(&encoded.bytes)
        .filter(|message| message.flags & NLM_F_ACK != 0)
        .map(|message| message.sequence)
        .collect();
    assert_eq!(acknowledged, [encoded.last()]);
}

#[test]
fn an_offset_leads_back_to_the_element_and_a_stranger_is_known() {
    let id = TableId::new(Family::Ip, "t");
    let mut batch = Batch::new();
    let elements: Vec<_> = (0..5_000).map(|n| Element::new(key(n))).collect();
    batch.table(&id).flush_set("m").add_elements("m", elements);
    let encoded = Encoded::new(&batch, 100, true);
    let last = encoded.marks.last().unwrap();
    assert!(last.first_element > 0, "the list was cut");
    let list =
        encoded.bytes[last.start..].windows(4).position(|w| w == key(last.first_element as u32 + 2).word(0).unwrap());
    let subject = encoded.subject(encoded.last(), list.map(|offset| offset as u32));
    assert_eq!(subject, Subject::Op { index: 1, element: Some(last.first_element + 2) });
    assert_eq!(encoded.subject(101, None), Subject::Op { index: 0, element: None });
    assert_eq!(encoded.subject(100, None), Subject::Batch);
    assert_eq!(encoded.subject(99, None), Subject::Stranger);
    assert_eq!(encoded.subject(5000, None), Subject::Stranger);
}
