//! A scenario: a healthy start, what then goes wrong, and what a doctor should say. Data, read from three files.
//!
//! `scenarios/NAME/objects.yaml` is what is applied first, `fault.yaml` the list of steps that break it (or only seem
//! to), `expect.yaml` the truth about it. The files say what is true, never what some engine answers.
//!
//! Invariant: a scenario that was read has a code or is a look-alike, never both, and every object and step in it is
//! one that the runner can carry out.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use portolan_objects::ObjectKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use read::{LoadError, Texts};

use crate::fault::Fault;

/// One scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Name of its folder.
    pub name: String,
    /// The healthy start, in the order in which it is applied.
    pub objects: Vec<Value>,
    /// What happens then.
    pub steps: Vec<Step>,
    /// The truth.
    pub expect: Expect,
}

/// What is true once the steps are done.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expect {
    /// What goes wrong, or what only looks wrong, in one sentence.
    pub title: Title,
    /// What kind of trouble it is; scores are kept for each family.
    pub family: String,
    /// The Service that is asked about, `NAMESPACE/NAME`.
    pub service: String,
    /// The cause.
    #[serde(default)]
    pub code: Option<String>,
    /// The causes, where two names are equally right.
    #[serde(default)]
    pub codes: Vec<String>,
    /// What else is true and may be said, behind the cause.
    #[serde(default)]
    pub also: Vec<String>,
    /// Reasons of events that must appear, from the first step to the recovery.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// Who cannot reach the Service; by default nobody can.
    #[serde(default)]
    pub from: Option<Caller>,
    /// More arguments for `portolan up`.
    #[serde(default)]
    pub up: Vec<String>,
    /// For a look-alike: the scenario that it looks like.
    #[serde(default)]
    pub like: Option<String>,
    /// How long the cause may take to show.
    #[serde(default = "deadline")]
    pub deadline_seconds: u64,
    /// For a look-alike: how long nobody may cry.
    #[serde(default = "watch")]
    pub watch_seconds: u64,
    /// Steps of the repair that putting the objects back does not do by itself.
    #[serde(default)]
    pub repair: Vec<Step>,
}

/// A sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Title {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

/// Where a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Caller {
    /// This pod, `NAMESPACE/NAME`.
    Pod(String),
    /// Outside of the cluster.
    Outside,
    /// Outside of the cluster, at this address.
    Address(std::net::IpAddr),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Creates an object, or changes it to this.
    Apply(Value),
    /// Changes an object.
    Patch(Patch),
    /// Deletes objects.
    Delete(Delete),
    /// Changes the replicas of a Deployment.
    Scale(Scale),
    /// Switches one more fault on.
    Fault(Fault),
    /// Switches exactly these faults on, and all others off.
    Faults(Vec<Fault>),
    /// Goes on when this is so.
    Wait(Until),
    /// Stops the network and starts it again, with other arguments or with a store that somebody tampered with.
    Restart(Restart),
    /// Puts a file where the kubelet expects the directory of a container's logs, until the repair.
    Logs(BrokenLogs),
}

/// A change of one object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Patch {
    /// The object.
    pub kind: String,
    /// Its namespace; `default` if the kind has namespaces.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Such as `status`.
    #[serde(default)]
    pub subresource: Option<String>,
    /// How the change is merged, as in `kubectl patch --type`.
    #[serde(default, rename = "type")]
    pub style: PatchStyle,
    /// The change.
    pub patch: Value,
}

/// How a change is merged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatchStyle {
    /// Lists by their keys.
    #[default]
    Strategic,
    /// Lists as a whole.
    Merge,
    /// A list of operations.
    Json,
}

/// Objects that go.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delete {
    /// Their kind.
    pub kind: String,
    /// Their namespace; `default` if the kind has namespaces.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The name of the one, or
    #[serde(default)]
    pub name: Option<String>,
    /// the labels of all that are meant.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The grace period of pods.
    #[serde(default)]
    pub grace_seconds: Option<u32>,
}

/// Another number of pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scale {
    /// Namespace of the Deployment; by default `default`.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The Deployment.
    pub name: String,
    /// How many.
    pub replicas: u32,
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Until {
    /// An event of this reason has been seen since the first step.
    Event(String),
    /// A field has a value.
    Field(Field),
    /// An object is there no more.
    Gone(Named),
    /// All pods of a Deployment are of its newest template, ready or not.
    Rollout(DeploymentName),
    /// The slices of a Service have so many ready endpoints.
    Endpoints(ReadyEndpoints),
    /// There are so many pods.
    Pods(PodCount),
    /// So many seconds have passed. Only where the passing of time is the point, as with what must not happen.
    Seconds(u64),
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Field {
    /// The object.
    pub kind: String,
    /// Its namespace; `default` if the kind has namespaces.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// The field as a JSON pointer, `/status/phase`.
    pub pointer: String,
    /// Its value; without it, any.
    #[serde(default)]
    pub is: Option<Value>,
}

/// An object by its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Named {
    /// The object.
    pub kind: String,
    /// Its namespace; `default` if the kind has namespaces.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// A Deployment by its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentName {
    /// Its namespace; by default `default`.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// Endpoints of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadyEndpoints {
    /// `NAMESPACE/NAME`.
    pub service: String,
    /// How many are ready.
    pub ready: usize,
}

/// Pods with labels.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodCount {
    /// Their namespace; by default `default`.
    #[serde(default)]
    pub namespace: Option<String>,
    /// Their labels.
    pub labels: BTreeMap<String, String>,
    /// How many there are.
    #[serde(default)]
    pub count: Option<usize>,
    /// How many of them are ready and not on their way out.
    #[serde(default)]
    pub ready: Option<usize>,
    /// A container of one of them waits for this reason, such as `CrashLoopBackOff`.
    #[serde(default)]
    pub waiting: Option<String>,
}

/// A network that is stopped and started again.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restart {
    /// Arguments instead of those of the expectation.
    #[serde(default)]
    pub up: Option<Vec<String>>,
    /// Changes of the stored objects that no API would have accepted: as after a badly restored backup.
    #[serde(default)]
    pub store: Vec<StoreEdit>,
}

/// A merge patch for a stored object.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreEdit {
    /// Where the store keeps its kind, such as `services`.
    pub resource: String,
    /// Its namespace; none for kinds without.
    #[serde(default)]
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The change; `null` takes it away.
    pub patch: Value,
}

/// The logs of one container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BrokenLogs {
    /// The pod's namespace; by default `default`.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The pod.
    pub pod: String,
    /// The container.
    pub container: String,
}

fn deadline() -> u64 {
    45
}

fn watch() -> u64 {
    12
}

// === impl Scenario ===

impl Scenario {
    /// Whether nothing is wrong in it.
    pub fn is_look_alike(&self) -> bool {
        self.expect.like.is_some()
    }

    /// Whether the Service that is asked about is there from the start.
    pub fn begins_with_service(&self) -> bool {
        let (key, text) = (self.expect.key(), |value: &Value| value.as_str().map(str::to_owned));
        self.objects.iter().any(|object| {
            object["kind"] == "Service"
                && text(&object["metadata"]["name"]).as_ref() == Some(&key.name)
                && text(&object["metadata"]["namespace"]).is_none_or(|namespace| namespace == key.namespace)
        })
    }

    /// Whether it can only run in a network of its own.
    pub fn needs_own_network(&self) -> bool {
        let own = |step: &Step| matches!(step, Step::Restart(_) | Step::Logs(_));
        !self.expect.up.is_empty() || self.steps.iter().chain(&self.expect.repair).any(own)
    }

    /// Whether its network is stopped and started in between, and so has to remember.
    pub fn restarts(&self) -> bool {
        self.steps.iter().chain(&self.expect.repair).any(|step| matches!(step, Step::Restart(_)))
    }
}

// === impl Expect ===

impl Expect {
    /// The codes that name the cause; none for a look-alike.
    pub fn causes(&self) -> Vec<&str> {
        self.code.iter().chain(&self.codes).map(String::as_str).collect()
    }

    /// The Service that is asked about.
    pub fn key(&self) -> ObjectKey {
        key(&self.service)
    }
}

/// `NAMESPACE/NAME`, or a name in `default`.
pub(crate) fn key(text: &str) -> ObjectKey {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    ObjectKey::new(namespace, name)
}
