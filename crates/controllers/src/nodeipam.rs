//! Gives each node its range of pod addresses, from the cluster's.
//!
//! For clusters whose nodes come without one; `up` gives its nodes theirs itself, and a real cluster has this controller
//! in kube-controller-manager, so it runs only where it is asked for. A range is given once and stays with its node;
//! when the node is deleted, the next one without gets it, last of all free ones. With nothing left a node is told so
//! (`CIDRNotAvailable`) and waits for another one to go.
//!
//! Upstream: `pkg/controller/nodeipam/ipam/range_allocator.go`.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Node, ObjectReference};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use portolan_alloc::{Subnets, SubnetsError};
use portolan_catalogue::Reason;
use portolan_events::{Recorder, reference};
use portolan_objects::ObjectKey;
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler, is_code};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// The component in its Events.
pub const NAME: &str = "cidrAllocator";

const OPTIONS: Options = Options {
    name: "node-ipam-controller",
    workers: 30,
    backoff: Backoff { base: Duration::from_millis(250), max: Duration::from_secs(60), attempts: None },
    timeout: Duration::from_secs(30),
};

/// What there is to give.
#[derive(Debug, Clone)]
pub struct Pools(Vec<Subnets>);

impl Pools {
    /// The cluster's ranges of pod addresses, one or one of each family, each with the prefix of a node's part.
    ///
    /// # Errors
    /// A range that cannot be divided.
    pub fn new(ranges: &[(IpNet, u8)]) -> Result<Self, SubnetsError> {
        ranges.iter().map(|(range, prefix)| Subnets::new(*range, *prefix)).collect::<Result<_, _>>().map(Self)
    }
}

/// Runs the controller until `stop`. The recorder speaks as [`NAME`].
pub async fn run(client: Client, recorder: Recorder, pools: Pools, metrics: Metrics, stop: CancellationToken) {
    let inputs = Inputs::new().all(&client, |change: Change<Node>| change);
    let part = Ranges { index: Index::new(pools), client, recorder };
    portolan_runtime::run(part, inputs, OPTIONS, metrics, stop).await;
}

/// A node, as far as it matters here.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    node: ObjectReference,
    ranges: Vec<IpNet>,
}

#[derive(Debug)]
struct Index {
    pools: Vec<Subnets>,
    nodes: BTreeMap<String, Held>,
    /// Given to a node that does not show them yet.
    given: BTreeMap<String, Vec<IpNet>>,
    /// Nodes that got nothing.
    waiting: BTreeSet<String>,
}

/// What to do for a node.
#[derive(Debug, PartialEq)]
enum Plan {
    Give(ObjectReference, Vec<IpNet>),
    /// The range that is exhausted.
    Nothing(ObjectReference, IpNet),
}

impl Index {
    fn new(pools: Pools) -> Self {
        Self { pools: pools.0, nodes: BTreeMap::new(), given: BTreeMap::new(), waiting: BTreeSet::new() }
    }

    fn take(&mut self, change: Change<Node>, dirty: &mut Vec<String>) {
        match change {
            Change::Apply(node) => self.put(&node, dirty),
            Change::Delete(node) => self.remove(&ObjectKey::of(&node).name, dirty),
            Change::Reset(nodes) => {
                let mut gone: BTreeSet<String> = self.nodes.keys().cloned().collect();
                // First all that is held, so that nothing is given twice.
                for node in &nodes {
                    gone.remove(&ObjectKey::of(node).name);
                    self.put(node, dirty);
                }
                gone.iter().for_each(|name| self.remove(name, dirty));
            }
        }
    }

    fn put(&mut self, node: &Node, dirty: &mut Vec<String>) {
        let name = ObjectKey::of(node).name;
        let spec = node.spec.clone().unwrap_or_default();
        let ranges: Vec<IpNet> = spec.pod_cidrs.iter().flatten().filter_map(|cidr| cidr.parse().ok()).collect();
        let held = Held { node: ObjectReference { resource_version: None, ..reference(node) }, ranges };
        let before = self.nodes.insert(name.clone(), held.clone());
        if before.as_ref() == Some(&held) {
            return;
        }
        held.ranges.iter().for_each(|range| self.hold(*range));
        let mut freed = before.map(|before| before.ranges).unwrap_or_default();
        if !held.ranges.is_empty() {
            freed.extend(self.given.remove(&name).unwrap_or_default());
        }
        self.free(&freed, dirty);
        dirty.push(name);
    }

    fn remove(&mut self, name: &str, dirty: &mut Vec<String>) {
        let mut freed = self.nodes.remove(name).map(|held| held.ranges).unwrap_or_default();
        freed.extend(self.given.remove(name).unwrap_or_default());
        self.waiting.remove(name);
        self.free(&freed, dirty);
    }

    fn hold(&mut self, range: IpNet) {
        self.pools.iter_mut().for_each(|pool| pool.hold(range));
    }

    /// Whoever waits may have it.
    fn free(&mut self, ranges: &[IpNet], dirty: &mut Vec<String>) {
        for range in ranges {
            self.pools.iter_mut().for_each(|pool| pool.release(*range));
        }
        if !ranges.is_empty() {
            dirty.extend(self.waiting.iter().cloned());
        }
    }

    /// What is planned here is given: a second plan of the same node gives the same.
    fn plan(&mut self, name: &str) -> Option<Plan> {
        let held = self.nodes.get(name).filter(|held| held.ranges.is_empty())?;
        if let Some(ranges) = self.given.get(name) {
            return Some(Plan::Give(held.node.clone(), ranges.clone()));
        }
        let mut ranges = Vec::new();
        for index in 0..self.pools.len() {
            match self.pools[index].allocate() {
                Some(range) => ranges.push(range),
                None => {
                    let exhausted = self.pools[index].range();
                    let node = held.node.clone();
                    ranges.iter().for_each(|range| self.pools.iter_mut().for_each(|pool| pool.release(*range)));
                    self.waiting.insert(name.to_owned());
                    return Some(Plan::Nothing(node, exhausted));
                }
            }
        }
        self.waiting.remove(name);
        self.given.insert(name.to_owned(), ranges.clone());
        Some(Plan::Give(held.node.clone(), ranges))
    }
}

struct Ranges {
    index: Index,
    client: Client,
    recorder: Recorder,
}

impl Reconciler for Ranges {
    type Input = Change<Node>;
    /// The node's name.
    type Key = String;
    type Plan = Plan;
    type Outcome = ();

    fn index(&mut self, change: Change<Node>, dirty: &mut Vec<String>) {
        self.index.take(change, dirty);
    }

    fn plan(&mut self, name: &String) -> Option<Plan> {
        self.index.plan(name)
    }

    fn apply(&self, name: String, plan: Plan) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let (api, recorder) = (Api::<Node>::all(self.client.clone()), self.recorder.clone());
        async move {
            match plan {
                Plan::Give(node, ranges) => {
                    let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
                    // The uid makes sure that no other node of this name gets it.
                    let patch =
                        json!({"metadata": {"uid": node.uid}, "spec": {"podCIDR": ranges.first(), "podCIDRs": ranges}});
                    match api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await {
                        Ok(_) => Ok(()),
                        // The watch will say that it is gone, and give its ranges back.
                        Err(error) if is_code(&error, 404) => Ok(()),
                        Err(error) => Err(error.into()),
                    }
                }
                Plan::Nothing(node, range) => {
                    let message = format!("Node {name} status is now: CIDRNotAvailable");
                    recorder.event(&node, Reason::CIDRNotAvailable, message);
                    let message = format!("no range of pod addresses is left in {range} for node {name}");
                    recorder.event(&node, Reason::IPNotAllocated, message);
                    Ok(())
                }
            }
        }
    }

    fn applied(&mut self, _: &String, (): ()) -> Option<Duration> {
        None
    }
}
