//! The agent's loop: Pods bound to the node become workers and statuses, Nodes become routes.
//!
//! index -> plan -> apply as everywhere. A pod's own life is in its [`Worker`]; here it is decided when one begins and
//! when it has to end, what is written about it, and when the object may go.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodStatus, Service};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use portolan_netns::LinksError;
use portolan_objects::{ObjectKey, pod as reading};
use portolan_runtime::{Change, Failure, Observed, Reconciler, is_code};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{agent::Agent, status, worker::Worker};

/// What the loop hears of.
pub enum Input {
    /// Pods bound to this node.
    Pods(Box<Change<Pod>>),
    /// All nodes.
    Nodes(Box<Change<Node>>),
    /// All Services: containers are told of them.
    Services(Box<Change<Service>>),
    /// Something happened in the pod.
    Report(ObjectKey),
}

/// What is planned one at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// The pod with this name, or the worker of one that is gone.
    Pod(ObjectKey),
    /// The routes to the other nodes' pods.
    Routes,
    /// Files of pods that nobody knows any more.
    Strays,
}

/// What to do.
pub enum Plan {
    /// Take the pod on.
    Start(Box<Pod>),
    /// Tell its worker to end within this time.
    Stop(Worker, Duration),
    /// Write its status.
    Write(Box<Pod>, Box<PodStatus>),
    /// Delete the object: nothing of the pod is left.
    Delete(Box<Pod>),
    /// Remove the files of a pod that is gone.
    Clean(PathBuf),
    /// Remove the files of all pods but these.
    Sweep(HashSet<PathBuf>),
    /// Set and remove routes.
    Routes(Routes),
}

/// What was done.
pub enum Outcome {
    /// There is a worker now.
    Started(Worker),
    /// The object as the API has it now, and the status that was meant.
    Written(Box<Pod>, Box<PodStatus>),
    /// There was nothing to write this status into.
    Unwritten(Box<PodStatus>),
    /// The object is gone, or only finalizers keep it.
    Deleted(Box<Pod>),
    /// These routes were set and removed.
    Routed(Routes),
    /// Nothing to remember.
    Done,
}

/// A change of routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routes {
    set: Vec<(IpNet, IpAddr)>,
    remove: Vec<IpNet>,
}

/// The worker of a pod, and what was asked of it.
struct Taken {
    worker: Worker,
    /// The pod's files, to be removed with it.
    directory: PathBuf,
    /// The shortest grace period told so far, in seconds.
    told: Option<u64>,
    /// The status that was last written.
    written: Option<Written>,
    /// The object was asked to be deleted.
    deleted: bool,
}

/// A status that was written, and what the API made of it: that is not argued with, but another writer is.
struct Written {
    meant: PodStatus,
    made: Option<PodStatus>,
}

impl Written {
    /// Writing this over `observed` would change nothing.
    fn covers(&self, status: &PodStatus, observed: Option<&PodStatus>) -> bool {
        self.meant == *status && (self.made.is_none() || self.made.as_ref() == observed)
    }
}

/// The index.
pub struct Pods {
    agent: Arc<Agent>,
    pods: Observed<Pod>,
    nodes: Observed<Node>,
    workers: HashMap<ObjectKey, Taken>,
    /// Pods that were deleted without ever having had a worker here.
    deleted: HashSet<String>,
    /// The files of such pods, once the objects are gone.
    left: HashMap<ObjectKey, PathBuf>,
    /// Pods that went while the agent was not running left files too: looked for once.
    swept: bool,
    routes: BTreeMap<IpNet, IpAddr>,
    changes: mpsc::UnboundedSender<ObjectKey>,
}

impl Pods {
    /// No pods yet. What happens in pods is sent to `changes` and comes back as [`Input::Report`].
    pub fn new(agent: Arc<Agent>, changes: mpsc::UnboundedSender<ObjectKey>) -> Self {
        Self {
            agent,
            pods: Observed::default(),
            nodes: Observed::default(),
            workers: HashMap::new(),
            deleted: HashSet::new(),
            left: HashMap::new(),
            swept: false,
            routes: BTreeMap::new(),
            changes,
        }
    }

    /// What pods had before this agent was started stays theirs, before anything is given to a new pod.
    fn keep(&self, pods: &[Pod]) {
        let waiting = |pod: &&Pod| !reading::is_terminal(pod) && !self.workers.contains_key(&ObjectKey::of(*pod));
        pods.iter().filter(waiting).for_each(|pod| self.agent.keep(pod));
    }

    fn index_pods(&mut self, change: Change<Pod>, dirty: &mut Vec<Key>) {
        match change {
            Change::Reset(pods) => {
                self.keep(&pods);
                let taken = self.workers.keys().cloned();
                let keys: HashSet<_> = taken.chain(self.pods.reset(pods)).collect();
                dirty.extend(keys.into_iter().map(Key::Pod));
                dirty.push(Key::Strays);
            }
            Change::Apply(pod) => {
                let key = ObjectKey::of(&pod);
                if self.pods.apply(pod) {
                    dirty.push(Key::Pod(key));
                }
            }
            Change::Delete(pod) => {
                self.deleted.remove(pod.metadata.uid.as_deref().unwrap_or_default());
                self.pods.delete(&pod);
                let key = ObjectKey::of(&pod);
                if !self.workers.contains_key(&key) {
                    self.agent.forget(&pod);
                    self.left.insert(key.clone(), self.agent.directory(&pod));
                }
                dirty.push(Key::Pod(key));
            }
        }
    }

    fn plan_pod(&mut self, key: &ObjectKey) -> Option<Plan> {
        let pod = self.pods.get(key).cloned();
        let Some(taken) = self.workers.get_mut(key) else {
            let left = self.left.remove(key);
            return left.map(Plan::Clean).or_else(|| self.plan_untaken(&pod?));
        };
        match pod.filter(|pod| pod.metadata.uid.as_ref() == Some(&taken.worker.uid)) {
            Some(pod) => plan_taken(&self.agent, &pod, taken),
            // The object is gone or another one of the same name: what runs has no right to.
            None if taken.worker.reports.is_finished() => {
                let taken = self.workers.remove(key)?;
                Some(Plan::Clean(taken.directory))
            }
            None => stop(taken, 0),
        }
    }

    fn plan_untaken(&self, pod: &Arc<Pod>) -> Option<Plan> {
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        if reading::is_terminating(pod) {
            return (!self.deleted.contains(uid)).then(|| Plan::Delete(Box::new(Pod::clone(pod))));
        }
        (!reading::is_terminal(pod)).then(|| Plan::Start(Box::new(Pod::clone(pod))))
    }

    fn plan_strays(&mut self) -> Option<Plan> {
        if std::mem::replace(&mut self.swept, true) {
            return None;
        }
        let known = self.pods.iter().map(|pod| self.agent.directory(pod));
        Some(Plan::Sweep(known.collect()))
    }

    fn plan_routes(&self) -> Option<Plan> {
        let wanted: BTreeMap<IpNet, IpAddr> =
            self.nodes.iter().filter_map(|node| self.route_to(node)).flatten().collect();
        let set = wanted.iter().filter(|(net, via)| self.routes.get(net) != Some(via));
        let remove = self.routes.keys().filter(|net| !wanted.contains_key(net));
        let routes = Routes { set: set.map(|(net, via)| (*net, *via)).collect(), remove: remove.copied().collect() };
        (routes != Routes::default()).then_some(Plan::Routes(routes))
    }

    /// The pod ranges of another node, through its address.
    fn route_to(&self, node: &Node) -> Option<Vec<(IpNet, IpAddr)>> {
        if node.metadata.name.as_ref() == Some(&self.agent.config.name) {
            return None;
        }
        let addresses = node.status.as_ref()?.addresses.as_ref()?;
        let internal = addresses.iter().filter(|address| address.type_ == "InternalIP");
        let internal: Vec<IpAddr> = internal.filter_map(|address| address.address.parse().ok()).collect();
        let spec = node.spec.as_ref()?;
        let mut ranges: Vec<IpNet> = spec.pod_cidrs.iter().flatten().filter_map(|range| range.parse().ok()).collect();
        if ranges.is_empty() {
            ranges.extend(spec.pod_cidr.as_ref().and_then(|range| range.parse::<IpNet>().ok()));
        }
        let via = |range: &IpNet| internal.iter().copied().find(|ip| ip.is_ipv4() == range.addr().is_ipv4());
        Some(ranges.into_iter().filter_map(|range| Some((range.trunc(), via(&range)?))).collect())
    }
}

/// The objects that a change shows as they are now.
fn shown<T>(change: &Change<T>) -> impl Iterator<Item = &T> {
    let objects = match change {
        Change::Reset(objects) => objects.as_slice(),
        Change::Apply(object) => std::slice::from_ref(object),
        Change::Delete(_) => &[],
    };
    objects.iter()
}

/// Somebody has written that this node, which is running, is not ready.
fn is_doubted(node: &Node, name: &str) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let ready = conditions.into_iter().flatten().find(|condition| condition.type_ == "Ready");
    node.metadata.name.as_deref() == Some(name) && ready.is_some_and(|ready| ready.status != "True")
}

fn plan_taken(agent: &Agent, pod: &Pod, taken: &mut Taken) -> Option<Plan> {
    if reading::is_terminating(pod) {
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0).max(0).unsigned_abs();
        if let Some(plan) = stop(taken, grace) {
            return Some(plan);
        }
    }
    let report = taken.worker.reports.snapshot();
    let status = status::render(pod, &report, agent.config.address, Timestamp::now());
    let observed = pod.status.as_ref();
    if observed != Some(&status) && !taken.written.as_ref().is_some_and(|written| written.covers(&status, observed)) {
        return Some(Plan::Write(Box::new(pod.clone()), Box::new(status)));
    }
    let over = report.finished && reading::is_terminating(pod) && !taken.deleted;
    over.then(|| Plan::Delete(Box::new(pod.clone())))
}

/// Tells the worker to end, unless it was told the same or less already.
fn stop(taken: &mut Taken, seconds: u64) -> Option<Plan> {
    if taken.worker.reports.is_finished() || taken.told.is_some_and(|told| told <= seconds) {
        return None;
    }
    taken.told = Some(seconds);
    Some(Plan::Stop(taken.worker.clone(), Duration::from_secs(seconds)))
}

impl Reconciler for Pods {
    type Input = Input;
    type Key = Key;
    type Plan = Plan;
    type Outcome = Outcome;

    fn index(&mut self, input: Input, dirty: &mut Vec<Key>) {
        match input {
            Input::Pods(change) => self.index_pods(*change, dirty),
            Input::Nodes(change) => {
                if shown(&change).any(|node| is_doubted(node, &self.agent.config.name)) {
                    self.agent.doubted.notify_one();
                }
                match *change {
                    Change::Reset(nodes) => drop(self.nodes.reset(nodes)),
                    Change::Apply(node) => drop(self.nodes.apply(node)),
                    Change::Delete(node) => drop(self.nodes.delete(&node)),
                }
                dirty.push(Key::Routes);
            }
            // Nothing is planned for them: what a container was told stays as it is until its next start.
            Input::Services(change) => self.agent.services.index(*change),
            Input::Report(key) => dirty.push(Key::Pod(key)),
        }
    }

    fn plan(&mut self, key: &Key) -> Option<Plan> {
        match key {
            Key::Pod(key) => self.plan_pod(key),
            Key::Routes => self.plan_routes(),
            Key::Strays => self.plan_strays(),
        }
    }

    fn apply(&self, _: Key, plan: Plan) -> impl Future<Output = Result<Outcome, Failure>> + Send + 'static {
        let agent = self.agent.clone();
        let changes = self.changes.clone();
        async move {
            match plan {
                Plan::Start(pod) => Ok(Outcome::Started(Worker::start(&agent, *pod, changes))),
                Plan::Stop(worker, grace) => {
                    worker.stop(grace);
                    Ok(Outcome::Done)
                }
                Plan::Write(pod, status) => write(&agent, *pod, *status).await,
                Plan::Delete(pod) => delete(&agent, *pod).await,
                Plan::Clean(directory) => {
                    clean(&directory).await;
                    Ok(Outcome::Done)
                }
                Plan::Sweep(known) => {
                    for entry in std::fs::read_dir(agent.pods_directory()).into_iter().flatten().flatten() {
                        if !known.contains(&entry.path()) {
                            clean(&entry.path()).await;
                        }
                    }
                    Ok(Outcome::Done)
                }
                Plan::Routes(routes) => route(&agent, routes).await,
            }
        }
    }

    fn applied(&mut self, key: &Key, outcome: Outcome) -> Option<Duration> {
        match outcome {
            Outcome::Started(worker) => {
                let Key::Pod(key) = key else { return None };
                let directory = self.pods.get(key).map(|pod| self.agent.directory(pod)).unwrap_or_default();
                let taken = Taken { worker, directory, told: None, written: None, deleted: false };
                self.workers.insert(key.clone(), taken);
            }
            Outcome::Written(pod, meant) => {
                let Key::Pod(key) = key else { return None };
                if let Some(taken) = self.workers.get_mut(key) {
                    taken.written = Some(Written { meant: *meant, made: pod.status.clone() });
                }
                self.pods.apply(*pod);
            }
            Outcome::Unwritten(meant) => {
                let Key::Pod(key) = key else { return None };
                if let Some(taken) = self.workers.get_mut(key) {
                    taken.written = Some(Written { meant: *meant, made: None });
                }
            }
            Outcome::Deleted(pod) => {
                let Key::Pod(key) = key else { return None };
                match self.workers.get_mut(key) {
                    Some(taken) => taken.deleted = true,
                    None => drop(self.deleted.insert(pod.metadata.uid.clone().unwrap_or_default())),
                }
                return None;
            }
            Outcome::Routed(routes) => {
                self.routes.extend(routes.set);
                self.routes.retain(|net, _| !routes.remove.contains(net));
            }
            Outcome::Done => {}
        }
        // Another step may be due already.
        Some(Duration::ZERO)
    }
}

async fn clean(directory: &Path) {
    match tokio::fs::remove_dir_all(directory).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %directory.display(), %error, "cannot remove a pod's files");
        }
        _ => {}
    }
}

async fn write(agent: &Agent, pod: Pod, status: PodStatus) -> Result<Outcome, Failure> {
    let key = ObjectKey::of(&pod);
    let pods = Api::<Pod>::namespaced(agent.client.clone(), &key.namespace);
    // The uid is the precondition: never write the state of one pod into another of the same name.
    let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
    match pods.patch_status(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(written) => Ok(Outcome::Written(Box::new(written), Box::new(status))),
        // Gone, or replaced: the watch tells what is next.
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(Outcome::Unwritten(Box::new(status))),
        Err(error) => Err(error.into()),
    }
}

async fn delete(agent: &Agent, pod: Pod) -> Result<Outcome, Failure> {
    let key = ObjectKey::of(&pod);
    let pods = Api::<Pod>::namespaced(agent.client.clone(), &key.namespace);
    let preconditions = Some(Preconditions { uid: pod.metadata.uid.clone(), resource_version: None });
    let options = DeleteParams { grace_period_seconds: Some(0), preconditions, ..DeleteParams::default() };
    match pods.delete(&key.name, &options).await {
        Ok(_) => Ok(Outcome::Deleted(Box::new(pod))),
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(Outcome::Deleted(Box::new(pod))),
        Err(error) => Err(error.into()),
    }
}

async fn route(agent: &Agent, routes: Routes) -> Result<Outcome, Failure> {
    let namespace = agent.config.namespace.clone();
    let change = move || -> Result<Routes, std::io::Error> {
        let mut links = namespace.links()?;
        let mut change = || -> Result<(), LinksError> {
            routes.set.iter().try_for_each(|(net, via)| links.add_route(*net, Some(*via), None, false))?;
            routes.remove.iter().try_for_each(|net| links.delete_route(*net))
        };
        change()?;
        Ok(routes)
    };
    let changed = tokio::task::spawn_blocking(change).await.map_err(|error| Failure::new(&error))?;
    changed.map(Outcome::Routed).map_err(|error| Failure::new(&error))
}
