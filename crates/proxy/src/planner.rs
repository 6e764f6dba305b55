//! The plan of one table: from the elements that Services want and what the kernel is known to hold to one transaction.
//! Pure: what the kernel said comes in as an [`Observed`], what it should do goes out as a [`TablePlan`].

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::IpNet;
use portolan_nftables::{Batch, Data, Element, Value, intervals};
use portolan_objects::ObjectKey;

use crate::{
    elements::{ElementKey, Elements},
    layout::Layout,
    ledger::{Ledger, Step},
    sets::SetId,
    targets::{self, Target},
};

/// How far the picture of the kernel can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    /// Nothing is known: look first.
    None,
    /// A look did not help (the kernel refused what followed from it): look whether the table is there, replace it.
    Distrusted,
    /// There is no usable table; `exists` says whether one has to be deleted, `adopt` whether it has to be owned first.
    Replace { exists: bool, adopt: bool },
    /// The table is ours but not declared by this socket yet.
    Orphan,
    /// The ledger holds what the kernel holds.
    Complete,
}

/// What to do for one table.
#[derive(Debug, Clone)]
pub(crate) enum TablePlan {
    /// Look what the kernel holds.
    Look {
        /// What the table should be like.
        layout: Box<Layout>,
        /// How often others had changed the table when this was planned.
        disturbances: u64,
    },
    /// Commit a transaction.
    Commit(Box<Commit>),
}

/// A transaction and what the planner has to remember of it.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) batch: Batch,
    /// A second transaction, where the first builds a table that no packet meets yet.
    pub(crate) hooks: Batch,
    /// It builds the whole table. Its base chains come last, so it may be cut into several transactions.
    pub(crate) rebuild: bool,
    disturbances: u64,
    steps: Vec<Step>,
    targets: Vec<Target>,
    networks: BTreeMap<SetId, Vec<Element>>,
}

/// What a look at the kernel found.
#[derive(Debug, Clone)]
pub(crate) enum Observed {
    /// No such table.
    Missing,
    /// A table of this name with other rules or flags. `orphan`: owned, but its owner is gone.
    Foreign { orphan: bool },
    /// Our table.
    Ours {
        /// This socket owns it, or no ownership is wanted.
        declared: bool,
        elements: Elements,
        networks: BTreeMap<SetId, Vec<Element>>,
        targets: HashSet<u32>,
    },
}

/// Plans one table.
#[derive(Debug)]
pub(crate) struct Planner {
    pub(crate) layout: Layout,
    /// Built even if no Service wants anything.
    always: bool,
    knowledge: Knowledge,
    /// How often others have changed the table.
    disturbances: u64,
    ledger: Ledger,
    claims: HashMap<Arc<ObjectKey>, Elements>,
    /// Targets whose chains the kernel has.
    targets: HashSet<Target>,
    networks: BTreeMap<SetId, Vec<Element>>,
    kernel_networks: BTreeMap<SetId, Vec<Element>>,
    /// Elements of lagging sets whose time to go has come.
    ripe: HashSet<ElementKey>,
}

impl Planner {
    /// Networks are what `service-cidrs`, `pod-cidrs` and, where listed, `nodeport-ips` hold.
    pub(crate) fn new(layout: Layout, always: bool, networks: BTreeMap<SetId, Vec<IpNet>>) -> Self {
        let networks = networks.into_iter().map(|(set, networks)| (set, intervals(networks))).collect();
        Self {
            layout,
            always,
            knowledge: Knowledge::None,
            disturbances: 0,
            ledger: Ledger::default(),
            claims: HashMap::new(),
            targets: HashSet::new(),
            networks,
            kernel_networks: BTreeMap::new(),
            ripe: HashSet::new(),
        }
    }

    /// Replaces what a Service wants; nothing is "it is gone".
    pub(crate) fn want(&mut self, service: &Arc<ObjectKey>, elements: Elements) {
        let old = if elements.is_empty() {
            self.claims.remove(service).unwrap_or_default()
        } else {
            self.claims.insert(Arc::clone(service), elements.clone()).unwrap_or_default()
        };
        self.ledger.claim(service, &old, &elements);
    }

    /// Somebody else changed the table.
    pub(crate) fn disturbed(&mut self) {
        self.disturbances += 1;
        self.knowledge = Knowledge::None;
    }

    /// The kernel refused the last transaction: the picture of it is wrong.
    pub(crate) fn refused(&mut self) {
        self.knowledge = match self.knowledge {
            Knowledge::None | Knowledge::Complete => Knowledge::None,
            Knowledge::Orphan | Knowledge::Distrusted | Knowledge::Replace { .. } => Knowledge::Distrusted,
        };
    }

    /// Before the first look nothing should be wanted: slots that the kernel holds are to be kept.
    pub(crate) fn has_looked(&self) -> bool {
        !matches!(self.knowledge, Knowledge::None | Knowledge::Distrusted)
    }

    /// The endpoints that the kernel holds under a key, slot after slot from `first` on.
    pub(crate) fn held(&self, key: &Value, first: u32) -> Vec<SocketAddr> {
        let endpoint = |slot| {
            let key = ElementKey { set: SetId::Ep, key: key.clone().number(slot), end: None };
            match self.ledger.held(&key)? {
                Data::Value(value) => socket_address(value),
                Data::Verdict(_) => None,
            }
        };
        (first..).map_while(endpoint).collect()
    }

    /// Elements of lagging sets that nobody wants and that have not been declared ripe.
    pub(crate) fn leftovers(&self) -> HashSet<ElementKey> {
        let steps = self.ledger.steps().into_iter().filter(|step| self.is_early(step));
        steps.map(|step| step.key).collect()
    }

    /// These may go now, unless they are wanted again.
    pub(crate) fn ripen(&mut self, elements: HashSet<ElementKey>) {
        self.ripe.extend(elements);
    }

    fn is_early(&self, step: &Step) -> bool {
        step.wanted.is_none() && step.key.set.lags() && !self.ripe.contains(&step.key)
    }

    /// What to do now; `None` when the kernel holds what is wanted. Changes nothing.
    pub(crate) fn plan(&self) -> Option<TablePlan> {
        match self.knowledge {
            Knowledge::None | Knowledge::Distrusted => {
                let layout = Box::new(self.layout.clone());
                Some(TablePlan::Look { layout, disturbances: self.disturbances })
            }
            Knowledge::Replace { exists: false, .. } if !self.always && self.claims.is_empty() => None,
            Knowledge::Replace { exists, adopt } => Some(TablePlan::Commit(Box::new(self.rebuild(exists, adopt)))),
            Knowledge::Orphan => Some(TablePlan::Commit(Box::new(self.difference(true)))),
            Knowledge::Complete => {
                let commit = self.difference(false);
                (!commit.batch.is_empty()).then(|| TablePlan::Commit(Box::new(commit)))
            }
        }
    }

    /// A look was taken.
    pub(crate) fn observed(&mut self, observed: Observed, disturbances: u64) {
        if disturbances != self.disturbances {
            // Somebody was at it meanwhile: look again.
            return;
        }
        let distrusted = self.knowledge == Knowledge::Distrusted;
        self.knowledge = match observed {
            Observed::Missing => Knowledge::Replace { exists: false, adopt: false },
            Observed::Foreign { orphan } => Knowledge::Replace { exists: true, adopt: orphan },
            Observed::Ours { .. } if distrusted => Knowledge::Replace { exists: true, adopt: self.layout.owned },
            Observed::Ours { declared, elements, networks, targets } => {
                self.ledger.observe(elements);
                self.kernel_networks = networks;
                self.targets = targets.into_iter().filter_map(Target::from_number).collect();
                if declared { Knowledge::Complete } else { Knowledge::Orphan }
            }
        };
    }

    /// A transaction went through.
    pub(crate) fn committed(&mut self, commit: Commit) {
        if commit.rebuild {
            self.targets = targets::prepared().collect();
            self.kernel_networks.clear();
            // What the old table held is gone; the steps below say what the new one holds.
            self.ledger.observe(Elements::new());
        }
        self.targets.extend(commit.targets);
        self.kernel_networks.extend(commit.networks);
        self.ledger.took(commit.steps);
        self.ripe.clear();
        let undisturbed = commit.disturbances == self.disturbances;
        self.knowledge = if undisturbed { Knowledge::Complete } else { Knowledge::None };
    }

    fn difference(&self, declare: bool) -> Commit {
        let mut batch = Batch::new();
        if declare {
            batch.table(&self.layout.table).declare(self.layout.declaration());
        }
        let mut steps = self.ledger.steps();
        steps.retain(|step| !self.is_early(step));
        let targets = self.new_targets(&steps, &self.targets);
        self.add_targets(&mut batch, &targets);
        change_elements(&mut batch, &self.layout, &steps);
        let networks = self.changed_networks();
        self.set_networks(&mut batch, &networks);
        Commit { batch, hooks: Batch::new(), rebuild: false, disturbances: self.disturbances, steps, targets, networks }
    }

    /// Builds the whole table. Interval sets come to life a moment later than the rest of a transaction, so a table
    /// that was not there before gets its hooks in a second one.
    fn rebuild(&self, exists: bool, adopt: bool) -> Commit {
        let mut batch = Batch::new();
        let mut table = batch.table(&self.layout.table);
        if exists && adopt {
            // An orphan with these flags may be declared by anybody, and only then deleted.
            table.declare(self.layout.declaration());
        }
        if exists {
            table.delete_table();
        }
        table.declare(self.layout.declaration());
        batch.append(self.layout.foundation());
        let mut steps: Vec<Step> = self
            .ledger
            .wanted()
            .map(|(key, data)| Step { key: key.clone(), was: None, wanted: Some(data.clone()) })
            .collect();
        steps.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let targets = self.new_targets(&steps, &targets::prepared().collect());
        self.add_targets(&mut batch, &targets);
        change_elements(&mut batch, &self.layout, &steps);
        self.set_networks(&mut batch, &self.networks);
        let mut hooks = self.layout.hooks();
        if exists {
            // In one piece: between the old table and the new one no packet may go untranslated.
            batch.append(std::mem::take(&mut hooks));
        }
        let networks = self.networks.clone();
        Commit { batch, hooks, rebuild: true, disturbances: self.disturbances, steps, targets, networks }
    }

    /// Targets that the steps lead to and that have no chains yet; what they fall back to comes before them.
    fn new_targets(&self, steps: &[Step], known: &HashSet<Target>) -> Vec<Target> {
        let mut missing = Vec::new();
        for step in steps {
            let (SetId::Svc | SetId::SvcIn | SetId::SvcOut, Some(Some(Data::Value(value)))) =
                (step.key.set, &step.wanted)
            else {
                continue;
            };
            let number = value.word(0).map(u32::from_ne_bytes);
            let Some(target) = number.and_then(Target::from_number) else { continue };
            let mut chain = vec![target];
            while let Some(next) = chain.last().copied().and_then(targets::fallback) {
                chain.push(next);
            }
            for target in chain.into_iter().rev() {
                if !known.contains(&target) && !missing.contains(&target) {
                    missing.push(target);
                }
            }
        }
        missing
    }

    fn add_targets(&self, batch: &mut Batch, missing: &[Target]) {
        for target in missing {
            targets::add_chains(batch, &self.layout.table, self.layout.shape(), *target);
            for (set, element) in targets::verdicts(*target) {
                batch.table(&self.layout.table).add_elements(set.name(), vec![element]);
            }
        }
    }

    fn changed_networks(&self) -> BTreeMap<SetId, Vec<Element>> {
        let differs = |set: &SetId, wanted: &Vec<Element>| {
            self.kernel_networks.get(set).map_or(!wanted.is_empty(), |kernel| kernel != wanted)
        };
        let changed = self.networks.iter().filter(|(set, wanted)| differs(set, wanted));
        changed.map(|(set, wanted)| (*set, wanted.clone())).collect()
    }

    fn set_networks(&self, batch: &mut Batch, networks: &BTreeMap<SetId, Vec<Element>>) {
        for (set, elements) in networks {
            let mut table = batch.table(&self.layout.table);
            if self.kernel_networks.get(set).is_some_and(|kernel| !kernel.is_empty()) {
                table.flush_set(set.name());
            }
            table.add_elements(set.name(), elements.clone());
        }
    }
}

/// Deletions before additions: a key may not be added while it holds something else.
fn change_elements(batch: &mut Batch, layout: &Layout, steps: &[Step]) {
    let element = |step: &Step, data: &Option<Data>| Element {
        data: data.clone(),
        key_end: step.key.end.clone(),
        ..Element::new(step.key.key.clone())
    };
    let mut table = batch.table(&layout.table);
    for run in steps.chunk_by(|a, b| a.key.set == b.key.set) {
        let gone = run.iter().filter_map(|step| step.was.as_ref().map(|data| element(step, data)));
        table.delete_elements(run[0].key.set.name(), gone.collect());
    }
    for run in steps.chunk_by(|a, b| a.key.set == b.key.set) {
        let new = run.iter().filter_map(|step| step.wanted.as_ref().map(|data| element(step, data)));
        table.add_elements(run[0].key.set.name(), new.collect());
    }
}

/// The key under which a dumped element is kept.
pub(crate) fn element_key(set: SetId, element: &Element) -> ElementKey {
    ElementKey { set, key: element.key.clone(), end: element.key_end.clone() }
}

/// An endpoint from map data: address and port, each in full registers.
fn socket_address(value: &Value) -> Option<SocketAddr> {
    let bytes = value.as_bytes();
    let (address, port) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
    let address = match address.len() {
        4 => IpAddr::from(*address.first_chunk::<4>()?),
        _ => IpAddr::from(*address.first_chunk::<16>()?),
    };
    Some(SocketAddr::new(address, u16::from_be_bytes(*port.first_chunk()?)))
}

#[cfg(test)]
mod tests;
