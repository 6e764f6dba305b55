//! Owner garbage collection: what belongs to an owner that is gone goes too.
//!
//! Watches every kind that can be listed, watched and deleted (found by discovery at start), keeps the graph of owners,
//! and supports the three ways to delete an owner: background (it goes first), foreground (it goes last) and orphan (its
//! dependents stay). Nothing is deleted before the API itself has said that an unseen owner does not exist.
//! Upstream: `pkg/controller/garbagecollector`.

mod graph;
#[cfg(test)]
mod tests;

use std::{future::Future, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
    discovery::{ApiResource, Discovery, Scope, verbs},
    runtime::{WatchStreamExt, watcher},
};
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::is_gone;
use graph::{FOREGROUND, Graph, Item, ORPHAN, Plan, Policy};

/// The component that the API's log names.
pub const NAME: &str = "generic-garbage-collector";
/// Between attempts to find out which kinds there are.
const DISCOVERY_PAUSE: Duration = Duration::from_secs(1);

/// Runs the collector until `stop`.
pub async fn run(client: Client, metrics: Metrics, stop: CancellationToken) {
    let Some(resources) = stop.run_until_cancelled(discover(&client)).await else { return };
    let mut inputs = Inputs::new();
    for (number, resource) in resources.iter().enumerate() {
        let api = Api::<DynamicObject>::all_with(client.clone(), &resource.kind);
        inputs = inputs.stream(changes(api, number), move |change| (number, change));
    }
    let options = Options {
        name: NAME,
        workers: 16,
        backoff: Backoff { base: Duration::from_millis(100), max: Duration::from_secs(60), attempts: None },
        timeout: Duration::from_secs(30),
    };
    let part = Collector { api: Access { client, resources: resources.into() }, graph: Graph::default() };
    portolan_runtime::run(part, inputs, options, metrics, stop).await;
}

/// A kind whose objects can own and be owned.
struct Kind {
    kind: ApiResource,
    namespaced: bool,
}

async fn discover(client: &Client) -> Vec<Kind> {
    loop {
        match Discovery::new(client.clone()).run_aggregated().await {
            Ok(discovery) => return collectable(&discovery),
            Err(error) => {
                warn!(%error, "cannot find out which kinds there are, trying again");
                tokio::time::sleep(DISCOVERY_PAUSE).await;
            }
        }
    }
}

fn collectable(discovery: &Discovery) -> Vec<Kind> {
    let all = discovery.groups().flat_map(|group| group.recommended_resources());
    all.filter(|(kind, can)| {
        let verbs = [verbs::LIST, verbs::WATCH, verbs::DELETE];
        // Events come and go by themselves, and in numbers.
        kind.kind != "Event" && verbs.iter().all(|verb| can.supports_operation(verb))
    })
    .map(|(kind, can)| Kind { kind, namespaced: can.scope == Scope::Namespaced })
    .collect()
}

/// The watch of one kind, reduced to what the graph needs.
fn changes(api: Api<DynamicObject>, number: usize) -> impl Stream<Item = Change<Item>> + Send {
    let events = watcher(api, watcher::Config::default()).default_backoff();
    let item = move |object: DynamicObject| Item::new(number, &object.metadata);
    stream::unfold((Box::pin(events), Vec::new()), move |(mut events, mut pending)| async move {
        loop {
            let change = match events.next().await? {
                Ok(watcher::Event::Init) => {
                    pending.clear();
                    None
                }
                Ok(watcher::Event::InitApply(object)) => {
                    pending.extend(item(object));
                    None
                }
                Ok(watcher::Event::InitDone) => Some(Change::Reset(std::mem::take(&mut pending))),
                Ok(watcher::Event::Apply(object)) => item(object).map(Change::Apply),
                Ok(watcher::Event::Delete(object)) => item(object).map(Change::Delete),
                Err(error) => {
                    debug!(%error, "a watch failed and starts again");
                    None
                }
            };
            if let Some(change) = change {
                return Some((change, (events, pending)));
            }
        }
    })
}

struct Collector {
    api: Access,
    graph: Graph,
}

impl Reconciler for Collector {
    type Input = (usize, Change<Item>);
    /// An object's UID.
    type Key = String;
    type Plan = Plan;
    /// Owners that turned out to exist.
    type Outcome = Vec<String>;

    fn index(&mut self, (number, change): Self::Input, dirty: &mut Vec<String>) {
        match change {
            Change::Apply(item) => self.graph.put(item, dirty),
            Change::Delete(item) => self.graph.remove(&item.uid, dirty),
            Change::Reset(items) => {
                self.graph.reset(number, items, dirty);
                debug!(sizes = ?self.graph.sizes(), "graph of owners");
            }
        }
    }

    fn plan(&mut self, uid: &String) -> Option<Plan> {
        self.graph.plan(uid)
    }

    fn apply(&self, _uid: String, plan: Plan) -> impl Future<Output = Result<Vec<String>, Failure>> + Send + 'static {
        let api = self.api.clone();
        async move { api.apply(plan).await }
    }

    fn applied(&mut self, _uid: &String, existing: Vec<String>) -> Option<Duration> {
        self.graph.verify(existing);
        None
    }
}

/// The objects behind the graph.
#[derive(Clone)]
struct Access {
    client: Client,
    resources: Arc<[Kind]>,
}

impl Access {
    fn of(&self, number: usize, namespace: &str) -> Api<DynamicObject> {
        let resource = &self.resources[number];
        if resource.namespaced {
            Api::namespaced_with(self.client.clone(), namespace, &resource.kind)
        } else {
            Api::all_with(self.client.clone(), &resource.kind)
        }
    }

    async fn apply(&self, plan: Plan) -> Result<Vec<String>, Failure> {
        match plan {
            Plan::Collect { item, verify, policy } => {
                let existing = self.existing(&item, &verify).await?;
                if existing.is_empty() {
                    self.delete(&item, policy).await?;
                }
                Ok(existing)
            }
            Plan::Detach { item, verify, mut waiting } => {
                let existing = self.existing(&item, &verify).await?;
                let gone = verify.into_iter().map(|owner| owner.uid).filter(|uid| !existing.contains(uid));
                waiting.extend(gone);
                if !waiting.is_empty() {
                    self.detach(&item, &waiting).await?;
                }
                Ok(existing)
            }
            Plan::Orphan { owner, dependents } => {
                for dependent in &dependents {
                    self.detach(dependent, std::slice::from_ref(&owner.uid)).await?;
                }
                self.remove_finalizer(&owner, ORPHAN).await?;
                Ok(Vec::new())
            }
            Plan::Release { owner } => {
                self.remove_finalizer(&owner, FOREGROUND).await?;
                Ok(Vec::new())
            }
        }
    }

    /// Those of `owners` that the API knows by that UID. A kind that is not served here counts as known: deleting on a
    /// guess is worse than keeping.
    async fn existing(&self, item: &Item, owners: &[OwnerReference]) -> Result<Vec<String>, Failure> {
        let mut existing = Vec::new();
        for owner in owners {
            let is_it =
                |resource: &Kind| resource.kind.api_version == owner.api_version && resource.kind.kind == owner.kind;
            let Some(number) = self.resources.iter().position(is_it) else {
                existing.push(owner.uid.clone());
                continue;
            };
            let found = self.of(number, &item.key.namespace).get_opt(&owner.name).await?;
            if found.is_some_and(|found| found.metadata.uid.as_ref() == Some(&owner.uid)) {
                existing.push(owner.uid.clone());
            }
        }
        Ok(existing)
    }

    async fn delete(&self, item: &Item, policy: Policy) -> Result<(), Failure> {
        let parameters = match policy {
            Policy::Background => DeleteParams::background(),
            Policy::Foreground => DeleteParams::foreground(),
        };
        let parameters =
            parameters.preconditions(Preconditions { uid: Some(item.uid.clone()), resource_version: None });
        let api = self.of(item.resource, &item.key.namespace);
        match api.delete(&item.key.name, &parameters).await {
            Err(error) if !is_gone(&error) => Err(error.into()),
            _ => {
                let kind = &self.resources[item.resource].kind.kind;
                debug!(object = %item.key, %kind, "deleted after its owner");
                Ok(())
            }
        }
    }

    async fn detach(&self, item: &Item, owners: &[String]) -> Result<(), Failure> {
        let kept: Vec<&OwnerReference> = item.owners.iter().filter(|owner| !owners.contains(&owner.uid)).collect();
        self.patch(item, json!({"ownerReferences": kept})).await
    }

    async fn remove_finalizer(&self, item: &Item, finalizer: &str) -> Result<(), Failure> {
        let kept: Vec<&String> = item.finalizers.iter().filter(|candidate| *candidate != finalizer).collect();
        self.patch(item, json!({"finalizers": kept})).await
    }

    /// Patches metadata of exactly this object. Lists are replaced whole, so the version is read first: a list that
    /// somebody else changes meanwhile must not be overwritten.
    async fn patch(&self, item: &Item, mut metadata: Value) -> Result<(), Failure> {
        let api = self.of(item.resource, &item.key.namespace);
        let Some(current) = api.get_opt(&item.key.name).await? else { return Ok(()) };
        let seen = Item::new(item.resource, &current.metadata);
        if seen.as_ref().is_none_or(|seen| seen.uid != item.uid) {
            return Ok(());
        }
        if seen.is_some_and(|seen| seen.owners != item.owners || seen.finalizers != item.finalizers) {
            // The watch brings the change and with it another plan.
            return Err(Failure::conflict(format!("{} changed meanwhile", item.key)));
        }
        metadata["uid"] = json!(item.uid);
        metadata["resourceVersion"] = json!(current.metadata.resource_version);
        let patch = Patch::Merge(json!({"metadata": metadata}));
        match api.patch(&item.key.name, &PatchParams::default(), &patch).await {
            Err(error) if !is_gone(&error) => Err(error.into()),
            _ => Ok(()),
        }
    }
}
