//! A pod's status from what its containers do: pure. Upstream: `pkg/kubelet/kubelet_pods.go` (getPhase),
//! `pkg/kubelet/status/generate.go` (conditions).

use std::net::IpAddr;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting,
        ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodSpec, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

/// What one container does.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Not running, but going to.
    Waiting {
        /// A CamelCase word such as `CrashLoopBackOff`.
        reason: String,
        /// A sentence, or nothing.
        message: String,
    },
    /// Its process runs.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// Its process ended and will not be started again, or not yet.
    Terminated(Ended),
}

impl State {
    /// Waiting for this reason, with no more to say.
    pub fn waiting(reason: &str) -> Self {
        Self::Waiting { reason: reason.into(), message: String::new() }
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Ended {
    /// Exit code; 128 + signal after a signal.
    pub code: i32,
    /// `Completed`, `Error` or another CamelCase word.
    pub reason: String,
    /// A sentence, or nothing.
    pub message: String,
    /// When it was started.
    pub started: Option<Timestamp>,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// The container's id.
    pub id: Option<String>,
}

impl Ended {
    /// It ended as it was meant to.
    pub fn succeeded(&self) -> bool {
        self.code == 0
    }
}

/// What the node knows about one container. Written by the container's supervisor.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerReport {
    /// Name in the spec.
    pub name: String,
    /// What it does now.
    pub state: State,
    /// How it ended before.
    pub last: Option<Ended>,
    /// How often it was started again.
    pub restarts: i32,
    /// Its readiness probe succeeds, or it has none and runs.
    pub ready: bool,
    /// It runs and its startup probe, if any, has succeeded.
    pub started: bool,
    /// `portolan://...`, once it has been started.
    pub id: Option<String>,
    /// The program that the image stands for.
    pub image_id: String,
}

impl ContainerReport {
    /// A container that was never started.
    pub fn new(name: &str, reason: &str) -> Self {
        Self {
            name: name.into(),
            state: State::waiting(reason),
            last: None,
            restarts: 0,
            ready: false,
            started: false,
            id: None,
            image_id: String::new(),
        }
    }

    fn ended(&self) -> Option<&Ended> {
        match &self.state {
            State::Terminated(ended) => Some(ended),
            State::Waiting { .. } => self.last.as_ref(),
            State::Running { .. } => None,
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }
}

/// What the node knows about one pod. Written by its worker and the supervisors.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Report {
    /// The pod's address, once its network exists.
    pub address: Option<IpAddr>,
    /// When the node took it on.
    pub start: Option<Timestamp>,
    /// Init containers, in the spec's order.
    pub init: Vec<ContainerReport>,
    /// Containers, in the spec's order.
    pub containers: Vec<ContainerReport>,
    /// Nothing of it runs any more, and nothing will.
    pub finished: bool,
    /// The node does not take the pod.
    pub rejected: Option<Rejection>,
}

/// Why a node does not take a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejection {
    /// A CamelCase word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

impl Report {
    /// A pod none of whose containers was started.
    pub fn new(spec: &PodSpec, now: Timestamp) -> Self {
        let init: Vec<_> = spec.init_containers.iter().flatten().collect();
        let reason = if init.is_empty() { "ContainerCreating" } else { "PodInitializing" };
        Self {
            address: None,
            start: Some(now),
            init: init.iter().map(|container| ContainerReport::new(&container.name, "PodInitializing")).collect(),
            containers: spec.containers.iter().map(|container| ContainerReport::new(&container.name, reason)).collect(),
            finished: false,
            rejected: None,
        }
    }

    /// The container or init container with this name.
    pub fn container(&mut self, name: &str) -> Option<&mut ContainerReport> {
        self.init.iter_mut().chain(&mut self.containers).find(|container| container.name == name)
    }
}

/// An init container that keeps running beside the others.
pub fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The status that the pod should show. Conditions of other writers and times of conditions that did not change are
/// kept as observed.
pub fn render(pod: &Pod, report: &Report, host: IpAddr, now: Timestamp) -> PodStatus {
    let observed = pod.status.clone().unwrap_or_default();
    if let Some(rejection) = &report.rejected {
        return rejected(observed, report, rejection);
    }
    let spec = pod.spec.clone().unwrap_or_default();
    let phase = phase(&spec, report);
    let conditions = conditions(pod, &spec, report, &phase, now);
    let statuses = |containers: &[Container], reports: &[ContainerReport]| {
        let statuses: Vec<_> = containers.iter().zip(reports).map(|(c, r)| container_status(c, r)).collect();
        (!statuses.is_empty()).then_some(statuses)
    };
    let mut init = statuses(spec.init_containers.as_deref().unwrap_or_default(), &report.init);
    // An init container is ready when its work is done.
    for (status, report) in init.iter_mut().flatten().zip(&report.init) {
        status.ready |= matches!(&report.state, State::Terminated(ended) if ended.succeeded());
    }
    PodStatus {
        phase: Some(phase),
        conditions: Some(conditions),
        host_ip: Some(host.to_string()),
        host_ips: Some(vec![HostIP { ip: host.to_string() }]),
        pod_ip: report.address.map(|ip| ip.to_string()),
        pod_ips: report.address.map(|ip| vec![PodIP { ip: ip.to_string() }]),
        start_time: report.start.map(time),
        init_container_statuses: init,
        container_statuses: statuses(&spec.containers, &report.containers),
        ..observed
    }
}

/// The status of a pod that was never begun: nothing but the reason.
fn rejected(observed: PodStatus, report: &Report, Rejection { reason, message }: &Rejection) -> PodStatus {
    const OWN: [&str; 5] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let others = observed.conditions.into_iter().flatten().filter(|held| !OWN.contains(&held.type_.as_str()));
    let others: Vec<_> = others.collect();
    PodStatus {
        phase: Some("Failed".into()),
        reason: Some((*reason).into()),
        message: Some(format!("Pod was rejected: {message}")),
        start_time: report.start.map(time),
        conditions: (!others.is_empty()).then_some(others),
        qos_class: observed.qos_class,
        ..PodStatus::default()
    }
}

/// The pod's phase; upstream's rules, with all containers accounted for.
fn phase(spec: &PodSpec, report: &Report) -> String {
    let policy = spec.restart_policy.as_deref().unwrap_or("Always");
    let text = |phase: &str| phase.to_owned();
    let ended: Vec<_> = report.containers.iter().filter_map(ContainerReport::ended).collect();
    let failed_init = report.init.iter().any(|init| init.ended().is_some_and(|ended| !ended.succeeded()));
    if report.finished {
        let complete = ended.len() == report.containers.len() && ended.iter().all(|ended| ended.succeeded());
        return text(if complete { "Succeeded" } else { "Failed" });
    }
    if !is_initialized(spec, report) {
        let lost = failed_init && policy == "Never" && report.init.iter().all(|init| !init.is_running());
        return text(if lost { "Failed" } else { "Pending" });
    }
    let running = report.containers.iter().filter(|container| container.is_running()).count();
    if running + ended.len() < report.containers.len() {
        return text("Pending");
    }
    if running > 0 || policy == "Always" {
        return text("Running");
    }
    match ended.iter().all(|ended| ended.succeeded()) {
        true => text("Succeeded"),
        false if policy == "Never" => text("Failed"),
        false => text("Running"),
    }
}

/// Every init container has succeeded; of those that keep running it is enough that they have started.
fn is_initialized(spec: &PodSpec, report: &Report) -> bool {
    incomplete_init(spec, report).next().is_none()
}

fn incomplete_init<'a>(spec: &'a PodSpec, report: &'a Report) -> impl Iterator<Item = &'a str> {
    let containers = spec.init_containers.iter().flatten();
    containers.zip(&report.init).filter_map(|(container, report)| {
        let complete = match is_sidecar(container) {
            true => report.started || report.ended().is_some(),
            false => matches!(&report.state, State::Terminated(ended) if ended.succeeded()),
        };
        (!complete).then_some(report.name.as_str())
    })
}

fn conditions(pod: &Pod, spec: &PodSpec, report: &Report, phase: &str, now: Timestamp) -> Vec<PodCondition> {
    let observed = pod.status.as_ref().and_then(|status| status.conditions.clone()).unwrap_or_default();
    let over = matches!(phase, "Succeeded" | "Failed");
    let incomplete: Vec<_> = incomplete_init(spec, report).collect();
    let unready: Vec<_> = unready(spec, report).collect();

    let sandbox = verdict("PodReadyToStartContainers", report.address.is_some() && !report.finished, "", "");
    let initialized = match incomplete.is_empty() || phase == "Succeeded" {
        true => verdict("Initialized", true, if over { "PodCompleted" } else { "" }, ""),
        false => {
            let message = format!("containers with incomplete status: [{}]", incomplete.join(" "));
            verdict("Initialized", false, "ContainersNotInitialized", &message)
        }
    };
    let containers_ready = if phase == "Succeeded" {
        verdict("ContainersReady", false, "PodCompleted", "")
    } else if phase == "Failed" {
        verdict("ContainersReady", false, "PodFailed", "")
    } else if !unready.is_empty() {
        let message = format!("containers with unready status: [{}]", unready.join(" "));
        verdict("ContainersReady", false, "ContainersNotReady", &message)
    } else {
        verdict("ContainersReady", true, "", "")
    };
    let ready = ready(spec, &containers_ready, &observed);
    let scheduled = observed.iter().find(|c| c.type_ == "PodScheduled").cloned();
    let scheduled = scheduled.unwrap_or_else(|| verdict("PodScheduled", true, "", ""));

    let mut made = vec![sandbox, initialized, ready, containers_ready, scheduled];
    for condition in &mut made {
        let held = observed.iter().find(|held| held.type_ == condition.type_ && held.status == condition.status);
        let since = held.and_then(|held| held.last_transition_time.clone());
        condition.last_transition_time = Some(since.unwrap_or_else(|| time(now)));
    }
    let others = observed.into_iter().filter(|held| !made.iter().any(|mine| mine.type_ == held.type_));
    let others: Vec<_> = others.collect();
    made.extend(others);
    made
}

fn unready<'a>(spec: &'a PodSpec, report: &'a Report) -> impl Iterator<Item = &'a str> {
    let sidecars = spec.init_containers.iter().flatten().zip(&report.init).filter(|(c, _)| is_sidecar(c));
    let sidecars = sidecars.map(|(_, report)| report);
    sidecars.chain(&report.containers).filter(|report| !report.ready).map(|report| report.name.as_str())
}

/// Ready is ContainersReady and every readiness gate.
fn ready(spec: &PodSpec, containers: &PodCondition, observed: &[PodCondition]) -> PodCondition {
    if containers.status != "True" {
        return PodCondition { type_: "Ready".into(), ..containers.clone() };
    }
    let is_true = |gate: &str| observed.iter().any(|held| held.type_ == gate && held.status == "True");
    let gates = spec.readiness_gates.iter().flatten().map(|gate| gate.condition_type.as_str());
    let closed: Vec<_> = gates.filter(|gate| !is_true(gate)).collect();
    match closed.first() {
        None => verdict("Ready", true, "", ""),
        Some(gate) => {
            let message =
                format!("corresponding condition of pod readiness gate \"{gate}\" does not exist or is False.");
            verdict("Ready", false, "ReadinessGatesNotReady", &message)
        }
    }
}

fn verdict(kind: &str, value: bool, reason: &str, message: &str) -> PodCondition {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    PodCondition {
        type_: kind.into(),
        status: if value { "True" } else { "False" }.into(),
        reason: some(reason),
        message: some(message),
        ..PodCondition::default()
    }
}

fn container_status(container: &Container, report: &ContainerReport) -> ContainerStatus {
    ContainerStatus {
        name: report.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        image_id: report.image_id.clone(),
        container_id: report.id.clone(),
        ready: report.ready,
        started: Some(report.started),
        restart_count: report.restarts,
        state: Some(state(&report.state)),
        last_state: Some(
            report.last.as_ref().map(|ended| state(&State::Terminated(ended.clone()))).unwrap_or_default(),
        ),
        ..ContainerStatus::default()
    }
}

fn state(state: &State) -> ContainerState {
    let some = |text: &String| (!text.is_empty()).then(|| text.clone());
    match state {
        State::Waiting { reason, message } => ContainerState {
            waiting: Some(ContainerStateWaiting { reason: some(reason), message: some(message) }),
            ..ContainerState::default()
        },
        State::Running { since } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(time(*since)) }),
            ..ContainerState::default()
        },
        State::Terminated(ended) => ContainerState {
            terminated: Some(ContainerStateTerminated {
                exit_code: ended.code,
                reason: some(&ended.reason),
                message: some(&ended.message),
                started_at: ended.started.map(time),
                finished_at: ended.finished.map(time),
                container_id: ended.id.clone(),
                signal: None,
            }),
            ..ContainerState::default()
        },
    }
}

/// A time as the API stores it: whole seconds. Comparing what was written with what is read depends on it.
pub fn time(at: Timestamp) -> Time {
    Time(Timestamp::from_second(at.as_second()).unwrap_or(at))
}

#[cfg(test)]
mod tests;
