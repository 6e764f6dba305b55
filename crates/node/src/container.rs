//! The life of one container: started, probed, ended, started again. One [`Supervisor`] each, run by the pod's worker.
//! Upstream: `pkg/kubelet/kuberuntime`, `pkg/kubelet/prober`.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures::FutureExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ObjectReference, Pod};
use nix::sys::signal::Signal;
use portolan_catalogue::{Reason, Severity};
use tokio::{
    sync::{oneshot, watch},
    time::Instant,
};

use crate::{
    agent::Agent,
    environment::{self, Facts, expand},
    probe::{Action, Place},
    process::{Exit, Launch, Process},
    sandbox::Sandbox,
    status::{ContainerReport, Ended, State, is_sidecar},
    volumes::Volumes,
    worker::{Reports, Stop, resume::last_run},
};

mod health;

/// After the first, immediate restart; doubled each time.
const FIRST_BACKOFF: Duration = Duration::from_secs(10);
/// First wait when the container's state cannot be told; doubled each time.
const FIRST_DOUBT: Duration = Duration::from_secs(1);
/// The longest wait before a restart.
const MAX_BACKOFF: Duration = Duration::from_secs(300);
/// A container that ran this long is forgiven its past.
const GOOD_RUN: Duration = Duration::from_secs(600);
/// How long an image that is not there shows as such, before it shows as waited for.
const PULL_ERROR_SHOWN: Duration = Duration::from_secs(2);
/// How long the output of a dead process is awaited.
const AFTER_THE_END: Duration = Duration::from_millis(500);
/// Where programs are looked for, unless the container says otherwise.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What a container gets after its preStop hook even if that used up the grace period.
const LEAST_AFTER_HOOK: Duration = Duration::from_secs(2);

/// How a container's life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It ended well and is not started again.
    Succeeded,
    /// It failed and is not started again.
    Failed,
    /// It was told to stop.
    Stopped,
}

/// What part a container has in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Has to succeed before the next.
    Init,
    /// Runs beside the others.
    Sidecar,
    /// One of the pod's containers.
    Main,
}

impl Role {
    /// The role of an init container.
    pub fn of_init(container: &Container) -> Self {
        if is_sidecar(container) { Self::Sidecar } else { Self::Init }
    }
}

/// Keeps one container running as its pod wishes.
pub struct Supervisor {
    /// The node.
    pub agent: Arc<Agent>,
    /// The pod, as it was when it was taken on.
    pub pod: Arc<Pod>,
    /// The pod as events name it.
    pub reference: ObjectReference,
    /// The container.
    pub container: Container,
    /// Its part in the pod.
    pub role: Role,
    /// The pod's network and files.
    pub sandbox: Arc<Sandbox>,
    /// The pod's volumes.
    pub volumes: Arc<Volumes>,
    /// The pod's address.
    pub address: IpAddr,
    /// Where its state is told.
    pub reports: Arc<Reports>,
    /// Told when to stop.
    pub stop: watch::Receiver<Option<Stop>>,
    /// Comes, or is dropped, when the container may be started for the first time.
    pub turn: Option<oneshot::Receiver<()>>,
    /// Dropped when the container has been started for the first time, or could not be.
    pub begun: Option<oneshot::Sender<()>>,
}

/// Why a container cannot be started now.
struct Problem {
    reason: &'static str,
    message: String,
    /// The image, if it is what is missing.
    image: Option<String>,
}

impl Problem {
    fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message, image: None }
    }
}

/// Why a running container has to end.
struct Ending {
    /// When it is killed.
    deadline: Instant,
    message: String,
}

impl Supervisor {
    /// Runs the container until its life is over.
    pub async fn run(mut self) -> Outcome {
        if let Some(turn) = self.turn.take() {
            // Nobody sends anything: the one before is done when its end is gone.
            drop(turn.await);
        }
        let mut backoff = Duration::ZERO;
        loop {
            if self.stop.borrow().is_some() || !self.determine_state().await {
                return Outcome::Stopped;
            }
            let started = self.start().await;
            drop(self.begun.take());
            let (process, launch) = match started {
                Ok(started) => started,
                Err(problem) => {
                    // Nothing ran, so it is tried again whatever the restart policy says.
                    backoff = (backoff * 2).clamp(FIRST_BACKOFF, MAX_BACKOFF);
                    if self.refuse(problem, backoff).await {
                        continue;
                    }
                    return Outcome::Stopped;
                }
            };
            let (outcome, uptime) = self.attend(process, launch).await;
            if self.stop.borrow().is_some() {
                return Outcome::Stopped;
            }
            if !self.starts_again(outcome) {
                return outcome;
            }
            if uptime > GOOD_RUN {
                backoff = Duration::ZERO;
            }
            if !self.wait_before_restart(backoff).await {
                return Outcome::Stopped;
            }
            backoff = (backoff * 2).clamp(FIRST_BACKOFF, MAX_BACKOFF);
        }
    }

    /// Waits until it can be told how often the container has run: each run has a log with its number. False if the pod is to
    /// stop before.
    async fn determine_state(&self) -> bool {
        let mut delay = FIRST_DOUBT;
        loop {
            let directory = self.agent.directory(&self.pod);
            let Err(error) = last_run(&directory, &self.container.name) else { return true };
            self.agent.event(&self.reference, Reason::FailedSync, format!("error determining status: {error}"));
            if !self.pause(delay).await {
                return false;
            }
            delay = (delay * 2).min(MAX_BACKOFF);
        }
    }

    fn update(&self, change: impl FnOnce(&mut ContainerReport)) {
        self.reports.container(&self.container.name, change);
    }

    fn event(&self, reason: Reason, message: impl Into<String>) {
        self.agent.event(&self.regarding(), reason, message);
    }

    /// The container as events name it.
    fn regarding(&self) -> ObjectReference {
        let list = if self.role == Role::Main { "containers" } else { "initContainers" };
        let field_path = Some(format!("spec.{list}{{{}}}", self.container.name));
        ObjectReference { field_path, ..self.reference.clone() }
    }

    /// Whether a container that ended like this is started again.
    fn starts_again(&self, outcome: Outcome) -> bool {
        let policy = self.pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always");
        match self.role {
            Role::Sidecar => true,
            Role::Init => outcome == Outcome::Failed && policy != "Never",
            Role::Main => policy == "Always" || policy == "OnFailure" && outcome == Outcome::Failed,
        }
    }

    /// Tells that the container cannot be started, and waits before the next try; false if the pod is to stop.
    async fn refuse(&self, problem: Problem, delay: Duration) -> bool {
        let Problem { reason, message, image } = problem;
        let Some(image) = image else {
            self.event(Reason::Failed, format!("Error: {message}"));
            self.wait_for(reason, message);
            return self.pause(delay).await;
        };
        self.event(Reason::Failed, format!("Failed to pull image \"{image}\": {message}"));
        self.event(Reason::Failed, format!("Error: {reason}"));
        self.wait_for(reason, message.clone());
        if !self.pause(PULL_ERROR_SHOWN).await {
            return false;
        }
        let text = format!("Back-off pulling image \"{image}\"");
        // The bad news is the next one, as in Kubernetes.
        self.agent.event_as(Severity::Normal, &self.regarding(), Reason::BackOff, &text);
        self.event(Reason::Failed, "Error: ImagePullBackOff");
        self.wait_for("ImagePullBackOff", format!("{text}: {reason}: {message}"));
        self.pause(delay).await
    }

    /// Shows what the container waits for.
    fn wait_for(&self, reason: &str, message: String) {
        self.update(|report| {
            if let State::Terminated(ended) = &report.state {
                report.last = Some(ended.clone());
            }
            report.state = State::Waiting { reason: reason.into(), message };
        });
    }

    /// Waits before the next start; false if the pod is to stop.
    async fn wait_before_restart(&self, delay: Duration) -> bool {
        if delay.is_zero() {
            return true;
        }
        let name = &self.container.name;
        let pod = format!(
            "{}_{}({})",
            self.pod.metadata.name.as_deref().unwrap_or_default(),
            self.pod.metadata.namespace.as_deref().unwrap_or_default(),
            self.pod.metadata.uid.as_deref().unwrap_or_default()
        );
        self.event(Reason::BackOff, format!("Back-off restarting failed container {name} in pod {pod}"));
        self.update(|report| {
            if let State::Terminated(ended) = &report.state {
                report.last = Some(ended.clone());
                let message = format!("back-off {}s restarting failed container={name} pod={pod}", delay.as_secs());
                report.state = State::Waiting { reason: "CrashLoopBackOff".into(), message };
            }
        });
        self.pause(delay).await
    }

    /// Waits; false if the pod is to stop.
    async fn pause(&self, delay: Duration) -> bool {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(delay) => true,
            _ = stopped(&mut stop) => false,
        }
    }

    async fn start(&self) -> Result<(Process, Launch), Problem> {
        let launch = self.prepare().await?;
        let failed = |error: std::io::Error| {
            Problem::new("RunContainerError", format!("cannot start {}: {error}", launch.program.display()))
        };
        let process = self.agent.launcher.launch(launch.clone()).await.map_err(failed)?;
        let run = format!("{}{:08x}", self.pod.metadata.uid.as_deref().unwrap_or_default(), process.pid());
        let id = format!("portolan://{}", run.replace('-', ""));
        let program = launch.program.display().to_string();
        self.update(|report| {
            // The run before, unless the back-off has already put it away.
            if let State::Terminated(ended) = &report.state {
                report.last = Some(ended.clone());
            }
            if report.id.is_some() {
                report.restarts += 1;
            }
            report.id = Some(id);
            report.image_id = format!("portolan://{program}");
            report.state = State::Running { since: Timestamp::now() };
            report.started = self.container.startup_probe.is_none();
            report.ready = report.started && self.container.readiness_probe.is_none();
        });
        self.event(Reason::Created, format!("Created container {}", self.container.name));
        self.event(Reason::Started, format!("Started container {}", self.container.name));
        Ok((process, launch))
    }

    /// Everything that the process needs.
    async fn prepare(&self) -> Result<Launch, Problem> {
        let name = self.container.image.as_deref().unwrap_or_default();
        let image = self.agent.image(name).ok_or_else(|| Problem {
            reason: "ErrImagePull",
            message: format!(
                "no program is known for the image \"{name}\": images are local programs here, \
                 add --image {name}=PATH to the node's command line"
            ),
            image: Some(name.into()),
        })?;
        let environment = self.environment().await;
        let environment = environment.map_err(|message| Problem::new("CreateContainerConfigError", message))?;
        let expanded = |texts: &Option<Vec<String>>| -> Vec<String> {
            texts.iter().flatten().map(|text| expand(text, &environment)).collect()
        };
        let (command, given) = (expanded(&self.container.command), expanded(&self.container.args));
        let (program, mut arguments) = match command.split_first() {
            Some((program, arguments)) => (program.into(), arguments.to_vec()),
            None => (image.path.clone(), image.arguments.clone()),
        };
        arguments.extend(given);
        Ok(Launch {
            program,
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment,
            directory: self.container.working_dir.as_ref().filter(|dir| !dir.is_empty()).map(Into::into),
            isolation: self.sandbox.isolation.clone(),
            mounts: self.volumes.mounts(&self.container),
        })
    }

    async fn environment(&self) -> Result<Vec<(String, String)>, String> {
        let metadata = &self.pod.metadata;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let config = &self.agent.config;
        let grace = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
        let hostname = self.sandbox.isolation.hostname.clone();
        let mut base = vec![
            // Nothing of the machine's environment is passed on.
            ("PATH".to_owned(), DEFAULT_PATH.to_owned()),
            ("HOME".to_owned(), "/root".to_owned()),
            ("HOSTNAME".to_owned(), hostname),
            // What the built-in images tell about themselves.
            ("PORTOLAN_POD".to_owned(), text(&metadata.name)),
            ("PORTOLAN_NAMESPACE".to_owned(), text(&metadata.namespace)),
            ("PORTOLAN_NODE".to_owned(), config.name.clone()),
            ("PORTOLAN_GRACE_SECONDS".to_owned(), grace.to_string()),
        ];
        let namespace = text(&metadata.namespace);
        let links = self.pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
        base.extend(self.agent.services.variables(&namespace, links).await?);
        let names = environment::references(&self.container);
        let sources = self.agent.sources(&namespace, &names).await?;
        let facts = Facts { pod_ip: self.address.to_string(), host_ip: config.address.to_string() };
        environment::variables(&self.pod, &self.container, &facts, &sources, base)
    }

    /// Stays with a running process until it ends, for whatever reason. Returns how and after how long.
    async fn attend(&self, mut process: Process, launch: Launch) -> (Outcome, Duration) {
        let started = Instant::now();
        let exit = {
            let directory = self.agent.directory(&self.pod).join(&self.container.name);
            let restart = self.reports.restarts(&self.container.name);
            let copy = self.copy_logs(&directory, restart, &mut process);
            let place = Place { address: self.address, launcher: self.agent.launcher.clone(), launch };
            let mut copy = std::pin::pin!(copy.fuse());
            let mut watch = std::pin::pin!(self.watch(&mut process, &place));
            let exit = tokio::select! {
                exit = &mut watch => exit,
                () = &mut copy => watch.await,
            };
            // What is still in the pipes belongs to the log; a stray process that keeps them open does not.
            drop(tokio::time::timeout(AFTER_THE_END, copy).await);
            exit
        };
        let since = self.reports.running_since(&self.container.name);
        self.update(|report| {
            report.ready = false;
            report.started = false;
            report.state = State::Terminated(Ended {
                code: exit.code,
                reason: if exit.code == 0 { "Completed" } else { "Error" }.into(),
                message: String::new(),
                started: since,
                finished: Some(Timestamp::now()),
                id: report.id.clone(),
            });
        });
        let outcome = if exit.code == 0 { Outcome::Succeeded } else { Outcome::Failed };
        (outcome, started.elapsed())
    }

    fn copy_logs(
        &self,
        directory: &std::path::Path,
        restart: i32,
        process: &mut Process,
    ) -> impl Future<Output = ()> + use<> {
        let log = self.agent.logs.create(directory, restart);
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let name = self.container.name.clone();
        async move {
            let log = match log {
                Ok(log) => log,
                Err(error) => {
                    tracing::warn!(container = %name, %error, "a container's log cannot be opened, its output is lost");
                    return;
                }
            };
            if let (Some(stdout), Some(stderr)) = (stdout, stderr) {
                tokio::join!(log.copy(stdout, "stdout"), log.copy(stderr, "stderr"));
            }
        }
    }

    /// Waits for the end of the process, or brings it about: when the pod stops or a probe says so.
    async fn watch(&self, process: &mut Process, place: &Place) -> Exit {
        let (set_started, started) = watch::channel(self.container.startup_probe.is_none());
        let mut readiness = std::pin::pin!(self.keep_readiness(place, started));
        let mut stop = self.stop.clone();
        let ending = tokio::select! {
            exit = process.wait() => return exit,
            message = self.fail_health(place, set_started) => {
                Ending { deadline: Instant::now() + self.grace(), message }
            }
            () = &mut readiness => return process.wait().await,
            deadline = stopped(&mut stop) => {
                Ending { deadline, message: format!("Stopping container {}", self.container.name) }
            }
        };
        self.event(Reason::Killing, ending.message);
        tokio::select! {
            exit = self.end(process, place, ending.deadline) => exit,
            () = &mut readiness => process.wait().await,
        }
    }

    fn grace(&self) -> Duration {
        let seconds = self.pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds).unwrap_or(30);
        Duration::from_secs(seconds.max(0).unsigned_abs())
    }

    /// preStop hook, the stop signal, patience, SIGKILL.
    async fn end(&self, process: &mut Process, place: &Place, mut deadline: Instant) -> Exit {
        let hook = self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        if let Some(hook) = hook
            && deadline > Instant::now()
        {
            let action = Action::of_hook(hook, &self.container);
            let left = deadline.saturating_duration_since(Instant::now());
            tokio::select! {
                exit = process.wait() => return exit,
                () = self.reached(deadline) => {}
                done = place.attempt(&action, left) => if let Err(message) = done {
                    self.event(Reason::Failed, format!("PreStopHook failed: {message}"));
                }
            }
            // A later, stricter deadline of the pod still counts.
            if self.stop.borrow().as_ref().is_none_or(|stop| stop.deadline >= deadline) {
                deadline = deadline.max(Instant::now() + LEAST_AFTER_HOOK);
            }
        }
        if deadline > Instant::now() {
            process.signal(self.stop_signal());
            tokio::select! {
                exit = process.wait() => return exit,
                () = self.reached(deadline) => {}
            }
        }
        process.kill();
        process.wait().await
    }

    fn stop_signal(&self) -> Signal {
        let named = self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.stop_signal.as_deref());
        named.and_then(|name| name.parse().ok()).unwrap_or(Signal::SIGTERM)
    }

    /// Waits for the deadline, or an earlier one that the pod gets meanwhile.
    async fn reached(&self, deadline: Instant) {
        let mut stop = self.stop.clone();
        loop {
            let earlier = stop.borrow_and_update().as_ref().map(|stop| stop.deadline);
            let due = earlier.map_or(deadline, |earlier| earlier.min(deadline));
            tokio::select! {
                () = tokio::time::sleep_until(due) => return,
                changed = stop.changed() => if changed.is_err() {
                    return tokio::time::sleep_until(due).await;
                }
            }
        }
    }
}

/// Waits for the wish that the pod end; answers its deadline.
async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) -> Instant {
    let wish = stop.wait_for(Option::is_some).await;
    // The sender is gone only when the worker is, and nothing may outlive that.
    wish.ok().and_then(|wish| wish.as_ref().map(|stop| stop.deadline)).unwrap_or_else(Instant::now)
}
