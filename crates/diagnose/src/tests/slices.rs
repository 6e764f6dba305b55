//! Slices against pods, against each other and against Endpoints.

use serde_json::{Value, json};

use super::{diagnose, fixture::Cluster, proven, silent, state};
use crate::{LinkId, State};

fn endpoint(address: &str, ready: bool) -> Value {
    json!({"addresses": [address], "nodeName": "node-0", "conditions": {"ready": ready, "serving": ready, "terminating": false}})
}

fn managed_by(who: &str) -> Value {
    json!({"endpointslice.kubernetes.io/managed-by": who})
}

/// The title of the only finding.
#[track_caller]
fn title(cluster: &Cluster, code: &str) -> String {
    let diagnosis = diagnose(&cluster.snapshot());
    proven(&diagnosis, code, LinkId::Slices);
    diagnosis.cause().unwrap().title.en.clone()
}

#[test]
fn slices_of_others_count_as_well() {
    let other = |address: &str| {
        let labels = managed_by("sync.example.com");
        Cluster::healthy()
            .another_slice(json!({"metadata": {"labels": labels}, "endpoints": [endpoint(address, true)]}))
    };
    assert!(
        title(&other("10.244.1.251"), "slices-foreign").contains("web-other of sync.example.com adds 10.244.1.251")
    );
    // It repeats what is there, or says that it takes nothing.
    silent(&diagnose(&other("10.244.1.0").snapshot()));
    let idle = Cluster::healthy().another_slice(json!({"endpoints": [endpoint("10.244.1.251", false)]}));
    silent(&diagnose(&idle.snapshot()));
    // Somebody else's pod is named.
    let stranger = json!({"metadata": {"name": "db-0", "uid": "db", "labels": {"app": "db"}},
        "status": {"podIP": "10.244.1.77", "podIPs": [{"ip": "10.244.1.77"}]}});
    let diagnosis = diagnose(&other("10.244.1.77").another_pod(stranger).snapshot());
    assert!(diagnosis.cause().unwrap().evidence.iter().any(|item| item.object == "pod/db-0"), "{diagnosis:#?}");
}

#[test]
fn one_endpoint_in_two_slices_must_be_the_same() {
    let unready =
        json!({"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-07-01T11:30:00Z"}]});
    let twice = |address: &str, ready| {
        let labels = managed_by("endpointslice-controller.k8s.io");
        let second = json!({"metadata": {"labels": labels}, "endpoints": [endpoint(address, ready)]});
        Cluster::healthy().pod(1, unready.clone()).endpoint_ready(1, false).another_slice(second)
    };
    assert!(title(&twice("10.244.1.1", true), "slices-duplicate").starts_with("10.244.1.1:8080/TCP is in two slices"));
    silent(&diagnose(&twice("10.244.1.1", false).snapshot()));
    // Two ports of one pod.
    let other_port = json!({"ports": [{"name": "", "port": 8081, "protocol": "TCP"}],
        "metadata": {"labels": managed_by("sync.example.com")}, "endpoints": [endpoint("10.244.1.0", false)]});
    silent(&diagnose(&Cluster::healthy().another_slice(other_port).snapshot()));
}

#[test]
fn slices_of_an_earlier_service_are_orphans() {
    let owner = |uid: &str| json!({"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "web", "uid": uid}]}});
    assert!(title(&Cluster::healthy().slice(owner("before")), "slices-orphaned").contains("earlier Service"));
    silent(&diagnose(&Cluster::healthy().slice(owner("svc")).snapshot()));
    // The empty one that is kept for a moment hurts nobody.
    let empty = json!({"metadata": {"ownerReferences": owner("before")["metadata"]["ownerReferences"]}});
    silent(&diagnose(&Cluster::healthy().another_slice(empty).snapshot()));
}

#[test]
fn slices_that_call_pods_ready_or_keep_old_ports_are_stale() {
    let unready =
        json!({"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-07-01T11:30:00Z"}]});
    let pretended = title(&Cluster::healthy().pod(1, unready), "slices-stale");
    assert_eq!(pretended, "the slices call pods ready that are not: 10.244.1.1");
    let moved = Cluster::healthy().slice(json!({"ports": [{"name": "", "port": 9090, "protocol": "TCP"}]}));
    assert_eq!(title(&moved, "slices-stale"), "the slices have ports of the past: 9090/TCP instead of 8080/TCP");
    let renamed = Cluster::healthy().slice(json!({"ports": [{"name": "old", "port": 8080, "protocol": "TCP"}]}));
    assert_eq!(title(&renamed, "slices-stale"), "the slices have ports of the past: old 8080/TCP instead of 8080/TCP");
}

#[test]
fn a_refusal_explains_only_what_came_before_it() {
    let refused = |text: &str| {
        let text = format!("Error updating Endpoint Slices for Service default/web: {text}");
        Cluster::healthy().no_endpoints().event("Service", "web", "FailedToUpdateEndpointSlice", &text, 60)
    };
    let cases = [
        ("failed to create EndpointSlice for Service default/web: exceeded quota: tiny", "a quota is used up"),
        ("admission webhook \"guard\" denied the request", "an admission webhook refuses the write"),
        ("endpointslices.discovery.k8s.io is forbidden: User \"x\" cannot update", "the API forbids the write"),
        ("Operation cannot be fulfilled: the object has been modified", "somebody else keeps changing the same slice"),
        ("context deadline exceeded", "the API did not answer in time"),
        ("Internal error occurred", "the API refuses the write"),
    ];
    for (text, cause) in cases {
        let title = title(&refused(text), "slices-write-refused");
        assert!(title.ends_with(cause), "{title}");
    }
    // The pods became ready after the last complaint: then somebody would have complained again.
    let later =
        json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-07-01T11:59:30Z"}]});
    title(&refused("exceeded quota: tiny").every_pod(later), "slices-lack-ready-pods");
    // It was refused once, and is there now.
    let healed = Cluster::healthy().event("Service", "web", "FailedToUpdateEndpointSlice", "exceeded quota", 60);
    silent(&diagnose(&healed.snapshot()));
}

#[test]
fn endpoints_must_say_what_the_slices_say() {
    let subset = |addresses: &[&str]| {
        let addresses: Vec<Value> = addresses.iter().map(|address| json!({"ip": address})).collect();
        json!([{"addresses": addresses, "ports": [{"port": 8080}]}])
    };
    let right = ["10.244.1.0", "10.244.1.1", "10.244.1.2"];
    let with = |subsets: Value, annotations: Value| Cluster::healthy().endpoints(subsets, annotations);
    silent(&diagnose(&with(subset(&right), json!({})).snapshot()));
    let old = with(subset(&["10.244.1.0", "10.244.9.9"]), json!({}));
    assert!(title(&old, "endpoints-disagree").contains("has 10.244.9.9 where the slices have 10.244.1.1, 10.244.1.2"));
    // More than it can hold.
    let truncated = json!({"endpoints.kubernetes.io/over-capacity": "truncated"});
    silent(&diagnose(&with(subset(&right[..1]), truncated).snapshot()));
    // A lock of the same name.
    silent(&diagnose(&with(json!([]), json!({"control-plane.alpha.kubernetes.io/leader": "{}"})).snapshot()));
}

#[test]
fn missing_endpoints_are_a_fault_only_where_somebody_writes_them() {
    // Nobody has any: the controller may be off on purpose.
    silent(&diagnose(&Cluster::healthy().snapshot()));
    let text = "Failed to create endpoint for service default/web: exceeded quota: tiny";
    for (kind, message) in [("Service", text), ("Endpoints", text)] {
        let refused = Cluster::healthy().event(kind, "web", "FailedToCreateEndpoint", message, 30);
        let diagnosis = diagnose(&refused.snapshot());
        proven(&diagnosis, "endpoints-disagree", LinkId::Slices);
        assert_eq!(diagnosis.cause().unwrap().reason.as_deref(), Some("FailedToCreateEndpoint"));
    }
    let mut snapshot = Cluster::healthy()
        .another_service(json!({
            "metadata": {"name": "other", "uid": "o"}, "spec": {"clusterIP": "10.96.1.2", "clusterIPs": ["10.96.1.2"]},
        }))
        .snapshot();
    let other = json!({"metadata": {"name": "other", "namespace": "default"}, "subsets": []});
    snapshot.endpoints.push(serde_json::from_value(other).unwrap());
    proven(&diagnose(&snapshot), "endpoints-disagree", LinkId::Slices);
}

fn by_hand() -> Cluster {
    Cluster::healthy().spec(json!({"selector": null}))
}

#[test]
fn endpoints_by_hand_must_be_of_use() {
    let cases = [
        ("nothing", by_hand().no_slices(), "nobody has written a ready endpoint"),
        ("not ready", by_hand().not_ready_endpoints(), "say that they are not ready"),
        (
            "another family",
            by_hand().slice(json!({"addressType": "IPv6", "endpoints": [{"addresses": ["fd00::1"]}]})),
            "has IPv4 addresses only, and the endpoints written for it are IPv6",
        ),
        (
            "a Service's address",
            by_hand().slice(json!({"endpoints": [{"addresses": ["10.96.7.7"]}]})).another_service(
                json!({"metadata": {"name": "db"}, "spec": {"clusterIP": "10.96.7.7", "clusterIPs": ["10.96.7.7"]}}),
            ),
            "proxies do not translate twice",
        ),
    ];
    for (name, cluster, text) in cases {
        println!("{name}");
        let code = if name == "another family" { "ip-family-missing" } else { "no-endpoints-written" };
        let title = title(&cluster, code);
        assert!(title.contains(text), "{title}");
    }
    // Two slices, one of them empty.
    silent(&diagnose(&by_hand().another_slice(json!({})).snapshot()));
    let young = by_hand().no_slices().metadata(json!({"creationTimestamp": "2026-07-01T11:59:55Z"}));
    assert_eq!(state(&diagnose(&young.snapshot()), LinkId::Slices), State::NotChecked);
}

#[test]
fn a_slice_for_a_service_that_does_not_exist_is_found() {
    let stray = |labels: Value, name: &str| {
        let slice = json!({"metadata": {"name": name, "labels": labels}, "endpoints": [endpoint("192.0.2.9", true)]});
        by_hand().no_slices().another_slice(slice)
    };
    let misspelt = stray(json!({"kubernetes.io/service-name": "wbe"}), "by-hand");
    assert!(title(&misspelt, "slices-orphaned").contains("labelled for Service wbe, which does not exist"));
    let unlabelled = stray(json!({"kubernetes.io/service-name": null}), "web-1");
    assert!(title(&unlabelled, "slices-orphaned").contains("no label"));
    // Nothing alike: nobody can say whose it is.
    title(&stray(json!({"kubernetes.io/service-name": "database"}), "database-1"), "no-endpoints-written");
    // The Service has its own; the stray one is nobody's business.
    let beside =
        Cluster::healthy().another_slice(json!({"metadata": {"labels": {"kubernetes.io/service-name": "wbe"}}}));
    silent(&diagnose(&beside.snapshot()));
}

#[test]
fn endpoints_by_hand_are_mirrored_or_asked_not_to_be() {
    let subsets = json!([{"addresses": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}], "ports": [{"port": 8080}]}]);
    let mirrored = |addresses: &[&str]| {
        let endpoints: Vec<Value> = addresses.iter().map(|address| endpoint(address, true)).collect();
        by_hand()
            .slice(json!({"metadata": {"labels": managed_by("endpointslicemirroring-controller.k8s.io")}, "endpoints": endpoints}))
            .endpoints(subsets.clone(), json!({}))
    };
    silent(&diagnose(&mirrored(&["192.0.2.1", "192.0.2.2"]).snapshot()));
    assert!(title(&mirrored(&["192.0.2.1"]), "endpoints-not-mirrored").contains("lack: 192.0.2.2"));
    let none = by_hand().no_slices().endpoints(subsets.clone(), json!({}));
    assert!(title(&none, "endpoints-not-mirrored").contains("has addresses (2)"));
    // A lock is no list of addresses; whoever writes slices himself need not keep Endpoints alike.
    let lock = by_hand().endpoints(subsets.clone(), json!({"control-plane.alpha.kubernetes.io/leader": "{}"}));
    silent(&diagnose(&lock.snapshot()));
    let own =
        by_hand().slice(json!({"metadata": {"labels": managed_by("sync.example.com")}})).endpoints(subsets, json!({}));
    silent(&diagnose(&own.snapshot()));
}
