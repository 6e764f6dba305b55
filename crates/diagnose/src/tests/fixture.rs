//! A cluster in a few words: two nodes, a Deployment of three ready pods and a Service in front of them, at noon.

use k8s_openapi::api::core::v1::Node;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Scope, Snapshot, Workload};

/// Objects as JSON, so that a test changes only what it is about.
#[derive(Clone)]
pub(crate) struct Cluster {
    service: Value,
    pods: Vec<Value>,
    slices: Vec<Value>,
    nodes: Vec<Value>,
    events: Vec<Value>,
    workloads: Vec<Workload>,
    policies: Vec<Value>,
    endpoints: Vec<Value>,
    namespaces: Vec<Value>,
    others: Vec<Value>,
}

const CREATED: &str = "2026-07-01T11:30:00Z";

fn pod(n: usize) -> Value {
    json!({
        "metadata": {"name": format!("web-{n}"), "namespace": "default", "uid": format!("pod-{n}"),
            "creationTimestamp": CREATED, "labels": {"app": "web", "pod-template-hash": "5d4"}},
        "spec": {"nodeName": format!("node-{}", n % 2), "containers": [
            {"name": "app", "image": "web", "ports": [{"name": "http", "containerPort": 8080}]},
        ]},
        "status": {
            "phase": "Running", "podIP": format!("10.244.1.{n}"), "podIPs": [{"ip": format!("10.244.1.{n}")}],
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": CREATED}],
            "containerStatuses": [{"name": "app", "image": "web", "imageID": "", "ready": true, "restartCount": 0,
                "state": {"running": {}}}],
        },
    })
}

fn endpoint(n: usize) -> Value {
    json!({
        "addresses": [format!("10.244.1.{n}")], "nodeName": format!("node-{}", n % 2),
        "conditions": {"ready": true, "serving": true, "terminating": false},
    })
}

fn node(n: usize) -> Value {
    json!({
        "metadata": {"name": format!("node-{n}")},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// RFC 7386, as the API does it.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        match value {
            Value::Null => drop(target.as_object_mut().unwrap().remove(key)),
            value => merge(&mut target[key.as_str()], value),
        }
    }
}

fn read<T: DeserializeOwned>(values: &[Value]) -> Vec<T> {
    values.iter().map(|value| serde_json::from_value(value.clone()).unwrap()).collect()
}

impl Cluster {
    pub(crate) fn healthy() -> Self {
        let slice = json!({
            "metadata": {"name": "web-x", "namespace": "default", "labels": {
                "kubernetes.io/service-name": "web",
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            }},
            "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
            "endpoints": [endpoint(0), endpoint(1), endpoint(2)],
        });
        let service = json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "svc", "creationTimestamp": CREATED},
            "spec": {"type": "ClusterIP", "clusterIP": "10.96.1.1", "clusterIPs": ["10.96.1.1"],
                "ipFamilies": ["IPv4"], "selector": {"app": "web"},
                "ports": [{"port": 80, "targetPort": "http", "protocol": "TCP"}]},
        });
        let labels = [("app".to_owned(), "web".to_owned())];
        let workload = |kind: &str, name: &str, owned| Workload {
            namespace: "default".into(),
            kind: kind.into(),
            name: name.into(),
            labels: labels.clone().into(),
            replicas: Some(3),
            owned,
        };
        Self {
            service,
            pods: vec![pod(0), pod(1), pod(2)],
            slices: vec![slice],
            nodes: vec![node(0), node(1)],
            events: Vec::new(),
            workloads: vec![workload("deployment", "web", false), workload("replicaset", "web-5d4", true)],
            policies: Vec::new(),
            endpoints: Vec::new(),
            namespaces: vec![json!({"metadata": {"name": "default"}})],
            others: Vec::new(),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let taken_at = serde_json::from_value(json!("2026-07-01T12:00:00Z")).unwrap();
        Snapshot {
            services: read(&[std::slice::from_ref(&self.service), &self.others].concat()),
            pods: read(&self.pods),
            workloads: self.workloads.clone(),
            slices: read(&self.slices),
            events: read(&self.events),
            nodes: read::<Node>(&self.nodes),
            namespaces: read(&self.namespaces),
            network_policies: read(&self.policies),
            endpoints: read(&self.endpoints),
            ..Snapshot::empty(taken_at, Scope::Namespace("default".into()))
        }
    }

    // === the Service ===

    pub(crate) fn spec(mut self, patch: Value) -> Self {
        merge(&mut self.service["spec"], &patch);
        self
    }

    pub(crate) fn metadata(mut self, patch: Value) -> Self {
        merge(&mut self.service["metadata"], &patch);
        self
    }

    pub(crate) fn balancer(self, address: Option<&str>) -> Self {
        let mut cluster = self.spec(json!({"type": "LoadBalancer"}));
        if let Some(address) = address {
            cluster.service["status"] = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
        }
        cluster
    }

    /// The Service's port leads there, and the slice says so if it is a number.
    pub(crate) fn target_port(mut self, target: Value) -> Self {
        if target.is_number() {
            self.slices[0]["ports"][0]["port"] = target.clone();
        }
        self.service["spec"]["ports"][0]["targetPort"] = target;
        self
    }

    /// The port is UDP everywhere.
    pub(crate) fn udp(mut self) -> Self {
        self.service["spec"]["ports"][0]["protocol"] = json!("UDP");
        self.slices[0]["ports"][0]["protocol"] = json!("UDP");
        self.pods.iter_mut().for_each(|pod| pod["spec"]["containers"][0]["ports"][0]["protocol"] = json!("UDP"));
        self
    }

    // === pods and what makes them ===

    pub(crate) fn no_pods(mut self) -> Self {
        self.pods.clear();
        self
    }

    pub(crate) fn no_workloads(mut self) -> Self {
        self.workloads.clear();
        self
    }

    pub(crate) fn replicas(mut self, count: i32) -> Self {
        self.workloads.iter_mut().for_each(|workload| workload.replicas = Some(count));
        self
    }

    pub(crate) fn pod(mut self, n: usize, status: Value) -> Self {
        merge(&mut self.pods[n]["status"], &status);
        self
    }

    pub(crate) fn every_pod(self, status: Value) -> Self {
        (0..self.pods.len()).fold(self, |cluster, n| cluster.pod(n, status.clone()))
    }

    pub(crate) fn unplaced(mut self, unplaced: bool) -> Self {
        let spec = self.pods.iter_mut().map(|pod| &mut pod["spec"]);
        spec.filter(|_| unplaced).for_each(|spec| merge(spec, &json!({"nodeName": null})));
        self
    }

    pub(crate) fn probe(mut self, probe: Value) -> Self {
        self.pods.iter_mut().for_each(|pod| pod["spec"]["containers"][0]["readinessProbe"] = probe.clone());
        self
    }

    pub(crate) fn gate(mut self, condition: &str) -> Self {
        let gates = json!([{"conditionType": condition}]);
        self.pods.iter_mut().for_each(|pod| pod["spec"]["readinessGates"] = gates.clone());
        self
    }

    /// Merges into the whole object of a pod.
    pub(crate) fn pod_object(mut self, n: usize, patch: Value) -> Self {
        merge(&mut self.pods[n], &patch);
        self
    }

    pub(crate) fn every_pod_object(self, patch: Value) -> Self {
        (0..self.pods.len()).fold(self, |cluster, n| cluster.pod_object(n, patch.clone()))
    }

    /// Makes the Deployment's ReplicaSet the owner of the pods.
    pub(crate) fn owned(self) -> Self {
        self.every_pod_object(json!({"metadata": {"ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d4", "uid": "set", "controller": true},
        ]}}))
    }

    /// One more pod: the first one with this merged into it.
    pub(crate) fn another_pod(mut self, patch: Value) -> Self {
        let mut another = pod(9);
        merge(&mut another, &patch);
        self.pods.push(another);
        self
    }

    pub(crate) fn workload(mut self, workload: Workload) -> Self {
        self.workloads.push(workload);
        self
    }

    // === slices ===

    /// Merges into the first slice.
    pub(crate) fn slice(mut self, patch: Value) -> Self {
        merge(&mut self.slices[0], &patch);
        self
    }

    /// One more slice: an empty one of the Service with this merged into it.
    pub(crate) fn another_slice(mut self, patch: Value) -> Self {
        let mut another = json!({
            "metadata": {"name": "web-other", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4", "ports": [{"name": "", "port": 8080, "protocol": "TCP"}], "endpoints": [],
        });
        merge(&mut another, &patch);
        self.slices.push(another);
        self
    }

    /// An Endpoints object of the Service.
    pub(crate) fn endpoints(mut self, subsets: Value, annotations: Value) -> Self {
        self.endpoints.push(json!({
            "metadata": {"name": "web", "namespace": "default", "annotations": annotations}, "subsets": subsets,
        }));
        self
    }

    // === other objects ===

    /// A NetworkPolicy with this specification in the namespace `default`.
    pub(crate) fn policy(mut self, name: &str, spec: Value) -> Self {
        self.policies.push(json!({"metadata": {"name": name, "namespace": "default"}, "spec": spec}));
        self
    }

    pub(crate) fn namespace(mut self, name: &str, labels: Value) -> Self {
        self.namespaces.push(json!({"metadata": {"name": name, "labels": labels}}));
        self
    }

    /// One more Service: the first one with this merged into it.
    pub(crate) fn another_service(mut self, patch: Value) -> Self {
        let mut another = self.service.clone();
        merge(&mut another, &patch);
        self.others.push(another);
        self
    }

    pub(crate) fn no_slices(mut self) -> Self {
        self.slices.clear();
        self
    }

    pub(crate) fn no_endpoints(mut self) -> Self {
        self.slices[0]["endpoints"] = json!([]);
        self
    }

    pub(crate) fn endpoint_ready(mut self, n: usize, ready: bool) -> Self {
        self.slices[0]["endpoints"][n]["conditions"]["ready"] = json!(ready);
        self
    }

    pub(crate) fn not_ready_endpoints(self) -> Self {
        (0..3).fold(self, |cluster, n| cluster.endpoint_ready(n, false))
    }

    pub(crate) fn extra_endpoint(mut self, address: &str) -> Self {
        let extra = json!({"addresses": [address], "conditions": {"ready": true}});
        self.slices[0]["endpoints"].as_array_mut().unwrap().push(extra);
        self
    }

    pub(crate) fn all_on(mut self, node: &str) -> Self {
        let endpoints = self.slices[0]["endpoints"].as_array_mut().unwrap();
        endpoints.iter_mut().for_each(|endpoint| endpoint["nodeName"] = json!(node));
        self
    }

    // === nodes and events ===

    /// Merges into the whole object of a node.
    pub(crate) fn node_object(mut self, n: usize, patch: Value) -> Self {
        merge(&mut self.nodes[n], &patch);
        self
    }

    pub(crate) fn nodes_ready(mut self, ready: bool) -> Self {
        let status = if ready { "True" } else { "Unknown" };
        self.nodes.iter_mut().for_each(|node| node["status"]["conditions"][0]["status"] = json!(status));
        self
    }

    pub(crate) fn rename_nodes(mut self) -> Self {
        self.nodes = vec![node(7)];
        self
    }

    pub(crate) fn exclude_nodes(mut self) -> Self {
        let labels = json!({"node.kubernetes.io/exclude-from-external-load-balancers": ""});
        self.nodes.iter_mut().for_each(|node| node["metadata"]["labels"] = labels.clone());
        self
    }

    /// The last event came so often, last `ago` seconds before noon.
    pub(crate) fn counted(mut self, count: i32, ago: u32) -> Self {
        let seen = format!("2026-07-01T11:{:02}:{:02}Z", 59 - ago / 60, 59 - ago % 60);
        if let Some(event) = self.events.last_mut() {
            merge(event, &json!({"count": count, "lastTimestamp": seen}));
        }
        self
    }

    /// An event about an object, last seen `ago` seconds before noon.
    pub(crate) fn event(mut self, kind: &str, name: &str, reason: &str, message: &str, ago: u32) -> Self {
        let seen = format!("2026-07-01T11:{:02}:{:02}Z", 59 - ago / 60, 59 - ago % 60);
        self.events.push(json!({
            "metadata": {"name": format!("{name}.{}", self.events.len()), "namespace": "default"},
            "involvedObject": {"kind": kind, "name": name, "namespace": "default"},
            "reason": reason, "message": message, "type": "Warning", "count": 1,
            "firstTimestamp": seen, "lastTimestamp": seen,
        }));
        self
    }
}
