#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

const HOST: &str = "172.30.0.11";

fn now() -> Timestamp {
    "2026-05-06T07:08:09.5Z".parse().unwrap()
}

fn pod(spec: Value) -> Pod {
    let mut spec = spec;
    if spec.get("containers").is_none() {
        spec["containers"] = json!([{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]);
    }
    serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "d", "uid": "u"}, "spec": spec})).unwrap()
}

fn ended(code: i32) -> Ended {
    Ended { code, reason: "Error".into(), message: String::new(), started: None, finished: Some(now()), id: None }
}

/// `r` running, `R` running and ready, `w` waiting, `c` waiting after a crash, `0` and `1` ended with that code.
fn set(reports: &mut [ContainerReport], states: &str) {
    for (report, state) in reports.iter_mut().zip(states.chars()) {
        report.state = match state {
            'r' | 'R' => State::Running { since: now() },
            'w' => State::waiting("ContainerCreating"),
            'c' => State::waiting("CrashLoopBackOff"),
            code => State::Terminated(ended(code.to_digit(10).unwrap() as i32)),
        };
        report.last = (state == 'c').then(|| ended(1));
        report.started = state == 'r' || state == 'R';
        report.ready = state == 'R';
    }
}

fn report(pod: &Pod, init: &str, containers: &str) -> Report {
    let mut report = Report::new(pod.spec.as_ref().unwrap(), now());
    set(&mut report.init, init);
    set(&mut report.containers, containers);
    report.address = Some("10.244.1.5".parse().unwrap());
    report
}

fn rendered(pod: &Pod, report: &Report) -> PodStatus {
    render(pod, report, HOST.parse().unwrap(), now())
}

#[test]
fn phases_follow_the_containers_and_the_restart_policy() {
    let rows = [
        ("Always", "", "ww", "Pending"),
        ("Always", "", "rw", "Pending"),
        ("Always", "", "rr", "Running"),
        ("Always", "", "rc", "Running"),
        ("Always", "", "00", "Running"),
        ("Always", "", "c1", "Running"),
        ("OnFailure", "", "00", "Succeeded"),
        ("OnFailure", "", "01", "Running"),
        ("OnFailure", "", "r1", "Running"),
        ("Never", "", "00", "Succeeded"),
        ("Never", "", "01", "Failed"),
        ("Never", "", "r0", "Running"),
        ("Always", "r", "ww", "Pending"),
        ("Always", "1", "ww", "Pending"),
        ("Never", "1", "ww", "Failed"),
        ("Always", "0", "rr", "Running"),
    ];
    for (policy, init, containers, expected) in rows {
        let inits: Vec<_> = init.chars().map(|_| json!({"name": "i", "image": "x"})).collect();
        let pod = pod(json!({"restartPolicy": policy, "initContainers": inits}));
        let status = rendered(&pod, &report(&pod, init, containers));
        assert_eq!(status.phase.as_deref(), Some(expected), "{policy} {init} {containers}");
    }
    let pod = pod(json!({"restartPolicy": "Always"}));
    for (states, expected) in [("00", "Succeeded"), ("01", "Failed"), ("w0", "Failed")] {
        let finished = Report { finished: true, ..report(&pod, "", states) };
        assert_eq!(rendered(&pod, &finished).phase.as_deref(), Some(expected), "{states}");
    }
}

fn condition<'a>(status: &'a PodStatus, kind: &str) -> &'a PodCondition {
    status.conditions.as_ref().unwrap().iter().find(|c| c.type_ == kind).unwrap()
}

#[test]
fn readiness_needs_every_container_and_every_gate() {
    let plain = pod(json!({}));
    let status = rendered(&plain, &report(&plain, "", "Rr"));
    let ready = condition(&status, "Ready");
    assert_eq!((ready.status.as_str(), ready.reason.as_deref()), ("False", Some("ContainersNotReady")));
    assert_eq!(ready.message.as_deref(), Some("containers with unready status: [b]"));
    let status = rendered(&plain, &report(&plain, "", "RR"));
    for kind in ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"] {
        assert_eq!(condition(&status, kind).status, "True", "{kind}");
    }
    let mut gated = pod(json!({"readinessGates": [{"conditionType": "example.org/lb"}]}));
    let status = rendered(&gated, &report(&gated, "", "RR"));
    assert_eq!(condition(&status, "ContainersReady").status, "True");
    assert_eq!(condition(&status, "Ready").reason.as_deref(), Some("ReadinessGatesNotReady"));
    gated.status =
        serde_json::from_value(json!({"conditions": [{"type": "example.org/lb", "status": "True"}]})).unwrap();
    let status = rendered(&gated, &report(&gated, "", "RR"));
    assert_eq!(condition(&status, "Ready").status, "True");
    assert_eq!(condition(&status, "example.org/lb").status, "True", "kept for its writer");
}

#[test]
fn a_waiting_init_container_is_named() {
    let pod = pod(json!({"initContainers": [
        {"name": "setup", "image": "x"}, {"name": "mesh", "image": "x", "restartPolicy": "Always"},
    ]}));
    let status = rendered(&pod, &report(&pod, "0w", "ww"));
    let failed = rendered(&pod, &report(&pod, "1w", "ww"));
    assert!(failed.init_container_statuses.iter().flatten().all(|status| !status.ready));
    let initialized = condition(&status, "Initialized");
    assert_eq!(initialized.message.as_deref(), Some("containers with incomplete status: [mesh]"));
    let status = rendered(&pod, &report(&pod, "0R", "RR"));
    let ready: Vec<_> = status.init_container_statuses.iter().flatten().map(|status| status.ready).collect();
    assert_eq!(ready, [true, true], "one is done, the other serves");
    assert_eq!(condition(&status, "Initialized").status, "True");
    assert_eq!(condition(&status, "Ready").status, "True");
    let status = rendered(&pod, &report(&pod, "0r", "RR"));
    assert_eq!(condition(&status, "Ready").message.as_deref(), Some("containers with unready status: [mesh]"));
}

/// The proof that status writes come to rest: what was written is what would be written.
#[test]
fn rendering_its_own_result_changes_nothing() {
    for states in ["ww", "rc", "RR", "01"] {
        let mut pod = pod(json!({}));
        let report = report(&pod, "", states);
        let first = rendered(&pod, &report);
        // As read back from the API.
        let first: PodStatus = serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
        pod.status = Some(first.clone());
        let later = now() + jiff::SignedDuration::from_secs(60);
        assert_eq!(render(&pod, &report, HOST.parse().unwrap(), later), first, "{states}");
    }
}
