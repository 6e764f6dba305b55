//! Scaling under load loses no connection.

use std::collections::BTreeSet;

use portolan_testkit::{Kubectl, kubectls_or_skip, network_or_skip};
use serde_json::{Value, json};

use crate::{PORTOLAN, until};

/// 200 new connections a second through the ClusterIP while the Deployment goes 3 -> 30 -> 3. Terminating pods serve
/// during their grace period and leave the rules before they stop, so nothing may fail.
#[test]
fn scaling_under_load_fails_no_connection() {
    const TEST: &str = "scaling_under_load_fails_no_connection";
    let Some(kubectl) = kubectls_or_skip(TEST).pop() else { return };
    let Some(network) = network_or_skip(TEST, PORTOLAN, &[]) else { return };
    let kubectl = network.connect(&kubectl);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/clusterip.yaml");
    kubectl.ok(&["apply", "-f", example]).unwrap();
    rolled_out(&kubectl);

    let load = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load"},
        "spec": {"restartPolicy": "Never", "containers": [
            {"name": "load", "image": "portolan/probe", "args": ["http://plain/", "--rate", "200", "--timeout", "5"]},
        ]},
    });
    assert_eq!(kubectl.run(&["apply", "-f", "-"], &load.to_string()).unwrap().code, 0);
    until("the load to run", 30, || match kubectl.ok(&["logs", "load"]).unwrap_or_default() {
        log if log.lines().count() > 4 => Ok(()),
        log => Err(log),
    });
    for replicas in [30, 3] {
        kubectl.ok(&["scale", "deployment/plain", &format!("--replicas={replicas}")]).unwrap();
        rolled_out(&kubectl);
        until("the right number of pods", 60, || {
            let pods = kubectl.ok(&["get", "pods", "-l", "app=plain", "-o", "name"]).unwrap();
            let count = pods.lines().count();
            if count == replicas { Ok(()) } else { Err(format!("{count} of {replicas}")) }
        });
        // At 200 a second over 30 pods, a pod that is never asked is left out by the rules, not by chance.
        until("traffic to every pod", 30, || match seen(&kubectl) {
            seen if seen.pods.len() >= 30 => Ok(()),
            seen => Err(format!("{} pods answered", seen.pods.len())),
        });
    }
    let seen = seen(&kubectl);
    println!("{} connections answered by {} pods, failed: {:?}", seen.answered, seen.pods.len(), seen.failed);
    assert!(seen.failed.is_empty(), "{} answered, failed: {:?}", seen.answered, seen.failed);
    network.stop().unwrap();
}

/// What the load saw since it began.
#[derive(Default)]
struct Seen {
    answered: u64,
    failed: Vec<serde_json::Map<String, Value>>,
    pods: BTreeSet<String>,
}

fn seen(kubectl: &Kubectl) -> Seen {
    let mut seen = Seen::default();
    for line in kubectl.ok(&["logs", "load"]).unwrap().lines() {
        let line: Value = serde_json::from_str(line).expect("a line of the probe");
        seen.answered += line["answered"].as_u64().unwrap_or_default();
        seen.failed.extend(line["failed"].as_object().cloned());
        seen.pods.extend(line["pods"].as_object().into_iter().flat_map(|pods| pods.keys().cloned()));
    }
    seen
}

fn rolled_out(kubectl: &Kubectl) {
    kubectl.ok(&["rollout", "status", "--timeout=60s", "deployment/plain"]).unwrap();
}
