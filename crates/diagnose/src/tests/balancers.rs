//! Load balancers: pending by each cause, not up to date, without nodes, not deleted.

use k8s_openapi::api::core::v1::{Event, Service};
use serde_json::{Value, json};

use super::{code, diagnose, fixture::Cluster, proven, silent, state};
use crate::{Diagnosis, LinkId, Snapshot, State};

const FINALIZER: &str = "service.kubernetes.io/load-balancer-cleanup";

fn pending() -> Cluster {
    Cluster::healthy().balancer(None)
}

/// With the service controller's finalizer, as whatever it has taken up.
fn taken(cluster: Cluster) -> Cluster {
    cluster.metadata(json!({"finalizers": [FINALIZER]}))
}

fn having() -> Cluster {
    taken(Cluster::healthy().balancer(Some("203.0.113.1")))
}

fn failed(text: &str) -> Cluster {
    let text = format!("Error syncing load balancer: failed to ensure load balancer: {text}");
    taken(pending()).event("Service", "web", "EnsuringLoadBalancer", "Ensuring load balancer", 31).event(
        "Service",
        "web",
        "SyncLoadBalancerFailed",
        &text,
        30,
    )
}

/// The Service with conditions in its status.
fn conditions(cluster: Cluster, conditions: &Value) -> Snapshot {
    let mut snapshot = cluster.snapshot();
    let status = json!({"conditions": conditions});
    snapshot.services[0].status = serde_json::from_value(status).unwrap();
    snapshot
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!([{"type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-07-01T11:50:00Z"}])
}

/// So many events of the service controller, from an hour before noon on.
fn many(snapshot: &mut Snapshot, type_: &str, reason: &str, count: i32, last: &str) {
    let event = json!({
        "metadata": {"name": format!("web.{reason}"), "namespace": "default"},
        "involvedObject": {"kind": "Service", "name": "web", "namespace": "default", "uid": "svc"},
        "source": {"component": "service-controller"}, "type": type_, "reason": reason, "message": reason, "count": count,
        "firstTimestamp": "2026-07-01T11:45:00Z", "lastTimestamp": last,
    });
    snapshot.events.push(serde_json::from_value::<Event>(event).unwrap());
}

fn hint(diagnosis: &Diagnosis, part: &str) -> bool {
    diagnosis.hints.iter().any(|hint| hint.en.contains(part))
}

#[test]
fn a_pending_balancer_is_explained_by_what_the_controller_said() {
    let metallb = |reason: &str, text: &str| pending().event("Service", "web", reason, text, 5);
    let cases = [
        ("load-balancer-throttled", failed("RequestLimitExceeded: slow down")),
        ("load-balancer-forbidden", failed("UnauthorizedOperation: not you")),
        ("load-balancer-forbidden", failed("googleapi: Error 403: Required 'compute.addresses.use' permission")),
        ("load-balancer-quota", failed("TooManyLoadBalancers")),
        ("load-balancer-quota", failed("googleapi: Error 403: QUOTA_EXCEEDED - Quota 'X' exceeded, quotaExceeded")),
        ("load-balancer-pool-exhausted", failed("AddressPoolExhausted: all 2 addresses are taken")),
        ("load-balancer-address-conflict", failed("AddressInUse: 203.0.113.5 is in use by shop/web")),
        ("load-balancer-timeout", failed("context deadline exceeded")),
        ("load-balancer-provider-unreachable", failed("dial tcp: lookup elb: no such host")),
        ("load-balancer-invalid-parameter", failed("InvalidParameterValue: subnet")),
        ("load-balancer-sync-failed", failed("cannot reach backend pool 7")),
        ("load-balancer-pool-exhausted", metallb("IPNotAllocated", "pool is empty")),
        (
            "load-balancer-pool-exhausted",
            metallb("AllocationFailed", "Failed to allocate IP for \"default/web\": no available IPs"),
        ),
        (
            "load-balancer-address-conflict",
            metallb(
                "AllocationFailed",
                "Failed to allocate IP for \"default/web\": can't change sharing key for \"default/web\"",
            ),
        ),
        (
            "load-balancer-invalid-parameter",
            metallb(
                "AllocationFailed",
                "Failed to allocate IP for \"default/web\": [\"10.0.0.1\"] is not allowed in config",
            ),
        ),
        (
            "load-balancer-invalid-parameter",
            metallb("FailedBuildModel", "Failed build model due to unable to resolve at least one subnet"),
        ),
        ("load-balancer-no-controller", pending()),
        ("load-balancer-class-unserved", pending().spec(json!({"loadBalancerClass": "example.com/lb"}))),
        ("load-balancer-stuck", taken(pending())),
        (
            "load-balancer-stuck",
            taken(pending()).event("Service", "web", "EnsuringLoadBalancer", "Ensuring load balancer", 150),
        ),
        (
            "load-balancer-stuck",
            taken(pending()).event("Service", "web", "EnsuredLoadBalancer", "Ensured load balancer", 90),
        ),
    ];
    for (expected, cluster) in cases {
        let diagnosis = diagnose(&cluster.snapshot());
        proven(&diagnosis, expected, LinkId::LoadBalancer);
        // The way to the pods is not affected.
        assert_eq!(state(&diagnosis, LinkId::Readiness), State::Ok);
        assert_eq!(state(&diagnosis, LinkId::Address), State::Ok);
    }
}

#[test]
fn a_failure_that_a_later_attempt_healed_is_none() {
    let healed = failed("Throttling: Rate exceeded").balancer(Some("203.0.113.1")).event(
        "Service",
        "web",
        "EnsuredLoadBalancer",
        "Ensured load balancer",
        20,
    );
    silent(&diagnose(&healed.snapshot()));
    let mut retry = failed("Throttling: Rate exceeded").event(
        "Service",
        "web",
        "EnsuringLoadBalancer",
        "Ensuring load balancer",
        2,
    );
    // An attempt that is under way does not take the last failure back.
    proven(&diagnose(&retry.snapshot()), "load-balancer-throttled", LinkId::LoadBalancer);
    retry =
        retry.balancer(Some("203.0.113.1")).event("Service", "web", "EnsuredLoadBalancer", "Ensured load balancer", 1);
    silent(&diagnose(&retry.snapshot()));
}

#[test]
fn what_the_service_says_itself_goes_before_events() {
    let cases = [
        ("PoolExhausted", "load-balancer-pool-exhausted"),
        ("QuotaExceeded", "load-balancer-quota"),
        ("AddressConflict", "load-balancer-address-conflict"),
        ("CredentialsRejected", "load-balancer-forbidden"),
        ("Throttled", "load-balancer-throttled"),
        ("Timeout", "load-balancer-timeout"),
        ("ProviderUnreachable", "load-balancer-provider-unreachable"),
        ("InvalidParameter", "load-balancer-invalid-parameter"),
        ("ProviderFailed", "load-balancer-sync-failed"),
    ];
    for (reason, expected) in cases {
        let message = "Code: it was refused. What to do: something.";
        let older = failed("cannot reach backend pool 7");
        let diagnosis = diagnose(&conditions(older, &condition("Why", "True", reason, message)));
        proven(&diagnosis, expected, LinkId::LoadBalancer);
        assert!(diagnosis.cause().unwrap().title.en.contains("Code: it was refused)"), "{diagnosis:#?}");
    }
    let excluded = taken(pending()).exclude_nodes();
    let diagnosis = diagnose(&conditions(excluded, &condition("Why", "True", "NoNodes", "X: none. What to do: y.")));
    proven(&diagnosis, "load-balancer-without-nodes", LinkId::LoadBalancer);
}

#[test]
fn cilium_speaks_by_a_condition_only() {
    let kind = "cilium.io/IPAMRequestSatisfied";
    for (reason, expected) in [
        ("out_of_ips", "load-balancer-pool-exhausted"),
        ("no_pool", "load-balancer-invalid-parameter"),
        ("already_allocated_incompatible_service", "load-balancer-address-conflict"),
    ] {
        let diagnosis = diagnose(&conditions(pending(), &condition(kind, "False", reason, "words of Cilium")));
        proven(&diagnosis, expected, LinkId::LoadBalancer);
    }
    let waiting = diagnose(&conditions(pending(), &condition(kind, "True", "satisfied", "")));
    assert_eq!(code(&waiting), "load-balancer-no-controller");
}

#[test]
fn carriers_of_k3s_that_do_not_run_are_the_cause() {
    let carrier = |ready: &str| {
        json!({
            "metadata": {"name": "svclb-web-1", "namespace": "kube-system", "labels": {
                "svccontroller.k3s.cattle.io/svcname": "web", "svccontroller.k3s.cattle.io/svcnamespace": "default"}},
            "status": {"phase": "Pending", "conditions": [
                {"type": "Ready", "status": ready},
                {"type": "PodScheduled", "status": "False", "message": "node(s) didn't have free ports"}]},
        })
    };
    let mut snapshot = pending().snapshot();
    snapshot.pods.push(serde_json::from_value(carrier("False")).unwrap());
    let diagnosis = diagnose(&snapshot);
    proven(&diagnosis, "load-balancer-without-nodes", LinkId::LoadBalancer);
    assert!(diagnosis.cause().unwrap().title.en.contains("free ports"));
    *snapshot.pods.last_mut().unwrap() = serde_json::from_value(carrier("True")).unwrap();
    assert_eq!(code(&diagnose(&snapshot)), "load-balancer-no-controller");
}

#[test]
fn a_controller_that_runs_and_says_nothing_is_stuck_not_absent() {
    let running = json!({
        "metadata": {"name": "aws-load-balancer-controller-5d4-x", "namespace": "kube-system"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    });
    let classed = || pending().spec(json!({"loadBalancerClass": "service.k8s.aws/nlb"})).snapshot();
    let mut snapshot = classed();
    snapshot.pods.push(serde_json::from_value(running).unwrap());
    proven(&diagnose(&snapshot), "load-balancer-stuck", LinkId::LoadBalancer);
    let absent = diagnose(&classed());
    proven(&absent, "load-balancer-class-unserved", LinkId::LoadBalancer);
    let evidence = &absent.cause().unwrap().evidence;
    assert!(evidence.iter().any(|item| item.value.contains("aws-load-balancer-controller")), "{evidence:#?}");
}

#[test]
fn failures_that_the_event_limit_hides_are_told_so() {
    let shared = |version: &str| {
        let mut snapshot = taken(pending()).snapshot();
        snapshot.version = Some(version.into());
        many(&mut snapshot, "Normal", "EnsuringLoadBalancer", 30, "2026-07-01T11:59:00Z");
        snapshot
    };
    // One limit for both types: the failures were dropped.
    let diagnosis = diagnose(&shared("v1.31.4"));
    proven(&diagnosis, "load-balancer-failures-hidden", LinkId::LoadBalancer);
    assert!(hint(&diagnosis, "may be missing"), "{:?}", diagnosis.hints);
    // Limits of their own: there was no failure to hide.
    let diagnosis = diagnose(&shared("v1.36.0"));
    assert_eq!(code(&diagnosis), "-");
    assert_eq!(state(&diagnosis, LinkId::LoadBalancer), State::NotChecked);
    // A failure that came through names the cause, however old; the hint says that there may be newer ones.
    let mut snapshot = failed("Throttling: Rate exceeded").snapshot();
    snapshot.version = Some("v1.36.0".into());
    many(&mut snapshot, "Warning", "SyncLoadBalancerFailed", 30, "2026-07-01T11:50:00Z");
    let diagnosis = diagnose(&snapshot);
    proven(&diagnosis, "load-balancer-throttled", LinkId::LoadBalancer);
}

#[test]
fn silence_of_an_old_service_is_said_to_be_weak_evidence() {
    let old = pending().metadata(json!({"creationTimestamp": "2026-07-01T08:00:00Z"}));
    let diagnosis = diagnose(&old.snapshot());
    assert_eq!(code(&diagnosis), "load-balancer-no-controller");
    assert!(hint(&diagnosis, "older than an hour"), "{:?}", diagnosis.hints);
}

#[test]
fn events_that_could_not_be_read_are_no_proof_of_silence() {
    let mut snapshot = pending().snapshot();
    snapshot.unread.push(crate::Unread { what: "events".into(), why: "forbidden".into(), essential: false });
    let diagnosis = diagnose(&snapshot);
    assert_eq!(code(&diagnosis), "load-balancer-stuck");
    assert!(diagnosis.cause().unwrap().title.en.contains("could not be read"));
}

#[test]
fn a_new_balancer_is_given_time() {
    let new = pending().metadata(json!({"creationTimestamp": "2026-07-01T11:59:45Z"}));
    let changed =
        pending().metadata(json!({"managedFields": [{"manager": "kubectl", "time": "2026-07-01T11:59:50Z"}]}));
    let begun = taken(pending()).event("Service", "web", "EnsuringLoadBalancer", "Ensuring load balancer", 15);
    for cluster in [new, changed, begun] {
        let diagnosis = diagnose(&cluster.snapshot());
        silent(&diagnosis);
        assert_eq!(state(&diagnosis, LinkId::LoadBalancer), State::NotChecked);
    }
}

#[test]
fn balancers_need_nodes() {
    proven(&diagnose(&having().exclude_nodes().snapshot()), "load-balancer-without-nodes", LinkId::LoadBalancer);
    // Another project's balancer has its own idea of nodes.
    let foreign = Cluster::healthy().balancer(Some("203.0.113.1")).exclude_nodes();
    silent(&diagnose(&foreign.snapshot()));
    let mut one = having().snapshot();
    let label = "node.kubernetes.io/exclude-from-external-load-balancers".to_owned();
    one.nodes[1].metadata.labels = Some([(label.clone(), "true".to_owned())].into());
    let diagnosis = diagnose(&one);
    silent(&diagnosis);
    assert!(hint(&diagnosis, "leaves out these nodes: node-1"), "{:?}", diagnosis.hints);
    // The value counts since 1.34.
    for (version, expected) in [("v1.36.0", "-"), ("v1.33.9", "load-balancer-without-nodes")] {
        let mut snapshot = having().snapshot();
        snapshot.version = Some(version.into());
        for node in &mut snapshot.nodes {
            node.metadata.labels = Some([(label.clone(), "false".to_owned())].into());
        }
        assert_eq!(code(&diagnose(&snapshot)), expected, "{version}");
    }
}

#[test]
fn local_balancers_need_an_endpoint_on_one_of_their_nodes() {
    let local = || having().spec(json!({"externalTrafficPolicy": "Local"})).all_on("node-0");
    let label = "node.kubernetes.io/exclude-from-external-load-balancers".to_owned();
    let exclude = |mut snapshot: Snapshot| {
        snapshot.nodes[0].metadata.labels = Some([(label.clone(), "true".to_owned())].into());
        snapshot
    };
    let diagnosis = diagnose(&exclude(local().snapshot()));
    proven(&diagnosis, "load-balancer-node-excluded", LinkId::LoadBalancer);
    assert_eq!(diagnosis.cause().unwrap().subject.as_deref(), Some("node/node-0"));
    silent(&diagnose(&local().snapshot()));
    silent(&diagnose(&exclude(having().all_on("node-0").snapshot())));

    let diagnosis = diagnose(&having().spec(json!({"externalTrafficPolicy": "Local"})).all_on("gone").snapshot());
    let codes: Vec<_> = diagnosis.findings.iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&"load-balancer-backends-unhealthy"), "{codes:?}");
}

/// Both nodes ask both for the health check: (asker, asked, outcome).
fn health(probes: &[(usize, usize, Value)]) -> Snapshot {
    let mut snapshot = having().snapshot();
    for node in 0..2 {
        snapshot.nodes[node].status.as_mut().unwrap().addresses =
            serde_json::from_value(json!([{"type": "InternalIP", "address": format!("172.30.0.1{node}")}])).unwrap();
        let probe = |(_, asked, outcome): &(usize, usize, Value)| {
            json!({"from": "node", "target": format!("http://172.30.0.1{asked}:10256/healthz"), "outcome": outcome,
                "milliseconds": 1000})
        };
        let own: Vec<Value> = probes.iter().filter(|(asker, ..)| *asker == node).map(probe).collect();
        let rule = json!({"address": "10.96.1.1", "port": 80, "protocol": "TCP", "verdict": "balance",
            "endpoints": ["10.244.1.0:8080", "10.244.1.1:8080", "10.244.1.2:8080"]});
        let evidence = json!({
            "node": format!("node-{node}"), "takenAt": "2026-07-01T12:00:00Z",
            "proxy": {"mode": "nftables", "healthy": true, "rules": [rule]}, "probes": own,
        });
        snapshot.evidence.push(serde_json::from_value(evidence).unwrap());
    }
    snapshot
}

#[test]
fn balancers_without_a_healthy_node_are_proven_by_probes() {
    let well = || json!({"answered": {"text": "HTTP/1.1 200 OK"}});
    let lost = || json!("timedOut");
    let all = |outcomes: [Value; 4]| {
        let pairs = [(0, 0), (0, 1), (1, 0), (1, 1)];
        let probes: Vec<_> = pairs.into_iter().zip(outcomes).map(|((from, to), outcome)| (from, to, outcome)).collect();
        code(&diagnose(&health(&probes))).to_owned()
    };
    assert_eq!(all([lost(), lost(), lost(), lost()]), "load-balancer-backends-unhealthy");
    assert_eq!(all([well(), well(), well(), well()]), "-");
    // One node is cut off: neither hears the other, and the other one is fine.
    assert_eq!(all([lost(), lost(), lost(), well()]), "-");
    // Closed ports are the proxy's fault, which is another link.
    let refused = || json!("refused");
    assert!(!all([refused(), refused(), refused(), refused()]).starts_with("load-balancer"));
    // Without the word of every node about every node, nothing is proven.
    assert_eq!(code(&diagnose(&health(&[(0, 1, lost()), (1, 0, lost())]))), "-");
}

#[test]
fn changes_that_did_not_arrive_are_told_until_they_heal() {
    let message = "Error updating load balancer with new hosts [node-0] [node names limited, total number of nodes: 1], error: Busy: try later";
    let failed = || having().event("Service", "web", "UpdateLoadBalancerFailed", message, 9);
    let diagnosis = diagnose(&failed().snapshot());
    proven(&diagnosis, "load-balancer-update-failed", LinkId::LoadBalancer);
    assert!(diagnosis.cause().unwrap().title.en.ends_with("nodes: Busy: try later"), "{diagnosis:#?}");
    for success in ["EnsuredLoadBalancer", "UpdatedLoadBalancer"] {
        silent(&diagnose(&failed().event("Service", "web", success, "x", 3).snapshot()));
    }
    let refused = having().event("Service", "web", "EnsuredLoadBalancer", "Ensured load balancer", 50).event(
        "Service",
        "web",
        "SyncLoadBalancerFailed",
        "Error syncing load balancer: failed to ensure load balancer: InvalidParameterValue: x",
        40,
    );
    proven(&diagnose(&refused.snapshot()), "load-balancer-update-failed", LinkId::LoadBalancer);
    // Where successes are dropped, the last word proves nothing.
    let mut snapshot = failed().snapshot();
    many(&mut snapshot, "Normal", "EnsuredLoadBalancer", 40, "2026-07-01T11:58:00Z");
    let diagnosis = diagnose(&snapshot);
    silent(&diagnosis);
    assert!(hint(&diagnosis, "may be hidden"), "{:?}", diagnosis.hints);
}

#[test]
fn services_on_their_way_out_name_what_holds_them() {
    let leaving = |finalizer: &str| {
        Cluster::healthy()
            .balancer(Some("203.0.113.1"))
            .metadata(json!({"deletionTimestamp": "2026-07-01T11:59:00Z", "finalizers": [finalizer]}))
    };
    let refused = "Error syncing load balancer: failed to delete load balancer: DependencyViolation: sg-1 is in use";
    let ours = leaving(FINALIZER).event("Service", "web", "SyncLoadBalancerFailed", refused, 60);
    let diagnosis = diagnose(&ours.snapshot());
    proven(&diagnosis, "load-balancer-delete-failed", LinkId::Service);
    assert!(diagnosis.cause().unwrap().title.en.contains("DependencyViolation"), "{diagnosis:#?}");
    assert!(diagnosis.cause().unwrap().remedies.iter().any(|remedy| remedy.what.en.contains("Risk")));

    let foreign = diagnose(&leaving("example.com/audit").snapshot());
    proven(&foreign, "service-terminating", LinkId::Service);
    assert!(foreign.cause().unwrap().remedies[0].what.en.contains("whoever writes example.com"));
    proven(&diagnose(&leaving(FINALIZER).snapshot()), "service-terminating", LinkId::Service);

    let young = json!({"deletionTimestamp": "2026-07-01T11:59:50Z", "finalizers": [FINALIZER]});
    silent(&diagnose(&Cluster::healthy().balancer(Some("203.0.113.1")).metadata(young).snapshot()));
}

#[test]
fn a_type_that_changed_leaves_no_balancer_behind() {
    let refused = "Error syncing load balancer: failed to delete load balancer: AuthFailure: no";
    let changed = || taken(Cluster::healthy()).event("Service", "web", "SyncLoadBalancerFailed", refused, 60);
    proven(&diagnose(&changed().snapshot()), "load-balancer-delete-failed", LinkId::LoadBalancer);
    silent(&diagnose(&changed().event("Service", "web", "DeletedLoadBalancer", "Deleted load balancer", 5).snapshot()));
    // A finalizer on a Service that stays is no fault.
    silent(&diagnose(&Cluster::healthy().metadata(json!({"finalizers": ["example.com/audit"]})).snapshot()));
}

#[test]
fn what_many_services_wait_for_is_told_once() {
    let mut snapshot = failed("TooManyLoadBalancers").snapshot();
    let mut second: Service = snapshot.services[0].clone();
    second.metadata.name = Some("api".into());
    second.metadata.uid = Some("svc-2".into());
    second.spec.as_mut().unwrap().cluster_ip = Some("10.96.1.2".into());
    second.spec.as_mut().unwrap().cluster_ips = Some(vec!["10.96.1.2".into()]);
    let mut event = snapshot.events[1].clone();
    event.involved_object.name = Some("api".into());
    snapshot.services.push(second);
    snapshot.events.push(event);
    let report = crate::diagnose_all(&snapshot, |_| true);
    let quota: Vec<_> = report.causes.iter().filter(|cause| cause.finding.code == "load-balancer-quota").collect();
    assert_eq!(quota.len(), 1, "{:#?}", report.causes);
    assert_eq!(quota[0].services, ["default/api", "default/web"]);
}
