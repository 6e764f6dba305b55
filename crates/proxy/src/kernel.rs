//! The only place that talks to the kernel: looks, transactions, stale UDP flows. Synchronous.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
};

use portolan_netns::Namespace;
use portolan_nftables::{Batch, CommitError, DumpError, Element, Family, Flow, Socket, SocketError, Table, TableId};
use portolan_runtime::Failure;
use tracing::{debug, warn};

use crate::{
    elements::Elements,
    index::LiveFlows,
    layout::Layout,
    planner::{Commit, Observed, element_key},
    sets::{self, SetId},
    targets::{self, Target},
};

/// Elements and other operations per transaction where the send buffer cannot hold all of them at once.
const PIECE: usize = 1_000;

/// The kernel as seen from the node's network namespace. Owned tables belong to this value.
#[derive(Debug)]
pub(crate) struct Kernel {
    socket: Socket,
}

impl Kernel {
    pub(crate) fn open(namespace: &Namespace) -> io::Result<Result<Self, SocketError>> {
        namespace.run(|| Socket::open().map(|socket| Self { socket }))
    }

    /// How the kernel names our changes.
    pub(crate) fn port(&self) -> u32 {
        self.socket.port()
    }

    /// Whether tables can be owned and persistent (Linux 6.9): tried with a transaction that is never applied.
    pub(crate) fn can_own_tables(&mut self) -> bool {
        let id = TableId::new(Family::Ip, "portolan-probe");
        let mut batch = Batch::new();
        batch.table(&id).declare(Table::new(id.clone()).owned());
        self.socket.dry_run(&batch).inspect_err(|error| debug!(%error, "no owned tables")).is_ok()
    }

    /// Reads what the table holds, if it is one of ours with all its rules.
    pub(crate) fn look(&mut self, layout: &Layout) -> Result<Observed, DumpError> {
        let id = &layout.table;
        let Some(table) = self.socket.table(id)? else { return Ok(Observed::Missing) };
        // The kernel takes the owner flag off a persistent table when its owner goes.
        let orphan = table.persist && table.owner.is_none();
        let foreign = Ok(Observed::Foreign { orphan });
        let expected = layout.declaration();
        if table.persist != expected.persist || table.comment != expected.comment {
            return foreign;
        }
        let present: HashSet<String> = self.socket.sets(id)?.into_iter().collect();
        if sets::all().any(|set| !present.contains(set.name())) {
            return foreign;
        }
        let mut elements = Elements::new();
        for set in SetId::PLANNED {
            let dump = self.socket.elements(id, set.name())?;
            elements.extend(dump.into_iter().map(|element| (element_key(set, &element), element.data)));
        }
        let mut networks: BTreeMap<SetId, Vec<Element>> = BTreeMap::new();
        for set in SetId::NETWORKS {
            if set != SetId::NodePortIps || layout.listed_node_addresses {
                networks.insert(set, self.socket.elements(id, set.name())?);
            }
        }
        let targets = self.targets(id)?;
        if !self.has_all_rules(layout, &targets)? {
            return foreign;
        }
        let declared = !layout.owned || table.owner == Some(self.socket.port());
        Ok(Observed::Ours { declared, elements, networks, targets })
    }

    /// Numbers that all verdict maps know.
    fn targets(&mut self, id: &TableId) -> Result<HashSet<u32>, DumpError> {
        let known = self.socket.elements(id, SetId::Actions.name())?;
        let number = |element: Element| element.key.word(0).map(u32::from_ne_bytes);
        Ok(known.into_iter().filter_map(number).collect())
    }

    fn has_all_rules(&mut self, layout: &Layout, targets: &HashSet<u32>) -> Result<bool, DumpError> {
        let mut actual: HashMap<String, usize> = HashMap::new();
        for chain in self.socket.rules(&layout.table)? {
            *actual.entry(chain).or_default() += 1;
        }
        let mut expected = layout.rule_counts();
        let numbers = targets.iter().copied();
        expected.extend(numbers.filter_map(Target::from_number).flat_map(targets::chains));
        let prepared = targets::prepared().all(|target| targets.contains(&target.number()));
        Ok(prepared && expected == actual)
    }

    /// Applies a transaction, all or nothing. Only where it does not fit the send buffer, which cannot grow without
    /// rights on the host, it goes in pieces: a whole table with its base chains last, or thousands of changes at once.
    pub(crate) fn commit(&mut self, commit: &Commit) -> Result<(), CommitError> {
        match self.socket.commit(&commit.batch) {
            Err(CommitError::Send { bytes, .. }) => {
                debug!(bytes, "the transaction does not fit the send buffer and goes in pieces");
                commit.batch.pieces(PIECE).iter().try_for_each(|piece| self.socket.commit(piece))?;
            }
            result => result?,
        }
        self.socket.commit(&commit.hooks)
    }

    /// Deletes those of the tables that are there.
    pub(crate) fn strip(&mut self, tables: &[TableId]) -> Result<(), Failure> {
        let mut batch = Batch::new();
        for id in tables {
            if self.socket.table(id).map_err(|error| Failure::new(&error))?.is_some() {
                batch.table(id).delete_table();
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.socket.commit(&batch).map_err(|error| Failure::new(&error))
    }

    /// Deletes the UDP flows to a destination of `live` that lead to none of its endpoints. Returns how many.
    pub(crate) fn forget_flows(&mut self, family: Family, live: &LiveFlows) -> Result<usize, DumpError> {
        const UDP: u8 = 17;
        let stale = |flow: &Flow| {
            let destination = flow.original.destination;
            let serving = live.addresses.get(&destination).or_else(|| live.node_ports.get(&destination.port()));
            serving.is_some_and(|serving| !serving.contains(&flow.reply.source))
        };
        let mut deleted = 0;
        for flow in self.socket.flows(family, UDP)?.iter().filter(|flow| stale(flow)) {
            match self.socket.delete_flow(flow) {
                Ok(existed) => deleted += usize::from(existed),
                Err(error) => warn!(%error, ?flow, "cannot delete a stale flow"),
            }
        }
        Ok(deleted)
    }
}
