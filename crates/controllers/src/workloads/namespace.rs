//! The end of namespaces: deletes what is in a terminating one, then lets it go.
//!
//! What there is to delete is found by discovery, so kinds that nobody here knows are deleted as well.
//! Upstream: `pkg/controller/namespace/deletion`.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
    discovery::{ApiResource, Discovery, Scope, verbs},
};
use portolan_objects::ObjectKey;
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Options, Reconciler};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::{
    cache::{Cache, by_controller},
    is_gone,
};

/// The component that the API's log names.
pub const NAME: &str = "namespace-controller";
/// The finalizer in `spec` that stands for this controller.
const FINALIZER: &str = "kubernetes";
/// First pause before looking whether everything is gone; doubled each time up to the last.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(2)];
/// Deletions under way at a time.
const PARALLEL: usize = 16;

/// Runs the controller until `stop`.
pub async fn run(client: Client, metrics: Metrics, stop: CancellationToken) {
    let inputs = Inputs::new().all(&client, |change: Change<Namespace>| change);
    let options = Options {
        name: NAME,
        workers: 4,
        backoff: Backoff { base: Duration::from_millis(200), max: Duration::from_secs(60), attempts: None },
        timeout: Duration::from_secs(120),
    };
    let part = Namespaces { client, namespaces: Cache::new(by_controller), looks: HashMap::new() };
    portolan_runtime::run(part, inputs, options, metrics, stop).await;
}

struct Namespaces {
    client: Client,
    namespaces: Cache<Namespace>,
    /// How often each terminating namespace was found not empty.
    looks: HashMap<ObjectKey, u32>,
}

/// What was found in a terminating namespace.
enum Found {
    /// Nothing: it was let go.
    Empty,
    /// Objects that take their time.
    Remaining,
}

fn has_finalizer(namespace: &Namespace) -> bool {
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.as_ref());
    finalizers.is_some_and(|all| all.iter().any(|finalizer| finalizer == FINALIZER))
}

impl Reconciler for Namespaces {
    type Input = Change<Namespace>;
    type Key = ObjectKey;
    type Plan = Arc<Namespace>;
    type Outcome = Found;

    fn index(&mut self, change: Self::Input, dirty: &mut Vec<ObjectKey>) {
        let looks = &mut self.looks;
        self.namespaces.take(change, |(old, new)| match new {
            Some(new) => dirty.push(ObjectKey::of(&**new)),
            None => drop(old.map(|old| looks.remove(&ObjectKey::of(&**old)))),
        });
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<Self::Plan> {
        self.namespaces.settle(|_| {});
        let namespace = self.namespaces.get(key)?;
        let terminating = namespace.metadata.deletion_timestamp.is_some();
        (terminating && has_finalizer(namespace)).then(|| namespace.clone())
    }

    fn apply(
        &self,
        key: ObjectKey,
        namespace: Arc<Namespace>,
    ) -> impl Future<Output = Result<Found, Failure>> + Send + 'static {
        let (client, ledger) = (self.client.clone(), self.namespaces.ledger());
        async move {
            let remaining = delete_contents(&client, &key.name).await?;
            if remaining > 0 {
                debug!(namespace = %key.name, remaining, "namespace is not empty yet");
                return Ok(Found::Remaining);
            }
            finalize(&client, &key.name).await?;
            info!(namespace = %key.name, "namespace is empty and let go");
            ledger.gone(&namespace);
            Ok(Found::Empty)
        }
    }

    fn applied(&mut self, key: &ObjectKey, outcome: Found) -> Option<Duration> {
        match outcome {
            Found::Empty => None,
            Found::Remaining => {
                let looks = self.looks.entry(key.clone()).or_default();
                let pause = PAUSES[0].saturating_mul(1 << (*looks).min(10)).min(PAUSES[1]);
                *looks += 1;
                Some(pause)
            }
        }
    }
}

/// Asks for the deletion of everything in the namespace; how much was there.
async fn delete_contents(client: &Client, namespace: &str) -> Result<usize, Failure> {
    let discovery = Discovery::new(client.clone()).run_aggregated().await?;
    let mut found = 0;
    for (resource, capabilities) in discovery.groups().flat_map(|group| group.recommended_resources()) {
        let deletable = capabilities.supports_operation(verbs::LIST) && capabilities.supports_operation(verbs::DELETE);
        if capabilities.scope == Scope::Namespaced && deletable {
            found += delete_all(client, namespace, &resource).await?;
        }
    }
    Ok(found)
}

async fn delete_all(client: &Client, namespace: &str, resource: &ApiResource) -> Result<usize, Failure> {
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, resource);
    let objects = match api.list(&ListParams::default()).await {
        Ok(list) => list.items,
        // The kind itself has just gone.
        Err(error) if is_gone(&error) => return Ok(0),
        Err(error) => return Err(error.into()),
    };
    let mut names = Vec::new();
    for object in objects.iter().filter(|object| object.metadata.deletion_timestamp.is_none()) {
        names.extend(object.metadata.name.clone());
    }
    let mut deletions = stream::iter(names).map(|name| delete(api.clone(), name)).buffer_unordered(PARALLEL);
    while let Some(result) = deletions.next().await {
        match result {
            Err(error) if !is_gone(&error) => return Err(error.into()),
            _ => {}
        }
    }
    Ok(objects.len())
}

async fn delete(api: Api<DynamicObject>, name: String) -> Result<(), kube::Error> {
    api.delete(&name, &DeleteParams::background()).await.map(drop)
}

async fn finalize(client: &Client, name: &str) -> Result<(), Failure> {
    let api = Api::<Namespace>::all(client.clone());
    let Some(mut namespace) = api.get_opt(name).await? else { return Ok(()) };
    if let Some(finalizers) = namespace.spec.as_mut().and_then(|spec| spec.finalizers.as_mut()) {
        finalizers.retain(|finalizer| finalizer != FINALIZER);
    }
    match api.replace_subresource("finalize", name, &PostParams::default(), &namespace).await {
        Err(error) if !is_gone(&error) => Err(error.into()),
        _ => Ok(()),
    }
}
