//! The steps of a plan at the provider and in the API, each with its event.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{
    api::core::v1::{LoadBalancerStatus, ObjectReference, Service},
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use portolan_catalogue::Reason;
use portolan_cloud::{self as cloud, BalancerId, Class, CloudError, Held, Status, Step};
use portolan_events::{Recorder, Vocabulary, reference};
use portolan_runtime::{Failure, describe, is_conflict};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{
    budget::Grant,
    metrics::Metrics,
    plan::{FINALIZER, Plan, has_finalizer},
    provider::Provider,
    spec,
    why::{self, Why},
};
use crate::workloads::{Ledger, is_gone, uid};

/// Most node names in an event.
const NAMES_SHOWN: usize = 20;

/// Which step of a sync failed; the texts are upstream's.
#[derive(Debug, thiserror::Error)]
enum SyncError {
    #[error("failed to check if load balancer exists before cleanup: {0}")]
    Check(CloudError),
    #[error("failed to delete load balancer: {0}")]
    Delete(CloudError),
    #[error("failed to remove load balancer cleanup finalizer: {}", describe(error))]
    RemoveFinalizer { error: kube::Error },
    #[error("failed to add load balancer cleanup finalizer: {}", describe(error))]
    AddFinalizer { error: kube::Error },
    #[error("failed to ensure load balancer: {0}")]
    Ensure(CloudError),
    #[error("service status returned by EnsureLoadBalancer is nil")]
    NoStatus,
    #[error("failed to update load balancer status: {}", describe(error))]
    Status { error: kube::Error },
}

impl SyncError {
    fn cloud(&self) -> Option<&CloudError> {
        match self {
            Self::Check(error) | Self::Delete(error) | Self::Ensure(error) => Some(error),
            _ => None,
        }
    }

    /// When to try again: when the provider says so, else after a back-off.
    fn failure(&self) -> Failure {
        let conflict = match self {
            Self::RemoveFinalizer { error } | Self::AddFinalizer { error } | Self::Status { error } => {
                is_conflict(error)
            }
            Self::Check(_) | Self::Delete(_) | Self::Ensure(_) | Self::NoStatus => false,
        };
        let retry_after = self.cloud().and_then(|error| error.retry_after);
        Failure { conflict, retry_after, ..Failure::message(self.to_string()) }
    }
}

/// What an apply achieved.
pub(super) enum Outcome {
    /// The provider has all of it; it gives no status if another controller makes the balancer.
    Ensured { service: Arc<Service>, status: Option<Status> },
    /// The provider has the new nodes.
    NodesUpdated,
    /// The provider does not have the new nodes: it has to be told everything again, at once or when it says.
    NodesFailed { retry_after: Option<Duration> },
    /// The balancer is gone.
    Removed,
    /// The Service no longer says why it waits.
    Cleared,
    /// A balancer without a Service is gone.
    OrphanRemoved,
    /// Whether the balancer is still there.
    Checked { exists: bool },
    /// The provider has this, if it can say.
    Swept(Option<Vec<Held>>),
    /// Nothing that is known for sure.
    Nothing,
}

/// What an apply works with.
pub(super) struct Apply {
    pub client: Client,
    pub recorder: Recorder,
    pub provider: Arc<Provider>,
    pub ledger: Ledger<Service>,
    pub metrics: Metrics,
    pub grant: Grant,
}

impl Apply {
    pub async fn run(mut self, plan: Plan) -> Result<Outcome, Failure> {
        match plan {
            Plan::Ensure { service, nodes } => {
                let result = self.ensure(service.clone(), &nodes).await;
                let status = self.report(&service, result)?;
                Ok(Outcome::Ensured { service, status })
            }
            Plan::UpdateNodes { service, nodes } => Ok(self.update_nodes(&service, &nodes).await),
            Plan::Cleanup { service } => {
                let result = self.clean_up(service.clone()).await;
                self.report(&service, result)?;
                Ok(Outcome::Removed)
            }
            Plan::Abandoned { service } => {
                self.delete_abandoned(&reference(&*service), &spec::id(&service)).await?;
                Ok(Outcome::Removed)
            }
            Plan::Clear { service } => {
                let published = spec::current(&service);
                self.publish(&service, &published).await.map_err(Failure::from)?;
                Ok(Outcome::Cleared)
            }
            Plan::Orphan { id } => {
                self.delete_orphan(&id).await?;
                Ok(Outcome::OrphanRemoved)
            }
            Plan::Check { service } => {
                let found = self.provider.get(&mut self.grant, &spec::id(&service)).await;
                Ok(found.map_or_else(unseen, |found| Outcome::Checked { exists: found.is_some() }))
            }
            Plan::Sweep => Ok(self.provider.list(&mut self.grant).await.map_or_else(unseen, Outcome::Swept)),
        }
    }

    fn event(&self, service: &Service, reason: Reason, message: impl Into<String>) {
        self.recorder.event(&reference(service), reason, message);
    }

    fn report<T>(&self, service: &Service, result: Result<T, SyncError>) -> Result<T, Failure> {
        result.map_err(|error| {
            // Upstream keeps this reason for Services that are gone, where hardly anybody sees it.
            if let SyncError::Delete(refusal) = &error
                && self.recorder.vocabulary() == Vocabulary::Full
            {
                let message = format!("Error deleting load balancer: {refusal}");
                self.event(service, Reason::DeleteLoadBalancerFailed, message);
            }
            let message = format!("Error syncing load balancer: {error}");
            self.event(service, Reason::SyncLoadBalancerFailed, message);
            error.failure()
        })
    }

    async fn ensure(&mut self, mut service: Arc<Service>, nodes: &[cloud::Node]) -> Result<Option<Status>, SyncError> {
        self.event(&service, Reason::EnsuringLoadBalancer, "Ensuring load balancer");
        if !has_finalizer(&service) {
            let change = json!({"metadata": {"finalizers": [FINALIZER]}});
            let written = self.patch(&service, change).await;
            service = written.map_err(|error| SyncError::AddFinalizer { error })?;
        }
        if nodes.is_empty() {
            self.no_nodes(&service);
        }
        let status = match self.ensured(&service, nodes).await {
            Ok(status) => status,
            // Somebody else makes this one's balancer: nothing more to say.
            Err(error) if error.class == Class::Elsewhere => return Ok(None),
            Err(error) => {
                self.explain(&service, &error, nodes.len()).await;
                let no_status = error.class == Class::NoStatus;
                return Err(if no_status { SyncError::NoStatus } else { SyncError::Ensure(error) });
            }
        };
        self.event(&service, Reason::EnsuredLoadBalancer, "Ensured load balancer");
        self.publish(&service, &spec::status(&status)).await.map_err(|error| SyncError::Status { error })?;
        Ok(Some(status))
    }

    async fn ensured(&mut self, service: &Service, nodes: &[cloud::Node]) -> Result<Status, CloudError> {
        let wanted = spec::balancer(service, nodes.to_vec())?;
        let (recorder, about) = (&self.recorder, reference(service));
        let observer = |step| observe(recorder, &about, step);
        self.provider.ensure(&mut self.grant, &wanted, &observer).await
    }

    fn no_nodes(&self, service: &Service) {
        self.event(service, Reason::UnAvailableLoadBalancer, "There are no available nodes for LoadBalancer");
    }

    async fn update_nodes(&mut self, service: &Service, nodes: &[cloud::Node]) -> Outcome {
        let start = Instant::now();
        self.metrics.syncs.inc();
        let result = match spec::balancer(service, nodes.to_vec()) {
            Ok(wanted) => self.provider.update_nodes(&mut self.grant, &wanted).await,
            Err(error) => Err(error),
        };
        self.metrics.update_latency.observe(start.elapsed().as_secs_f64());
        let error = match result {
            Ok(()) if nodes.is_empty() => {
                self.no_nodes(service);
                return Outcome::NodesUpdated;
            }
            Ok(()) => {
                self.event(service, Reason::UpdatedLoadBalancer, "Updated load balancer with new hosts");
                return Outcome::NodesUpdated;
            }
            Err(error) if error.class == Class::Elsewhere => return Outcome::NodesUpdated,
            Err(error) => error,
        };
        match self.provider.get(&mut self.grant, &spec::id(service)).await {
            // Gone, so there was nothing to update. That it should not be gone is the drift check's business.
            Ok(None) => return Outcome::NodesUpdated,
            Ok(Some(_)) => {}
            Err(error) => warn!(service = %spec::id(service).service, %error, "cannot see whether the balancer exists"),
        }
        self.metrics.node_errors.inc();
        let message = format!(
            "Error updating load balancer with new hosts {} [node names limited, total number of nodes: {}], error: {error}",
            names(nodes),
            nodes.len(),
        );
        self.event(service, Reason::UpdateLoadBalancerFailed, message);
        Outcome::NodesFailed { retry_after: error.retry_after }
    }

    async fn clean_up(&mut self, mut service: Arc<Service>) -> Result<(), SyncError> {
        let id = spec::id(&service);
        if self.provider.get(&mut self.grant, &id).await.map_err(SyncError::Check)?.is_some() {
            self.event(&service, Reason::DeletingLoadBalancer, "Deleting load balancer");
            match self.provider.delete(&mut self.grant, &id).await {
                Err(error) if error.class != Class::Elsewhere => return Err(SyncError::Delete(error)),
                _ => {}
            }
        }
        let mut gone = false;
        if has_finalizer(&service) {
            let change = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}});
            match self.patch(&service, change).await {
                Ok(written) => service = written,
                Err(error) if is_other(&error) => gone = true,
                Err(error) => return Err(SyncError::RemoveFinalizer { error }),
            }
        }
        self.event(&service, Reason::DeletedLoadBalancer, "Deleted load balancer");
        // Without the last finalizer there is nothing left to write to.
        let metadata = &service.metadata;
        gone |= metadata.deletion_timestamp.is_some() && metadata.finalizers.as_ref().is_none_or(Vec::is_empty);
        if gone {
            return Ok(());
        }
        self.publish(&service, &LoadBalancerStatus::default()).await.map_err(|error| SyncError::Status { error })
    }

    /// The way without an object in the API: nothing to patch, and its own event on failure.
    async fn delete_abandoned(&mut self, about: &ObjectReference, id: &BalancerId) -> Result<(), Failure> {
        self.recorder.event(about, Reason::DeletingLoadBalancer, "Deleting load balancer");
        if let Err(error) = self.provider.delete(&mut self.grant, id).await {
            let message = format!("Error deleting load balancer: {error}");
            self.recorder.event(about, Reason::DeleteLoadBalancerFailed, message);
            return Err(SyncError::Delete(error).failure());
        }
        self.recorder.event(about, Reason::DeletedLoadBalancer, "Deleted load balancer");
        Ok(())
    }

    /// Removes a balancer that was found at the provider, if it is still there.
    async fn delete_orphan(&mut self, id: &BalancerId) -> Result<(), Failure> {
        let found = self.provider.get(&mut self.grant, id).await.map_err(|error| SyncError::Check(error).failure())?;
        if found.is_none() {
            return Ok(());
        }
        warn!(service = %id.service, uid = id.uid, "a balancer has no Service and is removed");
        let about = ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Service".into()),
            namespace: Some(id.service.namespace.clone()),
            name: Some(id.service.name.clone()),
            uid: Some(id.uid.clone()),
            ..ObjectReference::default()
        };
        self.delete_abandoned(&about, id).await
    }

    /// Says on a Service that waits for its address what keeps it waiting. A service to people: if it cannot be written,
    /// the next attempt says it again.
    async fn explain(&self, service: &Service, error: &CloudError, nodes: usize) {
        if self.recorder.vocabulary() != Vocabulary::Full || spec::is_published(service) {
            return;
        }
        let why = Why::of(error, nodes);
        let Some(conditions) = why::change(service, Some(&why), Timestamp::now()) else { return };
        if let Err(error) = self.patch(service, json!({"status": {"conditions": conditions}})).await {
            debug!(error = describe(&error), "cannot write why a Service waits");
        }
    }

    /// Writes the status unless it is so already. A Service that is gone needs none.
    async fn publish(&self, service: &Service, status: &LoadBalancerStatus) -> Result<(), kube::Error> {
        let mut change = serde_json::Map::new();
        if !spec::says(service, status) {
            let list = status.ingress.as_ref().filter(|list| !list.is_empty());
            change.insert("loadBalancer".to_owned(), json!({"ingress": list}));
        }
        if self.recorder.vocabulary() == Vocabulary::Full
            && let Some(conditions) = why::change(service, None, Timestamp::now())
        {
            change.insert("conditions".to_owned(), conditions);
        }
        if change.is_empty() {
            return Ok(());
        }
        match self.patch(service, json!({"status": change})).await {
            Ok(_) => Ok(()),
            Err(error) if is_other(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Changes metadata and status of exactly this Service, not of another one that has its name by now. As upstream, by
    /// way of the status: the right to write that is all that the controller needs.
    async fn patch(&self, service: &Service, mut change: Value) -> Result<Arc<Service>, kube::Error> {
        change["metadata"]["uid"] = uid(service).into();
        let key = spec::id(service).service;
        let api = Api::<Service>::namespaced(self.client.clone(), &key.namespace);
        match api.patch_status(&key.name, &PatchParams::default(), &Patch::Strategic(change)).await {
            Ok(written) => {
                self.ledger.put(written.clone());
                Ok(Arc::new(written))
            }
            Err(error) => {
                if is_other(&error) {
                    self.ledger.gone(service);
                }
                Err(error)
            }
        }
    }
}

/// The Service is gone, or another one has its name: Kubernetes says that a UID cannot be changed.
fn is_other(error: &kube::Error) -> bool {
    let immutable = |status: &kube::core::Status| status.code == 422 && status.message.contains("metadata.uid");
    is_gone(error) || matches!(error, kube::Error::Api(status) if immutable(status))
}

/// A look at the provider that failed says nothing; there will be another one.
fn unseen(error: CloudError) -> Outcome {
    debug!(%error, "cannot see what the provider has");
    Outcome::Nothing
}

/// Tells what the provider really did.
fn observe(recorder: &Recorder, about: &ObjectReference, step: Step) {
    match step {
        Step::AddressAllocated(address) => {
            recorder.event(about, Reason::IPAllocated, format!("Assigned IP [\"{address}\"]"));
        }
        Step::AddressRefused(why) => {
            let name = about.name.as_deref().unwrap_or_default();
            let key = format!("{}/{name}", about.namespace.as_deref().unwrap_or_default());
            recorder.event(about, Reason::IPNotAllocated, format!("Failed to allocate IP for \"{key}\": {why}"));
        }
        Step::Creating => recorder.event(about, Reason::CreatingLoadBalancer, "Creating load balancer"),
        Step::Created(_) => recorder.event(about, Reason::CreatedLoadBalancer, "Created load balancer"),
    }
}

/// Names for an event, as Go prints a list.
pub(super) fn names(nodes: &[cloud::Node]) -> String {
    let mut shown: Vec<String> = nodes.iter().take(NAMES_SHOWN).map(|node| node.name.clone()).collect();
    if nodes.len() > NAMES_SHOWN {
        shown.push(format!("<{} more>", nodes.len() - NAMES_SHOWN));
    }
    format!("[{}]", shown.join(" "))
}
