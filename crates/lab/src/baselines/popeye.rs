//! popeye's linter of Services: `internal/lint/svc.go`, with the messages of `internal/issues/assets/codes.yaml`.
//!
//! Only what claims a fault is here: 1100, 1105, 1106 and 1110. The other codes of Services (1101 no explicit ports, 1102 a
//! port by number, 1103 costs, 1104 a node port, 1107 and 1108 a traffic policy, 1109 a single endpoint) are advice.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    api::core::v1::{Pod, Service, ServicePort},
    apimachinery::pkg::util::intstr::IntOrString,
};
use portolan_diagnose::Snapshot;
use portolan_objects::{ObjectKey, pod, selector::Selector, service};

use super::{NO_POD, Statement};

pub(super) fn look(snapshot: &Snapshot, key: &ObjectKey) -> Vec<Statement> {
    let found = snapshot.services.iter().find(|found| ObjectKey::of(*found) == *key);
    let Some((found, labels)) = found.and_then(|found| Some((found, found.spec.as_ref()?.selector.as_ref()?))) else {
        return Vec::new();
    };
    if labels.is_empty() {
        return Vec::new();
    }
    let mut said = ports(snapshot, key, found, labels);
    if !service::is_external_name(found) {
        said.extend(endpoints(snapshot, key));
    }
    said
}

/// Ports are compared with those that *one* pod declares, the first that the selector finds.
fn ports(snapshot: &Snapshot, key: &ObjectKey, service: &Service, labels: &BTreeMap<String, String>) -> Vec<Statement> {
    let (selector, none) = (Selector::from_map(labels), BTreeMap::new());
    let fits = |pod: &&Pod| {
        pod.metadata.namespace.as_deref() == Some(&key.namespace)
            && selector.matches(pod.metadata.labels.as_ref().unwrap_or(&none))
    };
    // 1100: no pods match the selector.
    let Some(first) = snapshot.pods.iter().find(fits) else {
        return vec![Statement::new("no pods match the selector", NO_POD)];
    };
    let declared = declared(first);
    if declared.is_empty() {
        return Vec::new();
    }
    let wanted = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    // 1106: no target ports match.
    let missing = wanted.filter(|port| !declared.contains(&target(port)));
    let causes = &[
        "target-port-not-declared",
        "target-port-protocol-mismatch",
        "target-port-partly-declared",
        // A number that the pod does not declare: what is to be changed is said, whoever listens.
        "nobody-listens",
        "endpoint-refuses",
    ];
    missing.map(|port| Statement::new(format!("no target port matches port {}", port.port), causes)).collect()
}

/// Protocol and number, and protocol and name, of all ports that the pod declares.
fn declared(found: &Pod) -> BTreeSet<(String, String)> {
    let spec = found.spec.as_ref();
    let sidecars = spec.iter().flat_map(|spec| spec.init_containers.iter().flatten()).filter(|c| pod::is_sidecar(c));
    let containers = spec.iter().flat_map(|spec| &spec.containers).chain(sidecars);
    let mut declared = BTreeSet::new();
    for port in containers.flat_map(|container| container.ports.iter().flatten()) {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        declared.insert((protocol.clone(), port.container_port.to_string()));
        declared.extend(port.name.clone().map(|name| (protocol, name)));
    }
    declared
}

fn target(port: &ServicePort) -> (String, String) {
    let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
    let target = match &port.target_port {
        Some(IntOrString::Int(number)) => number.to_string(),
        Some(IntOrString::String(name)) => name.clone(),
        None => port.port.to_string(),
    };
    (protocol, target)
}

fn endpoints(snapshot: &Snapshot, key: &ObjectKey) -> Option<Statement> {
    let found = snapshot.endpoints.iter().find(|endpoints| ObjectKey::of(*endpoints) == *key);
    match found {
        // 1105: no associated endpoints found.
        None => Some(Statement::new("there is no Endpoints object", &["endpoints-disagree"])),
        // 1110: the Endpoints object has no subsets.
        Some(found) if found.subsets.as_ref().is_none_or(Vec::is_empty) => {
            Some(Statement::new("the Endpoints object is empty", &[]))
        }
        Some(_) => None,
    }
}
