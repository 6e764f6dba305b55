//! A network with a scenario in it: steps are done, remembered and undone, and events are listened to.

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    rc::Rc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Event;
use kube::Client;
use serde_json::json;

use super::{Heard, Progress, RunError, Tell, client};
use crate::{
    cluster::{Cluster, ClusterError, Reference},
    fault::Fault,
    network::Network,
    scenario::{BrokenLogs, Delete, Restart, Scenario, Step},
    undo::{Undo, complete, remove},
    wait,
};

const LISTEN_EVERY: Duration = Duration::from_millis(300);

/// The network and what was done to it.
pub(super) struct Stage<'a> {
    scenario: &'a Scenario,
    network: Option<Network>,
    /// Others look at it too, and a restart replaces it.
    cluster: Rc<RefCell<Cluster>>,
    undo: Undo,
    faults: Vec<Fault>,
    broken_logs: Vec<BrokenLogs>,
    /// Only what is ours is taken away at the end.
    applied: bool,
    tell: Tell<'a>,
}

impl<'a> Stage<'a> {
    pub fn new(scenario: &'a Scenario, cluster: Cluster, network: Option<Network>, tell: Tell<'a>) -> Self {
        Self {
            scenario,
            network,
            cluster: Rc::new(RefCell::new(cluster)),
            undo: Undo::default(),
            faults: Vec::new(),
            broken_logs: Vec::new(),
            applied: false,
            tell,
        }
    }

    fn cluster(&self) -> Cluster {
        self.cluster.borrow().clone()
    }

    pub fn client(&self) -> Client {
        self.cluster().client
    }

    /// The Service that is asked about.
    fn asked(&self) -> Result<Reference, ClusterError> {
        let key = self.scenario.expect.key();
        Reference::new("Service", Some(&key.namespace), &key.name)
    }

    /// Someone who hears of events.
    pub fn ears(&self) -> Ears {
        Ears {
            cluster: self.cluster.clone(),
            is_shared: self.network.is_none(),
            heard: RefCell::default(),
            reasons: RefCell::default(),
        }
    }

    /// Creates the objects of the start.
    pub async fn apply(&mut self) -> Result<(), RunError> {
        let cluster = self.cluster();
        for object in &self.scenario.objects {
            let reference = Reference::of(object)?;
            if self.network.is_none() && cluster.get(&reference).await?.is_some() {
                return Err(RunError::Taken(reference.to_string()));
            }
        }
        self.applied = true;
        for object in &self.scenario.objects {
            cluster.apply(object).await?;
        }
        Ok(())
    }

    /// Waits until the start is healthy, or is again.
    pub async fn await_health(&self) -> Result<(), RunError> {
        Ok(wait::healthy(&self.cluster(), &self.scenario.objects).await?)
    }

    /// Waits until the Service that was asked about is well, whoever made it.
    pub async fn await_service(&self) -> Result<(), RunError> {
        Ok(wait::until_well(&self.cluster(), &self.asked()?).await?)
    }

    /// Does all steps; gives the moment in which the last one that changes something was done.
    pub async fn take_steps(&mut self) -> Result<Instant, RunError> {
        let mut done = Instant::now();
        for step in &self.scenario.steps {
            (self.tell)(Progress::Step(describe(step)));
            self.take(step).await?;
            if !matches!(step, Step::Wait(_)) {
                done = Instant::now();
            }
        }
        Ok(done)
    }

    async fn take(&mut self, step: &Step) -> Result<(), RunError> {
        let cluster = self.cluster();
        match step {
            Step::Apply(object) => {
                self.undo.remember(&cluster, &Reference::of(object)?).await?;
                cluster.apply(object).await?;
            }
            Step::Patch(patch) => {
                let reference = Reference::new(&patch.kind, patch.namespace.as_deref(), &patch.name)?;
                self.undo.remember(&cluster, &reference).await?;
                cluster.patch(patch).await?;
            }
            Step::Delete(delete) => self.delete(&cluster, delete).await?,
            Step::Scale(scale) => {
                let reference = Reference::new("Deployment", scale.namespace.as_deref(), &scale.name)?;
                self.undo.remember(&cluster, &reference).await?;
                let patch = crate::scenario::Patch {
                    kind: "Deployment".to_owned(),
                    namespace: scale.namespace.clone(),
                    name: scale.name.clone(),
                    subresource: None,
                    style: crate::scenario::PatchStyle::Merge,
                    patch: json!({"spec": {"replicas": scale.replicas}}),
                };
                cluster.patch(&patch).await?;
            }
            Step::Fault(fault) => {
                self.faults.push(fault.clone());
                cluster.faults(&self.faults).await?;
            }
            Step::Faults(faults) => {
                self.faults.clone_from(faults);
                cluster.faults(&self.faults).await?;
            }
            Step::Wait(wanted) => wait::step(&cluster, wanted).await?,
            Step::Restart(restart) => self.restart(restart).await?,
            Step::Logs(logs) => self.break_logs(logs.clone())?,
        }
        Ok(())
    }

    async fn delete(&mut self, cluster: &Cluster, delete: &Delete) -> Result<(), ClusterError> {
        let namespace = delete.namespace.as_deref();
        if let Some(name) = &delete.name {
            let reference = Reference::new(&delete.kind, namespace, name)?;
            self.undo.remember(cluster, &reference).await?;
            return cluster.delete(&reference, delete.grace_seconds).await;
        }
        // Those that a controller makes come back by themselves.
        let any = Reference::new(&delete.kind, namespace, "")?;
        let labels: Vec<_> = delete.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        for object in cluster.list(any.kind, &any.namespace, &labels.join(",")).await? {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let reference = Reference { name, ..any.clone() };
            if object["metadata"]["ownerReferences"].is_null() {
                self.undo.remember(cluster, &reference).await?;
            }
            cluster.delete(&reference, delete.grace_seconds).await?;
        }
        Ok(())
    }

    async fn restart(&mut self, restart: &Restart) -> Result<(), RunError> {
        let Some(network) = &mut self.network else { return Err(RunError::OwnOnly) };
        let arguments = restart.up.as_ref().unwrap_or(&self.scenario.expect.up);
        network.restart(arguments, &restart.store).await?;
        let client = client(&network.kubeconfig()).await?;
        self.cluster.borrow_mut().client = client;
        Ok(())
    }

    fn break_logs(&mut self, logs: BrokenLogs) -> Result<(), RunError> {
        let Some(network) = &self.network else { return Err(RunError::OwnOnly) };
        network.break_logs(&place(&logs), &logs.container, true)?;
        self.broken_logs.push(logs);
        Ok(())
    }

    /// Takes everything back: the faults, the steps of the repair, then the objects.
    pub async fn repair(&mut self) -> Result<(), RunError> {
        let cluster = self.cluster();
        if !std::mem::take(&mut self.faults).is_empty() {
            cluster.faults(&[]).await?;
        }
        for logs in std::mem::take(&mut self.broken_logs) {
            if let Some(network) = &self.network {
                network.break_logs(&place(&logs), &logs.container, false)?;
            }
        }
        let undo = std::mem::take(&mut self.undo);
        for step in &self.scenario.expect.repair {
            (self.tell)(Progress::Step(describe(step)));
            self.take(step).await?;
        }
        undo.put_back(&self.cluster(), &self.asked()?).await?;
        Ok(complete(&self.cluster(), &self.scenario.objects).await?)
    }

    /// A network of its own is killed; in another one nothing of ours stays.
    pub async fn leave(mut self) -> Result<(), RunError> {
        if self.network.is_some() || !self.applied {
            return Ok(());
        }
        self.repair().await?;
        let asked = json!({
            "kind": "Service",
            "metadata": {"namespace": self.scenario.expect.key().namespace, "name": self.scenario.expect.key().name},
        });
        remove(&self.cluster(), &[asked]).await?;
        Ok(remove(&self.cluster(), &self.scenario.objects).await?)
    }
}

/// As the node names the directory of a pod.
fn place(logs: &BrokenLogs) -> String {
    format!("{}_{}", logs.namespace.as_deref().unwrap_or("default"), logs.pod)
}

/// A step in one line, much as somebody would type it.
fn describe(step: &Step) -> String {
    let within =
        |namespace: &Option<String>| namespace.as_ref().map(|namespace| format!(" -n {namespace}")).unwrap_or_default();
    match step {
        Step::Apply(object) => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            format!("apply {} {name}", object["kind"].as_str().unwrap_or_default())
        }
        Step::Patch(patch) => {
            format!("patch {} {}{} -p '{}'", patch.kind, patch.name, within(&patch.namespace), patch.patch)
        }
        Step::Delete(delete) => {
            let labels: Vec<_> = delete.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let what = delete.name.clone().unwrap_or_else(|| format!("-l {}", labels.join(",")));
            format!("delete {} {what}{}", delete.kind, within(&delete.namespace))
        }
        Step::Scale(scale) => {
            format!("scale Deployment {}{} --replicas={}", scale.name, within(&scale.namespace), scale.replicas)
        }
        Step::Fault(fault) => format!("fault {}", serde_json::to_string(fault).unwrap_or_default()),
        Step::Faults(faults) if faults.is_empty() => "all faults off".to_owned(),
        Step::Faults(faults) => format!("faults {}", serde_json::to_string(faults).unwrap_or_default()),
        Step::Wait(wanted) => format!("wait for {}", wait::describe(wanted)),
        Step::Restart(restart) if restart.store.is_empty() => "stop the network and start it again".to_owned(),
        Step::Restart(_) => "stop the network, restore a bad backup, start it again".to_owned(),
        Step::Logs(logs) => format!("break the logs of container {} of pod {}", logs.container, logs.pod),
    }
}

/// What is heard of events.
pub(super) struct Ears {
    cluster: Rc<RefCell<Cluster>>,
    /// What was there before is somebody else's.
    is_shared: bool,
    heard: RefCell<HashMap<String, i32>>,
    reasons: RefCell<BTreeSet<String>>,
}

impl Ears {
    /// Listens for ever.
    pub async fn listen(&self, tell: Tell<'_>) {
        let mut silent = self.is_shared;
        loop {
            let cluster = self.cluster.borrow().clone();
            // A network that is being restarted does not answer.
            if let Ok(mut events) = cluster.events().await {
                events.sort_by(|a, b| a.metadata.creation_timestamp.cmp(&b.metadata.creation_timestamp));
                events.iter().filter_map(|event| self.hear(event)).filter(|_| !silent).for_each(|heard| {
                    self.reasons.borrow_mut().insert(heard.reason.clone());
                    tell(Progress::Event(heard));
                });
                silent = false;
            }
            tokio::time::sleep(LISTEN_EVERY).await;
        }
    }

    /// The event, if it is new or was counted up.
    fn hear(&self, event: &Event) -> Option<Heard> {
        let series = event.series.as_ref().and_then(|series| series.count);
        let count = series.or(event.count).unwrap_or(1);
        let place = format!("{:?}/{:?}", event.metadata.namespace, event.metadata.name);
        if self.heard.borrow_mut().insert(place, count) == Some(count) {
            return None;
        }
        let object = &event.involved_object;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        Some(Heard {
            severity: text(&event.type_),
            reason: text(&event.reason),
            object: format!("{}/{}", text(&object.kind).to_lowercase(), text(&object.name)),
            message: text(&event.message),
            count,
        })
    }

    /// Which of the reasons have not been heard.
    pub fn missing(&self, reasons: &[String]) -> Vec<String> {
        let heard = self.reasons.borrow();
        reasons.iter().filter(|reason| !heard.contains(*reason)).cloned().collect()
    }

    /// Gives the reasons a little more time.
    pub async fn await_reasons(&self, reasons: &[String], patience: Duration) {
        let start = Instant::now();
        while !self.missing(reasons).is_empty() && start.elapsed() < patience {
            tokio::time::sleep(LISTEN_EVERY).await;
        }
    }
}
