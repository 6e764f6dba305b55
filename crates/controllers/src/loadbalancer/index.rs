//! Services, eligible nodes, and what the provider was last told.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::core::v1::{Node, Service};
use kube::Client;
use portolan_cloud::{self as cloud, LoadBalancers};
use portolan_events::Recorder;
use portolan_objects::{ObjectKey, service};
use portolan_runtime::{Change, Failure, Reconciler};

use super::{
    apply::Apply,
    plan::{self, Plan, Synced},
    spec,
};
use crate::workloads::Cache;

/// Pause after a failed change of nodes, before the full ensure that follows.
const AFTER_NODES_FAILED: Duration = Duration::from_secs(5);

#[allow(clippy::large_enum_variant)] // Moved once, from the watch into the index.
pub(super) enum Input {
    Service(Change<Service>),
    Node(Change<Node>),
}

/// What an apply achieved.
pub(super) enum Outcome {
    /// The provider has all of it.
    Ensured { service: Arc<Service>, nodes: Vec<cloud::Node> },
    /// The provider has the new nodes, or failed and has to be told everything again.
    NodesUpdated { nodes: Vec<cloud::Node>, failed: bool },
    /// The balancer is gone.
    Removed,
}

pub(super) struct Controller {
    client: Client,
    recorder: Recorder,
    provider: Arc<dyn LoadBalancers>,
    services: Cache<Service>,
    /// By name, so that two listings are equal exactly if their sets are.
    nodes: BTreeMap<String, cloud::Node>,
    synced: BTreeMap<ObjectKey, Synced>,
}

impl Controller {
    pub fn new(client: Client, recorder: Recorder, provider: Arc<dyn LoadBalancers>) -> Self {
        let ungrouped = |_: &Service| String::new();
        Self {
            client,
            recorder,
            provider,
            services: Cache::new(ungrouped),
            nodes: BTreeMap::new(),
            synced: BTreeMap::new(),
        }
    }

    fn index_nodes(&mut self, change: Change<Node>, dirty: &mut Vec<ObjectKey>) {
        let before = self.nodes.clone();
        let mut put = |node: Node| match (spec::eligible(&node), node.metadata.name) {
            (Some(eligible), Some(name)) => drop(self.nodes.insert(name, eligible)),
            (None, Some(name)) => drop(self.nodes.remove(&name)),
            (_, None) => {}
        };
        match change {
            Change::Apply(node) => put(node),
            Change::Delete(node) => drop(self.nodes.remove(&node.metadata.name.unwrap_or_default())),
            Change::Reset(nodes) => {
                let names: BTreeSet<String> = nodes.iter().filter_map(|node| node.metadata.name.clone()).collect();
                nodes.into_iter().for_each(&mut put);
                self.nodes.retain(|name, _| names.contains(name));
            }
        }
        if before != self.nodes {
            let wanting = self.services.iter().filter(|found| service::wants_external(found));
            dirty.extend(wanting.map(|found| ObjectKey::of(&**found)));
        }
    }
}

impl Reconciler for Controller {
    type Input = Input;
    type Key = ObjectKey;
    type Plan = Plan;
    type Outcome = Outcome;

    fn index(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        match input {
            Input::Service(change) => self.services.take(change, |(old, new)| {
                if let Some(found) = new.or(old)
                    && plan::is_news(old.map(|old| &**old), new.map(|new| &**new))
                {
                    dirty.push(ObjectKey::of(&**found));
                }
            }),
            Input::Node(change) => self.index_nodes(change, dirty),
        }
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<Plan> {
        self.services.settle(|_| {});
        let nodes: Vec<cloud::Node> = self.nodes.values().cloned().collect();
        let plan = plan::plan(self.services.get(key), self.synced.get(key), &nodes);
        if let (Some(Plan::Ensure { .. }), Some(synced)) = (&plan, self.synced.get_mut(key)) {
            // Until the provider confirms: a failure may have left half of the change behind.
            synced.in_doubt = true;
        }
        plan
    }

    fn apply(&self, _key: ObjectKey, plan: Plan) -> impl Future<Output = Result<Outcome, Failure>> + Send + 'static {
        Apply {
            client: self.client.clone(),
            recorder: self.recorder.clone(),
            provider: self.provider.clone(),
            ledger: self.services.ledger(),
        }
        .run(plan)
    }

    fn applied(&mut self, key: &ObjectKey, outcome: Outcome) -> Option<Duration> {
        match outcome {
            Outcome::Ensured { service, nodes } => {
                self.synced.insert(key.clone(), Synced { service, nodes, in_doubt: false });
                // What changed meanwhile may have been taken for our own write.
                Some(Duration::ZERO)
            }
            Outcome::NodesUpdated { nodes, failed } => {
                if let Some(synced) = self.synced.get_mut(key) {
                    synced.nodes = nodes;
                    synced.in_doubt = failed;
                }
                Some(if failed { AFTER_NODES_FAILED } else { Duration::ZERO })
            }
            Outcome::Removed => {
                self.synced.remove(key);
                Some(Duration::ZERO)
            }
        }
    }
}
