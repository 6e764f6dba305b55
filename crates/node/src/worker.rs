//! The life of one pod: sandbox, init containers, containers, end. One task each; it is told what to do and tells what
//! is so, and never writes to the API itself (events apart). Upstream: `pkg/kubelet/pod_workers.go`, `kuberuntime`.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ObjectReference, Pod, PodSpec};
use portolan_catalogue::Reason;
use portolan_events::reference;
use portolan_objects::ObjectKey;
use portolan_runtime::Failure;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinSet,
    time::Instant,
};

use crate::{
    agent::Agent,
    container::{Outcome, Role, Supervisor},
    resolv::{self, Cluster},
    sandbox::{self, Sandbox, SandboxError},
    status::{ContainerReport, Report, State},
    volumes::{self, VolumeError, Volumes},
};

mod resume;

/// How long a pod's network outlives its processes.
const LINGER: Duration = Duration::from_millis(500);
/// First wait after a sandbox could not be made; doubled each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// Longest such wait.
const MAX_RETRY: Duration = Duration::from_secs(60);

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
        agent.tasks.spawn(life.run());
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
    async fn run(self) {
        // The agent's own end is the pod's, with less patience.
        let halt = self.agent.halt.clone();
        let mut sandbox = None;
        {
            let mut live = std::pin::pin!(self.live(&mut sandbox));
            tokio::select! {
                () = &mut live => {}
                () = halt.cancelled() => {
                    self.stop(self.grace().min(self.agent.config.stop_deadline));
                    live.await;
                }
            }
        }
        self.reports.update(|report| report.finished = true);
        if let Some(sandbox) = sandbox {
            // Until every proxy has heard of the end, connections still arrive: with its network in place the kernel
            // refuses them at once, without it they would be lost in silence.
            drop(tokio::time::timeout(LINGER, halt.cancelled()).await);
            let permit = self.agent.sandboxes.acquire().await;
            drop(tokio::task::spawn_blocking(move || sandbox.remove()).await);
            drop(permit);
        }
        self.agent.addresses.release(self.uid());
    }

    async fn live(&self, slot: &mut Option<Arc<Sandbox>>) {
        self.warn_of_host_ports();
        let Some(volumes) = self.make_volumes().await else { return };
        let volumes = Arc::new(volumes);
        let Some((sandbox, address)) = self.make_sandbox().await else { return };
        let sandbox = slot.insert(Arc::new(sandbox)).clone();
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

    /// Host ports are not mapped here. The pod is of use without them, so it runs; but its author has to know.
    fn warn_of_host_ports(&self) {
        if self.spec.host_network == Some(true) {
            return;
        }
        for container in &self.spec.containers {
            let ports = container.ports.iter().flatten().filter_map(|port| port.host_port).filter(|port| *port > 0);
            for port in ports {
                let name = &container.name;
                let text = format!(
                    "hostPort {port} of container {name} is ignored: this node maps no host ports, \
                     use a Service of type NodePort"
                );
                self.event(Reason::Failed, text);
            }
        }
    }

    /// Makes the volumes, again and again until they are made (or `None`: the pod is to end).
    async fn make_volumes(&self) -> Option<Volumes> {
        let failed = |error: VolumeError| self.event(Reason::FailedMount, error.to_string());
        self.until_made(|| volumes::provide(&self.agent, &self.pod, &self.spec), failed).await
    }

    /// Makes the sandbox, again and again until it is made (or `None`: the pod is to end).
    async fn make_sandbox(&self) -> Option<(Sandbox, IpAddr)> {
        let failed = |error: SandboxError| {
            let text = Failure::new(&error).message;
            self.event(Reason::FailedCreatePodSandBox, format!("Failed to create pod sandbox: {text}"));
        };
        self.until_made(|| self.try_sandbox(), failed).await
    }

    /// Tries to make something until it is made, with growing pauses; `None` if the pod is to end before.
    async fn until_made<T, E, F>(&self, make: impl Fn() -> F, failed: impl Fn(E)) -> Option<T>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut delay = FIRST_RETRY;
        let mut stop = self.stop.subscribe();
        loop {
            if stop.borrow().is_some() {
                return None;
            }
            match make().await {
                Ok(made) => return Some(made),
                Err(error) => failed(error),
            }
            tokio::select! {
                () = tokio::time::sleep(delay) => delay = (delay * 2).min(MAX_RETRY),
                _ = stop.wait_for(Option::is_some) => return None,
            }
        }
    }

    async fn try_sandbox(&self) -> Result<(Sandbox, IpAddr), SandboxError> {
        let config = &self.agent.config;
        let on_host = self.spec.host_network == Some(true);
        let address = match on_host {
            true => None,
            false => {
                let taken = self.agent.addresses.take(self.uid());
                Some(taken.ok_or(SandboxError::NoAddress(self.agent.addresses.range()))?)
            }
        };
        let plan = self.plan(address);
        let permit = self.agent.sandboxes.acquire().await;
        let made = tokio::task::spawn_blocking(move || Sandbox::create(&plan)).await;
        drop(permit);
        let made = made.map_err(|error| SandboxError::Namespace(std::io::Error::other(error)))??;
        Ok((made, address.map_or(config.address, IpAddr::V4)))
    }

    fn plan(&self, address: Option<Ipv4Addr>) -> sandbox::Plan {
        let config = &self.agent.config;
        let cluster = Cluster { server: config.dns, domain: &config.domain };
        let namespace = self.pod.metadata.namespace.as_deref().unwrap_or_default();
        let (resolv_conf, exceeded) = resolv::form(&self.spec, namespace, cluster, &self.agent.resolv_conf);
        for text in exceeded {
            self.event(Reason::DNSConfigForming, text);
        }
        // A pod in the node's network has the node's name.
        let hostname = if address.is_some() { sandbox::hostname(&self.pod) } else { config.name.clone() };
        sandbox::Plan {
            node: config.namespace.clone(),
            address,
            directory: self.agent.directory(&self.pod),
            resolv_conf: resolv_conf.render(),
            hosts: address.map(|address| sandbox::hosts(&self.pod, &hostname, address, &config.domain)),
            hostname,
            link: sandbox::link_name(self.uid()),
        }
    }

    fn event(&self, reason: Reason, message: String) {
        self.agent.event(&self.reference, reason, message);
    }
}

/// The init containers are done: what waited for them waits for its own start now.
fn creating(containers: &mut [ContainerReport]) {
    for container in containers {
        if matches!(container.state, State::Waiting { .. }) {
            container.state = State::waiting("ContainerCreating");
        }
    }
}
