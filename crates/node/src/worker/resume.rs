//! What is still known about a pod that ran in an earlier life of the agent: its processes died with it, so its
//! containers are started again and that counts as a restart.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodSpec};

use crate::status::{ContainerReport, Ended, Report};

/// The report that a new worker begins with.
pub(super) fn report(pod: &Pod, spec: &PodSpec, now: Timestamp) -> Report {
    let mut report = Report::new(spec, now);
    let Some(status) = &pod.status else { return report };
    if let Some(start) = &status.start_time {
        report.start = Some(start.0);
    }
    let statuses = status.init_container_statuses.iter().chain(&status.container_statuses).flatten();
    for status in statuses {
        if let Some(container) = report.container(&status.name) {
            resume(container, status);
        }
    }
    report
}

/// What the node itself has of a pod cannot be read. Worth trying again: whoever broke it can mend it.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the logs of container {container} in {}: {error}", .directory.display())]
pub(crate) struct UnreadableError {
    container: String,
    directory: PathBuf,
    error: io::Error,
}

/// Completes the report with what is on the disk. The API may never have heard of a container's last runs, but each has
/// a log with its number, which must not be given out again. Blocking.
///
/// # Errors
/// If the logs cannot be read; then nobody knows how often the container has run.
pub(super) fn complete(report: &mut Report, directory: &Path) -> Result<(), UnreadableError> {
    for container in report.init.iter_mut().chain(&mut report.containers) {
        let Some(last) = last_run(directory, &container.name)? else { continue };
        container.restarts = container.restarts.max(match container.id {
            // The start itself counts up.
            Some(_) => last,
            None => last.saturating_add(1),
        });
    }
    Ok(())
}

/// The number of the latest log of a container, `3` for `3.log`. Blocking.
///
/// # Errors
/// If there are logs and they cannot be read.
pub(crate) fn last_run(pod: &Path, container: &str) -> Result<Option<i32>, UnreadableError> {
    let directory = pod.join(container);
    let list = || -> io::Result<Option<i32>> {
        let mut last = None;
        for entry in fs::read_dir(&directory)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse().ok());
            last = last.max(number);
        }
        Ok(last)
    };
    match list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map_err(|error| UnreadableError { container: container.into(), directory, error }),
    }
}

fn resume(container: &mut ContainerReport, status: &ContainerStatus) {
    container.restarts = status.restart_count;
    container.id.clone_from(&status.container_id);
    container.image_id.clone_from(&status.image_id);
    let state = status.state.as_ref();
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    container.last = if let Some(ended) = state.and_then(|state| state.terminated.as_ref()) {
        Some(known(ended))
    } else if let Some(running) = state.and_then(|state| state.running.as_ref()) {
        Some(Ended {
            code: 137,
            reason: "ContainerStatusUnknown".into(),
            message: "The container ended together with the node agent that ran it.".into(),
            started: running.started_at.as_ref().map(|time| time.0),
            finished: None,
            id: status.container_id.clone(),
        })
    } else {
        last.map(known)
    };
}

fn known(ended: &ContainerStateTerminated) -> Ended {
    Ended {
        code: ended.exit_code,
        reason: ended.reason.clone().unwrap_or_default(),
        message: ended.message.clone().unwrap_or_default(),
        started: ended.started_at.as_ref().map(|time| time.0),
        finished: ended.finished_at.as_ref().map(|time| time.0),
        id: ended.container_id.clone(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::status::State;

    #[test]
    fn runs_that_the_api_never_heard_of_are_found_by_their_logs() {
        let home = tempfile::tempdir().unwrap();
        let pod: Pod =
            serde_json::from_value(json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "new"}]}}))
                .unwrap();
        let fresh = || report(&pod, pod.spec.as_ref().unwrap(), Timestamp::now());
        for log in ["a/0.log", "a/2.log", "a/2.log.1", "a/note", "b/0.log"] {
            let path = home.path().join(log);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let mut found = fresh();
        found.container("a").unwrap().id = Some("portolan://1".into());
        complete(&mut found, home.path()).unwrap();
        let restarts = ["a", "b", "new"].map(|name| found.container(name).unwrap().restarts);
        assert_eq!(restarts, [2, 1, 0], "the next start of a is its third");

        fs::write(home.path().join("new"), "").unwrap();
        let error = complete(&mut fresh(), home.path()).unwrap_err().to_string();
        assert!(error.starts_with("cannot read the logs of container new in "), "{error}");
    }

    #[test]
    fn what_ran_before_is_remembered_as_ended() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "new"}]},
            "status": {"startTime": "2026-01-02T03:04:05Z", "containerStatuses": [
                {"name": "a", "image": "x", "imageID": "x", "ready": true, "restartCount": 2, "containerID": "portolan://1",
                 "state": {"running": {"startedAt": "2026-01-02T03:04:06Z"}}},
                {"name": "b", "image": "x", "imageID": "x", "ready": false, "restartCount": 0, "containerID": "portolan://2",
                 "state": {"terminated": {"exitCode": 3, "reason": "Error"}}},
            ]},
        }))
        .unwrap();
        let mut resumed = report(&pod, pod.spec.as_ref().unwrap(), Timestamp::now());
        assert_eq!(resumed.start, Some("2026-01-02T03:04:05Z".parse().unwrap()));
        let a = resumed.container("a").unwrap();
        assert_eq!((a.restarts, a.last.as_ref().unwrap().code), (2, 137));
        assert!(matches!(a.state, State::Waiting { .. }) && a.id.is_some(), "the next start counts as a restart");
        assert_eq!(resumed.container("b").unwrap().last.as_ref().unwrap().code, 3);
        assert_eq!(resumed.container("new").unwrap().last, None);
    }
}
