//! Nodes that have gone silent or say that they are not ready: their conditions, their taints, and what becomes of
//! their pods.
//!
//! ```text
//! Lease stands still -> conditions Unknown -> pods not ready -> taint NoExecute -> (tolerated for 300 s) -> pods deleted
//! ```
//!
//! A node is silent when neither its Lease nor its heartbeat has changed for the grace period *as seen here*: clocks of
//! other machines are not compared. Everything but the deletion of pods is taken back when the node speaks again.
//! Upstream: `pkg/controller/nodelifecycle`, `pkg/controller/tainteviction`, `pkg/controller/util/node`.

mod apply;
mod eviction;
mod health;
mod zones;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node, Pod, Taint},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Api, Client, runtime::watcher};
use portolan_events::Recorder;
use portolan_objects::{ObjectKey, pod};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    cache::{Cache, by_controller, uid},
    timers::Timers,
};
use health::Ready;
use zones::Zones;

/// The component that the API's log and the events name.
pub const NAME: &str = "node-controller";
/// How patient the controller is.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    /// How long a node may be silent (`--node-monitor-grace-period`).
    pub grace: Duration,
    /// How long a new node may take to say its first word (`--node-startup-grace-period`).
    pub startup_grace: Duration,
    /// How long a node is not ready before its pods are threatened: one failure that silences several nodes is seen as
    /// one (`--node-monitor-period`).
    pub settle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { grace: Duration::from_secs(50), startup_grace: Duration::from_secs(60), settle: Duration::from_secs(5) }
    }
}

/// Namespace of the nodes' leases.
const LEASES: &str = "kube-node-lease";

/// Runs the controller until `stop`, as patient as upstream's.
pub async fn run(client: Client, recorder: Recorder, metrics: Metrics, stop: CancellationToken) {
    run_with(client, recorder, Config::default(), metrics, stop).await;
}

/// Runs the controller until `stop`.
pub async fn run_with(client: Client, recorder: Recorder, config: Config, metrics: Metrics, stop: CancellationToken) {
    let leases = Api::<Lease>::namespaced(client.clone(), LEASES);
    let inputs = Inputs::new().all(&client, Input::Node).all(&client, Input::Pod).watch(
        leases,
        watcher::Config::default(),
        Input::Lease,
    );
    let options = Options {
        name: NAME,
        workers: 8,
        backoff: Backoff { base: Duration::from_millis(500), max: Duration::from_secs(60), attempts: None },
        timeout: Duration::from_secs(60),
    };
    portolan_runtime::run(Nodes::new(client, recorder, config), inputs, options, metrics, stop).await;
}

#[allow(clippy::large_enum_variant)] // Moved once, from the watch into the index.
enum Input {
    Node(Change<Node>),
    Pod(Change<Pod>),
    Lease(Change<Lease>),
}

/// What is planned one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Node(String),
    Pod(ObjectKey),
}

/// The next step for one node or pod.
#[derive(Debug)]
enum Plan {
    /// Nothing now; look again.
    Wait(Duration),
    /// The node has not been heard of: its pods are not ready, and it is in an unknown state.
    Silence(Arc<Node>, Vec<Arc<Pod>>),
    /// The node is not ready any more: tell, and mark its pods.
    Tell(Arc<Node>, Vec<Arc<Pod>>),
    /// The taints that it should have.
    Taint(Arc<Node>, Vec<Taint>),
    /// A pod has come to a node that is not ready.
    Mark(Arc<Pod>),
    /// The pod has been tolerated long enough.
    Evict(Arc<Pod>),
}

/// What was done.
enum Outcome {
    Waited(Duration),
    /// The node's change of state has been told.
    Told,
    /// The node is no more; the watch tells that too.
    Gone,
    Done,
}

/// One node's life as the watch has shown it. What the cache knows beyond that are our own writes, whose consequences
/// are drawn when the watch shows them.
struct Life {
    ready: Ready,
    heartbeat: Option<Time>,
    /// The taints that drive pods out.
    threats: Vec<Taint>,
    /// When it was last heard of.
    heard: Instant,
    /// Since when it has not been ready.
    unready: Option<Instant>,
    /// That it stopped being ready has not been told yet.
    untold: bool,
}

/// What is new about a node.
struct Turned {
    ready: bool,
    threats: bool,
}

/// A pod that its node's taints want gone.
struct Threatened {
    uid: String,
    since: Instant,
}

struct Nodes {
    client: Client,
    recorder: Recorder,
    config: Config,
    nodes: Cache<Node>,
    /// By node.
    pods: Cache<Pod>,
    lives: HashMap<String, Life>,
    /// Pods that were just bound: if the node is not ready, they are not either.
    fresh: HashSet<ObjectKey>,
    threatened: HashMap<ObjectKey, Threatened>,
    zones: Zones,
    timers: Timers<Key>,
}

impl Nodes {
    fn new(client: Client, recorder: Recorder, config: Config) -> Self {
        let by_node = |pod: &Pod| pod::node(pod).unwrap_or_default().to_owned();
        Self {
            client,
            recorder,
            config,
            nodes: Cache::new(by_controller),
            pods: Cache::new(by_node),
            lives: HashMap::new(),
            fresh: HashSet::new(),
            threatened: HashMap::new(),
            zones: Zones::default(),
            timers: Timers::default(),
        }
    }

    fn index_nodes(&mut self, change: Change<Node>, dirty: &mut Vec<Key>) {
        let mut seen = Vec::new();
        self.nodes.take(change, |(old, new)| {
            let name = new.or(old).map(|node| ObjectKey::of(&**node).name);
            seen.extend(name.map(|name| (name, new.cloned())));
        });
        for (name, node) in seen {
            dirty.push(Key::Node(name.clone()));
            let turned = match node {
                Some(node) => self.follow(&name, &node),
                None => self.forget(&name),
            };
            if turned.ready {
                self.follow_readiness(dirty);
            }
            if turned.ready || turned.threats {
                dirty.extend(self.pods.group(&name).map(|pod| Key::Pod(ObjectKey::of(&**pod))));
            }
        }
    }

    /// Takes what a node shows into its life.
    fn follow(&mut self, name: &str, node: &Node) -> Turned {
        let now = Instant::now();
        let (ready, heartbeat) = (health::ready(node), health::heartbeat(node).cloned());
        let threats: Vec<Taint> = eviction::threats(node).into_iter().cloned().collect();
        let Some(life) = self.lives.get_mut(name) else {
            let unready = health::threat(ready).map(|_| now);
            let turned = Turned { ready: true, threats: !threats.is_empty() };
            let life = Life { ready, heartbeat, threats, heard: now, unready, untold: false };
            self.lives.insert(name.to_owned(), life);
            return turned;
        };
        let turned = Turned { ready: life.ready != ready, threats: life.threats != threats };
        // Only the node itself says that it is ready.
        if life.heartbeat != heartbeat || turned.ready && ready == Ready::True {
            life.heard = now;
        }
        life.untold |= turned.ready && life.ready == Ready::True;
        life.unready = health::threat(ready).and(life.unready.or(Some(now)));
        life.untold &= life.unready.is_some();
        (life.ready, life.heartbeat, life.threats) = (ready, heartbeat, threats);
        turned
    }

    fn forget(&mut self, name: &str) -> Turned {
        self.timers.forget(&Key::Node(name.to_owned()));
        Turned { ready: self.lives.remove(name).is_some(), threats: false }
    }

    fn hear(&mut self, lease: &Lease) {
        let name = ObjectKey::of(lease).name;
        if let Some(life) = self.lives.get_mut(&name) {
            life.heard = Instant::now();
        }
    }

    /// A node that changes sides may decide what is done to others.
    fn follow_readiness(&mut self, dirty: &mut Vec<Key>) {
        let recovered = self.zones.update(self.nodes.iter().map(|node| &**node));
        if recovered {
            // Nobody was heard: it may have been us. Everybody gets another chance.
            self.lives.values_mut().for_each(|life| life.heard = Instant::now());
        }
        let unready = self.lives.iter().filter(|(_, life)| life.unready.is_some());
        dirty.extend(unready.map(|(name, _)| Key::Node(name.clone())));
    }

    fn index_pods(&mut self, change: Change<Pod>, dirty: &mut Vec<Key>) {
        let (nodes, fresh) = (&self.nodes, &mut self.fresh);
        let mut ended = Vec::new();
        self.pods.take(change, |(old, new)| {
            let Some(pod) = new else {
                ended.extend(old.map(|old| ObjectKey::of(&**old)));
                return;
            };
            let (key, Some(node)) = (ObjectKey::of(&**pod), pod::node(pod)) else { return };
            let newly = old.and_then(|old| pod::node(old)) != Some(node);
            if newly {
                fresh.insert(key.clone());
            }
            let changed = newly || old.map(|old| eviction::tolerations(old)) != Some(eviction::tolerations(pod));
            let there = nodes.get(&ObjectKey::new("", node));
            if changed && there.is_some_and(|node| health::ready(node) != Ready::True || eviction::is_threat(node)) {
                dirty.push(Key::Pod(key));
            }
        });
        ended.into_iter().for_each(|key| self.forget_pod(key));
    }

    fn forget_pod(&mut self, key: ObjectKey) {
        self.fresh.remove(&key);
        self.threatened.remove(&key);
        self.timers.forget(&Key::Pod(key));
    }

    fn plan_node(&mut self, name: &str) -> Option<Plan> {
        let node = self.nodes.get(&ObjectKey::new("", name))?.clone();
        let life = self.lives.get(name)?;
        let ready = health::ready(&node);
        let silent = life.heard.elapsed();
        let grace = if ready == Ready::Never { self.config.startup_grace } else { self.config.grace };
        if ready != Ready::Unknown && silent >= grace {
            return Some(Plan::Silence(node.clone(), self.pods_of(name)));
        }
        if life.untold {
            return Some(Plan::Tell(node, self.pods_of(name)));
        }
        let (threat, wait) = self.threat(&node, ready, life.unready);
        if let Some(taints) = health::taints(&node, threat) {
            return Some(Plan::Taint(node, taints));
        }
        let silence = (ready != Ready::Unknown).then(|| grace - silent);
        let wait = silence.into_iter().chain(wait).min()?;
        self.wait(Key::Node(name.to_owned()), wait)
    }

    /// Which of the taints that drive pods out the node should have, and when to look again.
    fn threat(
        &mut self,
        node: &Node,
        ready: Ready,
        since: Option<Instant>,
    ) -> (Option<&'static str>, Option<Duration>) {
        let Some(wanted) = health::threat(ready) else { return (None, None) };
        if self.zones.is_all_lost() {
            return (None, None);
        }
        if eviction::is_threat(node) {
            // It may say "not ready" after having been unreachable, and the other way round.
            return (Some(wanted), None);
        }
        // Until the watch shows what we wrote, it has not even begun.
        let Some(since) = since else { return (None, None) };
        let settled = self.config.settle.saturating_sub(since.elapsed());
        if !settled.is_zero() {
            return (None, Some(settled));
        }
        match self.zones.turn(node) {
            Some(Duration::ZERO) => (Some(wanted), None),
            wait => (None, wait),
        }
    }

    fn pods_of(&self, node: &str) -> Vec<Arc<Pod>> {
        self.pods.group(node).cloned().collect()
    }

    fn plan_pod(&mut self, key: &ObjectKey) -> Option<Plan> {
        let pod = self.pods.get(key)?.clone();
        let node = self.nodes.get(&ObjectKey::new("", pod::node(&pod)?))?;
        let ready = health::ready(node);
        if self.fresh.remove(key) && matches!(ready, Ready::False | Ready::Unknown) && health::counts_as_ready(&pod) {
            return Some(Plan::Mark(pod));
        }
        let Some(patience) = eviction::patience(node, &pod).filter(|_| !pod::is_terminating(&pod)) else {
            self.threatened.remove(key);
            return None;
        };
        let begun = || Threatened { uid: uid(&*pod).to_owned(), since: Instant::now() };
        let threatened = self.threatened.entry(key.clone()).or_insert_with(begun);
        if threatened.uid != uid(&*pod) {
            *threatened = begun();
        }
        let left = patience.saturating_sub(threatened.since.elapsed());
        if left.is_zero() {
            return Some(Plan::Evict(pod));
        }
        self.wait(Key::Pod(key.clone()), left)
    }

    fn wait(&self, key: Key, delay: Duration) -> Option<Plan> {
        (!self.timers.pending(&key)).then_some(Plan::Wait(delay))
    }
}

impl Reconciler for Nodes {
    type Input = Input;
    type Key = Key;
    type Plan = Plan;
    type Outcome = Outcome;

    fn index(&mut self, input: Input, dirty: &mut Vec<Key>) {
        match input {
            Input::Node(change) => self.index_nodes(change, dirty),
            Input::Pod(change) => self.index_pods(change, dirty),
            // Not dirty: the pending look finds out.
            Input::Lease(Change::Apply(lease)) => self.hear(&lease),
            Input::Lease(Change::Reset(leases)) => leases.iter().for_each(|lease| self.hear(lease)),
            Input::Lease(Change::Delete(_)) => {}
        }
    }

    fn plan(&mut self, key: &Key) -> Option<Plan> {
        self.nodes.settle(|_| {});
        let mut ended = Vec::new();
        self.pods.settle(|(old, new)| ended.extend(old.filter(|_| new.is_none()).map(|pod| ObjectKey::of(&**pod))));
        ended.into_iter().for_each(|key| self.forget_pod(key));
        match key {
            Key::Node(name) => self.plan_node(name),
            Key::Pod(key) => self.plan_pod(key),
        }
    }

    fn apply(&self, _: Key, plan: Plan) -> impl Future<Output = Result<Outcome, Failure>> + Send + 'static {
        let api = apply::Writer {
            client: self.client.clone(),
            recorder: self.recorder.clone(),
            nodes: self.nodes.ledger(),
            pods: self.pods.ledger(),
        };
        async move {
            match plan {
                Plan::Wait(delay) => return Ok(Outcome::Waited(delay)),
                Plan::Silence(node, pods) => {
                    // The pods first: the node's condition is what ends the plan, so it must not hide a half of the work.
                    api.mark(&pods).await?;
                    return api.silence(&node).await;
                }
                Plan::Tell(node, pods) => {
                    api.mark(&pods).await?;
                    api.tell(&node);
                    return Ok(Outcome::Told);
                }
                Plan::Taint(node, taints) => return api.taint(&node, taints).await,
                Plan::Mark(pod) => api.mark(&[pod]).await?,
                Plan::Evict(pod) => api.evict(&pod).await?,
            }
            Ok(Outcome::Done)
        }
    }

    fn applied(&mut self, key: &Key, outcome: Outcome) -> Option<Duration> {
        match (outcome, key) {
            (Outcome::Waited(delay), _) => self.timers.set(key, delay),
            (Outcome::Gone, _) => None,
            (Outcome::Told, Key::Node(name)) => {
                if let Some(life) = self.lives.get_mut(name) {
                    life.untold = false;
                }
                Some(Duration::ZERO)
            }
            // Another step may be due already.
            _ => Some(Duration::ZERO),
        }
    }
}
