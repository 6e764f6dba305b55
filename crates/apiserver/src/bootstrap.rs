//! What exists in every cluster before the first client comes: namespaces, the Service range, the `kubernetes` Service.
//!
//! Upstream keeps these from inside the API server too (`pkg/controlplane/controller`, every ten seconds). Made when the
//! server opens and made again when somebody deletes them; what exists stays as it is, only the endpoints of the
//! `kubernetes` Service follow the server's address. A round that finds everything in place only reads the store.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use portolan_kinds::Resource;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    registry::Registry,
    status::ApiError,
    store::{CommitError, Expect, Key, Step, Write},
};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const PORT: u16 = 443;
/// How long something deleted stays away at most.
const EVERY: Duration = Duration::from_secs(10);

/// The cluster's own objects.
#[derive(Debug, Clone)]
pub(crate) struct Bootstrap {
    /// The ranges of the Services' addresses; the first address of the first is that of `kubernetes`.
    pub service_cidrs: Vec<IpNet>,
    /// Where `kubernetes` leads; without it that Service has no endpoints.
    pub advertise: Option<SocketAddr>,
}

impl Bootstrap {
    /// Makes what is missing, once.
    pub(crate) async fn reconcile(&self, registry: &Registry) -> Result<(), ApiError> {
        for name in NAMESPACES {
            let namespace = json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
            });
            registry.ensure(resource("", "namespaces")?, namespace).await?;
        }
        range(registry, &self.service_cidrs).await?;
        // Of IPv6, `hosts` begins with the network address, which no Service has.
        let first = self.service_cidrs.first().and_then(|cidr| {
            let network = cidr.network();
            cidr.hosts().find(|address| *address != network).map(|address| address.to_string())
        });
        registry.ensure(resource("", "services")?, service(first.as_deref(), self.advertise)).await?;
        if let Some(address) = self.advertise {
            for (group, plural, object) in
                [("", "endpoints", endpoints(address)), ("discovery.k8s.io", "endpointslices", slice(address))]
            {
                follow(registry, resource(group, plural)?, object).await?;
            }
        }
        Ok(())
    }

    /// Makes what is missing, again and again until `stop`.
    pub(crate) async fn keep(self, registry: Arc<Registry>, stop: CancellationToken) {
        let mut said = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            let problem = self.reconcile(&registry).await.err().map(|error| error.message);
            // What does not change is said once: the first address may be in the hands of another Service for long.
            if let Some(error) = problem.as_ref().filter(|_| problem != said && !stop.is_cancelled()) {
                tracing::warn!(error, "an object that every cluster has is missing and cannot be made; trying again");
            }
            said = problem;
        }
    }
}

fn resource(group: &str, plural: &str) -> Result<&'static Resource, ApiError> {
    portolan_kinds::find(group, "v1", plural).ok_or_else(|| ApiError::internal(format!("no resource {plural}")))
}

/// Makes the ServiceCIDR of the server's own ranges, adds the second one to it when the server has got one, and says
/// that it is ready unless somebody has said something about that. A stored one of other ranges stays as it is.
async fn range(registry: &Registry, cidrs: &[IpNet]) -> Result<(), ApiError> {
    let resource = resource("networking.k8s.io", "servicecidrs")?;
    let cidrs: Vec<String> = cidrs.iter().map(|cidr| cidr.trunc().to_string()).collect();
    let object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": cidrs},
    });
    registry.ensure(resource, object).await?;
    write(registry, resource, Key::new("", "kubernetes"), |object| {
        if object["spec"]["cidrs"] == json!([cidrs[0]]) {
            object["spec"]["cidrs"] = json!(cidrs);
        }
        let judged = object["status"]["conditions"].as_array().is_some_and(|conditions| !conditions.is_empty());
        let ours = object["spec"]["cidrs"] == json!(cidrs) && object["metadata"]["deletionTimestamp"].is_null();
        if ours && !judged {
            object["status"]["conditions"] = json!([{
                "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready",
                "lastTransitionTime": object["metadata"]["creationTimestamp"],
            }]);
        }
    })
    .await
}

fn service(address: Option<&str>, advertise: Option<SocketAddr>) -> Value {
    let target = advertise.map_or(6443, |address| address.port());
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": address, "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": PORT, "targetPort": target}],
        },
    })
}

fn endpoints(address: SocketAddr) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Endpoints",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": [{
            "addresses": [{"ip": address.ip().to_string()}],
            "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}],
        }],
    })
}

fn slice(address: SocketAddr) -> Value {
    let family = match address.ip() {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"kubernetes.io/service-name": "kubernetes"},
        },
        "addressType": family,
        "endpoints": [{"addresses": [address.ip().to_string()], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": address.port(), "protocol": "TCP"}],
    })
}

/// Creates the object, or brings the stored one to its content.
async fn follow(registry: &Registry, resource: &'static Resource, mut object: Value) -> Result<(), ApiError> {
    resource.default(&mut object);
    registry.ensure(resource, object.clone()).await?;
    write(registry, resource, Key::new("default", "kubernetes"), |stored| {
        for field in ["subsets", "addressType", "endpoints", "ports"] {
            if !object[field].is_null() {
                stored[field] = object[field].clone();
            }
        }
    })
    .await
}

async fn write(
    registry: &Registry,
    resource: &'static Resource,
    key: Key,
    change: impl FnOnce(&mut Value),
) -> Result<(), ApiError> {
    let storage = resource.storage.as_str();
    let Some(current) = registry.store().get(storage, &key) else { return Ok(()) };
    let before = current.value();
    let mut object = before.clone();
    change(&mut object);
    if object == before {
        return Ok(());
    }
    let step = Step { storage, key, expect: Expect::Revision(current.revision), write: Write::Put(object) };
    match registry.store().commit(vec![step]).await {
        // Someone else was faster: the next round looks again.
        Ok(_) | Err(CommitError::Unexpected { .. }) => Ok(()),
        Err(error) => Err(ApiError::internal(error)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use portolan_kinds::allocate::{Allocators, Families};

    use super::*;
    use crate::{
        registry,
        store::{Object, Options, Store},
    };

    const OBJECTS: [(&str, &str, &str); 4] = [
        ("namespaces", "", "kube-node-lease"),
        ("services", "default", "kubernetes"),
        ("endpoints", "default", "kubernetes"),
        ("endpointslices.discovery.k8s.io", "default", "kubernetes"),
    ];

    fn registry() -> Registry {
        let store = Store::open(Options::default(), &registry::storages(), registry::index()).unwrap();
        let allocators = Allocators::new(Families::of(&cluster().service_cidrs).unwrap(), 30_000..=32_767);
        Registry::new(store, allocators, None, CancellationToken::new())
    }

    fn cluster() -> Bootstrap {
        Bootstrap {
            service_cidrs: vec!["10.96.0.0/16".parse().unwrap(), "fd00:96::/112".parse().unwrap()],
            advertise: Some("198.51.100.1:6443".parse().unwrap()),
        }
    }

    #[tokio::test]
    async fn a_round_that_finds_everything_writes_nothing() {
        let registry = registry();
        cluster().reconcile(&registry).await.unwrap();
        let after = registry.store().revision();
        cluster().reconcile(&registry).await.unwrap();
        assert_eq!(registry.store().revision(), after);
    }

    #[tokio::test]
    async fn what_was_deleted_or_changed_is_put_right() {
        let registry = registry();
        cluster().reconcile(&registry).await.unwrap();
        for (storage, namespace, name) in OBJECTS {
            let key = Key::new(namespace, name);
            let object = registry.store().get(storage, &key).unwrap();
            let delete = |storage, key: Key, object: &Object| {
                let expect = Expect::Revision(object.revision);
                Step { storage, key, expect, write: Write::Delete(object.value()) }
            };
            let mut steps = vec![delete(storage, key.clone(), &object)];
            if storage == "services" {
                let (storage, key) = ("ipaddresses.networking.k8s.io", Key::new("", "10.96.0.1"));
                let address = registry.store().get(storage, &key).unwrap();
                steps.push(delete(storage, key, &address));
            }
            registry.store().commit(steps).await.unwrap();
            cluster().reconcile(&registry).await.unwrap();
            assert!(registry.store().get(storage, &key).is_some(), "{storage} {key}");
        }
        let moved = Bootstrap { advertise: Some("198.51.100.2:7443".parse().unwrap()), ..cluster() };
        moved.reconcile(&registry).await.unwrap();
        let slice =
            registry.store().get("endpointslices.discovery.k8s.io", &Key::new("default", "kubernetes")).unwrap();
        assert_eq!(slice.value()["endpoints"][0]["addresses"], json!(["198.51.100.2"]));
        assert_eq!(slice.value()["ports"][0]["port"], 7443);
    }
}
