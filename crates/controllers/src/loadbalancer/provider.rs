//! The provider as the controller calls it: within the budget, with a limit of time, and never before it has heard
//! which addresses are in use.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, api::ListParams};
use portolan_cloud::{BalancerId, Class, CloudError, Held, LoadBalancer, LoadBalancers, Observer, Status};
use portolan_objects::service;
use portolan_runtime::describe;
use tokio::sync::Mutex;
use tracing::info;

use super::{budget::Grant, metrics::Metrics, plan, spec};

pub(super) struct Provider {
    inner: Arc<dyn LoadBalancers>,
    client: Client,
    limit: Duration,
    metrics: Metrics,
    /// It knows which addresses are in use.
    adopted: Mutex<bool>,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, CloudError>>;

impl Provider {
    pub fn new(inner: Arc<dyn LoadBalancers>, client: Client, limit: Duration, metrics: Metrics) -> Self {
        Self { inner, client, limit, metrics, adopted: Mutex::new(false) }
    }

    pub async fn list(&self, grant: &mut Grant) -> Result<Option<Vec<Held>>, CloudError> {
        self.call("list", grant, || self.inner.list()).await
    }

    pub async fn get(&self, grant: &mut Grant, id: &BalancerId) -> Result<Option<Status>, CloudError> {
        self.call("get", grant, || self.inner.get(id)).await
    }

    pub async fn ensure(
        &self,
        grant: &mut Grant,
        wanted: &LoadBalancer,
        observer: Observer<'_>,
    ) -> Result<Status, CloudError> {
        self.call("ensure", grant, || self.inner.ensure(wanted, observer)).await
    }

    pub async fn update_nodes(&self, grant: &mut Grant, wanted: &LoadBalancer) -> Result<(), CloudError> {
        self.call("update_nodes", grant, || self.inner.update_nodes(wanted)).await
    }

    pub async fn delete(&self, grant: &mut Grant, id: &BalancerId) -> Result<(), CloudError> {
        self.call("delete", grant, || self.inner.delete(id)).await
    }

    /// One call; a second one if the provider has forgotten what exists and has been told again.
    async fn call<'a, T>(
        &self,
        name: &'static str,
        grant: &mut Grant,
        call: impl Fn() -> Answer<'a, T>,
    ) -> Result<T, CloudError> {
        self.adopt(grant).await?;
        let first = self.attempt(name, grant, call()).await;
        match first {
            Err(error) if error.class == Class::AdoptFirst => {
                info!("the provider has started anew");
                *self.adopted.lock().await = false;
                self.adopt(grant).await?;
                self.attempt(name, grant, call()).await
            }
            answered => answered,
        }
    }

    async fn attempt<T>(&self, name: &'static str, grant: &mut Grant, call: Answer<'_, T>) -> Result<T, CloudError> {
        grant.pay().await;
        self.metrics.called(name);
        let result = match tokio::time::timeout(self.limit, call).await {
            Ok(result) => result,
            Err(_) => {
                let message = format!("no answer to {name} within {} s", self.limit.as_secs());
                Err(CloudError::new(Class::Timeout, "DeadlineExceeded", message))
            }
        };
        result.inspect_err(|error| self.metrics.refused(error.class))
    }

    /// Tells the provider which addresses are in use, once. A new Service must not get the address that another one had
    /// before the restart of this controller or of the provider.
    async fn adopt(&self, grant: &mut Grant) -> Result<(), CloudError> {
        let mut adopted = self.adopted.lock().await;
        if !*adopted {
            let held = self.published().await?;
            self.attempt("adopt", grant, self.inner.adopt(&held)).await?;
            *adopted = true;
        }
        Ok(())
    }

    /// What Services publish, the oldest Service first: of two that claim one address it keeps it.
    async fn published(&self) -> Result<Vec<Held>, CloudError> {
        let services = Api::<Service>::all(self.client.clone()).list(&ListParams::default()).await;
        let mut services = services.map_err(|error| {
            let message = format!("cannot read which addresses are in use: {}", describe(&error));
            CloudError::new(Class::Other, "ServicesNotListed", message)
        })?;
        services.items.sort_by_key(|found| {
            let metadata = &found.metadata;
            (metadata.creation_timestamp.as_ref().map(|time| time.0), metadata.uid.clone())
        });
        let ours = |found: &&Service| service::wants_external(found) || plan::has_finalizer(found);
        let held =
            services.items.iter().filter(ours).map(|found| Held { id: spec::id(found), status: spec::held(found) });
        Ok(held.filter(|held| held.status != Status::default()).collect())
    }
}
