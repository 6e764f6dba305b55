//! Plans against a kernel made of maps: it refuses what the real one refuses, so every batch is held to its rules.
#![allow(clippy::unwrap_used)]

use portolan_nftables::{Family, Op, TableId, Verdict};

use super::*;
use crate::sets;

/// First key, last key of a range, end of an interval.
type FakeKey = (Value, Option<Value>, bool);

#[derive(Debug, Default, Clone, PartialEq)]
struct FakeTable {
    sets: BTreeMap<String, BTreeMap<FakeKey, Option<Data>>>,
    chains: HashSet<String>,
}

#[derive(Debug, Default)]
struct FakeKernel {
    table: Option<FakeTable>,
}

impl FakeKernel {
    /// Applies all of it or nothing.
    fn commit(&mut self, batch: &Batch) -> Result<(), String> {
        let mut table = self.table.clone();
        for (_, op) in batch.ops() {
            apply(&mut table, op).map_err(|why| format!("{op}: {why}"))?;
        }
        self.table = table;
        Ok(())
    }

    fn look(&self) -> Observed {
        let Some(table) = &self.table else { return Observed::Missing };
        let mut elements = Elements::new();
        for set in SetId::PLANNED {
            for ((key, end, _), data) in &table.sets[set.name()] {
                elements.insert(ElementKey { set, key: key.clone(), end: end.clone() }, data.clone());
            }
        }
        let networks = SetId::NETWORKS.into_iter().filter(|set| *set != SetId::NodePortIps).map(|set| {
            let networks = table.sets[set.name()].keys().map(|(key, _, end)| {
                let element = Element::new(key.clone());
                if *end { element.interval_end() } else { element }
            });
            (set, networks.collect())
        });
        let targets = table.sets[SetId::Actions.name()].keys();
        Observed::Ours {
            declared: false,
            elements,
            networks: networks.collect(),
            targets: targets.map(|(key, _, _)| u32::from_ne_bytes(key.word(0).unwrap())).collect(),
        }
    }
}

fn apply(table: &mut Option<FakeTable>, op: &Op) -> Result<(), &'static str> {
    match op {
        Op::AddTable(_) => drop(table.get_or_insert_default()),
        Op::DeleteTable => drop(table.take().ok_or("no table")?),
        op => apply_inside(table.as_mut().ok_or("no table")?, op)?,
    }
    Ok(())
}

fn apply_inside(table: &mut FakeTable, op: &Op) -> Result<(), &'static str> {
    let known = |table: &FakeTable, verdict: &Verdict| match verdict {
        Verdict::Goto(chain) | Verdict::Jump(chain) => table.chains.contains(chain),
        _ => true,
    };
    match op {
        Op::AddSet(set) => drop(table.sets.entry(set.name.clone()).or_default()),
        Op::AddChain(chain) => drop(table.chains.insert(chain.name.clone())),
        Op::AddRule { chain, .. } => table.chains.contains(chain).then_some(()).ok_or("no chain")?,
        Op::FlushSet(set) => table.sets.get_mut(set).ok_or("no set")?.clear(),
        Op::AddElements { set, elements } => {
            for element in elements {
                if let Some(Data::Verdict(verdict)) = &element.data
                    && !known(table, verdict)
                {
                    return Err("no such chain");
                }
                let set = table.sets.get_mut(set).ok_or("no set")?;
                let key = (element.key.clone(), element.key_end.clone(), element.end_of_interval);
                if set.insert(key, element.data.clone()).is_some_and(|old| old != element.data) {
                    return Err("exists with other data");
                }
            }
        }
        Op::DeleteElements { set, elements } => {
            let set = table.sets.get_mut(set).ok_or("no set")?;
            for element in elements {
                let key = (element.key.clone(), element.key_end.clone(), element.end_of_interval);
                set.remove(&key).ok_or("no such element")?;
            }
        }
        _ => return Err("not used here"),
    }
    Ok(())
}

fn planner() -> Planner {
    let layout = Layout {
        table: TableId::new(Family::Ip, "t"),
        detector: true,
        masquerade_all: false,
        listed_node_addresses: false,
        owned: true,
    };
    let networks = BTreeMap::from([(SetId::PodCidrs, vec!["10.244.0.0/16".parse().unwrap()])]);
    Planner::new(layout, true, networks)
}

/// Plans and commits until there is nothing left; returns the number of transactions.
fn converge(planner: &mut Planner, kernel: &mut FakeKernel) -> usize {
    let mut commits = 0;
    for _ in 0..10 {
        match planner.plan() {
            None if planner.leftovers().is_empty() => return commits,
            None => planner.ripen(planner.leftovers()),
            Some(TablePlan::Look { disturbances, .. }) => planner.observed(kernel.look(), disturbances),
            Some(TablePlan::Commit(commit)) => {
                match kernel.commit(&commit.batch).and_then(|()| kernel.commit(&commit.hooks)) {
                    Ok(()) => {
                        commits += 1;
                        planner.committed(*commit);
                    }
                    Err(_) => planner.refused(),
                }
            }
        }
    }
    panic!("no end of plans: {:?}", planner.plan());
}

fn assert_equal(planner: &Planner, kernel: &FakeKernel) {
    let table = kernel.table.as_ref().unwrap();
    let mut wanted: BTreeMap<String, BTreeMap<_, _>> = BTreeMap::new();
    for (key, data) in planner.ledger.wanted() {
        wanted
            .entry(key.set.name().to_owned())
            .or_default()
            .insert((key.key.clone(), key.end.clone(), false), data.clone());
    }
    for set in SetId::PLANNED {
        assert_eq!(table.sets[set.name()], wanted.remove(set.name()).unwrap_or_default(), "{set:?}");
    }
}

fn owner(name: &str) -> Arc<ObjectKey> {
    Arc::new(ObjectKey::new("default", name))
}

/// A Service port with `count` endpoints, or with affinity.
fn wants(key: u32, count: u16, sticky: bool) -> Elements {
    let target = match (count, sticky) {
        (0, _) => Target::Refuse,
        (count, false) => Target::Pick { count, local: false },
        (count, true) => Target::Stick { seconds: 60, count, local: false },
    };
    let element = |set, key, data: Value| (ElementKey { set, key, end: None }, Some(Data::Value(data)));
    let mut elements = Elements::from([element(SetId::Svc, Value::new().number(key), target.value())]);
    for slot in 0..u32::from(count) {
        let (key, endpoint) = (Value::new().number(key).number(slot), Value::new().number(slot).port(80));
        elements.extend([element(SetId::Ep, key, endpoint)]);
    }
    elements
}

#[test]
fn a_start_is_one_transaction_and_planning_twice_gives_nothing() {
    let (mut planner, mut kernel) = (planner(), FakeKernel::default());
    planner.want(&owner("a"), wants(1, 3, false));
    assert_eq!(converge(&mut planner, &mut kernel), 1);
    assert!(planner.plan().is_none() && planner.plan().is_none());
    assert_equal(&planner, &kernel);
    planner.want(&owner("a"), wants(1, 3, false));
    assert!(planner.plan().is_none(), "the same again is nothing");
}

#[test]
fn a_change_touches_only_what_differs() {
    let (mut planner, mut kernel) = (planner(), FakeKernel::default());
    for service in 0..50 {
        planner.want(&owner(&service.to_string()), wants(service, 3, false));
    }
    converge(&mut planner, &mut kernel);
    planner.want(&owner("7"), wants(7, 4, false));
    let Some(TablePlan::Commit(commit)) = planner.plan() else { panic!("a commit") };
    // One endpoint more: its element, and the Service's target deleted and added.
    assert_eq!((commit.batch.elements(), commit.batch.ops().len()), (3, 3));
    assert!(!commit.rebuild);
}

#[test]
fn targets_never_seen_bring_their_chains_and_what_these_fall_back_to() {
    let (mut planner, mut kernel) = (planner(), FakeKernel::default());
    converge(&mut planner, &mut kernel);
    planner.want(&owner("a"), wants(1, 200, true));
    assert_eq!(converge(&mut planner, &mut kernel), 1);
    let chains = &kernel.table.as_ref().unwrap().chains;
    for chain in ["stick-60s-200", "np-stick-60s-200", "pick-200", "np-pick-200", "pick-1"] {
        assert!(chains.contains(chain), "{chain}");
    }
    let before = chains.len();
    planner.want(&owner("b"), wants(2, 200, true));
    converge(&mut planner, &mut kernel);
    assert_eq!(kernel.table.unwrap().chains.len(), before, "chains are made once");
}

#[test]
fn whatever_happens_to_the_table_it_ends_as_wanted() {
    let mut random = fastrand::Rng::with_seed(4);
    let (mut planner, mut kernel) = (planner(), FakeKernel::default());
    for round in 0..400 {
        let service = owner(&random.u32(0..12).to_string());
        let key = random.u32(0..6);
        let elements = if random.u8(0..4) == 0 { Elements::new() } else { wants(key, random.u16(0..5), random.bool()) };
        planner.want(&service, elements);
        match random.u8(0..12) {
            0 => {
                kernel.table = None;
                planner.disturbed();
            }
            1 => {
                // Somebody changes elements, and the proxy hears of it.
                for set in [SetId::Svc, SetId::Ep] {
                    if let Some(table) = &mut kernel.table {
                        table.sets.get_mut(set.name()).unwrap().retain(|_, _| random.bool());
                    }
                }
                planner.disturbed();
            }
            // The same, and it does not: it finds out when a transaction is refused.
            2 => drop(kernel.table.as_mut().map(|table| table.sets.get_mut("svc").unwrap().clear())),
            _ => {}
        }
        let unheard = kernel.table.as_ref().is_some_and(|table| table.sets["svc"].is_empty());
        converge(&mut planner, &mut kernel);
        if unheard {
            planner.disturbed();
            converge(&mut planner, &mut kernel);
        }
        assert_equal(&planner, &kernel);
        assert!(planner.plan().is_none(), "round {round}");
    }
}

#[test]
fn a_restarted_planner_sends_only_the_difference() {
    let (mut before, mut kernel) = (planner(), FakeKernel::default());
    for service in 0..20 {
        before.want(&owner(&service.to_string()), wants(service, 3, false));
    }
    converge(&mut before, &mut kernel);
    let mut after = planner();
    let Some(TablePlan::Look { disturbances, .. }) = after.plan() else { panic!("a look first") };
    after.observed(kernel.look(), disturbances);
    assert!(after.has_looked());
    assert_eq!(after.held(&Value::new().number(5), 0).len(), 3, "slots are read back");
    for service in 1..20 {
        after.want(&owner(&service.to_string()), wants(service, 3, false));
    }
    let Some(TablePlan::Commit(commit)) = after.plan() else { panic!("a commit") };
    assert!(!commit.rebuild);
    assert_eq!(commit.batch.elements(), 4, "the Service that is gone: its target and three endpoints");
    kernel.commit(&commit.batch).unwrap();
    after.committed(*commit);
    assert_equal(&after, &kernel);
}

#[test]
fn a_disturbance_during_a_transaction_is_not_forgotten() {
    let (mut planner, mut kernel) = (planner(), FakeKernel::default());
    converge(&mut planner, &mut kernel);
    planner.want(&owner("a"), wants(1, 1, false));
    let Some(TablePlan::Commit(commit)) = planner.plan() else { panic!("a commit") };
    planner.disturbed();
    kernel.commit(&commit.batch).unwrap();
    planner.committed(*commit);
    assert!(matches!(planner.plan(), Some(TablePlan::Look { .. })));
}

#[test]
fn what_decides_masquerading_outlives_its_endpoint() {
    let (mut planner, mut kernel) = (planner(), FakeKernel::default());
    let hairpin = ElementKey { set: SetId::Hairpin, key: Value::new().number(7), end: None };
    let mut elements = wants(1, 1, false);
    elements.insert(hairpin.clone(), None);
    planner.want(&owner("a"), elements.clone());
    converge(&mut planner, &mut kernel);
    planner.want(&owner("a"), Elements::new());
    let Some(TablePlan::Commit(commit)) = planner.plan() else { panic!("a commit") };
    kernel.commit(&commit.batch).unwrap();
    planner.committed(*commit);
    assert!(planner.plan().is_none(), "nothing more for now");
    assert_eq!(planner.leftovers(), HashSet::from([hairpin]));
    assert_eq!(kernel.table.as_ref().unwrap().sets["hairpin"].len(), 1);
    // Wanted again before its time: nothing is left to do for it.
    let leftovers = planner.leftovers();
    planner.want(&owner("a"), elements);
    planner.ripen(leftovers);
    converge(&mut planner, &mut kernel);
    assert_eq!(kernel.table.as_ref().unwrap().sets["hairpin"].len(), 1);
    planner.want(&owner("a"), Elements::new());
    converge(&mut planner, &mut kernel);
    assert!(kernel.table.as_ref().unwrap().sets["hairpin"].is_empty());
}

#[test]
fn a_table_for_nobody_is_not_built() {
    let mut planner = Planner { always: false, ..planner() };
    let mut kernel = FakeKernel::default();
    assert_eq!(converge(&mut planner, &mut kernel), 0);
    planner.want(&owner("a"), wants(1, 1, false));
    assert_eq!(converge(&mut planner, &mut kernel), 1);
    planner.want(&owner("a"), Elements::new());
    converge(&mut planner, &mut kernel);
    assert_equal(&planner, &kernel);
}

#[test]
fn the_layout_declares_before_it_refers_and_has_a_fingerprint() {
    for family in [Family::Ip, Family::Ip6] {
        let mut comments = HashSet::new();
        for bits in 0..8 {
            let layout = Layout {
                table: TableId::new(family, "t"),
                detector: bits & 1 != 0,
                masquerade_all: bits & 2 != 0,
                listed_node_addresses: bits & 4 != 0,
                owned: false,
            };
            let mut kernel = FakeKernel { table: Some(FakeTable::default()) };
            kernel.commit(&layout.foundation()).unwrap();
            kernel.commit(&layout.hooks()).unwrap();
            assert_eq!(kernel.table.unwrap().sets.len(), sets::all().count());
            assert_eq!(layout.comment(), layout.comment());
            comments.insert(layout.comment());
        }
        // With masquerade-all the detector makes no difference to one rule, but it does to others.
        assert_eq!(comments.len(), 8);
    }
}
