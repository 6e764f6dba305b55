//! nftables without the `nft` program: typed objects, transactions as data, a netlink codec, dumps and a monitor.
//!
//! Called by the Service proxy and by the local load balancer. Everything here is synchronous and without a runtime; the
//! kernel works on a transaction inside the send, so a commit of a few elements takes microseconds.
//!
//! A [`Batch`] is an ordered list of operations; [`Socket::commit`] applies all of it or nothing. The kernel resolves
//! names in order: declare sets before rules that use them, chains before rules and verdicts that go there, and delete
//! an element before adding its key again with other data.
//!
//! ```no_run
//! use portolan_nftables::{
//!     Batch, Chain, ChainType, Element, Expr, Family, Field, FibOf, Header, Hook, Meta, Nat, Reg, Set, Socket,
//!     TableId, Value,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In the namespace of the calling thread; elsewhere: `namespace.run(|| Socket::open())`.
//! let mut socket = Socket::open()?;
//! let id = TableId::new(Family::Ip, "balancer");
//! let (r0, r1, r2) = (Reg(0), Reg(1), Reg(2));
//! let mut batch = Batch::new();
//! batch
//!     .table(&id)
//!     .add_table()
//!     // address . protocol . port -> address . port
//!     .add_set(Set::map("targets", &[Field::Ipv4, Field::Protocol, Field::Port], &[Field::Ipv4, Field::Port]))
//!     .add_chain(Chain::base("prerouting", ChainType::Nat, Hook::Prerouting, -100))
//!     .add_rule("prerouting", vec![
//!         Expr::daddr(Family::Ip, r0),
//!         Expr::Meta(Meta::L4Proto, r1),
//!         Expr::dport(r2),
//!         Expr::load("targets", r0, r0),
//!         Expr::Nat { nat: Nat::Destination, family: Family::Ip, address: Some(r0), port: Some(r1), flags: 0 },
//!     ])
//!     .add_elements("targets", vec![Element::map(
//!         Value::new().address([203, 0, 113, 7].into()).protocol(6).port(80),
//!         Value::new().address([172, 30, 0, 11].into()).port(30080),
//!     )]);
//! socket.commit(&batch)?;
//! assert_eq!(socket.elements(&id, "targets")?.len(), 1);
//! # Ok(()) }
//! ```
//!
//! Kernel source of the rules: `net/netfilter/nf_tables_api.c`, `nfnetlink.c`.
#![cfg(target_os = "linux")]

mod batch;
mod conntrack;
mod dump;
mod encode;
mod encode_expr;
mod error;
mod expr;
mod monitor;
mod objects;
mod socket;
mod uapi;
mod value;
mod wire;

pub use batch::{Batch, InTable, Op};
pub use conntrack::{Flow, Tuple};
pub use dump::Step;
pub use error::{CommitError, DumpError, SocketError};
pub use expr::{
    Compare, Counting, Ct, Expr, FIB_LOCAL, FULLY_RANDOM, FibOf, Found, Header, Meta, Nat, Reg, Reject, STATUS_DNAT,
    SetOp,
};
pub use monitor::{Disturbance, Monitor};
pub use objects::{
    Base, Chain, ChainType, Data, DataType, Element, Family, Field, Hook, Rule, Set, Table, TableId, Verdict,
};
pub use socket::Socket;
pub use value::{Value, intervals};
