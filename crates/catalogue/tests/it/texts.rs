//! What message patterns, codes and scenarios promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use portolan_catalogue::{Entry, Status, codes, entries, find, recognise};

use crate::invariants::GUIDE;

/// The links of the chain, as the doctor's chart has them.
const LINKS: &[&str] = &[
    "service",
    "name",
    "address",
    "load-balancer",
    "selector",
    "pods",
    "readiness",
    "slices",
    "ports",
    "policy",
    "network-policy",
    "topology",
    "source-ranges",
    "proxy",
    "conntrack",
    "socket",
    "probe",
];

#[test]
fn every_pattern_matches_its_samples_and_is_the_first_to_do_so() {
    for entry in entries() {
        for pattern in entry.patterns {
            assert!(!pattern.samples.is_empty(), "{}: {}", entry.name, pattern.template);
            for sample in pattern.samples {
                let first = entry.patterns.iter().find(|other| other.matches(sample).is_some());
                let cause = first.map(|first| first.cause.en);
                assert_eq!(cause, Some(pattern.cause.en), "{}: {sample}", entry.name);
            }
        }
    }
}

/// The entry and the cause that a text is traced to first.
fn traced(text: &str) -> Option<(&'static str, Option<&'static str>)> {
    let first = recognise(text).into_iter().next()?;
    Some((first.entry.name, first.pattern.map(|pattern| pattern.cause.en)))
}

#[test]
fn every_sample_is_recognised_in_the_columns_of_kubectl() {
    for entry in entries() {
        for pattern in entry.patterns {
            for sample in pattern.samples {
                let (name, severity, from) = (entry.name, entry.severity.as_str(), entry.emitter);
                let wanted = Some((name, Some(pattern.cause.en)));
                let rows = [
                    format!("  {severity}  {name}  12s (x3 over 5m)  {from}  {sample}"),
                    format!("{severity} {name} 3m20s {from} {sample}"),
                    format!("12s         {severity}   {name}   service/web   {sample}"),
                    format!("{name}: {sample}"),
                ];
                for row in rows {
                    // Everyday words are reasons only where a reason belongs.
                    if traced(&row) != wanted && row.starts_with(name) && !name.chars().skip(1).any(char::is_uppercase)
                    {
                        continue;
                    }
                    assert_eq!(traced(&row), wanted, "{row}");
                }
            }
        }
    }
}

/// Samples of guides to these events, some of which no release has ever said: row, reason, code.
const GUIDES: &[(&str, &str, Option<&str>)] = &[
    ("Normal  EnsuringLoadBalancer   30s   service-controller  Ensuring load balancer", "EnsuringLoadBalancer", None),
    (
        "Normal  CreatedLoadBalancer   5s  service-controller  Created load balancer a1.elb.example",
        "CreatedLoadBalancer",
        None,
    ),
    (
        "Normal  UpdatedLoadBalancer  5s    service-controller  Updated load balancer with new ports",
        "UpdatedLoadBalancer",
        None,
    ),
    (
        "Warning  UpdateLoadBalancerFailed  30s   service-controller  Error updating load balancer with new hosts \
         map[10.0.1.5:{}]: failed to ensure load balancer: RequestLimitExceeded: Request limit exceeded",
        "UpdateLoadBalancerFailed",
        Some("load-balancer-update-failed"),
    ),
    (
        "Warning  DeleteLoadBalancerFailed  10s   service-controller  Error deleting load balancer: DependencyViolation: \
         Cannot delete load balancer with active targets",
        "DeleteLoadBalancerFailed",
        Some("load-balancer-delete-failed"),
    ),
    (
        "Warning  UnAvailableLoadBalancer  10s   service-controller  All backend nodes are unhealthy",
        "UnAvailableLoadBalancer",
        Some("load-balancer-backends-unhealthy"),
    ),
    (
        "Warning  SyncLoadBalancerFailed   10s   service-controller  Error syncing load balancer: failed to ensure load \
         balancer: unable to resolve endpoint",
        "SyncLoadBalancerFailed",
        Some("load-balancer-provider-unreachable"),
    ),
    (
        "Warning  FailedToCreateEndpoint   10s   endpoint-controller  Failed to create endpoint: etcdserver: request \
         timed out",
        "FailedToCreateEndpoint",
        Some("endpoints-disagree"),
    ),
    (
        "Warning  FailedToUpdateEndpoint   10s   endpoint-controller  Failed to update endpoint: etcdserver: request is \
         too large",
        "FailedToUpdateEndpoint",
        Some("endpoints-disagree"),
    ),
    (
        "Warning  HostPortConflict  30s   kubelet  hostPort 8080 is already in use by another pod or process",
        "HostPortConflict",
        Some("host-port-conflict"),
    ),
    (
        "Warning  FailedSync        30s   kubelet  error determining status: rpc error: code = Unknown desc = failed to \
         check port availability: bind: address already in use",
        "FailedSync",
        Some("host-port-conflict"),
    ),
    (
        "Warning  DNSConfigForming  30s   kubelet  Forming DNS configmap with mode ClusterFirst failed: unable to read \
         config path \"/etc/resolv.conf\": open /etc/resolv.conf: no such file or directory",
        "DNSConfigForming",
        Some("node-resolv-conf-broken"),
    ),
    (
        "Warning  DNSConfigForming  10s   kubelet  Forming DNS configmap failed: cannot find service \"kube-dns\" in \
         namespace \"kube-system\"",
        "DNSConfigForming",
        Some("dns-service-missing"),
    ),
    (
        "Warning  IPNotAllocated  30s   service-controller  Failed to allocate external IP: IP pool exhausted",
        "IPNotAllocated",
        Some("load-balancer-pool-exhausted"),
    ),
];

#[test]
fn samples_of_guides_are_recognised_true_or_not() {
    for (row, reason, code) in GUIDES {
        let found = recognise(row);
        let first = found.first().map(|one| (one.entry.name, one.pattern.and_then(|pattern| pattern.code)));
        assert_eq!(first, Some((*reason, *code)), "{row}");
    }
}

/// Reasons that Kubernetes has around Services, in any release from 1.25 on.
const UPSTREAM: &str = "EnsuringLoadBalancer EnsuredLoadBalancer DeletingLoadBalancer DeletedLoadBalancer \
    UpdatedLoadBalancer UpdateLoadBalancerFailed DeleteLoadBalancerFailed UnAvailableLoadBalancer \
    SyncLoadBalancerFailed Type LoadBalancerSourceRanges LoadbalancerIP UID ExternalTrafficPolicy HealthCheckNodePort \
    ExternalIP FailedToCreateEndpoint FailedToUpdateEndpoint FailedToUpdateEndpointSlices FailedToListPods \
    FailedToListEndpointSlices TopologyAwareHintsEnabled TopologyAwareHintsDisabled InvalidIPAddress \
    TooManyAddressesToMirror ClusterIPNotValid ClusterIPNotAllocated ClusterIPAlreadyAllocated ClusterIPOutOfRange \
    ServiceCIDRFull UnknownError IPAddressNotAllocated IPAddressWrongReference PortNotAllocated PortAlreadyAllocated \
    PortOutOfRange PortRangeFull KubernetesServiceCIDRError KubernetesDefaultServiceCIDRError \
    KubernetesDefaultServiceCIDRInconsistent FailedToCreateRoute HostIPsIPFamilyMismatch DeletingNode \
    DeletingNodeFailed DNSConfigForming MissingClusterDNS CheckLimitsForResolvConf FailedCreatePodSandBox \
    FailedScheduling NodePorts BackOff FailedDaemonPod FailedSync NetworkNotReady SandboxChanged CIDRNotAvailable \
    CIDRAssignmentFailed Starting FailedToStartServiceHealthcheck FailedToStartProxierHealthcheck \
    FailedToStartMetricServer IPVSDeprecation KubeProxyIncorrectIPVersion Scheduled NodeNotReady NodeReady Started \
    RegisteredNode RemovingNode TaintManagerEviction FailedKillPod Killing Unhealthy Created Pulled Evicted";

#[test]
fn every_upstream_reason_around_services_is_found() {
    for name in UPSTREAM.split_whitespace() {
        assert!(find(name).is_some(), "{name}");
    }
}

/// Whether a text of one is a text of the other as well, so that the text alone cannot tell them apart.
fn says_the_same(entry: &Entry, other: &Entry, sample: &str) -> bool {
    entry.name == other.name || other.patterns.iter().any(|pattern| pattern.matches(sample).is_some())
}

#[test]
fn whole_messages_are_recognised_without_their_reason() {
    let mut known = 0;
    for entry in entries().iter().filter(|entry| entry.status == Status::Current) {
        for sample in entry.patterns.iter().flat_map(|pattern| pattern.samples) {
            let Some((name, _)) = traced(sample) else { continue };
            let found = find(name).unwrap();
            assert!(says_the_same(entry, found, sample), "{} is taken for {name}: {sample}", entry.name);
            known += 1;
        }
    }
    assert!(known > 80, "{known}");
}

#[test]
fn codes_are_unique_and_lead_somewhere() {
    let mut seen = BTreeSet::new();
    for code in codes::all() {
        assert!(seen.insert(code.code), "{} is there twice", code.code);
        assert!(code.code.bytes().all(|c| c.is_ascii_lowercase() || c == b'-'), "{}", code.code);
        assert!(LINKS.contains(&code.link), "{}: {}", code.code, code.link);
        assert!(find(code.code).is_none(), "{} is a reason as well", code.code);
        for reason in code.reasons {
            assert!(entries().iter().any(|entry| entry.name == *reason), "{}: {reason}", code.code);
        }
        assert_eq!(codes::find(&code.code.to_uppercase()).map(|found| found.code), Some(code.code));
    }
    let order: Vec<usize> = codes::all().filter_map(|code| LINKS.iter().position(|link| *link == code.link)).collect();
    assert!(order.is_sorted(), "codes stand in the order of the chain");
}

#[test]
fn codes_that_patterns_name_exist() {
    for entry in entries() {
        for pattern in entry.patterns {
            if let Some(code) = pattern.code {
                assert!(codes::find(code).is_some(), "{}: {code}", entry.name);
            }
        }
    }
}

/// What a scenario expects, as it is written.
fn expectation(scenario: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios").join(scenario).join("expect.yaml");
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[test]
fn scenarios_make_appear_what_names_them() {
    let reasons = entries().iter().filter_map(|entry| Some((entry.name, entry.scenario?)));
    let codes = codes::all().filter_map(|code| Some((code.code, code.scenario?)));
    for (name, scenario) in reasons.chain(codes) {
        let expected = expectation(scenario);
        assert!(expected.contains(name), "scenarios/{scenario}/expect.yaml does not speak of {name}");
    }
}

#[test]
fn every_reason_of_the_guide_has_a_scenario() {
    for reason in GUIDE {
        assert!(find(reason.as_str()).unwrap().scenario.is_some(), "{reason}");
    }
}

#[test]
fn remedies_that_break_something_say_so() {
    for entry in entries() {
        let portolan_catalogue::Remedies::Steps(steps) = entry.remedies else { continue };
        for step in steps {
            let breaks =
                |command: &&str| ["kubectl delete", "kubectl drain", "restart"].iter().any(|w| command.contains(w));
            let risky = step.commands.iter().any(breaks);
            assert!(!risky || step.risk.is_some(), "{}: {:?}", entry.name, step.commands);
        }
    }
}
