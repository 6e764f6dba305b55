//! Reading back what the kernel holds: to adopt a table after a restart, and to check.

use std::{io, time::Duration};

use crate::{
    Data, DumpError, Element, Family, Socket, Table, TableId, Value, Verdict,
    uapi::*,
    wire::{Attributes, Head, Message, Writer, read_text, read_u32, read_u64},
};

/// Dumps that a concurrent change interrupts are tried this often.
const ATTEMPTS: usize = 20;

impl Socket {
    /// All tables of the namespace.
    pub fn tables(&mut self) -> Result<Vec<Table>, DumpError> {
        self.dump("the tables".into(), NFT_MSG_GETTABLE, 0, |_| {}, read_table)
    }

    /// The table, if it exists.
    pub fn table(&mut self, id: &TableId) -> Result<Option<Table>, DumpError> {
        Ok(self.tables()?.into_iter().find(|table| table.id == *id))
    }

    /// Names of the chains of a table.
    pub fn chains(&mut self, id: &TableId) -> Result<Vec<String>, DumpError> {
        let what = format!("the chains of table {id}");
        let name = |message: &Message<'_>| {
            let attributes = message.attributes();
            let mine = attributes.get(NFTA_CHAIN_TABLE).map(read_text).as_deref() == Some(&id.name);
            mine.then(|| attributes.get(NFTA_CHAIN_NAME).map(read_text)).flatten()
        };
        self.dump(what, NFT_MSG_GETCHAIN, id.family.number(), |_| {}, name)
    }

    /// How many rules each chain of a table has, in the order of the dump.
    pub fn rules(&mut self, id: &TableId) -> Result<Vec<String>, DumpError> {
        let what = format!("the rules of table {id}");
        let chain = |message: &Message<'_>| message.attributes().get(NFTA_RULE_CHAIN).map(read_text);
        let ask = |w: &mut Writer| w.text(NFTA_RULE_TABLE, &id.name);
        self.dump(what, NFT_MSG_GETRULE, id.family.number(), ask, chain)
    }

    /// Where each rule of a table leads, in the order of the dump: enough to follow packets through a ruleset that
    /// somebody else wrote.
    pub fn steps(&mut self, id: &TableId) -> Result<Vec<Step>, DumpError> {
        let what = format!("the rules of table {id}");
        let ask = |w: &mut Writer| w.text(NFTA_RULE_TABLE, &id.name);
        self.dump(what, NFT_MSG_GETRULE, id.family.number(), ask, read_step)
    }

    /// Names of the sets and maps of a table.
    pub fn sets(&mut self, id: &TableId) -> Result<Vec<String>, DumpError> {
        let what = format!("the sets of table {id}");
        let name = |message: &Message<'_>| message.attributes().get(NFTA_SET_NAME).map(read_text);
        let ask = |w: &mut Writer| w.text(NFTA_SET_TABLE, &id.name);
        self.dump(what, NFT_MSG_GETSET, id.family.number(), ask, name)
    }

    /// The elements of a set or map, sorted by key, each once.
    ///
    /// Just after many elements were added, the kernel still grows its hash table in the background; a dump may then
    /// miss some. A transaction that trusts such a dump is refused (`EEXIST`, `ENOENT`), never half applied.
    pub fn elements(&mut self, id: &TableId, set: &str) -> Result<Vec<Element>, DumpError> {
        let what = format!("the elements of {set} in table {id}");
        let ask = |w: &mut Writer| {
            w.text(NFTA_SET_ELEM_LIST_TABLE, &id.name);
            w.text(NFTA_SET_ELEM_LIST_SET, set);
        };
        let lists: Vec<Vec<Element>> = self.dump(what, NFT_MSG_GETSETELEM, id.family.number(), ask, |message| {
            let list = message.attributes().get(NFTA_SET_ELEM_LIST_ELEMENTS)?;
            Some(Attributes(list).filter_map(|(_, element)| read_element(element)).collect())
        })?;
        let mut elements: Vec<Element> = lists.into_iter().flatten().collect();
        elements.sort();
        elements.dedup();
        Ok(elements)
    }

    /// The number of the ruleset's generation: every commit of any process in this namespace raises it.
    pub fn generation(&mut self) -> Result<u32, DumpError> {
        let mut generation = None;
        let build = |w: &mut Writer, sequence: u32| {
            let kind = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN;
            w.message(Head { kind, flags: NLM_F_ACK, sequence, family: 0 }, 0, |_| {});
        };
        let result = self.request(build, |message| {
            generation = generation.or_else(|| message.attributes().get(NFTA_GEN_ID).and_then(read_u32));
        });
        let missing = || io::Error::from(io::ErrorKind::InvalidData);
        result
            .and_then(|()| generation.ok_or_else(missing))
            .map_err(|source| DumpError { what: "the ruleset generation".into(), source })
    }

    fn dump<T>(
        &mut self,
        what: String,
        kind: u16,
        family: u8,
        ask: impl Fn(&mut Writer),
        read: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, DumpError> {
        let mut attempt = 1;
        loop {
            let mut items = Vec::new();
            let build = |w: &mut Writer, sequence: u32| {
                let kind = NFNL_SUBSYS_NFTABLES << 8 | kind;
                w.message(Head { kind, flags: NLM_F_DUMP, sequence, family }, 0, &ask);
            };
            match self.request(build, |message| items.extend(read(message))) {
                Ok(()) => return Ok(items),
                Err(error) if error.kind() == io::ErrorKind::Interrupted && attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(source) => return Err(DumpError { what, source }),
            }
        }
    }
}

/// What one rule refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Step {
    /// The chain it is in.
    pub chain: String,
    /// Sets and maps that it looks something up in.
    pub sets: Vec<String>,
    /// Verdicts that it holds itself.
    pub verdicts: Vec<Verdict>,
    /// Constants that it loads, in order: of a translation to one address, the address and the port.
    pub constants: Vec<Value>,
    /// Whether it translates an address.
    pub translates: bool,
}

fn read_step(message: &Message<'_>) -> Option<Step> {
    let attributes = message.attributes();
    let mut step = Step { chain: attributes.get(NFTA_RULE_CHAIN).map(read_text)?, ..Step::default() };
    let expressions = attributes.get(NFTA_RULE_EXPRESSIONS).unwrap_or_default();
    for (_, expression) in Attributes(expressions) {
        let expression = Attributes(expression);
        let data = Attributes(expression.get(NFTA_EXPR_DATA).unwrap_or_default());
        match expression.get(NFTA_EXPR_NAME).map(read_text).as_deref() {
            Some("lookup") => step.sets.extend(data.get(NFTA_LOOKUP_SET).map(read_text)),
            Some("nat") => step.translates = true,
            Some("immediate") => match data.get(NFTA_IMMEDIATE_DATA).and_then(read_data) {
                Some(Data::Verdict(verdict)) => step.verdicts.push(verdict),
                Some(Data::Value(value)) => step.constants.push(value),
                None => {}
            },
            _ => {}
        }
    }
    Some(step)
}

fn read_table(message: &Message<'_>) -> Option<Table> {
    const OWNER: u32 = 2;
    const PERSIST: u32 = 4;
    let attributes = message.attributes();
    let flags = attributes.get(NFTA_TABLE_FLAGS).and_then(read_u32).unwrap_or_default();
    Some(Table {
        id: TableId::new(Family::from_number(message.family())?, read_text(attributes.get(NFTA_TABLE_NAME)?)),
        owned: flags & OWNER != 0,
        persist: flags & PERSIST != 0,
        comment: attributes.get(NFTA_TABLE_USERDATA).and_then(read_comment),
        owner: attributes.get(NFTA_TABLE_OWNER).and_then(read_u32),
    })
}

/// User data of a table or chain: type 0 is the comment.
fn read_comment(bytes: &[u8]) -> Option<String> {
    let [0, length, rest @ ..] = bytes else { return None };
    rest.get(..usize::from(*length)).map(read_text)
}

fn read_element(bytes: &[u8]) -> Option<Element> {
    let attributes = Attributes(bytes);
    let value = |bytes| Attributes(bytes).get(NFTA_DATA_VALUE).map(Value::from_bytes);
    let flags = attributes.get(NFTA_SET_ELEM_FLAGS).and_then(read_u32).unwrap_or_default();
    Some(Element {
        key: attributes.get(NFTA_SET_ELEM_KEY).and_then(value)?,
        key_end: attributes.get(NFTA_SET_ELEM_KEY_END).and_then(value),
        data: attributes.get(NFTA_SET_ELEM_DATA).and_then(read_data),
        end_of_interval: flags & NFT_SET_ELEM_INTERVAL_END != 0,
        timeout: attributes.get(NFTA_SET_ELEM_TIMEOUT).and_then(read_u64).map(Duration::from_millis),
    })
}

fn read_data(bytes: &[u8]) -> Option<Data> {
    let attributes = Attributes(bytes);
    if let Some(value) = attributes.get(NFTA_DATA_VALUE) {
        return Some(Data::Value(Value::from_bytes(value)));
    }
    let verdict = Attributes(attributes.get(NFTA_DATA_VERDICT)?);
    let chain = || verdict.get(NFTA_VERDICT_CHAIN).map(read_text);
    Some(Data::Verdict(match read_u32(verdict.get(NFTA_VERDICT_CODE)?)? as i32 {
        NF_DROP => Verdict::Drop,
        NF_ACCEPT => Verdict::Accept,
        NFT_CONTINUE => Verdict::Continue,
        NFT_BREAK => Verdict::Break,
        NFT_RETURN => Verdict::Return,
        NFT_JUMP => Verdict::Jump(chain()?),
        NFT_GOTO => Verdict::Goto(chain()?),
        _ => return None,
    }))
}
