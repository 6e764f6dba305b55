//! Services, eligible nodes, and what the provider was last told.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt,
    future::Future,
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::core::v1::{Node, Service};
use kube::Client;
use portolan_cloud::{self as cloud, BalancerId, Held, Status};
use portolan_events::{Recorder, Vocabulary};
use portolan_objects::ObjectKey;
use portolan_runtime::{Backoff, Bucket, Change, Failure, Reconciler};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{error, warn};

use super::{
    apply::{Apply, Outcome},
    budget::Grant,
    lanes::{Lane, Lanes},
    metrics::Metrics,
    plan::{self, Plan, Synced},
    provider::Provider,
    spec::{self, Candidate},
};
use crate::workloads::{Cache, uid};

/// How much of a back-off may be added to it at random, so that those that failed together do not come back together.
const JITTER: f64 = 0.1;
/// More balancers than this without a Service, and more than half of all, are not left over: somebody has connected the
/// wrong cluster, or brought an old backup back.
const MANY_ORPHANS: usize = 10;

#[allow(clippy::large_enum_variant)] // Moved once, from the watch into the index.
pub(super) enum Input {
    Service(Change<Service>),
    Node(Change<Node>),
    /// Somebody may be worked on.
    Turn(Grant),
    /// It is time to see what the provider has.
    Tick,
    /// That is what it has, if it can say; seen by a sweep that began at this count of the clock.
    Found {
        since: u64,
        held: Option<Vec<Held>>,
    },
}

/// What is planned.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Key {
    Service(ObjectKey),
    Sweep,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(key) => fmt::Display::fmt(key, f),
            Self::Sweep => f.write_str("all balancers"),
        }
    }
}

/// A plan and the right to carry it out.
pub(super) struct Granted {
    plan: Plan,
    grant: Grant,
}

/// What became of it.
pub(super) struct Report {
    outcome: Outcome,
    /// For the queue.
    failure: Option<Failure>,
    retry: Retry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    No,
    /// At the time that the provider gave. It does not make the next back-off longer.
    WhenTold,
    /// After the back-off.
    Later,
}

/// What the controller works with.
pub(super) struct Tools {
    pub client: Client,
    pub recorder: Recorder,
    pub provider: Arc<Provider>,
    pub metrics: Metrics,
    pub backoff: Backoff,
    /// How many balancers may be checked one by one in a period, where the provider cannot list them.
    pub checks: usize,
    /// Where an apply says what the provider has.
    pub found: mpsc::Sender<Input>,
    /// How many keys wait for a grant.
    pub waiting: watch::Sender<usize>,
}

pub(super) struct Controller {
    tools: Tools,
    services: Cache<Service>,
    candidates: BTreeMap<String, Candidate>,
    /// Those of them that are eligible, by name.
    nodes: Arc<Vec<cloud::Node>>,
    synced: BTreeMap<ObjectKey, Synced>,
    /// When each was synced, on a clock that every apply moves on.
    synced_at: HashMap<ObjectKey, u64>,
    clock: u64,
    failures: HashMap<Key, u32>,
    lanes: Lanes<Key>,
    granted: HashMap<Key, Grant>,
    renewal: Renewal,
    drift: Drift,
}

/// The balancers that have to hear of a change of nodes.
#[derive(Default)]
struct Renewal {
    due: BTreeSet<ObjectKey>,
    under_way: HashSet<ObjectKey>,
    since: Option<Instant>,
}

/// What is known of balancers that are not as they should be.
#[derive(Default)]
struct Drift {
    sweep: bool,
    /// Balancers without a Service that the last sweep saw; those that the next one still sees are orphans.
    suspects: BTreeSet<BalancerId>,
    orphans: BTreeMap<ObjectKey, BalancerId>,
    checks: BTreeSet<ObjectKey>,
    /// The last one that was checked.
    checked: Option<ObjectKey>,
}

// === impl Controller ===

impl Controller {
    pub fn new(tools: Tools) -> Self {
        Self {
            tools,
            services: Cache::new(|_: &Service| String::new()),
            candidates: BTreeMap::new(),
            nodes: Arc::default(),
            synced: BTreeMap::new(),
            synced_at: HashMap::new(),
            clock: 0,
            failures: HashMap::new(),
            lanes: Lanes::new(),
            granted: HashMap::new(),
            renewal: Renewal::default(),
            drift: Drift::default(),
        }
    }

    fn index_nodes(&mut self, change: Change<Node>, dirty: &mut Vec<Key>) {
        // Whether anything is different, and whether balancers hear of it at once. A node's heartbeat is neither.
        let (mut different, mut news) = (false, false);
        let mut put = |node: Node| {
            let Some(candidate) = Candidate::of(&node) else { return };
            let name = candidate.node.name.clone();
            let old = self.candidates.get(&name);
            if old != Some(&candidate) {
                different = true;
                news |= old.is_none_or(|old| old.differs(&candidate));
                self.candidates.insert(name, candidate);
            }
        };
        match change {
            Change::Apply(node) => put(node),
            Change::Delete(node) => {
                news |= self.candidates.remove(node.metadata.name.as_deref().unwrap_or_default()).is_some();
            }
            Change::Reset(nodes) => {
                let names: BTreeSet<String> = nodes.iter().filter_map(|node| node.metadata.name.clone()).collect();
                nodes.into_iter().for_each(&mut put);
                let before = self.candidates.len();
                self.candidates.retain(|name, _| names.contains(name));
                news |= self.candidates.len() != before;
            }
        }
        if different || news {
            let eligible = self.candidates.values().filter(|candidate| candidate.is_eligible());
            self.nodes = Arc::new(eligible.map(|candidate| candidate.node.clone()).collect());
        }
        if news {
            self.renew(dirty);
        }
    }

    /// Every balancer with other nodes has to hear of the new ones. Those in doubt get them with their next ensure, whose
    /// back-off this must not cut short.
    fn renew(&mut self, dirty: &mut Vec<Key>) {
        for (key, synced) in self.synced.iter().filter(|(_, synced)| synced.nodes != self.nodes) {
            self.renewal.since.get_or_insert_with(Instant::now);
            self.renewal.due.insert(key.clone());
            if !synced.in_doubt {
                dirty.push(Key::Service(key.clone()));
            }
        }
    }

    fn next(&mut self, key: &Key) -> Option<Plan> {
        let key = match key {
            Key::Sweep => return self.drift.sweep.then_some(Plan::Sweep),
            Key::Service(key) => key,
        };
        let renew = self.renewal.due.contains(key);
        let plan = plan::plan(self.services.get(key), self.synced.get(key), &self.nodes, renew);
        if plan.is_some() {
            return plan;
        }
        self.renewal.due.remove(key);
        self.renewed();
        if let Some(service) = self.services.get(key).filter(|found| self.explains() && plan::is_outdated(found)) {
            return Some(Plan::Clear { service: service.clone() });
        }
        if let Some(id) = self.drift.orphans.get(key) {
            return Some(Plan::Orphan { id: id.clone() });
        }
        let checked = self.drift.checks.contains(key).then(|| self.synced.get(key)).flatten();
        checked.map(|synced| Plan::Check { service: synced.service.clone() })
    }

    fn explains(&self) -> bool {
        self.tools.recorder.vocabulary() == Vocabulary::Full
    }

    fn lane(&self, key: &Key, plan: &Plan) -> Lane {
        let synced = match key {
            Key::Service(key) => self.synced.get(key),
            Key::Sweep => None,
        };
        match plan {
            _ if self.failures.contains_key(key) => Lane::Retry,
            Plan::Ensure { service, .. } if !spec::is_published(service) => Lane::Waiting,
            Plan::Ensure { .. } => match synced {
                // A look after a restart.
                None => Lane::Routine,
                Some(synced) if !synced.in_doubt => Lane::Changed,
                // Its balancer is gone.
                Some(synced) if synced.status.is_none() => Lane::Waiting,
                // A change of nodes failed.
                Some(_) => Lane::Retry,
            },
            Plan::Cleanup { .. } | Plan::Abandoned { .. } => Lane::Changed,
            Plan::UpdateNodes { .. } | Plan::Clear { .. } | Plan::Orphan { .. } | Plan::Check { .. } | Plan::Sweep => {
                Lane::Routine
            }
        }
    }

    /// The plan is going to be carried out.
    fn begin(&mut self, key: &Key, plan: &Plan) {
        let Key::Service(key) = key else {
            self.drift.sweep = false;
            return;
        };
        self.drift.checks.remove(key);
        match plan {
            Plan::Ensure { service, nodes } => {
                // Until the provider confirms: a failure may leave half of it behind.
                let status = self.synced.get(key).and_then(|synced| synced.status.clone());
                let (service, nodes) = (service.clone(), nodes.clone());
                self.synced.insert(key.clone(), Synced { service, nodes, status, in_doubt: true });
                self.renewal.due.remove(key);
            }
            Plan::UpdateNodes { nodes, .. } => {
                if let Some(synced) = self.synced.get_mut(key) {
                    synced.nodes = nodes.clone();
                    synced.in_doubt = true;
                }
                self.renewal.due.remove(key);
                self.renewal.under_way.insert(key.clone());
            }
            _ => {}
        }
    }

    fn confirm(&mut self, key: &ObjectKey, ensured: Option<(Arc<Service>, Option<Status>)>) {
        if let Some(synced) = self.synced.get_mut(key) {
            synced.in_doubt = false;
            if let Some((service, status)) = ensured {
                synced.service = service;
                synced.status = status;
            }
        }
        self.synced_at.insert(key.clone(), self.clock);
    }

    /// Takes in what an apply achieved. Says when to look again: also at once, for what changed meanwhile may have been
    /// taken for our own write.
    fn settle(&mut self, key: &ObjectKey, report: Report) -> Option<Duration> {
        match report.outcome {
            Outcome::Ensured { service, status } => self.confirm(key, Some((service, status))),
            Outcome::NodesUpdated => self.confirm(key, None),
            Outcome::NodesFailed { retry_after } => return Some(retry_after.unwrap_or_default()),
            Outcome::Removed => {
                self.synced.remove(key);
                self.synced_at.remove(key);
                self.renewal.due.remove(key);
                self.drift.checks.remove(key);
            }
            Outcome::OrphanRemoved => drop(self.drift.orphans.remove(key)),
            Outcome::Checked { exists: false } => self.drifted(key),
            Outcome::Cleared => {}
            Outcome::Checked { exists: true } | Outcome::Swept(_) | Outcome::Nothing => return None,
        }
        Some(Duration::ZERO)
    }

    /// Observes how long a change of nodes took, when the last balancer has heard of it.
    fn renewed(&mut self) {
        if self.renewal.due.is_empty()
            && self.renewal.under_way.is_empty()
            && let Some(since) = self.renewal.since.take()
        {
            self.tools.metrics.node_latency.observe(since.elapsed().as_secs_f64());
        }
    }

    /// How many keys wait is known to whoever gives grants.
    fn count(&mut self) {
        let waiting = self.lanes.len();
        self.tools.waiting.send_if_modified(|count| std::mem::replace(count, waiting) != waiting);
        self.tools.metrics.waiting(&self.lanes);
    }

    fn found(&mut self, since: u64, held: Option<Vec<Held>>, dirty: &mut Vec<Key>) {
        let Some(held) = held else {
            self.check_some(dirty);
            return;
        };
        let held: BTreeSet<BalancerId> = held.into_iter().map(|held| held.id).collect();
        let listed = held.len();
        let mut drifted = Vec::new();
        for (key, synced) in self.synced.iter().filter(|(_, synced)| !synced.in_doubt) {
            let older = self.synced_at.get(key).is_some_and(|at| *at <= since);
            if older && synced.status.is_some() && !held.contains(&spec::id(&synced.service)) {
                drifted.push(key.clone());
            }
        }
        drifted.iter().for_each(|key| self.drifted(key));
        dirty.extend(drifted.into_iter().map(Key::Service));
        let owned = |id: &BalancerId| {
            let of = |found: &Arc<Service>| uid(&**found) == id.uid;
            self.services.get(&id.service).is_some_and(|found| of(found) && plan::owns(found))
                || self.synced.get(&id.service).is_some_and(|synced| of(&synced.service))
        };
        // Without a UID nobody can say whose it is.
        let suspects: BTreeSet<BalancerId> = held.into_iter().filter(|id| !id.uid.is_empty() && !owned(id)).collect();
        if suspects.len() > MANY_ORPHANS && suspects.len() > listed / 2 {
            error!(
                orphans = suspects.len(),
                listed,
                "most balancers have no Service: none is removed, for this may be the wrong cluster or an old backup of it"
            );
            self.drift.suspects.clear();
            return;
        }
        for id in suspects.intersection(&self.drift.suspects) {
            self.tools.metrics.orphaned();
            self.drift.orphans.insert(id.service.clone(), id.clone());
            dirty.push(Key::Service(id.service.clone()));
        }
        self.drift.suspects = suspects;
    }

    /// The next few balancers are looked at one by one.
    fn check_some(&mut self, dirty: &mut Vec<Key>) {
        let after = self.drift.checked.take().map_or(Bound::Unbounded, Bound::Excluded);
        let known = self.synced.iter().filter(|(_, synced)| !synced.in_doubt && synced.status.is_some());
        let keys: Vec<ObjectKey> = known.map(|(key, _)| key.clone()).collect();
        let later = keys.iter().filter(|key| match &after {
            Bound::Excluded(last) => *key > last,
            _ => true,
        });
        let chosen: Vec<ObjectKey> = later.take(self.tools.checks).cloned().collect();
        // At the end it begins again from the first.
        self.drift.checked = chosen.last().filter(|last| keys.last() != Some(last)).cloned();
        dirty.extend(chosen.iter().cloned().map(Key::Service));
        self.drift.checks.extend(chosen);
    }

    fn drifted(&mut self, key: &ObjectKey) {
        warn!(service = %key, "its balancer was deleted out of band and is made again");
        self.tools.metrics.drifted();
        if let Some(synced) = self.synced.get_mut(key) {
            synced.in_doubt = true;
            synced.status = None;
        }
    }
}

impl Reconciler for Controller {
    type Input = Input;
    type Key = Key;
    type Plan = Granted;
    type Outcome = Report;

    // Upstream's has no limit over all keys either, and the calls have a budget of their own.
    const RETRIES: Option<Bucket> = None;

    fn index(&mut self, input: Input, dirty: &mut Vec<Key>) {
        match input {
            Input::Service(change) => self.services.take(change, |(old, new)| {
                if let Some(found) = new.or(old)
                    && plan::is_news(old.map(|old| &**old), new.map(|new| &**new))
                {
                    dirty.push(Key::Service(ObjectKey::of(&**found)));
                }
            }),
            Input::Node(change) => self.index_nodes(change, dirty),
            Input::Turn(grant) => {
                if let Some(key) = self.lanes.pop() {
                    self.granted.insert(key.clone(), grant);
                    dirty.push(key);
                }
                self.count();
            }
            Input::Tick => {
                self.drift.sweep = true;
                dirty.push(Key::Sweep);
            }
            Input::Found { since, held } => self.found(since, held, dirty),
        }
    }

    /// Plans only with a grant; without one the key goes into its lane and comes back when it is its turn.
    fn plan(&mut self, key: &Key) -> Option<Granted> {
        self.services.settle(|_| {});
        let grant = self.granted.remove(key);
        let plan = self.next(key);
        let granted = match (plan, grant) {
            (Some(plan), Some(grant)) => {
                self.begin(key, &plan);
                Some(Granted { plan, grant })
            }
            (Some(plan), None) => {
                let lane = self.lane(key, &plan);
                self.lanes.push(key.clone(), lane);
                None
            }
            (None, _) => {
                self.lanes.remove(key);
                self.failures.remove(key);
                None
            }
        };
        self.count();
        granted
    }

    fn apply(
        &self,
        key: Key,
        granted: Granted,
    ) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send + 'static {
        let tools = &self.tools;
        let apply = Apply {
            client: tools.client.clone(),
            recorder: tools.recorder.clone(),
            provider: tools.provider.clone(),
            ledger: self.services.ledger(),
            metrics: tools.metrics.clone(),
            grant: granted.grant,
        };
        let failures = self.failures.get(&key).copied().unwrap_or_default();
        let delay = tools.backoff.delay(failures.saturating_add(1)).unwrap_or(tools.backoff.max);
        let (since, found) = (self.clock, tools.found.clone());
        async move {
            let mut report = match apply.run(granted.plan).await {
                Ok(outcome) => Report { outcome, failure: None, retry: Retry::No },
                Err(failure) => {
                    let retry = if failure.retry_after.is_some() { Retry::WhenTold } else { Retry::Later };
                    let delay = failure.retry_after.unwrap_or_else(|| delay.mul_f64(1.0 + JITTER * fastrand::f64()));
                    Report { outcome: Outcome::Nothing, failure: Some(failure.after(delay)), retry }
                }
            };
            if let Outcome::Swept(held) = &mut report.outcome {
                // An error means that the controller stops.
                drop(found.send(Input::Found { since, held: held.take() }).await);
            }
            Ok(report)
        }
    }

    fn unfinished(report: &mut Report) -> Option<Failure> {
        report.failure.take()
    }

    fn applied(&mut self, key: &Key, report: Report) -> Option<Duration> {
        self.clock += 1;
        match report.retry {
            Retry::No => drop(self.failures.remove(key)),
            Retry::WhenTold => {}
            Retry::Later => *self.failures.entry(key.clone()).or_default() += 1,
        }
        let Key::Service(key) = key else { return None };
        self.renewal.under_way.remove(key);
        let again = self.settle(key, report);
        self.renewed();
        again
    }
}
