//! A [`Batch`] as one datagram: begin, messages, end; and back from a sequence number to the operation it belongs to.

use crate::{
    Base, Batch, Chain, ChainType, DataType, Element, Field, Hook, Op, Set, Table, TableId,
    encode_expr::{data, element_data, rule},
    uapi::*,
    wire::{Attributes, Head, Writer},
};

/// A list of elements is cut before it gets longer than this: its attribute's length field has sixteen bits.
const LIST_LIMIT: usize = 60_000;

/// Where a message came from.
#[derive(Debug, Clone, Copy)]
struct Mark {
    /// First byte in the datagram.
    start: usize,
    /// Index of the operation.
    op: usize,
    /// Index of the message's first element within the operation.
    first_element: usize,
}

/// The datagram of one transaction.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    /// Sequence number of the begin message; messages follow in order.
    first: u32,
    marks: Vec<Mark>,
}

/// What an error report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The transaction as a whole.
    Batch,
    /// One operation and, where the kernel says so, one of its elements.
    Op { index: usize, element: Option<usize> },
    /// Something else: a late answer to an earlier transaction.
    Stranger,
}

impl Encoded {
    /// Encodes the batch. `end` false leaves the end message out: the kernel then checks everything and changes nothing.
    pub(crate) fn new(batch: &Batch, first: u32, end: bool) -> Self {
        let mut encoder =
            Encoder { w: Writer::default(), first, marks: Vec::with_capacity(batch.ops().len()), last_start: 0 };
        encoder.frame(NFNL_MSG_BATCH_BEGIN, first);
        for (index, (table, op)) in batch.ops().iter().enumerate() {
            encoder.op(index, table, op);
        }
        encoder.acknowledge_last();
        if end {
            let sequence = encoder.next_sequence();
            encoder.frame(NFNL_MSG_BATCH_END, sequence);
        }
        Self { bytes: encoder.w.bytes, first, marks: encoder.marks }
    }

    /// Sequence number of the last operation's message, the one that is acknowledged.
    pub(crate) fn last(&self) -> u32 {
        self.first.wrapping_add(self.marks.len() as u32)
    }

    /// How many sequence numbers it uses.
    pub(crate) fn sequences(&self) -> u32 {
        self.marks.len() as u32 + 2
    }

    /// What the message with this sequence number was about; `offset` is the byte the kernel points at.
    pub(crate) fn subject(&self, sequence: u32, offset: Option<u32>) -> Subject {
        let distance = sequence.wrapping_sub(self.first) as usize;
        if distance == 0 || distance == self.marks.len() + 1 {
            return Subject::Batch;
        }
        match self.marks.get(distance.wrapping_sub(1)) {
            Some(mark) => {
                Subject::Op { index: mark.op, element: offset.and_then(|offset| self.element(mark, offset as usize)) }
            }
            None => Subject::Stranger,
        }
    }

    /// The element of a message that contains the byte at `offset`.
    fn element(&self, mark: &Mark, offset: usize) -> Option<usize> {
        const BODY: usize = 20;
        let message = self.bytes.get(mark.start..)?;
        let mut position = BODY;
        for (kind, value) in Attributes(message.get(BODY..)?) {
            if kind == NFTA_SET_ELEM_LIST_ELEMENTS {
                let mut inside = position + 4;
                for (index, (_, element)) in Attributes(value).enumerate() {
                    let next = inside + (element.len() + 4).next_multiple_of(4);
                    if (inside..next).contains(&offset) {
                        return Some(mark.first_element + index);
                    }
                    inside = next;
                }
                return None;
            }
            position += (value.len() + 4).next_multiple_of(4);
        }
        None
    }
}

struct Encoder {
    w: Writer,
    first: u32,
    marks: Vec<Mark>,
    last_start: usize,
}

impl Encoder {
    fn frame(&mut self, kind: u16, sequence: u32) {
        let head = Head { kind, flags: 0, sequence, family: 0 };
        self.w.message(head, NFNL_SUBSYS_NFTABLES, |_| {});
    }

    fn next_sequence(&self) -> u32 {
        self.first.wrapping_add(self.marks.len() as u32 + 1)
    }

    /// Only the last message asks for an answer. Errors come for any message; answers to all would overflow the
    /// receive buffer of a large transaction.
    fn acknowledge_last(&mut self) {
        if self.marks.is_empty() {
            return;
        }
        let at = self.last_start + 6;
        let flags = u16::from_ne_bytes([self.w.bytes[at], self.w.bytes[at + 1]]) | NLM_F_ACK;
        self.w.bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
    }

    fn message(
        &mut self,
        (op, first_element): (usize, usize),
        table: &TableId,
        (kind, flags): (u16, u16),
        body: impl FnOnce(&mut Writer),
    ) {
        let head = Head {
            kind: NFNL_SUBSYS_NFTABLES << 8 | kind,
            flags,
            sequence: self.next_sequence(),
            family: table.family.number(),
        };
        self.last_start = self.w.bytes.len();
        self.marks.push(Mark { start: self.last_start, op, first_element });
        self.w.message(head, 0, body);
    }

    fn op(&mut self, index: usize, id: &TableId, op: &Op) {
        let at = (index, 0);
        let new = NLM_F_CREATE;
        match op {
            Op::AddTable(table) => {
                self.message(at, id, (NFT_MSG_NEWTABLE, new), |w| add_table(w, id, table));
            }
            Op::DeleteTable => self.message(at, id, (NFT_MSG_DELTABLE, 0), |w| {
                w.text(NFTA_TABLE_NAME, &id.name);
            }),
            Op::AddChain(chain) => {
                self.message(at, id, (NFT_MSG_NEWCHAIN, new), |w| add_chain(w, id, chain));
            }
            Op::DeleteChain(chain) => self.message(at, id, (NFT_MSG_DELCHAIN, 0), |w| {
                w.text(NFTA_CHAIN_TABLE, &id.name);
                w.text(NFTA_CHAIN_NAME, chain);
            }),
            Op::FlushChain(chain) => self.message(at, id, (NFT_MSG_DELRULE, 0), |w| {
                w.text(NFTA_RULE_TABLE, &id.name);
                w.text(NFTA_RULE_CHAIN, chain);
            }),
            Op::AddRule { chain, rule: exprs, comment } => {
                self.message(at, id, (NFT_MSG_NEWRULE, new | NLM_F_APPEND), |w| {
                    w.text(NFTA_RULE_TABLE, &id.name);
                    w.text(NFTA_RULE_CHAIN, chain);
                    w.nest(NFTA_RULE_EXPRESSIONS, |w| rule(w, exprs));
                    comment_in(w, NFTA_RULE_USERDATA, 0, comment.as_deref());
                });
            }
            Op::AddSet(set) => self.message(at, id, (NFT_MSG_NEWSET, new), |w| {
                add_set(w, id, set, index as u32 + 1);
            }),
            Op::DeleteSet(set) => self.message(at, id, (NFT_MSG_DELSET, 0), |w| {
                w.text(NFTA_SET_TABLE, &id.name);
                w.text(NFTA_SET_NAME, set);
            }),
            Op::FlushSet(set) => self.message(at, id, (NFT_MSG_DELSETELEM, 0), |w| {
                w.text(NFTA_SET_ELEM_LIST_TABLE, &id.name);
                w.text(NFTA_SET_ELEM_LIST_SET, set);
            }),
            Op::AddElements { set, elements } => {
                self.elements(index, id, (NFT_MSG_NEWSETELEM, new), set, elements);
            }
            Op::DeleteElements { set, elements } => {
                self.elements(index, id, (NFT_MSG_DELSETELEM, 0), set, elements);
            }
        }
    }

    /// As many messages as the length limit of their lists needs.
    fn elements(&mut self, index: usize, id: &TableId, kind: (u16, u16), set: &str, elements: &[Element]) {
        let with_data = kind.0 == NFT_MSG_NEWSETELEM;
        let mut done = 0;
        while done < elements.len() {
            let mut taken = 0;
            self.message((index, done), id, kind, |w| {
                w.text(NFTA_SET_ELEM_LIST_TABLE, &id.name);
                w.text(NFTA_SET_ELEM_LIST_SET, set);
                w.nest(NFTA_SET_ELEM_LIST_ELEMENTS, |w| {
                    let start = w.bytes.len();
                    for element in &elements[done..] {
                        w.nest(NFTA_LIST_ELEM, |w| add_element(w, element, with_data));
                        taken += 1;
                        if w.bytes.len() - start > LIST_LIMIT {
                            break;
                        }
                    }
                });
            });
            done += taken;
        }
    }
}

fn add_table(w: &mut Writer, id: &TableId, table: &Table) {
    const OWNER: u32 = 2;
    const PERSIST: u32 = 4;
    w.text(NFTA_TABLE_NAME, &id.name);
    let flags = if table.owned { OWNER } else { 0 } | if table.persist { PERSIST } else { 0 };
    w.u32(NFTA_TABLE_FLAGS, flags);
    comment_in(w, NFTA_TABLE_USERDATA, 0, table.comment.as_deref());
}

fn add_chain(w: &mut Writer, id: &TableId, chain: &Chain) {
    w.text(NFTA_CHAIN_TABLE, &id.name);
    w.text(NFTA_CHAIN_NAME, &chain.name);
    if let Some(Base { chain_type, hook, priority }) = chain.base {
        w.nest(NFTA_CHAIN_HOOK, |w| {
            w.u32(
                NFTA_HOOK_HOOKNUM,
                match hook {
                    Hook::Prerouting => 0,
                    Hook::Input => 1,
                    Hook::Forward => 2,
                    Hook::Output => 3,
                    Hook::Postrouting => 4,
                },
            );
            w.u32(NFTA_HOOK_PRIORITY, priority as u32);
        });
        w.u32(NFTA_CHAIN_POLICY, NF_ACCEPT as u32);
        w.text(
            NFTA_CHAIN_TYPE,
            match chain_type {
                ChainType::Filter => "filter",
                ChainType::Nat => "nat",
            },
        );
    }
    comment_in(w, NFTA_CHAIN_USERDATA, 0, chain.comment.as_deref());
}

fn add_set(w: &mut Writer, id: &TableId, set: &Set, number: u32) {
    let concatenated = set.key.len() > 1;
    let mut flags = 0;
    for (on, flag) in [
        (set.interval, NFT_SET_INTERVAL),
        (set.interval && concatenated, NFT_SET_CONCAT),
        (set.data.is_some(), NFT_SET_MAP),
        (set.timeout, NFT_SET_TIMEOUT),
        (set.dynamic, NFT_SET_EVAL),
    ] {
        if on {
            flags |= flag;
        }
    }
    w.text(NFTA_SET_TABLE, &id.name);
    w.text(NFTA_SET_NAME, &set.name);
    w.u32(NFTA_SET_FLAGS, flags);
    w.u32(NFTA_SET_KEY_TYPE, type_number(&set.key));
    w.u32(NFTA_SET_KEY_LEN, key_length(&set.key));
    match &set.data {
        None => {}
        Some(DataType::Verdict) => {
            // The kernel knows the length of a verdict itself.
            w.u32(NFTA_SET_DATA_TYPE, NFT_DATA_VERDICT);
            w.u32(NFTA_SET_DATA_LEN, 0);
        }
        Some(DataType::Fields(fields)) => {
            w.u32(NFTA_SET_DATA_TYPE, type_number(fields));
            w.u32(NFTA_SET_DATA_LEN, key_length(fields));
        }
    }
    let describe = set.interval && concatenated;
    if describe || set.size.is_some() {
        w.nest(NFTA_SET_DESC, |w| {
            if let Some(size) = set.size {
                w.u32(NFTA_SET_DESC_SIZE, size);
            }
            if describe {
                w.nest(NFTA_SET_DESC_CONCAT, |w| {
                    for field in &set.key {
                        w.nest(NFTA_LIST_ELEM, |w| w.u32(NFTA_SET_FIELD_LEN, field.length()));
                    }
                });
            }
        });
    }
    w.u32(NFTA_SET_ID, number);
    let mut user_data = Vec::new();
    byte_order(&mut user_data, 0, &set.key);
    if let Some(DataType::Fields(fields)) = &set.data {
        byte_order(&mut user_data, 1, fields);
    }
    comment_text(&mut user_data, 7, set.comment.as_deref());
    if !user_data.is_empty() {
        w.attribute(NFTA_SET_USERDATA, &user_data);
    }
}

/// Tells nft in which order to print the bytes of a single field; for concatenations it knows by itself.
fn byte_order(user_data: &mut Vec<u8>, tlv: u8, fields: &[Field]) {
    const HOST: u32 = 1;
    const NETWORK: u32 = 2;
    let order = match fields {
        [Field::Number | Field::Class] => HOST,
        [_] => NETWORK,
        _ => return,
    };
    user_data.extend_from_slice(&[tlv, 4]);
    user_data.extend_from_slice(&order.to_ne_bytes());
}

fn add_element(w: &mut Writer, element: &Element, with_data: bool) {
    data(w, NFTA_SET_ELEM_KEY, &element.key);
    if let Some(end) = &element.key_end {
        data(w, NFTA_SET_ELEM_KEY_END, end);
    }
    if element.end_of_interval {
        w.u32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
    }
    if !with_data {
        return;
    }
    if let Some(value) = &element.data {
        element_data(w, value);
    }
    if let Some(timeout) = element.timeout {
        w.u64(NFTA_SET_ELEM_TIMEOUT, timeout.as_millis() as u64);
    }
}

/// nft's number of a type: six bits for each field of a concatenation.
fn type_number(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |number, field| number << 6 | field.nft_type())
}

fn key_length(fields: &[Field]) -> u32 {
    match fields {
        [field] => field.length(),
        fields => fields.iter().map(|field| field.length().next_multiple_of(4)).sum(),
    }
}

fn comment_in(w: &mut Writer, kind: u16, tlv: u8, comment: Option<&str>) {
    let mut user_data = Vec::new();
    comment_text(&mut user_data, tlv, comment);
    if !user_data.is_empty() {
        w.attribute(kind, &user_data);
    }
}

/// User data as nft writes it: type, length, text with a closing zero. The kernel keeps 256 bytes of it.
fn comment_text(user_data: &mut Vec<u8>, tlv: u8, comment: Option<&str>) {
    const LONGEST: usize = 128;
    let Some(comment) = comment else { return };
    let text: String = comment.chars().filter(char::is_ascii).take(LONGEST).collect();
    user_data.extend_from_slice(&[tlv, text.len() as u8 + 1]);
    user_data.extend_from_slice(text.as_bytes());
    user_data.push(0);
}

#[cfg(test)]
mod tests;
