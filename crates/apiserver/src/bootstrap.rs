//! What exists in every cluster before the first client comes: namespaces, the Service range, the `kubernetes` Service.
//!
//! Upstream makes these inside the API server too (`pkg/controlplane/controller`). Run at every start; what exists stays,
//! only the endpoints of the `kubernetes` Service follow the address given now.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use ipnet::Ipv4Net;
use portolan_kinds::Resource;
use serde_json::{Value, json};

use crate::{
    registry::Registry,
    status::ApiError,
    store::{Expect, Key, Step, Write},
};

const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const PORT: u16 = 443;

/// Makes what is missing.
pub(crate) async fn bootstrap(
    registry: &Arc<Registry>,
    service_cidr: Ipv4Net,
    advertise: Option<SocketAddr>,
) -> Result<(), ApiError> {
    for name in NAMESPACES {
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}},
        });
        registry.ensure(resource("", "namespaces")?, namespace).await?;
    }
    range(registry, service_cidr).await?;
    let first = service_cidr.hosts().next().map(|address| address.to_string());
    registry.ensure(resource("", "services")?, service(first.as_deref(), advertise)).await?;
    if let Some(address) = advertise {
        for (group, plural, object) in
            [("", "endpoints", endpoints(address)), ("discovery.k8s.io", "endpointslices", slice(address))]
        {
            follow(registry, resource(group, plural)?, object).await?;
        }
    }
    Ok(())
}

fn resource(group: &str, plural: &str) -> Result<&'static Resource, ApiError> {
    portolan_kinds::find(group, "v1", plural).ok_or_else(|| ApiError::internal(format!("no resource {plural}")))
}

async fn range(registry: &Registry, cidr: Ipv4Net) -> Result<(), ApiError> {
    let resource = resource("networking.k8s.io", "servicecidrs")?;
    let object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR",
        "metadata": {"name": "kubernetes"},
        "spec": {"cidrs": [cidr.trunc().to_string()]},
    });
    registry.ensure(resource, object).await?;
    let ready = json!([{
        "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready",
    }]);
    write(registry, resource, Key::new("", "kubernetes"), |object| {
        if object["status"]["conditions"].as_array().is_none_or(Vec::is_empty) {
            object["status"]["conditions"] = ready.clone();
            object["status"]["conditions"][0]["lastTransitionTime"] = object["metadata"]["creationTimestamp"].clone();
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
async fn follow(registry: &Registry, resource: &'static Resource, object: Value) -> Result<(), ApiError> {
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
    registry.store().commit(vec![step]).await.map(|_| ()).map_err(ApiError::internal)
}
