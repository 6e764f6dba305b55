//! The objects that every network of `up` has beside those of the API server itself, and nodes that it no longer has.

use anyhow::Result;
use k8s_openapi::api::{
    core::v1::{Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};
use serde_json::json;

use super::{
    fabric::{EDGE_INSIDE, Fabric},
    settings::Settings,
};

/// Namespace of the cluster's own objects.
pub const SYSTEM: &str = "kube-system";
/// Where the cluster DNS answers.
pub const DNS_PORT: u16 = 53;

/// The Service kube-dns and where it leads. Nothing happens if they are there, as after a restart.
pub async fn register_dns(admin: &Client, settings: &Settings) -> Result<()> {
    let service: Service = serde_json::from_value(json!({
        "metadata": {
            "name": "kube-dns",
            "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS", "kubernetes.io/cluster-service": "true"},
        },
        "spec": {
            "clusterIP": settings.dns_address(),
            "ports": [
                {"name": "dns", "port": DNS_PORT, "protocol": "UDP"},
                {"name": "dns-tcp", "port": DNS_PORT, "protocol": "TCP"},
            ],
        },
    }))?;
    let slice: EndpointSlice = serde_json::from_value(json!({
        "metadata": {
            "name": "kube-dns",
            "labels": {"kubernetes.io/service-name": "kube-dns", "endpointslice.kubernetes.io/managed-by": "portolan"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [EDGE_INSIDE], "conditions": {"ready": true, "serving": true, "terminating": false}}],
        "ports": [
            {"name": "dns", "port": DNS_PORT, "protocol": "UDP"},
            {"name": "dns-tcp", "port": DNS_PORT, "protocol": "TCP"},
        ],
    }))?;
    create_once(&Api::namespaced(admin.clone(), SYSTEM), &service).await?;
    create_once(&Api::namespaced(admin.clone(), SYSTEM), &slice).await
}

/// The store may know nodes that this run does not have: they and their pods are gone, and nobody else would say so.
pub async fn retire_nodes(admin: &Client, fabric: &Fabric) -> Result<()> {
    let ours = |name: &str| fabric.nodes.iter().any(|site| site.name == name);
    let nodes = Api::<Node>::all(admin.clone());
    for node in nodes.list_metadata(&ListParams::default()).await? {
        let name = node.name_any();
        if ours(&name) {
            continue;
        }
        let bound = ListParams::default().fields(&format!("spec.nodeName={name}"));
        for pod in Api::<Pod>::all(admin.clone()).list_metadata(&bound).await? {
            let pods = Api::<Pod>::namespaced(admin.clone(), &pod.namespace().unwrap_or_default());
            pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
        }
        nodes.delete(&name, &DeleteParams::default()).await?;
    }
    Ok(())
}

async fn create_once<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: kube::Resource + Clone + serde::Serialize + serde::de::DeserializeOwned + std::fmt::Debug,
{
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
        Err(error) => Err(error.into()),
    }
}
