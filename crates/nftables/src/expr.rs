//! The expressions that rules are made of: exactly those that Portolan emits.
//!
//! Values live in sixteen 32-bit registers, only for the length of one rule. Kernels from about 6.5 on refuse to read
//! a register that the same rule has not written.

use std::time::Duration;

use crate::{Family, Value, Verdict};

/// One of the sixteen 32-bit registers. An IPv6 address takes four in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reg(pub u8);

/// Header that a payload offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// IPv4 or IPv6.
    Network,
    /// TCP, UDP, SCTP, ...
    Transport,
}

/// A property of the packet that is not in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// Packet priority, 32 bits, host order. May be set.
    Priority,
    /// Packet mark, 32 bits, host order. May be set.
    Mark,
    /// Transport protocol number.
    L4Proto,
    /// Name of the interface it came in by, 16 bytes.
    InputName,
    /// Name of the interface it leaves by, 16 bytes.
    OutputName,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a lookup does with what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Go on if the key is in the set.
    Continue,
    /// Go on if the key is *not* in the set.
    Stop,
    /// Load the map's value; go on if there is one.
    Load(Reg),
    /// Follow the map's verdict; go on with the next rule if there is none.
    Follow,
}

/// How `numgen` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counting {
    /// One after another.
    Incremental,
    /// Uniformly at random.
    Random,
}

/// Which address is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nat {
    /// Source.
    Source,
    /// Destination.
    Destination,
}

/// A property of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ct {
    /// State bits, host order: 1 invalid, 2 established, 4 related, 8 new.
    State,
    /// Status bits, host order: 32 is "destination translated".
    Status,
    /// IPv4 source of the original direction.
    OriginalSource,
    /// IPv4 destination of the original direction.
    OriginalDestination,
    /// IPv6 source of the original direction.
    OriginalSource6,
    /// IPv6 destination of the original direction.
    OriginalDestination6,
    /// Destination port of the original direction.
    OriginalPort,
}

/// Which address a routing table lookup asks about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FibOf {
    Source,
    Destination,
}

/// How a packet is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// A TCP reset.
    TcpReset,
    /// ICMP "port unreachable" of the table's family (`Ip` or `Ip6`).
    PortUnreachable(Family),
}

/// What a packet does to a dynamic set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOp {
    /// Adds the key unless it is there.
    Add,
    /// Adds the key or starts its timeout again. The data of an existing key stays.
    Update,
    /// Deletes the key.
    Delete,
}

/// Value of `fib ... type` for an address of this machine (`RTN_LOCAL`), host order.
pub const FIB_LOCAL: u32 = 2;
/// Bit of [`Ct::Status`]: the destination was translated.
pub const STATUS_DNAT: u32 = 32;
/// NAT flag: take a fully random source port.
pub const FULLY_RANDOM: u32 = 16;

/// One step of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// Loads bytes of the packet.
    Payload {
        /// Where `offset` counts from.
        header: Header,
        /// First byte.
        offset: u32,
        /// Number of bytes.
        length: u32,
        /// First register.
        to: Reg,
    },
    /// Loads a property of the packet.
    Meta(Meta, Reg),
    /// Sets a property of the packet from a register.
    SetMeta(Meta, Reg),
    /// Goes on if the register compares like this.
    Cmp(Compare, Reg, Value),
    /// `to = (from & mask) ^ xor`.
    Bitwise {
        /// First register read.
        from: Reg,
        /// First register written.
        to: Reg,
        /// The mask.
        mask: Value,
        /// What is flipped afterwards; same length.
        xor: Value,
    },
    /// Loads a constant.
    Immediate(Reg, Value),
    /// Ends the walk, or goes elsewhere.
    Verdict(Verdict),
    /// Looks a key up.
    Lookup {
        /// The set or map.
        set: String,
        /// First register of the key.
        key: Reg,
        /// What then.
        found: Found,
    },
    /// Loads a number from `offset` to `offset + modulus - 1`, host order.
    Numgen {
        /// Register written.
        to: Reg,
        /// How many different numbers; not 0.
        modulus: u32,
        /// Added to each.
        offset: u32,
        /// In which order.
        counting: Counting,
    },
    /// Translates an address. Ends the walk.
    Nat {
        /// Which one.
        nat: Nat,
        /// Family of the address: `Ip` or `Ip6`.
        family: Family,
        /// First register of the new address.
        address: Option<Reg>,
        /// Register of the new port.
        port: Option<Reg>,
        /// `0` or [`FULLY_RANDOM`].
        flags: u32,
    },
    /// Translates the source to the address of the outgoing interface. Ends the walk.
    Masquerade {
        /// `0` or [`FULLY_RANDOM`].
        flags: u32,
    },
    /// Loads the type of an address as the routing table sees it, host order.
    Fib(FibOf, Reg),
    /// Loads a property of the connection.
    Ct(Ct, Reg),
    /// Counts packets and bytes.
    Counter,
    /// Refuses the packet. Ends the walk.
    Reject(Reject),
    /// Changes a dynamic set.
    Dynset {
        /// How.
        op: SetOp,
        /// The set or map.
        set: String,
        /// First register of the key.
        key: Reg,
        /// First register of the data; for maps always needed, even to delete.
        data: Option<Reg>,
        /// When the element expires.
        timeout: Option<Duration>,
    },
}

impl Expr {
    /// `goto chain`.
    pub fn goto(chain: impl Into<String>) -> Self {
        Expr::Verdict(Verdict::goto(chain))
    }

    /// `jump chain`.
    pub fn jump(chain: impl Into<String>) -> Self {
        Expr::Verdict(Verdict::jump(chain))
    }

    /// Loads the destination address of the packet; `family` is `Ip` or `Ip6`.
    pub fn daddr(family: Family, to: Reg) -> Self {
        let (offset, length) = if family == Family::Ip6 { (24, 16) } else { (16, 4) };
        Expr::Payload { header: Header::Network, offset, length, to }
    }

    /// Loads the source address of the packet; `family` is `Ip` or `Ip6`.
    pub fn saddr(family: Family, to: Reg) -> Self {
        let (offset, length) = if family == Family::Ip6 { (8, 16) } else { (12, 4) };
        Expr::Payload { header: Header::Network, offset, length, to }
    }

    /// Loads the destination port (`th dport`).
    pub fn dport(to: Reg) -> Self {
        Expr::Payload { header: Header::Transport, offset: 2, length: 2, to }
    }

    /// `key @set`.
    pub fn is_in(set: impl Into<String>, key: Reg) -> Self {
        Expr::Lookup { set: set.into(), key, found: Found::Continue }
    }

    /// `key != @set`.
    pub fn not_in(set: impl Into<String>, key: Reg) -> Self {
        Expr::Lookup { set: set.into(), key, found: Found::Stop }
    }

    /// `map @map` into a register.
    pub fn load(map: impl Into<String>, key: Reg, to: Reg) -> Self {
        Expr::Lookup { set: map.into(), key, found: Found::Load(to) }
    }

    /// `vmap @map`.
    pub fn follow(map: impl Into<String>, key: Reg) -> Self {
        Expr::Lookup { set: map.into(), key, found: Found::Follow }
    }
}
