//! The proxy as a part of the common loop: watch -> index -> plan -> apply.
//!
//! Two keys: the rules of all tables, and the health check ports. Changes that arrive while a transaction is under way
//! are in the next one; there is no other delay.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use k8s_openapi::api::{
    core::v1::{Node, Service},
    discovery::v1::EndpointSlice,
};
use portolan_catalogue::Reason;
use portolan_events::Recorder;
use portolan_netns::Namespace;
use portolan_nftables::TableId;
use portolan_objects::{Family, ObjectKey};
use portolan_runtime::{Change, Failure, Reconciler};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::{
    Condition, Metrics,
    elements::ElementKey,
    health::{Health, Subject, serve},
    index::{Index, LiveFlows},
    kernel::Kernel,
    planner::{Commit, Observed, Planner, TablePlan},
};

/// First delay after the kernel refused something; doubled up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(10);
/// Longest delay.
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// How long an element of a lagging set outlives its endpoint: see [`crate::sets::SetId::lags`].
const LAG: Duration = Duration::from_secs(1);
/// How long until a health check port that could not be opened is tried again.
const PORT_RETRY: Duration = Duration::from_secs(5);

/// One change.
#[derive(Debug)]
pub(crate) enum Input {
    Service(Box<Change<Service>>),
    Slice(Box<Change<EndpointSlice>>),
    Node(Box<Change<Node>>),
    /// Somebody else changed the tables.
    Disturbed,
    /// Something is wrong with the proxy from now on, or no longer.
    Condition(Condition),
}

/// What is planned one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Rules,
    Health,
}

/// What to do.
#[derive(Debug)]
pub(crate) enum Plan {
    Rules(RulesPlan),
    Health(HealthPlan),
    /// Delete these tables, which nobody wants deleted.
    Strip(Vec<TableId>),
}

/// What to do in the kernel.
#[derive(Debug)]
pub(crate) struct RulesPlan {
    tables: Vec<(Family, TablePlan)>,
    /// After the transactions: UDP flows to keep.
    flows: Vec<(Family, LiveFlows)>,
}

/// Which health check ports to open and close.
#[derive(Debug)]
pub(crate) struct HealthPlan {
    open: Vec<(u16, ObjectKey)>,
    close: Vec<(u16, CancellationToken)>,
}

/// What was done.
#[derive(Debug)]
pub(crate) enum Outcome {
    Rules { tables: Vec<(Family, TableOutcome)>, flows: bool },
    Health { opened: Vec<(u16, ObjectKey, CancellationToken)>, closed: Vec<u16>, failed: Vec<(u16, ObjectKey, String)> },
    Stripped,
}

/// What became of one table.
#[derive(Debug)]
pub(crate) enum TableOutcome {
    Observed { observed: Observed, disturbances: u64 },
    Committed { commit: Box<Commit>, took: Duration },
    Refused,
}

/// The proxy.
pub(crate) struct Proxy {
    index: Index,
    planners: BTreeMap<Family, Planner>,
    /// Services whose UDP flows are to be looked at after the next transaction.
    flows: BTreeSet<ObjectKey>,
    /// When the changes of the pending Services happened.
    triggers: Vec<SystemTime>,
    refusals: u32,
    /// Elements that wait to be deleted, by table, and when their time comes.
    leftovers: Option<(Instant, BTreeMap<Family, HashSet<ElementKey>>)>,
    ports: BTreeMap<u16, (ObjectKey, CancellationToken)>,
    condition: Condition,
    /// The tables are deleted already.
    stripped: bool,
    shared: Shared,
}

/// What an apply needs.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) kernel: Arc<Mutex<Kernel>>,
    pub(crate) namespace: Namespace,
    pub(crate) health: Arc<Health>,
    pub(crate) recorder: Option<Recorder>,
    pub(crate) metrics: Metrics,
    pub(crate) stop: CancellationToken,
}

impl Proxy {
    pub(crate) fn new(node: &str, planners: BTreeMap<Family, Planner>, shared: Shared) -> Self {
        Self {
            index: Index::new(node),
            planners,
            flows: BTreeSet::new(),
            triggers: Vec::new(),
            refusals: 0,
            leftovers: None,
            ports: BTreeMap::new(),
            condition: Condition::Well,
            stripped: false,
            shared,
        }
    }

    /// What it does while something is wrong with it. The index goes on: what it missed to do is done afterwards.
    fn plan_in_trouble(&self, key: &Key) -> Option<Plan> {
        match (self.condition, key) {
            (Condition::Stripped, Key::Rules) => {
                // It believes that all is done.
                self.shared.health.settled();
                let tables = self.planners.values().map(|planner| planner.layout.table.clone());
                (!self.stripped).then(|| Plan::Strip(tables.collect()))
            }
            (Condition::Stripped, Key::Health) => self.plan_health().map(Plan::Health),
            (Condition::Frozen | Condition::Well, _) => None,
        }
    }

    /// From now on it is in this condition.
    fn change_condition(&mut self, condition: Condition) {
        if std::mem::replace(&mut self.condition, condition) != condition {
            info!(?condition, "the proxy's condition has changed");
        }
        self.stripped = false;
        self.shared.health.stuck(condition == Condition::Frozen);
        if condition == Condition::Well {
            // Whatever happened to the tables meanwhile.
            self.planners.values_mut().for_each(Planner::disturbed);
        }
    }

    fn plan_rules(&mut self) -> Option<RulesPlan> {
        if let Some((_, ripe)) = self.leftovers.take_if(|(due, _)| *due <= Instant::now()) {
            for (family, elements) in ripe {
                self.planners.entry(family).and_modify(|planner| planner.ripen(elements));
            }
        }
        if self.planners.values().all(Planner::has_looked) {
            self.project();
        }
        let tables: Vec<_> =
            self.planners.iter().filter_map(|(family, planner)| Some((*family, planner.plan()?))).collect();
        let only_looking = tables.iter().any(|(_, plan)| matches!(plan, TablePlan::Look { .. }));
        let flows = if only_looking { Vec::new() } else { self.live_flows() };
        (!tables.is_empty() || !flows.is_empty()).then_some(RulesPlan { tables, flows })
    }

    /// Turns what changed in the index into wanted elements.
    fn project(&mut self) {
        for key in self.index.take_dirty() {
            self.triggers.extend(self.index.triggers(&key).filter_map(parse_time));
            let key = Arc::new(key);
            for (family, planner) in &mut self.planners {
                let elements = self.index.project(&key, *family, |key, first| planner.held(key, first));
                planner.want(&key, elements);
            }
            self.flows.insert((*key).clone());
        }
    }

    fn live_flows(&self) -> Vec<(Family, LiveFlows)> {
        let live = self.planners.keys().map(|family| {
            let mut live = LiveFlows::default();
            for key in &self.flows {
                self.index.live_flows(&Arc::new(key.clone()), *family, &mut live);
            }
            (*family, live)
        });
        live.filter(|(_, live)| *live != LiveFlows::default()).collect()
    }

    fn plan_health(&self) -> Option<HealthPlan> {
        let wanted = self.index.health_checks();
        self.shared.health.local(wanted.values().cloned().collect());
        let open = wanted.iter().filter(|(port, (key, _))| self.ports.get(*port).is_none_or(|(open, _)| open != key));
        let close = self.ports.iter().filter(|(port, (key, _))| wanted.get(*port).is_none_or(|(want, _)| want != key));
        let plan = HealthPlan {
            open: open.map(|(port, (key, _))| (*port, key.clone())).collect(),
            close: close.map(|(port, (_, token))| (*port, token.clone())).collect(),
        };
        (!plan.open.is_empty() || !plan.close.is_empty()).then_some(plan)
    }

    fn applied_rules(&mut self, tables: Vec<(Family, TableOutcome)>, flows: bool) -> Option<Duration> {
        let mut looked = false;
        let mut refused = false;
        for (family, outcome) in tables {
            let Some(planner) = self.planners.get_mut(&family) else { continue };
            match outcome {
                TableOutcome::Observed { observed, disturbances } => {
                    looked = true;
                    planner.observed(observed, disturbances);
                }
                TableOutcome::Committed { commit, took } => {
                    let elements = commit.batch.elements();
                    self.shared.metrics.committed(family, commit.rebuild, took, elements);
                    if commit.rebuild {
                        info!(%family, elements, ?took, "built the table");
                    } else {
                        debug!(%family, elements, ?took, "changed the table");
                    }
                    planner.committed(*commit);
                }
                TableOutcome::Refused => {
                    refused = true;
                    self.shared.metrics.refused(family);
                    planner.refused();
                }
            }
        }
        if refused {
            let delay = FIRST_RETRY.saturating_mul(1 << self.refusals.min(12)).min(LONGEST_RETRY);
            self.refusals += 1;
            return Some(delay);
        }
        if looked {
            return Some(Duration::ZERO);
        }
        self.refusals = 0;
        if flows {
            self.flows.clear();
        }
        self.triggers.drain(..).for_each(|since| self.shared.metrics.programmed(since));
        if !self.index.is_dirty() && self.planners.values().all(|planner| planner.plan().is_none()) {
            self.shared.health.settled();
        }
        self.wait_for_leftovers()
    }

    /// When to come back to delete what has to stay a little longer than its endpoint.
    fn wait_for_leftovers(&mut self) -> Option<Duration> {
        if self.leftovers.is_none() {
            let found: BTreeMap<_, _> =
                self.planners.iter().map(|(family, planner)| (*family, planner.leftovers())).collect();
            if found.values().all(HashSet::is_empty) {
                return None;
            }
            self.leftovers = Some((Instant::now() + LAG, found));
            return Some(LAG);
        }
        None
    }

    fn applied_health(
        &mut self,
        opened: Vec<(u16, ObjectKey, CancellationToken)>,
        closed: Vec<u16>,
        failed: Vec<(u16, ObjectKey, String)>,
    ) -> Option<Duration> {
        for port in closed {
            self.ports.remove(&port);
        }
        for (port, key, token) in opened {
            self.ports.insert(port, (key, token));
        }
        for (port, key, error) in &failed {
            // Upstream's text: `pkg/proxy/healthcheck/service_health.go`.
            let node = &self.index.node().name;
            let message = format!("node {node} failed to start healthcheck \"{key}\" on port {port}: {error}");
            if let Some(recorder) = &self.shared.recorder {
                let service = self.index.reference(key);
                recorder.event(&service, Reason::FailedToStartServiceHealthcheck, message);
            }
        }
        (!failed.is_empty()).then_some(PORT_RETRY)
    }
}

impl Reconciler for Proxy {
    type Input = Input;
    type Key = Key;
    type Plan = Plan;
    type Outcome = Outcome;

    fn index(&mut self, input: Input, dirty: &mut Vec<Key>) {
        match input {
            Input::Service(change) => {
                self.shared.metrics.service_changed();
                self.index.service(*change);
            }
            Input::Slice(change) => {
                self.shared.metrics.endpoints_changed();
                self.index.slice(*change);
            }
            Input::Node(change) => {
                self.index.node_change(*change);
                self.shared.health.node(self.index.node().eligible);
            }
            Input::Disturbed => {
                warn!("somebody else changed the table; comparing it with what it should be");
                self.shared.metrics.disturbed();
                self.planners.values_mut().for_each(Planner::disturbed);
                dirty.push(Key::Rules);
                return;
            }
            Input::Condition(condition) => {
                if condition != self.condition {
                    self.change_condition(condition);
                    dirty.extend([Key::Rules, Key::Health]);
                }
                return;
            }
        }
        dirty.push(Key::Rules);
        if self.index.is_dirty() {
            self.shared.metrics.queued();
            self.shared.health.queued();
            dirty.push(Key::Health);
        }
    }

    fn plan(&mut self, key: &Key) -> Option<Plan> {
        if self.condition != Condition::Well {
            return self.plan_in_trouble(key);
        }
        match key {
            Key::Rules => {
                let plan = self.plan_rules().map(Plan::Rules);
                if plan.is_none() {
                    self.triggers.clear();
                    self.flows.clear();
                    self.shared.health.settled();
                }
                plan
            }
            Key::Health => self.plan_health().map(Plan::Health),
        }
    }

    fn apply(&self, _: Key, plan: Plan) -> impl Future<Output = Result<Outcome, Failure>> + Send + 'static {
        let shared = self.shared.clone();
        async move {
            match plan {
                Plan::Rules(plan) => {
                    let work = move || apply_rules(&shared, plan);
                    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::new(&error))?
                }
                Plan::Health(plan) => Ok(apply_health(&shared, plan)),
                Plan::Strip(tables) => {
                    let mut kernel = shared.kernel.lock().unwrap_or_else(PoisonError::into_inner);
                    kernel.strip(&tables)?;
                    Ok(Outcome::Stripped)
                }
            }
        }
    }

    fn applied(&mut self, _: &Key, outcome: Outcome) -> Option<Duration> {
        match outcome {
            Outcome::Rules { tables, flows } => self.applied_rules(tables, flows),
            Outcome::Health { opened, closed, failed } => self.applied_health(opened, closed, failed),
            Outcome::Stripped => {
                self.stripped = true;
                None
            }
        }
    }
}

fn apply_rules(shared: &Shared, plan: RulesPlan) -> Result<Outcome, Failure> {
    let mut kernel = shared.kernel.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tables = Vec::new();
    for (family, plan) in plan.tables {
        let outcome = match plan {
            TablePlan::Look { layout, disturbances } => {
                let observed = kernel.look(&layout).map_err(|error| Failure::new(&error))?;
                TableOutcome::Observed { observed, disturbances }
            }
            TablePlan::Commit(commit) => {
                let start = Instant::now();
                match kernel.commit(&commit) {
                    Ok(()) => TableOutcome::Committed { commit, took: start.elapsed() },
                    Err(error) => {
                        let error = Failure::new(&error);
                        warn!(%family, %error, "the kernel refused a transaction");
                        TableOutcome::Refused
                    }
                }
            }
        };
        tables.push((family, outcome));
    }
    let mut flows = true;
    for (family, live) in plan.flows {
        match kernel.forget_flows(portolan_nftables_family(family), &live) {
            Ok(deleted) => shared.metrics.forgot(family, deleted),
            Err(error) => {
                let error = Failure::new(&error);
                warn!(%family, %error, "cannot look for stale UDP flows");
                flows = false;
            }
        }
    }
    Ok(Outcome::Rules { tables, flows })
}

/// The kernel's family of the API's.
pub(crate) fn portolan_nftables_family(family: Family) -> portolan_nftables::Family {
    match family {
        Family::V4 => portolan_nftables::Family::Ip,
        Family::V6 => portolan_nftables::Family::Ip6,
    }
}

fn apply_health(shared: &Shared, plan: HealthPlan) -> Outcome {
    plan.close.iter().for_each(|(_, token)| token.cancel());
    let closed = plan.close.into_iter().map(|(port, _)| port).collect();
    let mut opened = Vec::new();
    let mut failed = Vec::new();
    for (port, key) in plan.open {
        let address = SocketAddr::from(([0, 0, 0, 0], port));
        let listener = shared.namespace.tcp_listen(address).and_then(TcpListener::from_std);
        match listener {
            Ok(listener) => {
                let token = shared.stop.child_token();
                let health = Arc::clone(&shared.health);
                tokio::spawn(serve(listener, health, Subject::Service(key.clone()), token.clone()));
                opened.push((port, key, token));
            }
            Err(error) => {
                warn!(service = %key, %error, "cannot open the health check port");
                failed.push((port, key, error.to_string()));
            }
        }
    }
    Outcome::Health { opened, closed, failed }
}

/// The time of an annotation, as controllers write it.
fn parse_time(text: &str) -> Option<SystemTime> {
    let timestamp: k8s_openapi::jiff::Timestamp = text.parse().ok()?;
    Some(timestamp.into())
}
