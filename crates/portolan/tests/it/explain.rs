//! The catalogue at the prompt: reasons, findings, pasted texts, lists, completions and manual pages.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::PORTOLAN;

fn portolan(arguments: &[&str]) -> Output {
    Command::new(PORTOLAN).args(arguments).env("LANG", "C.UTF-8").env_remove("LC_ALL").output().unwrap()
}

/// Standard output of a command that must succeed.
fn says(arguments: &[&str]) -> String {
    let output = portolan(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&says(arguments)).unwrap()
}

#[test]
fn reasons_of_others_and_findings_have_pages_too() {
    for (topic, words) in [
        ("AllocationFailed", "metallb-controller"),
        ("FailedBuildModel", "AWS Load Balancer Controller"),
        ("no_pool", "status.conditions"),
        ("AppliedDaemonSet", "k3s"),
        ("TaintManagerEviction", "taint-eviction-controller"),
        ("selector-matches-no-pod", "portolan lab run"),
        ("Selector-Matches-No-Pod", "No pod of the namespace has all the labels"),
    ] {
        let page = says(&["explain", topic]);
        assert!(page.contains(words), "{topic}: {page}");
        assert!(page.is_ascii(), "{topic}");
        assert!(!says(&["explain", topic, "--lang", "zh"]).is_ascii(), "{topic}");
        assert!(says(&["explain", topic, "-o", "md"]).contains("\n# "), "{topic}");
    }
    assert_eq!(json(&["explain", "slices-stale", "-o", "json"])["link"], "slices");
}

#[test]
fn a_pasted_message_is_recognised_and_its_cause_named() {
    let message = "Error syncing load balancer: failed to ensure load balancer: RequestLimitExceeded: slow down";
    let page = says(&["explain", message]);
    for words in
        ["SyncLoadBalancerFailed", "limits the number of calls", "load-balancer-throttled", "AWS", "What to do"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    let found = json(&["explain", message, "-o", "json"]);
    assert_eq!(found[0]["entry"]["reason"], "SyncLoadBalancerFailed");
    assert_eq!(found[0]["pattern"]["code"], "load-balancer-throttled");
    assert_eq!(found[0]["vendor"]["code"], "RequestLimitExceeded");
    let unquoted = says(&["explain", "There", "are", "no", "available", "nodes", "for", "LoadBalancer"]);
    assert!(unquoted.contains("load-balancer-without-nodes"), "{unquoted}");
    assert!(says(&["explain", message, "-o", "md"]).contains("## SyncLoadBalancerFailed"));
}

#[test]
fn a_page_of_kubectl_is_read_from_standard_input() {
    let mut child = Command::new(PORTOLAN)
        .args(["explain", "-", "-o", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let page = "Name: web\nEvents:\n  Type     Reason            Age  From               Message\n  \
                Warning  FailedScheduling  5s   default-scheduler  0/3 nodes are available: 3 Insufficient cpu.\n  \
                Warning  Unhealthy         1s   kubelet            Readiness probe failed: HTTP probe failed with statuscode: 503\n";
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<_> = found.as_array().unwrap().iter().map(|one| one["entry"]["reason"].as_str().unwrap()).collect();
    assert_eq!(names, ["FailedScheduling", "Unhealthy"]);
    assert_eq!(found[0]["captured"][0]["name"], "causes");
    assert_eq!(found[1]["pattern"]["code"], "readiness-probe-failing");
}

#[test]
fn lists_are_filtered() {
    let reasons = |arguments: &[&str]| {
        let all = json(&[&["explain", "--list", "-o", "json"], arguments].concat());
        let names = all.as_array().unwrap().iter().map(|entry| entry["reason"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let all = reasons(&[]);
    assert!(all.len() > 120, "{}", all.len());
    let metallb = reasons(&["--emitter", "metallb", "--type", "warning"]);
    assert!(metallb.contains(&"AllocationFailed".to_owned()) && !metallb.contains(&"nodeAssigned".to_owned()));
    assert!(reasons(&["--status", "never"]).contains(&"FailedToDeleteEndpoint".to_owned()));
    assert!(reasons(&["--status", "third-party"]).contains(&"out_of_ips".to_owned()));
    let parts: usize =
        ["current", "legacy", "third-party", "never"].iter().map(|s| reasons(&["--status", s]).len()).sum();
    assert_eq!(parts, all.len(), "each has one status");
    assert!(says(&["explain", "--codes"]).contains("selector-matches-no-pod"));
    assert!(says(&["explain"]).contains("selector-matches-no-pod"), "without a topic there is everything");
    assert!(says(&["explain", "--list", "-o", "md", "--emitter", "kube-proxy"]).starts_with("| Reason"));
    assert_eq!(portolan(&["explain", "--list", "--emitter", "nobody"]).status.code(), Some(1));
}

#[test]
fn what_is_unknown_is_said_with_the_nearest_names() {
    for (topic, words) in [
        ("slice-stale", "slices-stale"),
        ("AllocationFaild", "AllocationFailed"),
        ("words that nobody has ever said", "whole row"),
        ("zzzzzzzz", "lists them all"),
    ] {
        let output = portolan(&["explain", topic]);
        assert_eq!(output.status.code(), Some(1), "{topic}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(words), "{topic}: {text}");
    }
    assert_eq!(portolan(&["explain", "x", "--list"]).status.code(), Some(2), "a topic is not a list");
}

#[test]
fn shells_learn_the_names_and_the_manual_is_written() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = says(&["completions", shell]);
        assert!(script.contains("SyncLoadBalancerFailed") && script.contains("slices-stale"), "{shell}");
    }
    // bash itself finds no fault with it.
    let script = says(&["completions", "bash"]);
    let checked = Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(says(&["man"]).contains(".TH portolan"));
    let folder = tempfile::tempdir().unwrap();
    says(&["man", "--dir", folder.path().to_str().unwrap()]);
    let page = std::fs::read_to_string(folder.path().join("portolan-explain.1")).unwrap();
    assert!(page.contains("emitter"), "{page}");
    assert!(!folder.path().join("portolan-world.1").exists(), "what is hidden has no page");
}
