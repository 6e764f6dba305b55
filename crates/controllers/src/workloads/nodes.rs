//! Nodes that have gone silent: their condition Ready becomes Unknown, and their pods are no longer ready.
//!
//! A node is silent when its Lease has not changed for the grace period *as seen here*: clocks of other machines are
//! not compared. Upstream: `pkg/controller/nodelifecycle`.

use std::{collections::HashMap, future::Future, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        coordination::v1::Lease,
        core::v1::{Node, Pod},
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
    runtime::watcher,
};
use portolan_objects::{ObjectKey, pod};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    cache::{Cache, by_controller},
    is_gone,
    timers::Timers,
};

/// The component that the API's log names.
pub const NAME: &str = "node-controller";
/// How long a node may be silent (`--node-monitor-grace-period` before 1.32).
const GRACE: Duration = Duration::from_secs(40);
/// Namespace of the nodes' leases.
const LEASES: &str = "kube-node-lease";

/// Runs the controller until `stop`.
pub async fn run(client: Client, metrics: Metrics, stop: CancellationToken) {
    let leases = Api::<Lease>::namespaced(client.clone(), LEASES);
    let inputs = Inputs::new().all(&client, Input::Node).watch(leases, watcher::Config::default(), Input::Lease);
    let options = Options {
        name: NAME,
        workers: 4,
        backoff: Backoff { base: Duration::from_millis(500), max: Duration::from_secs(60), attempts: None },
        timeout: Duration::from_secs(60),
    };
    let part = Nodes { client, nodes: Cache::new(by_controller), heard: HashMap::new(), timers: Timers::default() };
    portolan_runtime::run(part, inputs, options, metrics, stop).await;
}

#[allow(clippy::large_enum_variant)] // Moved once, from the watch into the index.
enum Input {
    Node(Change<Node>),
    Lease(Change<Lease>),
}

struct Nodes {
    client: Client,
    nodes: Cache<Node>,
    /// When each node was last heard of.
    heard: HashMap<String, Instant>,
    timers: Timers<String>,
}

/// What to do about one node.
enum Plan {
    /// It is well; look again when it could have been silent for too long.
    Wait(Duration),
    /// It is silent.
    Silent,
}

fn ready(node: &Node) -> Option<&str> {
    let conditions = node.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == "Ready").map(|condition| condition.status.as_str())
}

impl Reconciler for Nodes {
    type Input = Input;
    /// The node's name.
    type Key = String;
    type Plan = Plan;
    type Outcome = Option<Duration>;

    fn index(&mut self, input: Input, dirty: &mut Vec<String>) {
        let (heard, timers) = (&mut self.heard, &mut self.timers);
        match input {
            Input::Node(change) => self.nodes.take(change, |(old, new)| {
                let Some(node) = new.or(old) else { return };
                let name = ObjectKey::of(&**node).name;
                if new.is_none() {
                    heard.remove(&name);
                    timers.forget(&name);
                    return;
                }
                heard.entry(name.clone()).or_insert_with(Instant::now);
                dirty.push(name);
            }),
            // Not dirty: the pending look finds out.
            Input::Lease(Change::Apply(lease)) => {
                heard.insert(ObjectKey::of(&lease).name, Instant::now());
            }
            Input::Lease(Change::Reset(leases)) => {
                heard.extend(leases.iter().map(|lease| (ObjectKey::of(lease).name, Instant::now())));
            }
            Input::Lease(Change::Delete(_)) => {}
        }
    }

    fn plan(&mut self, name: &String) -> Option<Plan> {
        self.nodes.settle(|_| {});
        let node = self.nodes.get(&ObjectKey::new("", name.as_str()))?;
        if matches!(ready(node), None | Some("Unknown")) {
            // It has never said anything, or is known to be silent; its agent speaks next.
            return None;
        }
        let silent = self.heard.get(name).map_or(Duration::ZERO, Instant::elapsed);
        if silent >= GRACE {
            return Some(Plan::Silent);
        }
        (!self.timers.pending(name)).then(|| Plan::Wait(GRACE - silent))
    }

    fn apply(&self, name: String, plan: Plan) -> impl Future<Output = Result<Self::Outcome, Failure>> + Send + 'static {
        let (client, ledger) = (self.client.clone(), self.nodes.ledger());
        async move {
            let Plan::Silent = plan else {
                let Plan::Wait(wait) = plan else { return Ok(None) };
                return Ok(Some(wait));
            };
            warn!(node = %name, "node has stopped posting its status");
            // The pods first: the node's condition is what ends the plan, so it must not hide a half of the work.
            mark_pods(&client, &name).await?;
            let nodes = Api::<Node>::all(client);
            let patch = unknown("Kubelet stopped posting node status.", "NodeStatusUnknown", "Unknown");
            match nodes.patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch)).await {
                Ok(node) => ledger.put(node),
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error.into()),
            }
            Ok(None)
        }
    }

    fn applied(&mut self, name: &String, outcome: Self::Outcome) -> Option<Duration> {
        self.timers.set(name, outcome?)
    }
}

fn unknown(message: &str, reason: &str, status: &str) -> serde_json::Value {
    json!({"status": {"conditions": [{
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": Time(Timestamp::now()),
    }]}})
}

/// The pods of a silent node are not ready: Services stop sending traffic there.
async fn mark_pods(client: &Client, node: &str) -> Result<(), Failure> {
    let pods = Api::<Pod>::all(client.clone());
    let there = pods.list(&ListParams::default().fields(&format!("spec.nodeName={node}"))).await?;
    for pod in there.items.iter().filter(|pod| pod::is_ready(pod)) {
        let key = ObjectKey::of(pod);
        let api = Api::<Pod>::namespaced(client.clone(), &key.namespace);
        let patch = unknown("The node has stopped posting its status.", "NodeNotReady", "False");
        match api.patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(patch)).await {
            Err(error) if !is_gone(&error) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn node(status: &str) -> Node {
        serde_json::from_value(json!({
            "metadata": {"name": "node-1", "uid": "1"},
            "status": {"conditions": [{"type": "Ready", "status": status}]},
        }))
        .unwrap()
    }

    fn lease() -> Lease {
        serde_json::from_value(json!({"metadata": {"namespace": LEASES, "name": "node-1"}})).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_is_silent_when_its_lease_stands_still_for_the_grace_period() {
        let client = Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let mut part =
            Nodes { client, nodes: Cache::new(by_controller), heard: HashMap::new(), timers: Timers::default() };
        let name = "node-1".to_string();
        let mut dirty = Vec::new();
        part.index(Input::Node(Change::Reset(vec![node("True")])), &mut dirty);
        assert_eq!(dirty, ["node-1"]);
        let Some(Plan::Wait(wait)) = part.plan(&name) else { panic!("it is well") };
        assert_eq!(wait, GRACE);
        assert_eq!(part.applied(&name, Some(wait)), Some(GRACE));
        assert!(part.plan(&name).is_none(), "one look is pending, whatever happens to the object");

        tokio::time::advance(Duration::from_secs(30)).await;
        part.index(Input::Lease(Change::Apply(lease())), &mut dirty);
        tokio::time::advance(Duration::from_secs(10)).await;
        let Some(Plan::Wait(wait)) = part.plan(&name) else { panic!("it was heard of ten seconds ago") };
        assert_eq!(wait, Duration::from_secs(30));

        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(matches!(part.plan(&name), Some(Plan::Silent)));
        part.index(Input::Node(Change::Apply(node("Unknown"))), &mut dirty);
        assert!(part.plan(&name).is_none(), "it is known to be silent");
    }
}
