//! The life of one pod: sandbox, init containers, containers, end. One task each; it is told what to do and tells what
//! is so, and never writes to the API itself (events apart). Upstream: `pkg/kubelet/pod_workers.go`, `kuberuntime`.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ObjectReference, Pod, PodSpec};
use portolan_catalogue::Reason;
use portolan_events::reference;
use portolan_objects::ObjectKey;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};

use crate::{
    agent::Agent,
    container::{Outcome, Role, Supervisor},
    hostports::Claim,
    sandbox::Sandbox,
    status::{ContainerReport, Report, State},
    volumes::{self, VolumeError, Volumes},
};

mod network;
mod pace;
mod ports;
pub(crate) mod resume;

use pace::Pace;
use resume::UnreadableError;

/// How long a pod's network outlives its processes.
const LINGER: Duration = Duration::from_millis(500);

/// The wish that a pod end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// When what still runs is killed.
    pub deadline: Instant,
}

/// What is known about a pod, shared between its worker, its supervisors and the agent's loop.
#[derive(Debug)]
pub struct Reports {
    key: ObjectKey,
    report: Mutex<Report>,
    /// For the worker itself.
    changed: Notify,
    /// For the agent's loop.
    changes: mpsc::UnboundedSender<ObjectKey>,
}

impl Reports {
    /// The current state.
    pub fn snapshot(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the pod's life is over.
    pub fn is_finished(&self) -> bool {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).finished
    }

    /// Changes the state and tells the loop.
    pub fn update(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.report.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_waiters();
        // Nobody listens any more when the agent stops.
        drop(self.changes.send(self.key.clone()));
    }

    /// Waits until the container has started.
    async fn started(&self, name: &str) {
        loop {
            // Registered before looking, so that no change is missed.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.snapshot().container(name).is_some_and(|container| container.started) {
                return;
            }
            changed.await;
        }
    }

    /// Changes the state of one container and tells the loop.
    pub fn container(&self, name: &str, change: impl FnOnce(&mut ContainerReport)) {
        self.update(|report| {
            if let Some(container) = report.container(name) {
                change(container);
            }
        });
    }

    /// How often the container was started again.
    pub fn restarts(&self, name: &str) -> i32 {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.container(name).map_or(0, |container| container.restarts)
    }

    /// Since when the container runs.
    pub fn running_since(&self, name: &str) -> Option<Timestamp> {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.container(name).and_then(|container| match container.state {
            State::Running { since } => Some(since),
            _ => None,
        })
    }
}

/// The agent's handle on the worker of one pod.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Of which pod.
    pub uid: String,
    /// What is so.
    pub reports: Arc<Reports>,
    stop: watch::Sender<Option<Stop>>,
}

impl Worker {
    /// Takes a pod on.
    pub fn start(agent: &Arc<Agent>, pod: Pod, changes: mpsc::UnboundedSender<ObjectKey>) -> Self {
        let spec = pod.spec.clone().unwrap_or_default();
        let report = resume::report(&pod, &spec, Timestamp::now());
        let (key, report) = (ObjectKey::of(&pod), Mutex::new(report));
        let reports = Arc::new(Reports { key: key.clone(), report, changed: Notify::new(), changes });
        agent.know(&key, &reports);
        let stop = watch::Sender::new(None);
        let worker = Self { uid: pod.metadata.uid.clone().unwrap_or_default(), reports, stop };
        let life = Life {
            agent: agent.clone(),
            reference: reference(&pod),
            pod: Arc::new(pod),
            spec,
            reports: worker.reports.clone(),
            stop: worker.stop.clone(),
        };
        // Before anything is said of the pod: one that is rejected was never here.
        if let Some(holdings) = life.admit() {
            // With a lost node the pod is gone where it stands: its processes are killed as they are dropped.
            agent.tasks.spawn(agent.config.lost.clone().run_until_cancelled_owned(life.run(holdings)));
        }
        worker
    }

    /// Tells the pod to end within `grace`; a later call can only shorten it.
    pub fn stop(&self, grace: Duration) {
        stop_within(&self.stop, grace);
    }
}

fn stop_within(stop: &watch::Sender<Option<Stop>>, grace: Duration) {
    let deadline = Instant::now() + grace;
    stop.send_if_modified(|held| {
        let earlier = held.is_none_or(|held| deadline < held.deadline);
        if earlier {
            *held = Some(Stop { deadline });
        }
        earlier
    });
}

/// The worker's side.
struct Life {
    agent: Arc<Agent>,
    pod: Arc<Pod>,
    spec: PodSpec,
    reference: ObjectReference,
    reports: Arc<Reports>,
    stop: watch::Sender<Option<Stop>>,
}

impl Life {
    async fn run(self, mut holdings: Holdings) {
        // The agent's own end is the pod's, with less patience.
        let halt = self.agent.halt.clone();
        {
            let mut live = std::pin::pin!(self.live(&mut holdings));
            tokio::select! {
                () = &mut live => {}
                () = halt.cancelled() => {
                    self.stop(self.grace().min(self.agent.config.stop_deadline));
                    live.await;
                }
            }
        }
        // Before anybody hears of the end: who takes the pod's place finds its host ports free.
        holdings.give_ports_back().await;
        self.reports.update(|report| report.finished = true);
        if let Some(sandbox) = holdings.sandbox {
            // Until every proxy has heard of the end, connections still arrive: with its network in place the kernel
            // refuses them at once, without it they would be lost in silence.
            drop(tokio::time::timeout(LINGER, halt.cancelled()).await);
            let permit = self.agent.sandboxes.acquire().await;
            drop(tokio::task::spawn_blocking(move || sandbox.remove()).await);
            drop(permit);
        }
        self.agent.addresses.release(self.uid());
    }

    async fn live(&self, holdings: &mut Holdings) {
        if holdings.ports.is_none() {
            let Some(ports) = self.claim_ports().await else { return };
            holdings.ports = Some(ports);
        }
        if self.determine_state().await.is_none() {
            return;
        }
        let Some(volumes) = self.make_volumes().await else { return };
        let volumes = Arc::new(volumes);
        let Some((sandbox, address)) = self.make_sandbox().await else { return };
        let sandbox = holdings.sandbox.insert(Arc::new(sandbox)).clone();
        self.reports.update(|report| report.address = Some(address));
        // Sidecars end after the containers that they serve.
        let sidecars_stop = watch::Sender::new(None);
        let mut sidecars = JoinSet::new();
        let supervisor = |container: &Container, role: Role, stop: &watch::Sender<Option<Stop>>| Supervisor {
            agent: self.agent.clone(),
            pod: self.pod.clone(),
            reference: self.reference.clone(),
            container: container.clone(),
            role,
            sandbox: sandbox.clone(),
            volumes: volumes.clone(),
            address,
            reports: self.reports.clone(),
            stop: stop.subscribe(),
            turn: None,
            begun: None,
        };
        let mut initialized = true;
        for container in self.spec.init_containers.iter().flatten() {
            if Role::of_init(container) == Role::Sidecar {
                sidecars.spawn(supervisor(container, Role::Sidecar, &sidecars_stop).run());
                initialized = self.await_sidecar(&container.name).await;
            } else {
                initialized = supervisor(container, Role::Init, &self.stop).run().await == Outcome::Succeeded;
            }
            if !initialized {
                break;
            }
        }
        if initialized {
            if self.spec.init_containers.is_some() {
                self.reports.update(|report| creating(&mut report.containers));
            }
            let mut mains = JoinSet::new();
            // Each begins when the one before has been started, or could not be.
            let mut turn = None;
            for container in &self.spec.containers {
                let (begun, next) = oneshot::channel();
                let supervisor = supervisor(container, Role::Main, &self.stop);
                mains.spawn(Supervisor { turn: turn.replace(next), begun: Some(begun), ..supervisor }.run());
            }
            while mains.join_next().await.is_some() {}
        }
        let grace = self.stop.borrow().map_or(self.grace(), |stop| stop.deadline - Instant::now());
        stop_within(&sidecars_stop, grace);
        while self.join_sidecar(&mut sidecars, &sidecars_stop).await.is_some() {}
    }

    /// Waits for a sidecar to end; a shorter grace period of the pod is the sidecars' too.
    async fn join_sidecar(
        &self,
        sidecars: &mut JoinSet<Outcome>,
        sidecars_stop: &watch::Sender<Option<Stop>>,
    ) -> Option<Outcome> {
        let mut stop = self.stop.subscribe();
        loop {
            if let Some(Stop { deadline }) = *stop.borrow_and_update() {
                stop_within(sidecars_stop, deadline.saturating_duration_since(Instant::now()));
            }
            tokio::select! {
                joined = sidecars.join_next() => return joined.map(|outcome| outcome.unwrap_or(Outcome::Failed)),
                _ = stop.changed() => {}
            }
        }
    }

    /// Waits until a sidecar has started; false if the pod is to end before.
    async fn await_sidecar(&self, name: &str) -> bool {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            () = self.reports.started(name) => true,
            _ = stop.wait_for(Option::is_some) => false,
        }
    }

    fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    fn grace(&self) -> Duration {
        Duration::from_secs(self.spec.termination_grace_period_seconds.unwrap_or(30).max(0).unsigned_abs())
    }

    fn stop(&self, grace: Duration) {
        stop_within(&self.stop, grace);
    }

    /// Finds out what the pod has done on this node before, again and again until that can be told; `None` if the pod is
    /// to end.
    async fn determine_state(&self) -> Option<()> {
        let failed =
            |error: UnreadableError| self.event(Reason::FailedSync, format!("error determining status: {error}"));
        let directory = self.agent.directory(&self.pod);
        let determine = async || {
            let mut report = self.reports.snapshot();
            resume::complete(&mut report, &directory)?;
            self.reports.update(|known| *known = report);
            Ok(())
        };
        self.until_made(determine, failed, None).await
    }

    /// Makes the volumes, again and again until they are made (or `None`: the pod is to end).
    async fn make_volumes(&self) -> Option<Volumes> {
        let failed = |error: VolumeError| self.event(Reason::FailedMount, error.to_string());
        self.until_made(|| volumes::provide(&self.agent, &self.pod, &self.spec), failed, None).await
    }

    /// Tries to make something until it is made, with growing pauses, which a change of `sooner` cuts short; `None` if the
    /// pod is to end before. What fails again before its pause is over is not told again.
    async fn until_made<T, E, F>(
        &self,
        make: impl Fn() -> F,
        failed: impl Fn(E),
        mut sooner: Option<watch::Receiver<()>>,
    ) -> Option<T>
    where
        E: std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let mut pace = Pace::new();
        let mut stop = self.stop.subscribe();
        loop {
            if stop.borrow().is_some() {
                return None;
            }
            if let Some(sooner) = &mut sooner {
                sooner.mark_unchanged();
            }
            match make().await {
                Ok(made) => return Some(made),
                Err(error) if pace.is_due(&error.to_string()) => failed(error),
                Err(_) => {}
            }
            tokio::select! {
                () = tokio::time::sleep(pace.left()) => {}
                () = changed(&mut sooner) => {}
                _ = stop.wait_for(Option::is_some) => return None,
            }
        }
    }

    fn event(&self, reason: Reason, message: String) {
        self.agent.event(&self.reference, reason, message);
    }
}

/// What a pod has of the node while it lives.
#[derive(Default)]
struct Holdings {
    ports: Option<Claim>,
    sandbox: Option<Arc<Sandbox>>,
}

impl Holdings {
    async fn give_ports_back(&mut self) {
        let Some(claim) = self.ports.take() else { return };
        if let Some(sandbox) = self.sandbox.clone() {
            drop(tokio::task::spawn_blocking(move || sandbox.unmap_ports()).await);
        }
        drop(claim);
    }
}

/// Waits for a change, for ever if there is nothing to wait for.
async fn changed(signal: &mut Option<watch::Receiver<()>>) {
    if let Some(signal) = signal
        && signal.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

/// The init containers are done: what waited for them waits for its own start now.
fn creating(containers: &mut [ContainerReport]) {
    for container in containers {
        if matches!(container.state, State::Waiting { .. }) {
            container.state = State::waiting("ContainerCreating");
        }
    }
}
