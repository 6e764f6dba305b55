#![allow(clippy::unwrap_used)]
//! A cluster in a few words, broken in one place each time.

mod addresses;
mod balancers;
mod codes;
pub(crate) mod fixture;
mod gaps;
mod json;
mod kernel;
mod later;
mod names;
mod pods;
mod policies;
mod ports;
mod readiness;
mod slices;
mod traffic;

use portolan_catalogue::Lang;
use portolan_objects::ObjectKey;
use serde_json::json;

use self::fixture::Cluster;
use crate::{Ask, Diagnosis, Index, LinkId, Snapshot, State, render};

/// The one Service of the fixture.
fn diagnose(snapshot: &Snapshot) -> Diagnosis {
    diagnose_service(snapshot, "web")
}

fn diagnose_service(snapshot: &Snapshot, name: &str) -> Diagnosis {
    crate::diagnose(&Index::new(snapshot), &ObjectKey::new("default", name), &Ask::default())
}

fn code(diagnosis: &Diagnosis) -> &str {
    diagnosis.cause().map_or("-", |finding| finding.code)
}

fn state(diagnosis: &Diagnosis, id: LinkId) -> State {
    diagnosis.link(id).unwrap().state
}

/// Exactly one finding, with evidence, a remedy with commands, and a text in both languages.
#[track_caller]
fn proven(diagnosis: &Diagnosis, expected: &str, link: LinkId) {
    assert_eq!(code(diagnosis), expected, "{diagnosis:#?}");
    assert_eq!(diagnosis.findings.len(), 1, "{diagnosis:#?}");
    let finding = diagnosis.cause().unwrap();
    assert_eq!((finding.link, diagnosis.exit_code()), (link, 1));
    assert_eq!(state(diagnosis, link), State::Broken);
    assert!(!finding.evidence.is_empty(), "{expected} has evidence");
    assert!(finding.remedies.iter().any(|remedy| !remedy.commands.is_empty()), "{expected} has a command");
    assert!(finding.title.en.is_ascii() && !finding.title.zh.is_ascii(), "{:?}", finding.title);
    let broken = diagnosis.links.iter().filter(|link| link.state == State::Broken).count();
    assert_eq!(broken, 1, "only the first broken link is the cause");
}

#[track_caller]
fn silent(diagnosis: &Diagnosis) {
    assert_eq!((code(diagnosis), diagnosis.exit_code()), ("-", 0), "{diagnosis:#?}");
    let quiet = |state| matches!(state, State::Ok | State::NotChecked);
    assert!(diagnosis.links.iter().all(|link| quiet(link.state)), "{diagnosis:#?}");
}

#[test]
fn healthy_services_of_every_kind_are_silent() {
    let ports = json!([{"port": 8080, "targetPort": "http", "protocol": "TCP"}]);
    let headless = json!({"clusterIP": "None", "clusterIPs": ["None"], "ports": ports});
    let cases = [
        ("cluster IP", Cluster::healthy()),
        ("headless", Cluster::healthy().spec(headless.clone())),
        ("load balancer", Cluster::healthy().balancer(Some("203.0.113.1"))),
        (
            "alias",
            Cluster::healthy().spec(json!({
                "type": "ExternalName", "externalName": "db.example.com", "clusterIP": null, "clusterIPs": null,
                "selector": null, "ports": null,
            })),
        ),
        ("without selector", Cluster::healthy().spec(json!({"selector": null}))),
        ("not ready pods published", Cluster::healthy().spec(json!({"publishNotReadyAddresses": true}))),
        ("local policies everywhere", Cluster::healthy().spec(json!({"internalTrafficPolicy": "Local"}))),
    ];
    for (name, cluster) in cases {
        let diagnosis = diagnose(&cluster.snapshot());
        println!("{name}");
        silent(&diagnosis);
        assert!(diagnosis.hints.is_empty(), "{name}: {:?}", diagnosis.hints);
    }
}

#[test]
fn a_selector_typo_names_the_nearest_label_and_the_patch() {
    let cluster = Cluster::healthy().spec(json!({"selector": {"app": "wbe"}})).no_endpoints();
    let diagnosis = diagnose(&cluster.snapshot());
    proven(&diagnosis, "selector-matches-no-pod", LinkId::Selector);
    let finding = diagnosis.cause().unwrap();
    assert_eq!(finding.title.en, "selector app=wbe matches no pod; 3 pods have app=web");
    assert_eq!(
        finding.remedies[0].commands,
        [r#"kubectl -n default patch service web --type merge -p '{"spec":{"selector":{"app":"web"}}}'"#]
    );
    assert_eq!(state(&diagnosis, LinkId::Slices), State::Consequence);
    assert_eq!(state(&diagnosis, LinkId::Readiness), State::NotChecked);
    assert_eq!(state(&diagnosis, LinkId::Address), State::Ok);
}

#[test]
fn a_selector_typo_is_found_in_the_deployment_when_it_has_no_pods() {
    let cluster = Cluster::healthy().spec(json!({"selector": {"app": "wbe"}})).no_pods().no_endpoints();
    let diagnosis = diagnose(&cluster.snapshot());
    proven(&diagnosis, "selector-matches-no-pod", LinkId::Selector);
    let title = &diagnosis.cause().unwrap().title.en;
    assert_eq!(title, "selector app=wbe matches no pod; deployment/web makes pods with app=web");
}

#[test]
fn a_selector_that_resembles_nothing_is_not_guessed_at() {
    let cluster = Cluster::healthy().spec(json!({"selector": {"app": null, "run": "database"}})).no_endpoints();
    let diagnosis = diagnose(&cluster.snapshot());
    proven(&diagnosis, "selector-matches-no-pod", LinkId::Selector);
    let commands = diagnosis.cause().unwrap().remedies.iter().flat_map(|remedy| &remedy.commands);
    assert!(commands.clone().all(|command| !command.contains("patch")), "{:?}", commands.collect::<Vec<_>>());

    let mut snapshot = cluster.snapshot();
    let mut pod = snapshot.pods[0].clone();
    pod.metadata.namespace = Some("data".into());
    pod.metadata.labels = Some([("run".to_owned(), "database".to_owned())].into());
    snapshot.pods.push(pod);
    proven(&diagnose(&snapshot), "selector-in-other-namespace", LinkId::Selector);

    let empty = Cluster::healthy().no_pods().no_workloads().no_endpoints();
    proven(&diagnose(&empty.snapshot()), "namespace-without-pods", LinkId::Selector);
}

#[test]
fn services_that_do_not_exist_are_looked_for_by_name() {
    let mut snapshot = Cluster::healthy().snapshot();
    let mut namesake = snapshot.services[0].clone();
    namesake.metadata.name = Some("wep".into());
    namesake.metadata.namespace = Some("shop".into());
    snapshot.services.push(namesake);
    let diagnosis = diagnose_service(&snapshot, "wep");
    proven(&diagnosis, "service-not-found", LinkId::Service);
    let commands: Vec<_> = diagnosis.cause().unwrap().remedies.iter().flat_map(|remedy| &remedy.commands).collect();
    assert_eq!(commands, ["portolan diagnose svc/web -n default", "portolan diagnose svc/wep -n shop"]);
    assert!(diagnosis.links.iter().skip(1).all(|link| link.state == State::NotChecked));

    snapshot.namespaces.clear();
    proven(&diagnose_service(&snapshot, "wep"), "namespace-not-found", LinkId::Service);
}

#[test]
fn workloads_that_make_no_pods() {
    let scaled = Cluster::healthy().no_pods().no_endpoints().replicas(0);
    let diagnosis = diagnose(&scaled.snapshot());
    proven(&diagnosis, "scaled-to-zero", LinkId::Pods);
    let command = &diagnosis.cause().unwrap().remedies[0].commands[0];
    assert_eq!(command, "kubectl -n default scale deployment/web --replicas=1");

    let refused = Cluster::healthy().no_pods().no_endpoints().event(
        "ReplicaSet",
        "web-5d4",
        "FailedCreate",
        "Error creating: exceeded quota: small",
        30,
    );
    let diagnosis = diagnose(&refused.snapshot());
    proven(&diagnosis, "pods-not-created", LinkId::Pods);
    assert!(diagnosis.cause().unwrap().title.en.contains("exceeded quota"));
}

#[test]
fn pods_that_do_not_run_say_why() {
    let waiting = |reason: &str| {
        json!({"phase": "Pending", "podIP": null, "podIPs": null, "containerStatuses": [{
            "name": "app", "image": "web:9", "imageID": "", "ready": false, "restartCount": 7,
            "state": {"waiting": {"reason": reason, "message": "back-off"}},
            "lastState": {"terminated": {"exitCode": 3}},
        }]})
    };
    let pending = json!({"phase": "Pending", "podIP": null, "podIPs": null, "containerStatuses": null, "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available"},
    ]});
    let ended = json!({"phase": "Failed", "reason": "Evicted"});
    let cases = [
        ("pods-crash-looping", waiting("CrashLoopBackOff"), "exit code 3, 7 restarts"),
        ("image-not-available", waiting("ImagePullBackOff"), "image web:9 is not available"),
        ("container-waiting", waiting("CreateContainerConfigError"), "CreateContainerConfigError"),
        ("pods-unschedulable", pending, "0/2 nodes are available"),
        ("pods-ended", ended, "3 pods have ended"),
    ];
    for (expected, status, text) in cases {
        let cluster = Cluster::healthy().every_pod(status).unplaced(expected == "pods-unschedulable").no_endpoints();
        let diagnosis = diagnose(&cluster.snapshot());
        proven(&diagnosis, expected, LinkId::Pods);
        let title = &diagnosis.cause().unwrap().title.en;
        assert!(title.contains(text), "{title}");
    }
}

#[test]
fn pods_without_a_network_show_the_sandbox_event() {
    let creating = json!({"phase": "Pending", "podIP": null, "podIPs": null, "containerStatuses": null});
    let cluster = Cluster::healthy().every_pod(creating).no_endpoints().event(
        "Pod",
        "web-0",
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: cni plugin not initialized",
        20,
    );
    proven(&diagnose(&cluster.snapshot()), "pod-network-failed", LinkId::Pods);
}

fn unready() -> serde_json::Value {
    json!({
        "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady",
            "message": "containers with unready status: [app]", "lastTransitionTime": "2026-07-01T11:30:00Z"}],
        "containerStatuses": [{"name": "app", "image": "web", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"running": {}}}],
    })
}

#[test]
fn pods_that_are_not_ready_say_why() {
    let base = || Cluster::healthy().every_pod(unready()).not_ready_endpoints();
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}});
    let failing = base().probe(probe.clone()).event(
        "Pod",
        "web-0",
        "Unhealthy",
        "Readiness probe failed: HTTP probe failed with statuscode: 503",
        10,
    );
    let cases = [
        ("readiness-probe-failing", failing, "GET :8080/healthz fails: HTTP probe failed with statuscode: 503"),
        ("readiness-probe-not-passed", base().probe(probe), "has not passed its readiness probe"),
        ("readiness-gate-unmet", base().gate("example.com/lb"), "example.com/lb"),
        ("pods-not-ready", base(), "container app is not ready"),
    ];
    for (expected, cluster, text) in cases {
        let diagnosis = diagnose(&cluster.snapshot());
        proven(&diagnosis, expected, LinkId::Readiness);
        let title = &diagnosis.cause().unwrap().title.en;
        assert!(title.contains(text), "{title}");
        assert_eq!(state(&diagnosis, LinkId::Slices), State::Consequence);
        assert_eq!(state(&diagnosis, LinkId::Pods), State::Ok);
    }
}

#[test]
fn one_pod_of_three_that_is_not_ready_is_a_hint() {
    let cluster = Cluster::healthy().pod(1, unready()).endpoint_ready(1, false);
    let diagnosis = diagnose(&cluster.snapshot());
    silent(&diagnosis);
    assert_eq!(diagnosis.hints.len(), 1);
    assert!(diagnosis.hints[0].en.starts_with("pod web-1 is not ready"), "{:?}", diagnosis.hints);
}

#[test]
fn one_pod_of_three_that_crashes_is_one_hint() {
    let crashing = json!({
        "conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": "2026-07-01T11:30:00Z"}],
        "containerStatuses": [{"name": "app", "image": "web", "imageID": "", "ready": false, "restartCount": 4,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
    });
    let diagnosis = diagnose(&Cluster::healthy().pod(1, crashing).endpoint_ready(1, false).snapshot());
    silent(&diagnosis);
    assert_eq!(diagnosis.hints.len(), 1, "{:?}", diagnosis.hints);
    assert!(diagnosis.hints[0].en.starts_with("pod web-1 does not run: container app ends again"));
}

#[test]
fn slices_that_disagree_with_the_pods() {
    let failed = "FailedToUpdateEndpointSlices";
    let message = "Error updating Endpoint Slices for Service default/web: exceeded quota";
    let cases = [
        ("slices-missing", Cluster::healthy().no_slices(), None),
        ("slices-lack-ready-pods", Cluster::healthy().no_endpoints(), None),
        ("slices-lack-ready-pods", Cluster::healthy().endpoint_ready(2, false), None),
        ("slices-stale", Cluster::healthy().extra_endpoint("10.244.9.9"), None),
        (
            "slices-write-refused",
            Cluster::healthy().no_slices().event("Service", "web", failed, message, 5),
            Some(failed),
        ),
    ];
    for (expected, cluster, reason) in cases {
        let diagnosis = diagnose(&cluster.snapshot());
        proven(&diagnosis, expected, LinkId::Slices);
        assert_eq!(diagnosis.cause().unwrap().reason.as_deref(), reason);
    }
    let orphan = Cluster::healthy().no_endpoints().rename_nodes();
    let diagnosis = diagnose(&orphan.snapshot());
    proven(&diagnosis, "slices-lack-ready-pods", LinkId::Slices);
    assert!(diagnosis.cause().unwrap().evidence.iter().any(|item| item.value.contains("no such Node")));
}

#[test]
fn slices_get_a_moment_to_follow_the_pods() {
    let just_now = json!({"conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-07-01T11:59:58Z"},
    ]});
    let diagnosis = diagnose(&Cluster::healthy().pod(0, just_now).no_endpoints().snapshot());
    silent(&diagnosis);
    assert_eq!(state(&diagnosis, LinkId::Slices), State::NotChecked);
}

#[test]
fn services_without_selector_need_endpoints_from_someone() {
    let bare = Cluster::healthy().spec(json!({"selector": null})).no_slices();
    proven(&diagnose(&bare.snapshot()), "no-endpoints-written", LinkId::Slices);
    let mut snapshot = bare.snapshot();
    let endpoints = json!({"metadata": {"name": "web", "namespace": "default"},
        "subsets": [{"addresses": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}]}]});
    snapshot.endpoints.push(serde_json::from_value(endpoints).unwrap());
    proven(&diagnose(&snapshot), "endpoints-not-mirrored", LinkId::Slices);
}

#[test]
fn a_named_target_port_must_be_declared() {
    let cluster = Cluster::healthy().target_port(json!("htpp"));
    let diagnosis = diagnose(&cluster.snapshot());
    proven(&diagnosis, "target-port-not-declared", LinkId::Ports);
    let finding = diagnosis.cause().unwrap();
    assert_eq!(finding.title.en, "port 80 leads to targetPort htpp/TCP, but the containers declare http (8080/TCP)");
    assert_eq!(
        finding.remedies[0].commands[0],
        r#"kubectl -n default patch service web --type json -p '[{"op":"replace","path":"/spec/ports/0/targetPort","value":"http"}]'"#
    );
}

#[test]
fn an_undeclared_port_number_is_neither_a_fault_nor_proven() {
    let diagnosis = diagnose(&Cluster::healthy().target_port(json!(8081)).snapshot());
    silent(&diagnosis);
    let link = diagnosis.link(LinkId::Ports).unwrap();
    assert_eq!(link.state, State::NotChecked);
    assert_eq!(link.summary.en, "80 -> 8081/TCP: no container declares that it listens there");
    assert!(link.summary.zh.starts_with("80 -> 8081/TCP\u{ff1a}"), "{:?}", link.summary);
    assert!(diagnosis.hints[0].zh.starts_with("targetPort 8081/TCP "), "{:?}", diagnosis.hints);
    assert!(diagnosis.hints[0].en.starts_with("targetPort 8081/TCP is not among the ports"), "{:?}", diagnosis.hints);
}

#[test]
fn local_policies_without_local_endpoints() {
    let internal = Cluster::healthy().spec(json!({"internalTrafficPolicy": "Local"})).all_on("node-0");
    let diagnosis = diagnose(&internal.snapshot());
    silent(&diagnosis);
    assert!(diagnosis.hints[0].en.contains("pods on node-1 cannot use the cluster IP"), "{:?}", diagnosis.hints);

    let external = Cluster::healthy()
        .balancer(Some("203.0.113.1"))
        .spec(json!({"externalTrafficPolicy": "Local"}))
        .all_on("node-0");
    let diagnosis = diagnose(&external.snapshot());
    silent(&diagnosis);
    assert!(diagnosis.hints[0].en.contains("node ports of node-1"), "{:?}", diagnosis.hints);
}

#[test]
fn two_independent_faults_are_both_named() {
    let cluster = Cluster::healthy().balancer(None).spec(json!({"selector": {"app": "wbe"}})).no_endpoints();
    let diagnosis = diagnose(&cluster.snapshot());
    let codes: Vec<_> = diagnosis.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["load-balancer-no-controller", "selector-matches-no-pod"]);
}

#[test]
fn what_could_not_be_read_is_neither_a_fault_nor_health() {
    let mut snapshot = Cluster::healthy().no_pods().no_workloads().no_endpoints().snapshot();
    let why = "pods is forbidden".to_owned();
    snapshot.unread.push(crate::Unread { what: "pods".into(), why, essential: true });
    let diagnosis = diagnose(&snapshot);
    assert_eq!((code(&diagnosis), diagnosis.exit_code()), ("-", 2), "{diagnosis:#?}");
    assert_eq!(state(&diagnosis, LinkId::Selector), State::NotChecked);
    assert!(render::text(&diagnosis, Lang::En, false).contains("pods is forbidden"));
}

#[test]
fn the_page_reads_well_in_both_languages() {
    let cluster = Cluster::healthy().spec(json!({"selector": {"app": "wbe"}})).no_endpoints();
    let diagnosis = diagnose(&cluster.snapshot());
    insta::assert_snapshot!("selector_typo_en", render::text(&diagnosis, Lang::En, false));
    insta::assert_snapshot!("selector_typo_zh", render::text(&diagnosis, Lang::Zh, false));
    let healthy = diagnose(&Cluster::healthy().balancer(Some("203.0.113.1")).snapshot());
    insta::assert_snapshot!("healthy_en", render::text(&healthy, Lang::En, false));
    assert!(render::text(&healthy, Lang::En, true).contains("\x1b[32mok"), "colour on request");
    assert!(!render::text(&healthy, Lang::En, false).contains('\x1b'));
}

#[test]
fn a_caller_that_does_not_exist_is_not_told_that_all_is_well() {
    let snapshot = Cluster::healthy().snapshot();
    let ask = |name: &str| Ask { from: crate::From::Pod(ObjectKey::new("default", name)) };
    let from = |name: &str| crate::diagnose(&Index::new(&snapshot), &ObjectKey::new("default", "web"), &ask(name));
    assert_eq!((from("web-0").exit_code(), from("nobody").exit_code()), (0, 2));
    assert_eq!(from("nobody").unread[0].why, "there is no pod default/nobody, or it is not in what was read");
}
