//! Tables, chains, rules, sets and elements as plain data.

use std::{fmt, time::Duration};

use crate::{Expr, Value};

/// Family of a table: which packets its chains can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4 only.
    Ip,
    /// IPv6 only.
    Ip6,
    /// Both.
    Inet,
}

impl Family {
    /// The kernel's number (`NFPROTO_*`).
    pub fn number(self) -> u8 {
        match self {
            Family::Inet => 1,
            Family::Ip => 2,
            Family::Ip6 => 10,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Family::Ip, Family::Ip6, Family::Inet].into_iter().find(|family| family.number() == number)
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
            Family::Inet => "inet",
        })
    }
}

/// Which table: family and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId {
    /// Its family.
    pub family: Family,
    /// Its name.
    pub name: String,
}

impl TableId {
    /// A table of this family and name.
    pub fn new(family: Family, name: impl Into<String>) -> Self {
        Self { family, name: name.into() }
    }
}

impl fmt::Display for TableId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

/// A table as declared or dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Family and name.
    pub id: TableId,
    /// Other processes cannot change it while the socket that declared it is open (Linux 5.12).
    pub owned: bool,
    /// It outlives its owner (Linux 6.9). Without this an owned table dies with the socket.
    pub persist: bool,
    /// Comment that `nft list` prints; at most 128 bytes.
    pub comment: Option<String>,
    /// Port number of the owning socket, filled in by a dump.
    pub owner: Option<u32>,
}

impl Table {
    /// An ordinary table.
    pub fn new(id: TableId) -> Self {
        Self { id, owned: false, persist: false, comment: None, owner: None }
    }

    /// Owned by the committing socket, and outliving it: the only safe combination (see [`Table::persist`]).
    #[must_use]
    pub fn owned(mut self) -> Self {
        self.owned = true;
        self.persist = true;
        self
    }

    /// With a comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

/// Where in the kernel a base chain hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Hook {
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
}

/// Kind of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainType {
    /// Sees every packet.
    Filter,
    /// Sees the first packet of a connection and may translate it.
    Nat,
}

/// Makes a chain a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// Kind.
    pub chain_type: ChainType,
    /// Hook.
    pub hook: Hook,
    /// Order among the chains of the hook; -100 is destination NAT, 100 source NAT, 0 filter.
    pub priority: i32,
}

/// A chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its name; the kernel allows 255 bytes.
    pub name: String,
    /// A base chain if set; the policy is always accept.
    pub base: Option<Base>,
    /// Comment that `nft list` prints; at most 128 bytes.
    pub comment: Option<String>,
}

impl Chain {
    /// A chain that others jump to.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), base: None, comment: None }
    }

    /// A base chain.
    pub fn base(name: impl Into<String>, chain_type: ChainType, hook: Hook, priority: i32) -> Self {
        Self { name: name.into(), base: Some(Base { chain_type, hook, priority }), comment: None }
    }

    /// With a comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

/// A rule: what it does, in order, until one expression says no.
pub type Rule = Vec<Expr>;

/// The end of a walk through the rules, or where it goes on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// The packet passes this hook.
    Accept,
    /// The packet is dropped.
    Drop,
    /// Next rule.
    Continue,
    /// Leaves the rule as if an expression had not matched.
    Break,
    /// Back to the calling chain.
    Return,
    /// To a chain, and back here after it.
    Jump(String),
    /// To a chain, and not back here.
    Goto(String),
}

impl Verdict {
    /// `goto chain`.
    pub fn goto(chain: impl Into<String>) -> Self {
        Verdict::Goto(chain.into())
    }

    /// `jump chain`.
    pub fn jump(chain: impl Into<String>) -> Self {
        Verdict::Jump(chain.into())
    }
}

/// Type of one field. The kernel only knows its length; the name is for `nft list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// IPv4 address.
    Ipv4,
    /// IPv6 address.
    Ipv6,
    /// IP protocol number, in a register of its own.
    Protocol,
    /// Port number.
    Port,
    /// 32-bit number in host order, printed in hex (nft's `mark`).
    Number,
    /// 32-bit number in host order, printed as `major:minor`: the type of `meta priority`.
    Class,
}

impl Field {
    /// nft's own number of the type; concatenations hold six bits per field.
    pub(crate) fn nft_type(self) -> u32 {
        match self {
            Field::Ipv4 => 7,
            Field::Ipv6 => 8,
            Field::Protocol => 12,
            Field::Port => 13,
            Field::Number => 19,
            Field::Class => 23,
        }
    }

    /// Length of the value itself.
    pub(crate) fn length(self) -> u32 {
        match self {
            Field::Ipv4 | Field::Number | Field::Class => 4,
            Field::Ipv6 => 16,
            Field::Protocol => 1,
            Field::Port => 2,
        }
    }
}

/// What a map holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataType {
    /// Fields, like a key.
    Fields(Vec<Field>),
    /// Verdicts.
    Verdict,
}

/// A set, or a map when `data` is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// Fields of the key.
    pub key: Vec<Field>,
    /// What it maps to.
    pub data: Option<DataType>,
    /// Elements are ranges: start and end elements for one field ([`crate::intervals`]),
    /// [`Element::range`] for concatenations.
    pub interval: bool,
    /// Packets may add, refresh and delete elements.
    pub dynamic: bool,
    /// Elements may expire; a default is not needed.
    pub timeout: bool,
    /// Most elements.
    pub size: Option<u32>,
    /// Comment that `nft list` prints; at most 128 bytes.
    pub comment: Option<String>,
}

impl Set {
    /// A set of keys.
    pub fn new(name: impl Into<String>, key: &[Field]) -> Self {
        Self {
            name: name.into(),
            key: key.to_vec(),
            data: None,
            interval: false,
            dynamic: false,
            timeout: false,
            size: None,
            comment: None,
        }
    }

    /// A map to values.
    pub fn map(name: impl Into<String>, key: &[Field], data: &[Field]) -> Self {
        Self { data: Some(DataType::Fields(data.to_vec())), ..Self::new(name, key) }
    }

    /// A map to verdicts.
    pub fn verdicts(name: impl Into<String>, key: &[Field]) -> Self {
        Self { data: Some(DataType::Verdict), ..Self::new(name, key) }
    }

    /// Elements are ranges.
    #[must_use]
    pub fn interval(mut self) -> Self {
        self.interval = true;
        self
    }

    /// Packets may change it; at most `size` elements.
    #[must_use]
    pub fn dynamic(mut self, size: u32) -> Self {
        self.dynamic = true;
        self.size = Some(size);
        self
    }

    /// Elements may expire.
    #[must_use]
    pub fn expiring(mut self) -> Self {
        self.timeout = true;
        self
    }

    /// With a comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = Some(comment.into());
        self
    }
}

/// What a key maps to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Data {
    /// A value.
    Value(Value),
    /// A verdict.
    Verdict(Verdict),
}

impl From<Value> for Data {
    fn from(value: Value) -> Self {
        Data::Value(value)
    }
}

impl From<Verdict> for Data {
    fn from(verdict: Verdict) -> Self {
        Data::Verdict(verdict)
    }
}

/// One element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    /// The key, or the first key of a range.
    pub key: Value,
    /// The last key of a range (concatenated interval sets only).
    pub key_end: Option<Value>,
    /// What a map holds for it.
    pub data: Option<Data>,
    /// In a plain interval set: the first key behind a range.
    pub end_of_interval: bool,
    /// When it expires after being set or refreshed.
    pub timeout: Option<Duration>,
}

impl Element {
    /// A key of a set.
    pub fn new(key: Value) -> Self {
        Self { key, key_end: None, data: None, end_of_interval: false, timeout: None }
    }

    /// A key of a map and what it maps to.
    pub fn map(key: Value, data: impl Into<Data>) -> Self {
        Self { data: Some(data.into()), ..Self::new(key) }
    }

    /// A range of a concatenated interval set, both ends included.
    pub fn range(first: Value, last: Value) -> Self {
        Self { key_end: Some(last), ..Self::new(first) }
    }

    /// Marks it as the first key behind a range.
    #[must_use]
    pub fn interval_end(mut self) -> Self {
        self.end_of_interval = true;
        self
    }
}
