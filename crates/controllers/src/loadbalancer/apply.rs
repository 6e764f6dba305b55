//! The steps of a plan at the provider and in the API, each with its event.

use std::{future::Future, sync::Arc};

use k8s_openapi::api::core::v1::{LoadBalancerStatus, Service};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use portolan_catalogue::Reason;
use portolan_cloud::{self as cloud, Class, CloudError, LoadBalancers, Step};
use portolan_events::{Recorder, reference};
use portolan_runtime::{Failure, describe, is_conflict};
use serde_json::{Value, json};

use super::{
    index::Outcome,
    plan::{FINALIZER, Plan, has_finalizer},
    spec,
};
use crate::workloads::{Ledger, is_gone};

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
    #[error("failed to update load balancer status: {}", describe(error))]
    Status { error: kube::Error },
}

impl SyncError {
    /// When the provider wants to be asked again.
    fn failure(&self) -> Failure {
        let conflict = match self {
            Self::RemoveFinalizer { error } | Self::AddFinalizer { error } | Self::Status { error } => {
                is_conflict(error)
            }
            Self::Check(_) | Self::Delete(_) | Self::Ensure(_) => false,
        };
        let failure = Failure { conflict, ..Failure::message(self.to_string()) };
        let cloud = match self {
            Self::Check(error) | Self::Delete(error) | Self::Ensure(error) => Some(error),
            _ => None,
        };
        match cloud.and_then(|error| error.retry_after) {
            Some(delay) => failure.after(delay),
            None => failure,
        }
    }
}

/// What an apply works with.
pub(super) struct Apply {
    pub client: Client,
    pub recorder: Recorder,
    pub provider: Arc<dyn LoadBalancers>,
    pub ledger: Ledger<Service>,
}

impl Apply {
    pub async fn run(self, plan: Plan) -> Result<Outcome, Failure> {
        match plan {
            Plan::Ensure { service, nodes } => {
                let result = self.ensure(&service, &nodes).await;
                self.report(&service, result)?;
                Ok(Outcome::Ensured { service, nodes })
            }
            Plan::UpdateNodes { service, nodes } => {
                let failed = !self.update_nodes(&service, &nodes).await;
                Ok(Outcome::NodesUpdated { nodes, failed })
            }
            Plan::Cleanup { service } => {
                let result = self.clean_up(&service).await;
                self.report(&service, result)?;
                Ok(Outcome::Removed)
            }
            Plan::Abandoned { service } => {
                self.delete_abandoned(&service).await?;
                Ok(Outcome::Removed)
            }
        }
    }

    fn event(&self, service: &Service, reason: Reason, message: impl Into<String>) {
        self.recorder.event(&reference(service), reason, message);
    }

    fn report(&self, service: &Service, result: Result<(), SyncError>) -> Result<(), Failure> {
        result.map_err(|error| {
            let message = format!("Error syncing load balancer: {error}");
            self.event(service, Reason::SyncLoadBalancerFailed, message);
            error.failure()
        })
    }

    async fn ensure(&self, service: &Service, nodes: &[cloud::Node]) -> Result<(), SyncError> {
        self.event(service, Reason::EnsuringLoadBalancer, "Ensuring load balancer");
        if !has_finalizer(service) {
            let patch = json!({"metadata": {"finalizers": [FINALIZER]}});
            self.patch(service, Patch::Strategic(patch)).await.map_err(|error| SyncError::AddFinalizer { error })?;
        }
        if nodes.is_empty() {
            self.no_nodes(service);
        }
        let wanted = spec::balancer(service, nodes.to_vec()).map_err(SyncError::Ensure)?;
        let observer = |step| self.observe(service, step);
        let status = match self.provider.ensure(&wanted, &observer).await {
            Ok(status) => status,
            // Somebody else makes this one's balancer: nothing more to say.
            Err(error) if error.class == Class::Elsewhere => return Ok(()),
            Err(error) => return Err(SyncError::Ensure(error)),
        };
        self.event(service, Reason::EnsuredLoadBalancer, "Ensured load balancer");
        self.publish(service, &spec::status(&status)).await.map_err(|error| SyncError::Status { error })
    }

    /// Tells what the provider really did.
    fn observe(&self, service: &Service, step: Step) {
        match step {
            Step::AddressAllocated(address) => {
                self.event(service, Reason::IPAllocated, format!("Assigned IP [\"{address}\"]"));
            }
            Step::AddressRefused(why) => {
                let key = spec::id(service).service;
                self.event(service, Reason::IPNotAllocated, format!("Failed to allocate IP for \"{key}\": {why}"));
            }
            Step::Creating => self.event(service, Reason::CreatingLoadBalancer, "Creating load balancer"),
            Step::Created(_) => self.event(service, Reason::CreatedLoadBalancer, "Created load balancer"),
        }
    }

    fn no_nodes(&self, service: &Service) {
        self.event(service, Reason::UnAvailableLoadBalancer, "There are no available nodes for LoadBalancer");
    }

    /// True unless the provider failed on a balancer that it has.
    async fn update_nodes(&self, service: &Service, nodes: &[cloud::Node]) -> bool {
        let result = match spec::balancer(service, nodes.to_vec()) {
            Ok(wanted) => self.provider.update_nodes(&wanted).await,
            Err(error) => Err(error),
        };
        let Err(error) = result else {
            if nodes.is_empty() {
                self.no_nodes(service);
            } else {
                self.event(service, Reason::UpdatedLoadBalancer, "Updated load balancer with new hosts");
            }
            return true;
        };
        if matches!(self.provider.get(&spec::id(service)).await, Ok(None)) {
            // Gone, so there was nothing to update; the next ensure makes it again.
            return true;
        }
        let count = nodes.len();
        let message = format!(
            "Error updating load balancer with new hosts {} [node names limited, total number of nodes: {count}], \
             error: {error}",
            names(nodes)
        );
        self.event(service, Reason::UpdateLoadBalancerFailed, message);
        false
    }

    async fn clean_up(&self, service: &Service) -> Result<(), SyncError> {
        let id = spec::id(service);
        if self.provider.get(&id).await.map_err(SyncError::Check)?.is_some() {
            self.event(service, Reason::DeletingLoadBalancer, "Deleting load balancer");
            self.provider.delete(&id).await.map_err(SyncError::Delete)?;
        }
        if has_finalizer(service) {
            let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}});
            self.patch(service, Patch::Strategic(patch)).await.map_err(|error| SyncError::RemoveFinalizer { error })?;
        }
        self.event(service, Reason::DeletedLoadBalancer, "Deleted load balancer");
        if service.metadata.deletion_timestamp.is_some() {
            return Ok(());
        }
        self.publish(service, &LoadBalancerStatus::default()).await.map_err(|error| SyncError::Status { error })
    }

    /// The way without an object in the API: nothing to patch, and its own event on failure.
    async fn delete_abandoned(&self, service: &Service) -> Result<(), Failure> {
        self.event(service, Reason::DeletingLoadBalancer, "Deleting load balancer");
        if let Err(error) = self.provider.delete(&spec::id(service)).await {
            let message = format!("Error deleting load balancer: {error}");
            self.event(service, Reason::DeleteLoadBalancerFailed, message);
            return Err(SyncError::Delete(error).failure());
        }
        self.event(service, Reason::DeletedLoadBalancer, "Deleted load balancer");
        Ok(())
    }

    /// Writes the status unless it is so already.
    async fn publish(&self, service: &Service, status: &LoadBalancerStatus) -> Result<(), kube::Error> {
        let ingress = |status: &LoadBalancerStatus| status.ingress.clone().unwrap_or_default();
        if ingress(&spec::current(service)) == ingress(status) {
            return Ok(());
        }
        let list = status.ingress.as_ref().filter(|list| !list.is_empty());
        let patch = Patch::Merge(json!({"status": {"loadBalancer": {"ingress": list}}}));
        self.write(service, |api, name| async move { api.patch_status(&name, &PatchParams::default(), &patch).await })
            .await
    }

    async fn patch(&self, service: &Service, patch: Patch<Value>) -> Result<(), kube::Error> {
        self.write(service, |api, name| async move { api.patch(&name, &PatchParams::default(), &patch).await }).await
    }

    /// One write of the Service; one that is gone needs none.
    async fn write<F>(
        &self,
        service: &Service,
        write: impl FnOnce(Api<Service>, String) -> F,
    ) -> Result<(), kube::Error>
    where
        F: Future<Output = Result<Service, kube::Error>>,
    {
        let key = spec::id(service).service;
        match write(Api::namespaced(self.client.clone(), &key.namespace), key.name).await {
            Ok(written) => self.ledger.put(written),
            Err(error) if is_gone(&error) => self.ledger.gone(service),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Names for an event, as Go prints a list.
fn names(nodes: &[cloud::Node]) -> String {
    let mut shown: Vec<String> = nodes.iter().take(NAMES_SHOWN).map(|node| node.name.clone()).collect();
    if nodes.len() > NAMES_SHOWN {
        shown.push(format!("<{} more>", nodes.len() - NAMES_SHOWN));
    }
    format!("[{}]", shown.join(" "))
}
