//! The commands that answer questions: texts, JSON, exit codes.

use std::process::{Command, Output};

use portolan_testkit::{kubectls_or_skip, network_or_skip};
use serde_json::Value;

use crate::{PORTOLAN, until};

fn portolan(arguments: &[&str]) -> Output {
    let mut command = Command::new(PORTOLAN);
    command.args(arguments).env_remove("KUBECONFIG").env("LANG", "C.UTF-8").env_remove("LC_ALL").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn explain_lists_explains_in_both_languages_and_helps_with_typos() {
    let list = portolan(&["explain"]);
    assert!(list.status.success());
    assert!(text(&list.stdout).contains("UnAvailableLoadBalancer"));

    let page = portolan(&["explain", "syncloadbalancerfailed"]);
    assert!(text(&page.stdout).contains("SyncLoadBalancerFailed"));
    assert!(text(&page.stdout).is_ascii(), "the English page is plain");
    let chinese = portolan(&["explain", "SyncLoadBalancerFailed", "--lang", "zh"]);
    assert!(!text(&chinese.stdout).is_ascii());

    let json = portolan(&["explain", "HostPortConflict", "-o", "json"]);
    let value: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["reason"], "HostPortConflict");

    let typo = portolan(&["explain", "SyncLoadbalancerFailled"]);
    assert_eq!(typo.status.code(), Some(1));
    assert!(text(&typo.stderr).contains("did you mean SyncLoadBalancerFailed"), "{}", text(&typo.stderr));
}

#[test]
fn diagnose_without_a_cluster_says_what_to_do() {
    let output = portolan(&["diagnose", "svc/web", "--kubeconfig", "/nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("/nowhere"));
    assert_eq!(portolan(&["diagnose", "pod/web"]).status.code(), Some(2));
}

#[test]
fn diagnose_tells_a_healthy_service_from_a_broken_one() {
    const TEST: &str = "diagnose_tells_a_healthy_service_from_a_broken_one";
    let Some(kubectl) = kubectls_or_skip(TEST).pop() else { return };
    let Some(network) = network_or_skip(TEST, PORTOLAN, &[]) else { return };
    let kubectl = network.connect(&kubectl);
    let kubeconfig = network.kubeconfig.to_str().unwrap();
    let diagnose = |more: &[&str]| portolan(&[&["diagnose", "svc/plain", "--kubeconfig", kubeconfig], more].concat());
    let missing = diagnose(&[]);
    assert_eq!(missing.status.code(), Some(1), "a Service that does not exist is a finding");
    assert!(text(&missing.stdout).contains("plain"), "{}", text(&missing.stdout));

    kubectl.ok(&["apply", "-f", concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/clusterip.yaml")]).unwrap();
    kubectl.ok(&["rollout", "status", "--timeout=60s", "deployment/plain"]).unwrap();
    until("a healthy diagnosis", 20, || match diagnose(&[]) {
        output if output.status.code() == Some(0) => Ok(()),
        output => Err(text(&output.stdout)),
    });
    kubectl.ok(&["patch", "service", "plain", "-p", "{\"spec\":{\"selector\":{\"app\":\"plane\"}}}"]).unwrap();
    let broken = until("the broken diagnosis", 20, || match diagnose(&[]) {
        output if output.status.code() == Some(1) => Ok(text(&output.stdout)),
        output => Err(text(&output.stdout)),
    });
    assert!(broken.contains("app=plain"), "the nearest label is named: {broken}");
    let json = diagnose(&["-o", "json"]);
    assert_eq!(json.status.code(), Some(1));
    serde_json::from_slice::<Value>(&json.stdout).expect("JSON");
    let chinese = diagnose(&["--lang", "zh"]);
    assert!(!text(&chinese.stdout).is_ascii());
}
