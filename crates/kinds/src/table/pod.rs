//! The row of a Pod: its status is a summary of phase, containers, init containers and deletion.

use jiff::Timestamp;
use serde_json::Value;

use super::{age, human_duration, name, or_none};
use crate::json::{at, flag, int, list, text};

/// What the containers add up to.
struct Summary {
    reason: String,
    ready: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let summary = summarise(pod);
    let sidecars = list(pod, "spec.initContainers").iter().filter(|c| is_sidecar(c)).count();
    let total = list(pod, "spec.containers").len() + sidecars;
    let restarts = match summary.last_restart {
        Some(at) if summary.restarts > 0 => {
            format!("{} ({} ago)", summary.restarts, human_duration(now.as_second() - at.as_second()))
        }
        _ => summary.restarts.to_string(),
    };
    let ip = match list(pod, "status.podIPs").first() {
        Some(ip) => text(ip, "ip"),
        None => text(pod, "status.podIP"),
    };
    vec![
        name(pod),
        format!("{}/{total}", summary.ready).into(),
        summary.reason.into(),
        restarts.into(),
        age(pod, now),
        or_none(ip, "<none>").into(),
        or_none(text(pod, "spec.nodeName"), "<none>").into(),
        or_none(text(pod, "status.nominatedNodeName"), "<none>").into(),
        gates(pod).into(),
    ]
}

/// Whether the pod has a true condition of that type.
fn condition(pod: &Value, kind: &str) -> bool {
    list(pod, "status.conditions").iter().any(|c| text(c, "type") == kind && text(c, "status") == "True")
}

fn is_sidecar(container: &Value) -> bool {
    text(container, "restartPolicy") == "Always"
}

/// Whether the status is that of a sidecar.
fn sidecar(pod: &Value, status: &Value) -> bool {
    list(pod, "spec.initContainers").iter().any(|c| text(c, "name") == text(status, "name") && is_sidecar(c))
}

fn summarise(pod: &Value) -> Summary {
    let mut reason = or_none(text(pod, "status.reason"), text(pod, "status.phase")).to_string();
    for condition in list(pod, "status.conditions") {
        if text(condition, "type") == "PodScheduled" && text(condition, "reason") == "SchedulingGated" {
            reason = "SchedulingGated".to_string();
        }
    }
    let mut summary = Summary { reason, ready: 0, restarts: 0, last_restart: None };
    if !initialising(pod, &mut summary) || condition(pod, "Initialized") {
        running(pod, &mut summary);
    }
    if at(pod, "metadata.deletionTimestamp").is_some() {
        let phase = text(pod, "status.phase");
        if text(pod, "status.reason") == "NodeLost" {
            summary.reason = "Unknown".to_string();
        } else if phase != "Failed" && phase != "Succeeded" {
            summary.reason = "Terminating".to_string();
        }
    }
    summary
}

/// Looks at init containers; true when one of them is what the pod is waiting for.
fn initialising(pod: &Value, summary: &mut Summary) -> bool {
    let specs = list(pod, "spec.initContainers");
    let statuses = list(pod, "status.initContainerStatuses");
    for (index, status) in statuses.iter().enumerate() {
        let sidecar = sidecar(pod, status);
        summary.restarts += int(status, "restartCount").unwrap_or(0);
        summary.last_restart = summary.last_restart.max(last_finish(status));
        let exit = int(status, "state.terminated.exitCode");
        if exit == Some(0) {
            continue;
        }
        if sidecar && flag(status, "started") {
            summary.ready += usize::from(flag(status, "ready"));
            continue;
        }
        let waiting = text(status, "state.waiting.reason");
        summary.reason = if exit.is_some() {
            format!("Init:{}", termination(status))
        } else if !waiting.is_empty() && waiting != "PodInitializing" {
            format!("Init:{waiting}")
        } else {
            format!("Init:{index}/{}", specs.len())
        };
        return true;
    }
    false
}

/// Looks at the containers proper; the first one with something to say names the reason.
fn running(pod: &Value, summary: &mut Summary) {
    // Of the init containers only sidecars still count.
    let sidecars: Vec<&Value> = list(pod, "status.initContainerStatuses").iter().filter(|s| sidecar(pod, s)).collect();
    summary.restarts = sidecars.iter().filter_map(|status| int(status, "restartCount")).sum();
    summary.last_restart = sidecars.iter().filter_map(|status| last_finish(status)).max();
    let mut any_running = false;
    let mut error = None;
    for status in list(pod, "status.containerStatuses").iter().rev() {
        summary.restarts += int(status, "restartCount").unwrap_or(0);
        summary.last_restart = summary.last_restart.max(last_finish(status));
        let waiting = text(status, "state.waiting.reason");
        if !waiting.is_empty() {
            summary.reason = waiting.to_string();
        } else if at(status, "state.terminated").is_some() {
            summary.reason = termination(status);
            if int(status, "state.terminated.exitCode").unwrap_or(0) != 0 {
                error = Some(summary.reason.clone());
            }
        } else if flag(status, "ready") && at(status, "state.running").is_some() {
            any_running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" {
        if any_running && condition(pod, "Ready") {
            summary.reason = "Running".to_string();
        } else if let Some(error) = error {
            summary.reason = error;
        } else if any_running {
            summary.reason = "NotReady".to_string();
        }
    }
}

/// Why a container ended.
fn termination(status: &Value) -> String {
    let reason = text(status, "state.terminated.reason");
    if !reason.is_empty() {
        return reason.to_string();
    }
    match int(status, "state.terminated.signal").filter(|signal| *signal != 0) {
        Some(signal) => format!("Signal:{signal}"),
        None => format!("ExitCode:{}", int(status, "state.terminated.exitCode").unwrap_or(0)),
    }
}

fn last_finish(status: &Value) -> Option<Timestamp> {
    text(status, "lastState.terminated.finishedAt").parse().ok()
}

/// `2/3`: readiness gates that hold, of all.
fn gates(pod: &Value) -> String {
    let gates = list(pod, "spec.readinessGates");
    if gates.is_empty() {
        return "<none>".to_string();
    }
    let hold = gates.iter().filter(|gate| condition(pod, text(gate, "conditionType"))).count();
    format!("{hold}/{}", gates.len())
}
