//! A transaction as data: operations in order, printable, comparable, sent by [`crate::Socket::commit`].

use std::fmt;

use crate::{Chain, Element, Rule, Set, Table, TableId};

/// One operation on a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Declares the table, or adopts it as it is.
    AddTable(Table),
    /// Deletes the table with everything in it.
    DeleteTable,
    /// Declares a chain.
    AddChain(Chain),
    /// Deletes a chain that nothing refers to, with its rules.
    DeleteChain(String),
    /// Deletes the rules of a chain.
    FlushChain(String),
    /// Appends a rule to a chain.
    AddRule {
        /// The chain.
        chain: String,
        /// The rule.
        rule: Rule,
        /// Comment that `nft list` prints.
        comment: Option<String>,
    },
    /// Declares a set or map.
    AddSet(Set),
    /// Deletes a set that no rule refers to.
    DeleteSet(String),
    /// Deletes all elements of a set.
    FlushSet(String),
    /// Adds elements; an existing key with other data is refused.
    AddElements {
        /// The set or map.
        set: String,
        /// The elements.
        elements: Vec<Element>,
    },
    /// Deletes elements; a missing key is refused.
    DeleteElements {
        /// The set or map.
        set: String,
        /// The elements.
        elements: Vec<Element>,
    },
}

/// Ordered operations that happen all or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    ops: Vec<(TableId, Op)>,
}

impl Batch {
    /// An empty transaction.
    pub fn new() -> Self {
        Self::default()
    }

    /// The operations in order.
    pub fn ops(&self) -> &[(TableId, Op)] {
        &self.ops
    }

    /// Nothing to do.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Number of elements added and deleted: what the transaction costs.
    pub fn elements(&self) -> usize {
        let count = |op: &Op| match op {
            Op::AddElements { elements, .. } | Op::DeleteElements { elements, .. } => elements.len(),
            _ => 0,
        };
        self.ops.iter().map(|(_, op)| count(op)).sum()
    }

    /// The operations of `other` behind these.
    pub fn append(&mut self, mut other: Batch) {
        self.ops.append(&mut other.ops);
    }

    /// The same operations in order as several batches of at most `size` elements (other operations count as one).
    /// For what cannot be sent in one piece; each piece is a transaction of its own.
    pub fn pieces(&self, size: usize) -> Vec<Batch> {
        let size = size.max(1);
        let mut pieces = vec![Batch::new()];
        let mut room = size;
        let mut push = |table: &TableId, op: Op, cost: usize| {
            if cost > room {
                pieces.push(Batch::new());
                room = size;
            }
            room -= cost.min(room);
            if let Some(piece) = pieces.last_mut() {
                piece.ops.push((table.clone(), op));
            }
        };
        for (table, op) in &self.ops {
            let (set, elements, add) = match op {
                Op::AddElements { set, elements } => (set, elements, true),
                Op::DeleteElements { set, elements } => (set, elements, false),
                op => {
                    push(table, op.clone(), 1);
                    continue;
                }
            };
            for chunk in elements.chunks(size) {
                let (set, elements) = (set.clone(), chunk.to_vec());
                let cost = elements.len();
                let op = if add { Op::AddElements { set, elements } } else { Op::DeleteElements { set, elements } };
                push(table, op, cost);
            }
        }
        pieces
    }

    /// A cursor that adds operations on one table.
    pub fn table<'a>(&'a mut self, id: &TableId) -> InTable<'a> {
        InTable { batch: self, id: id.clone() }
    }
}

/// Adds operations on one table to a [`Batch`]; every method returns the cursor again.
#[derive(Debug)]
pub struct InTable<'a> {
    batch: &'a mut Batch,
    id: TableId,
}

impl InTable<'_> {
    fn push(&mut self, op: Op) -> &mut Self {
        self.batch.ops.push((self.id.clone(), op));
        self
    }

    /// Declares the table without flags. Fine if it is there.
    pub fn add_table(&mut self) -> &mut Self {
        let table = Table::new(self.id.clone());
        self.push(Op::AddTable(table))
    }

    /// Declares the table with flags and comment; `table.id` is replaced by the cursor's table.
    pub fn declare(&mut self, table: Table) -> &mut Self {
        let table = Table { id: self.id.clone(), ..table };
        self.push(Op::AddTable(table))
    }

    /// Deletes the table, which must exist.
    pub fn delete_table(&mut self) -> &mut Self {
        self.push(Op::DeleteTable)
    }

    /// Declares a chain. Fine if it is there.
    pub fn add_chain(&mut self, chain: Chain) -> &mut Self {
        self.push(Op::AddChain(chain))
    }

    /// Deletes a chain.
    pub fn delete_chain(&mut self, chain: impl Into<String>) -> &mut Self {
        self.push(Op::DeleteChain(chain.into()))
    }

    /// Deletes the rules of a chain.
    pub fn flush_chain(&mut self, chain: impl Into<String>) -> &mut Self {
        self.push(Op::FlushChain(chain.into()))
    }

    /// Appends a rule.
    pub fn add_rule(&mut self, chain: impl Into<String>, rule: Rule) -> &mut Self {
        self.push(Op::AddRule { chain: chain.into(), rule, comment: None })
    }

    /// Declares a set or map. Fine if an equal one is there.
    pub fn add_set(&mut self, set: Set) -> &mut Self {
        self.push(Op::AddSet(set))
    }

    /// Deletes a set or map.
    pub fn delete_set(&mut self, set: impl Into<String>) -> &mut Self {
        self.push(Op::DeleteSet(set.into()))
    }

    /// Deletes all elements of a set or map.
    pub fn flush_set(&mut self, set: impl Into<String>) -> &mut Self {
        self.push(Op::FlushSet(set.into()))
    }

    /// Adds elements; nothing happens for none.
    pub fn add_elements(&mut self, set: impl Into<String>, elements: Vec<Element>) -> &mut Self {
        if elements.is_empty() {
            return self;
        }
        self.push(Op::AddElements { set: set.into(), elements })
    }

    /// Deletes elements; nothing happens for none.
    pub fn delete_elements(&mut self, set: impl Into<String>, elements: Vec<Element>) -> &mut Self {
        if elements.is_empty() {
            return self;
        }
        self.push(Op::DeleteElements { set: set.into(), elements })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Op::AddTable(_) => f.write_str("add table"),
            Op::DeleteTable => f.write_str("delete table"),
            Op::AddChain(chain) => write!(f, "add chain {}", chain.name),
            Op::DeleteChain(chain) => write!(f, "delete chain {chain}"),
            Op::FlushChain(chain) => write!(f, "flush chain {chain}"),
            Op::AddRule { chain, .. } => write!(f, "add rule to chain {chain}"),
            Op::AddSet(set) => write!(f, "add set {}", set.name),
            Op::DeleteSet(set) => write!(f, "delete set {set}"),
            Op::FlushSet(set) => write!(f, "flush set {set}"),
            Op::AddElements { set, elements } => write!(f, "add {} elements to {set}", elements.len()),
            Op::DeleteElements { set, elements } => {
                write!(f, "delete {} elements of {set}", elements.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Family, Value};

    #[test]
    fn pieces_hold_everything_in_order_and_none_is_too_large() {
        let id = TableId::new(Family::Ip, "t");
        let elements = |from, to| (from..to).map(|n| Element::new(Value::new().number(n))).collect::<Vec<_>>();
        let mut batch = Batch::new();
        batch
            .table(&id)
            .add_table()
            .add_elements("a", elements(0, 25))
            .flush_set("b")
            .delete_elements("b", elements(0, 3));
        let pieces = batch.pieces(10);
        assert!(pieces.iter().all(|piece| piece.elements() <= 10));
        let mut keys = Vec::new();
        for (_, op) in pieces.iter().flat_map(Batch::ops) {
            if let Op::AddElements { elements, .. } = op {
                keys.extend(elements.iter().map(|element| element.key.clone()));
            }
        }
        assert_eq!(keys, elements(0, 25).into_iter().map(|element| element.key).collect::<Vec<_>>());
        assert!(matches!(pieces.last().map(|piece| piece.ops().last()), Some(Some((_, Op::DeleteElements { .. })))));
        assert_eq!(batch.pieces(1000), [batch]);
    }
}
