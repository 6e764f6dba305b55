//! Cluster IPs, node ports and families: each code in its case, and the states that only resemble it.

use k8s_openapi::api::core::v1::Service;
use portolan_objects::ObjectKey;
use serde_json::{Value, json};

use super::{code, diagnose, fixture::Cluster, proven, silent};
use crate::{Ask, Diagnosis, From, Index, LinkId, Scope, Snapshot};

fn ranges(mut snapshot: Snapshot, cidrs: &[&str]) -> Snapshot {
    let range = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": cidrs}});
    snapshot.service_cidrs.push(serde_json::from_value(range).unwrap());
    snapshot
}

fn records(mut snapshot: Snapshot, records: &[(&str, &str)]) -> Snapshot {
    let record = |(address, name): &(&str, &str)| {
        json!({"metadata": {"name": address},
            "spec": {"parentRef": {"group": "", "resource": "services", "namespace": "default", "name": name}}})
    };
    let records = records.iter().map(|pair| serde_json::from_value(record(pair)).unwrap());
    snapshot.ip_addresses = Some(records.collect());
    snapshot
}

/// Another Service, with these fields changed.
fn other(snapshot: &mut Snapshot, name: &str, change: impl FnOnce(&mut Service)) {
    let mut other = snapshot.services[0].clone();
    other.metadata.name = Some(name.to_owned());
    other.metadata.uid = Some(name.to_owned());
    change(&mut other);
    snapshot.services.push(other);
}

fn from_pod(snapshot: &Snapshot, pod: &str) -> Diagnosis {
    let ask = Ask { from: From::Pod(ObjectKey::new("default", pod)) };
    crate::diagnose(&Index::new(snapshot), &ObjectKey::new("default", "web"), &ask)
}

fn node_port(ports: Value) -> Cluster {
    Cluster::healthy().spec(json!({"type": "NodePort", "ports": ports}))
}

#[test]
fn a_service_without_an_address_is_a_fault_only_once_it_is_applied() {
    let none = Cluster::healthy().spec(json!({"clusterIP": null, "clusterIPs": null}));
    assert_eq!(code(&diagnose(&none.snapshot())), "cluster-ip-missing");
    let manifests = Snapshot { scope: Scope::Manifests, ..none.snapshot() };
    assert_ne!(code(&diagnose(&manifests)), "cluster-ip-missing");
}

#[test]
fn addresses_out_of_every_range() {
    let cluster = Cluster::healthy;
    proven(&diagnose(&ranges(cluster().snapshot(), &["10.100.0.0/16"])), "cluster-ip-out-of-range", LinkId::Address);
    silent(&diagnose(&ranges(ranges(cluster().snapshot(), &["10.100.0.0/16"]), &["10.96.1.0/28"])));
    let said = "Cluster IP [IPv4]: 10.96.1.1 is not within any configured Service CIDR; please recreate service";
    let told = || cluster().event("Service", "web", "ClusterIPOutOfRange", said, 60);
    // Without the ranges, the API server's word counts, as long as it is repeated; with them, they decide.
    proven(&diagnose(&told().snapshot()), "cluster-ip-out-of-range", LinkId::Address);
    silent(&diagnose(&cluster().event("Service", "web", "ClusterIPOutOfRange", said, 50 * 60).snapshot()));
    silent(&diagnose(&ranges(told().snapshot(), &["10.96.0.0/16"])));
    let other = said.replace("10.96.1.1", "10.96.1.11");
    silent(&diagnose(&cluster().event("Service", "web", "ClusterIPOutOfRange", &other, 60).snapshot()));
}

#[test]
fn an_address_that_two_services_have_is_one_cause() {
    let mut snapshot = Cluster::healthy().snapshot();
    other(&mut snapshot, "api", |_| {});
    let diagnosis = diagnose(&snapshot);
    proven(&diagnosis, "cluster-ip-duplicate", LinkId::Address);
    assert_eq!(diagnosis.cause().unwrap().subject.as_deref(), Some("ipaddress/10.96.1.1"));
    let report = crate::diagnose_all(&snapshot, |_| true);
    let causes = report.causes.iter().filter(|cause| cause.finding.code == "cluster-ip-duplicate");
    assert_eq!(causes.map(|cause| cause.services.len()).collect::<Vec<_>>(), [2]);

    let two_ports = json!({"ports": [{"name": "a", "port": 80, "targetPort": "http"}, {"name": "b", "port": 80, "protocol": "UDP", "targetPort": 8080}]});
    assert_ne!(code(&diagnose(&Cluster::healthy().spec(two_ports).snapshot())), "cluster-ip-duplicate");
    let said = "Cluster IP [IPv4]:10.96.1.1 was assigned to multiple services; please recreate service";
    let unseen = Cluster::healthy().event("Service", "web", "ClusterIPAlreadyAllocated", said, 60);
    proven(&diagnose(&unseen.snapshot()), "cluster-ip-duplicate", LinkId::Address);
}

#[test]
fn addresses_are_recorded_for_their_service() {
    let cluster = Cluster::healthy;
    silent(&diagnose(&records(cluster().snapshot(), &[("10.96.1.1", "web")])));
    proven(&diagnose(&records(cluster().snapshot(), &[])), "cluster-ip-not-recorded", LinkId::Address);
    proven(
        &diagnose(&records(cluster().snapshot(), &[("10.96.1.1", "api")])),
        "cluster-ip-not-recorded",
        LinkId::Address,
    );
    // A warning about what has been repaired.
    let said = "Cluster IP [IPv4]: 10.96.1.1 is not allocated; repairing";
    let told = || cluster().event("Service", "web", "ClusterIPNotAllocated", said, 60);
    silent(&diagnose(&records(told().snapshot(), &[("10.96.1.1", "web")])));
    let diagnosis = diagnose(&told().snapshot());
    silent(&diagnosis);
    assert_eq!(diagnosis.hints.len(), 1, "{:?}", diagnosis.hints);
    proven(&diagnose(&told().counted(4, 30).snapshot()), "cluster-ip-not-recorded", LinkId::Address);
}

#[test]
fn node_ports_belong_to_one_service_each() {
    let port = |protocol: &str| json!([{"name": protocol, "port": 80, "targetPort": 8080, "nodePort": 30080, "protocol": protocol}]);
    let mut snapshot = node_port(port("TCP")).snapshot();
    other(&mut snapshot, "api", |other| {
        let spec = other.spec.as_mut().unwrap();
        spec.cluster_ip = Some("10.96.1.2".into());
        spec.cluster_ips = Some(vec!["10.96.1.2".into()]);
    });
    assert_eq!(code(&diagnose(&snapshot)), "node-port-duplicate");
    // Another protocol is another port.
    snapshot.services[1].spec.as_mut().unwrap().ports.as_mut().unwrap()[0].protocol = Some("UDP".into());
    assert_ne!(code(&diagnose(&snapshot)), "node-port-duplicate");
    let both = json!([
        {"name": "a", "port": 80, "targetPort": 8080, "nodePort": 30080},
        {"name": "b", "port": 80, "targetPort": 8080, "nodePort": 30080, "protocol": "UDP"},
    ]);
    assert_ne!(code(&diagnose(&node_port(both).snapshot())), "node-port-duplicate");
}

#[test]
fn node_ports_out_of_range_and_unrecorded_are_told_by_the_api_server() {
    let ports = || node_port(json!([{"port": 80, "targetPort": "http", "nodePort": 30080}]));
    silent(&diagnose(&ports().snapshot()));
    let range = "Port 30080 is not within the port range 31000-31999; please recreate service";
    let diagnosis = diagnose(&ports().event("Service", "web", "PortOutOfRange", range, 60).snapshot());
    proven(&diagnosis, "node-port-out-of-range", LinkId::Address);
    let finding = diagnosis.cause().unwrap();
    assert!(finding.title.en.contains("31000-31999"));
    assert!(finding.remedies[0].commands[0].contains("/spec/ports/0/nodePort"), "{:?}", finding.remedies);
    // Of a port that it no longer has.
    silent(&diagnose(
        &ports().event("Service", "web", "PortOutOfRange", &range.replace("30080", "30081"), 60).snapshot(),
    ));

    let repairing = "Port 30080 is not allocated; repairing";
    let told = || ports().event("Service", "web", "PortNotAllocated", repairing, 60);
    silent(&diagnose(&told().snapshot()));
    proven(&diagnose(&told().counted(3, 30).snapshot()), "node-port-not-recorded", LinkId::Address);
}

#[test]
fn families_that_are_asked_for_and_not_there() {
    let both = json!({"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"]});
    let single = ranges(Cluster::healthy().spec(both.clone()).snapshot(), &["10.96.0.0/16"]);
    assert_eq!(code(&diagnose(&single)), "ip-family-missing");
    // A second address, and pods without one of that family.
    let dual = json!({"clusterIPs": ["10.96.1.1", "fd00::1"], "ipFamilies": ["IPv4", "IPv6"]});
    let dual = |policy: &str| Cluster::healthy().spec(dual.clone()).spec(json!({"ipFamilyPolicy": policy}));
    assert_eq!(code(&diagnose(&dual("RequireDualStack").snapshot())), "ip-family-missing");
    let preferred = diagnose(&dual("PreferDualStack").snapshot());
    assert_eq!(code(&preferred), "-", "{preferred:#?}");
    assert!(preferred.hints.iter().any(|hint| hint.en.contains("IPv6")), "{:?}", preferred.hints);
    // The only family.
    let six = json!({"clusterIP": "fd00::1", "clusterIPs": ["fd00::1"], "ipFamilies": ["IPv6"]});
    let diagnosis = diagnose(&Cluster::healthy().spec(six).no_endpoints().snapshot());
    assert_eq!(code(&diagnosis), "ip-family-missing", "{diagnosis:#?}");
    // By default, a headless Service without selector asks for both.
    let bare = json!({"clusterIP": "None", "clusterIPs": ["None"], "selector": null});
    silent(&diagnose(&Cluster::healthy().spec(bare).spec(both).snapshot()));
}

#[test]
fn a_caller_of_the_other_family_cannot_reach_it() {
    let mut snapshot = Cluster::healthy().snapshot();
    let mut caller = snapshot.pods[0].clone();
    caller.metadata.name = Some("caller".into());
    caller.metadata.labels = None;
    let status = caller.status.as_mut().unwrap();
    status.pod_ip = Some("fd01::9".into());
    status.pod_ips = serde_json::from_value(json!([{"ip": "fd01::9"}])).unwrap();
    snapshot.pods.push(caller);
    assert_eq!(code(&from_pod(&snapshot, "caller")), "ip-family-missing");
    assert_eq!(code(&from_pod(&snapshot, "web-1")), "-");
}

#[test]
fn headless_ports_matter_to_callers_that_use_them() {
    let headless = json!({"clusterIP": "None", "clusterIPs": ["None"]});
    let snapshot = Cluster::healthy().spec(headless.clone()).snapshot();
    let anybody = diagnose(&snapshot);
    silent(&anybody);
    assert!(anybody.hints.iter().any(|hint| hint.en.contains("use port 8080")), "{:?}", anybody.hints);
    assert_eq!(code(&from_pod(&snapshot, "web-1")), "headless-port-ignored");
    // Equal ports, or pods that serve the Service's port as well.
    let equal =
        Cluster::healthy().spec(headless).spec(json!({"ports": [{"port": 8080, "targetPort": "http"}]})).snapshot();
    assert_eq!(code(&from_pod(&equal, "web-1")), "-");
    let mut served = snapshot.clone();
    for pod in &mut served.pods {
        let ports = pod.spec.as_mut().unwrap().containers[0].ports.as_mut().unwrap();
        ports.push(serde_json::from_value(json!({"containerPort": 80})).unwrap());
    }
    assert_eq!(code(&from_pod(&served, "web-1")), "-");
}

#[test]
fn a_headless_balancer_is_a_contradiction() {
    let cluster = Cluster::healthy().spec(json!({"type": "LoadBalancer", "clusterIP": "None", "clusterIPs": ["None"]}));
    let manifests = Snapshot { scope: Scope::Manifests, ..cluster.snapshot() };
    assert_eq!(code(&diagnose(&manifests)), "headless-load-balancer");
}
