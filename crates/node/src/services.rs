//! The environment variables that name Services, from a cache that one watch per node fills: starting pods asks the API
//! for nothing. Upstream: `pkg/kubelet/envvars`, `pkg/kubelet/kubelet_pods.go` (getServiceEnvVarMap).

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::{Service, ServicePort};
use portolan_objects::ObjectKey;
use portolan_runtime::Change;
use tokio::sync::watch;

/// Where the Service of the API is.
const MASTER: &str = "default";
/// The Service of the API: named in every container.
const KUBERNETES: &str = "kubernetes";
/// How long a container that is started waits for the first list.
const PATIENCE: Duration = Duration::from_secs(5);

/// What variables tell of a Service.
#[derive(Debug, Clone)]
struct Known {
    address: String,
    ports: Vec<ServicePort>,
}

/// The Services that have an address, by key: only what variables tell of them is kept.
#[derive(Debug, Default)]
struct Book {
    services: BTreeMap<ObjectKey, Known>,
    /// The watch has told of all of them at least once.
    listed: bool,
}

/// The cache. Written by the agent's loop, read by containers that are started.
#[derive(Debug, Default)]
pub struct Services {
    book: watch::Sender<Book>,
}

impl Services {
    /// Takes what the watch tells.
    pub fn index(&self, change: Change<Service>) {
        self.book.send_modify(|book| match change {
            Change::Reset(services) => {
                book.services = services.iter().filter_map(known).collect();
                book.listed = true;
            }
            Change::Apply(service) => match known(&service) {
                Some((key, known)) => drop(book.services.insert(key, known)),
                None => drop(book.services.remove(&ObjectKey::of(&service))),
            },
            Change::Delete(service) => drop(book.services.remove(&ObjectKey::of(&service))),
        });
    }

    /// The variables of a container in `namespace`: of the API's Service, and with `links` of the namespace's Services.
    /// Waits for the watch to have told of all Services once, within limits.
    ///
    /// # Errors
    /// Upstream's text if it has not: better no container than one that misses what others have.
    pub async fn variables(&self, namespace: &str, links: bool) -> Result<Vec<(String, String)>, String> {
        let mut book = self.book.subscribe();
        match tokio::time::timeout(PATIENCE, book.wait_for(|book| book.listed)).await {
            Ok(Ok(book)) => Ok(variables(&book.services, namespace, links)),
            _ => Err("services have not yet been read at least once, cannot construct envvars".into()),
        }
    }
}

/// `None` for a Service without an address: headless, external, or not yet given one.
fn known(service: &Service) -> Option<(ObjectKey, Known)> {
    let spec = service.spec.as_ref()?;
    let address = spec.cluster_ip.clone().filter(|ip| !ip.is_empty() && ip != "None")?;
    Some((ObjectKey::of(service), Known { address, ports: spec.ports.clone().unwrap_or_default() }))
}

fn variables(services: &BTreeMap<ObjectKey, Known>, namespace: &str, links: bool) -> Vec<(String, String)> {
    let mut chosen: BTreeMap<&str, &Known> = BTreeMap::new();
    let master = ObjectKey { namespace: MASTER.into(), name: KUBERNETES.into() };
    if let Some(known) = services.get(&master) {
        chosen.insert(KUBERNETES, known);
    }
    if links {
        // A Service `kubernetes` of the pod's own namespace comes before the API's.
        let first = ObjectKey { namespace: namespace.into(), name: String::new() };
        let own = services.range(first..).take_while(|(key, _)| key.namespace == namespace);
        chosen.extend(own.map(|(key, known)| (key.name.as_str(), known)));
    }
    let mut made = Vec::new();
    for (name, known) in chosen {
        describe(&word(name), known, &mut made);
    }
    made
}

/// The variables of one Service.
fn describe(prefix: &str, known: &Known, made: &mut Vec<(String, String)>) {
    let Known { address, ports } = known;
    let Some(first) = ports.first() else { return };
    made.push((format!("{prefix}_SERVICE_HOST"), address.clone()));
    made.push((format!("{prefix}_SERVICE_PORT"), first.port.to_string()));
    for port in ports {
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            made.push((format!("{prefix}_SERVICE_PORT_{}", word(name)), port.port.to_string()));
        }
    }
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let (scheme, number) = (protocol.to_lowercase(), port.port);
        let host = if address.contains(':') { format!("[{address}]") } else { address.clone() };
        let url = format!("{scheme}://{host}:{number}");
        if index == 0 {
            made.push((format!("{prefix}_PORT"), url.clone()));
        }
        let port = format!("{prefix}_PORT_{number}_{}", protocol.to_uppercase());
        made.push((format!("{port}_PROTO"), scheme));
        made.push((format!("{port}_PORT"), number.to_string()));
        made.push((format!("{port}_ADDR"), address.clone()));
        made.push((port, url));
    }
}

/// A name as part of a variable's.
fn word(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn service(namespace: &str, name: &str, spec: Value) -> Service {
        let metadata = json!({"namespace": namespace, "name": name});
        serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
    }

    fn kubernetes() -> Service {
        let ports = json!([{"name": "https", "port": 443, "protocol": "TCP"}]);
        service("default", "kubernetes", json!({"clusterIP": "10.96.0.1", "ports": ports}))
    }

    async fn texts(services: &Services, namespace: &str, links: bool) -> Vec<String> {
        let made = services.variables(namespace, links).await;
        made.unwrap().into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[tokio::test]
    async fn a_container_waits_for_the_first_list() {
        let services = Services::default();
        let waiting = texts(&services, "shop", true);
        let list = async { services.index(Change::Reset(vec![kubernetes()])) };
        // In this order: the list comes while the container waits.
        let (made, ()) = tokio::join!(biased; waiting, list);
        assert_eq!(made[0], "KUBERNETES_SERVICE_HOST=10.96.0.1");
    }

    #[tokio::test]
    async fn services_of_the_namespace_and_the_api_are_named() {
        let services = Services::default();
        let ports = json!([{"name": "web-ui", "port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]);
        services.index(Change::Reset(vec![
            kubernetes(),
            service("shop", "my-db", json!({"clusterIP": "10.96.0.7", "ports": ports})),
            service("shop", "headless", json!({"clusterIP": "None", "ports": [{"port": 1}]})),
            service("shop", "outside", json!({"type": "ExternalName", "externalName": "example.org"})),
            service("other", "hidden", json!({"clusterIP": "10.96.0.8", "ports": [{"port": 1}]})),
        ]));
        let api = [
            "KUBERNETES_SERVICE_HOST=10.96.0.1",
            "KUBERNETES_SERVICE_PORT=443",
            "KUBERNETES_SERVICE_PORT_HTTPS=443",
            "KUBERNETES_PORT=tcp://10.96.0.1:443",
            "KUBERNETES_PORT_443_TCP_PROTO=tcp",
            "KUBERNETES_PORT_443_TCP_PORT=443",
            "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
            "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
        ];
        let own = [
            "MY_DB_SERVICE_HOST=10.96.0.7",
            "MY_DB_SERVICE_PORT=80",
            "MY_DB_SERVICE_PORT_WEB_UI=80",
            "MY_DB_SERVICE_PORT_DNS=53",
            "MY_DB_PORT=tcp://10.96.0.7:80",
            "MY_DB_PORT_80_TCP_PROTO=tcp",
            "MY_DB_PORT_80_TCP_PORT=80",
            "MY_DB_PORT_80_TCP_ADDR=10.96.0.7",
            "MY_DB_PORT_80_TCP=tcp://10.96.0.7:80",
            "MY_DB_PORT_53_UDP_PROTO=udp",
            "MY_DB_PORT_53_UDP_PORT=53",
            "MY_DB_PORT_53_UDP_ADDR=10.96.0.7",
            "MY_DB_PORT_53_UDP=udp://10.96.0.7:53",
        ];
        assert_eq!(texts(&services, "shop", true).await, [&api[..], &own[..]].concat());
        assert_eq!(texts(&services, "shop", false).await, api, "the API is always named");
        services.index(Change::Delete(service("shop", "my-db", json!({}))));
        assert_eq!(texts(&services, "shop", true).await, api);
        // The namespace's own Service of that name comes first.
        services.index(Change::Apply(service(
            "shop",
            "kubernetes",
            json!({"clusterIP": "::1", "ports": [{"port": 1}]}),
        )));
        assert_eq!(texts(&services, "shop", true).await[2], "KUBERNETES_PORT=tcp://[::1]:1");
    }
}
