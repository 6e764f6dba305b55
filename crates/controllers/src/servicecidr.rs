//! Keeps ServiceCIDRs from going while somebody needs them, and says whether they are ready.
//!
//! A ServiceCIDR gets a finalizer and the condition Ready. One that is deleted stays, not ready, while an IPAddress of the
//! allocator lies in it and in no other ServiceCIDR; then for as long as the API servers may take to hear of the deletion
//! and stop allocating from it; then the finalizer is taken off.
//!
//! Upstream: `pkg/controller/servicecidrs/servicecidrs_controller.go`.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    future::Future,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::{
    api::networking::v1::{IPAddress, ServiceCIDR},
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use portolan_catalogue::Reason;
use portolan_events::{Recorder, reference};
use portolan_objects::ObjectKey;
use portolan_runtime::{Backoff, Change, Failure, Inputs, Metrics, Observed, Options, Reconciler, is_code};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// The component in its Events, and its name in the API's log.
pub const NAME: &str = "service-cidr-controller";

/// Says who made an IPAddress.
pub(crate) const MANAGER_LABEL: &str = "ipaddress.kubernetes.io/managed-by";
/// The API servers' allocators.
pub(crate) const ALLOCATOR: &str = "ipallocator.k8s.io";

const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
const READY: &str = "Kubernetes Service CIDR is ready";
const IN_USE: &str =
    "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR";
/// How long every API server may need to hear of a deletion.
const GRACE: Duration = Duration::from_secs(10);

const OPTIONS: Options = Options {
    name: NAME,
    workers: 5,
    backoff: Backoff { base: Duration::from_millis(5), max: Duration::from_secs(1000), attempts: Some(15) },
    timeout: Duration::from_secs(60),
};

/// Runs the controller until `stop`. The recorder speaks as [`NAME`].
pub async fn run(client: Client, recorder: Recorder, metrics: Metrics, stop: CancellationToken) {
    let inputs = Inputs::new()
        .all(&client, |change| Input::Range(Box::new(change)))
        .all(&client, |change| Input::Address(Box::new(change)));
    let part = Ranges { index: Index::default(), client, recorder };
    portolan_runtime::run(part, inputs, OPTIONS, metrics, stop).await;
}

enum Input {
    Range(Box<Change<ServiceCIDR>>),
    Address(Box<Change<IPAddress>>),
}

/// What to do with a ServiceCIDR.
#[derive(Debug, Clone, PartialEq)]
enum Plan {
    /// It is in use, or can be.
    Keep { finalizer: bool, condition: bool },
    /// It is deleted but somebody needs it: say so.
    Block,
    /// Nobody needs it, but an API server may not know yet.
    Wait(Duration),
    /// Let it go.
    Release,
}

#[derive(Debug, Default)]
struct Index {
    ranges: Observed<ServiceCIDR>,
    nets: HashMap<String, Vec<IpNet>>,
    /// What the allocator has given out.
    addresses: BTreeSet<IpAddr>,
}

impl Index {
    fn take(&mut self, input: Input, dirty: &mut Vec<String>) {
        match input {
            // There are few, and each can be what another one waits for.
            Input::Range(change) => {
                self.take_range(*change);
                dirty.extend(self.nets.keys().cloned());
            }
            Input::Address(change) => match *change {
                Change::Apply(address) => {
                    let added = allocated(&address).filter(|address| self.addresses.insert(*address));
                    self.containing(added, dirty);
                }
                Change::Delete(address) => {
                    let removed = allocated(&address).filter(|address| self.addresses.remove(address));
                    self.containing(removed, dirty);
                }
                Change::Reset(all) => {
                    self.addresses = all.iter().filter_map(allocated).collect();
                    dirty.extend(self.nets.keys().cloned());
                }
            },
        }
    }

    fn take_range(&mut self, change: Change<ServiceCIDR>) {
        match change {
            Change::Apply(range) => drop(self.ranges.apply(range)),
            Change::Delete(range) => drop(self.ranges.delete(&range)),
            Change::Reset(ranges) => drop(self.ranges.reset(ranges)),
        }
        self.nets = self.ranges.iter().map(|range| (ObjectKey::of(&**range).name, nets(range))).collect();
    }

    fn containing(&self, address: Option<IpAddr>, dirty: &mut Vec<String>) {
        let Some(address) = address else { return };
        let containing = self.nets.iter().filter(|(_, nets)| nets.iter().any(|net| contains(net, address)));
        dirty.extend(containing.map(|(name, _)| name.clone()));
    }

    fn get(&self, name: &str) -> Option<&Arc<ServiceCIDR>> {
        self.ranges.get(&ObjectKey::new("", name))
    }

    fn plan(&self, name: &str, now: Timestamp) -> Option<Plan> {
        let range = self.get(name)?;
        let has_finalizer = range.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == FINALIZER);
        let Some(deleted) = &range.metadata.deletion_timestamp else {
            let plan = Plan::Keep { finalizer: !has_finalizer, condition: !says(range, &ready()) };
            return (plan != Plan::Keep { finalizer: false, condition: false }).then_some(plan);
        };
        if self.is_needed(name) {
            return (!says(range, &in_use())).then_some(Plan::Block);
        }
        // Of a deletion in the future, by another clock, nothing has passed.
        let passed = Duration::try_from(now.duration_since(deleted.0)).unwrap_or_default();
        match GRACE.checked_sub(passed) {
            Some(rest) if !rest.is_zero() => Some(Plan::Wait(rest)),
            _ => has_finalizer.then_some(Plan::Release),
        }
    }

    /// Whether an address would be in no range without this ServiceCIDR.
    fn is_needed(&self, name: &str) -> bool {
        let Some(own) = self.nets.get(name) else { return false };
        let others = || self.nets.iter().filter(|(other, _)| *other != name).flat_map(|(_, nets)| nets);
        if own.iter().all(|net| others().any(|other| other.contains(net))) {
            return false;
        }
        own.iter().any(|net| {
            let inside = self.addresses.range(net.network()..=net.broadcast());
            let mut inside = inside.filter(|address| contains(net, **address));
            inside.any(|address| !others().any(|other| contains(other, *address)))
        })
    }
}

/// The address of an IPAddress that an allocator made.
fn allocated(address: &IPAddress) -> Option<IpAddr> {
    let labels = address.metadata.labels.as_ref()?;
    let managed = labels.get(MANAGER_LABEL).is_some_and(|manager| manager == ALLOCATOR);
    managed.then(|| address.metadata.name.as_ref()?.parse().ok()).flatten()
}

/// The ranges of a ServiceCIDR.
pub(crate) fn nets(range: &ServiceCIDR) -> Vec<IpNet> {
    let cidrs = range.spec.iter().flat_map(|spec| spec.cidrs.iter().flatten());
    cidrs.filter_map(|cidr| cidr.parse().ok()).collect()
}

/// Whether the range can hold the address: not its network address, and not the broadcast address of IPv4.
pub(crate) fn contains(range: &IpNet, address: IpAddr) -> bool {
    range.contains(&address) && address != range.network() && (address.is_ipv6() || address != range.broadcast())
}

/// (status, reason, message) of the condition Ready.
type Saying = (&'static str, &'static str, &'static str);

fn ready() -> Saying {
    ("True", "", READY)
}

fn in_use() -> Saying {
    ("False", "Terminating", IN_USE)
}

fn says(range: &ServiceCIDR, (status, reason, message): &Saying) -> bool {
    let conditions = range.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let said = |condition: &Condition| {
        condition.status == *status && condition.reason == *reason && condition.message == *message
    };
    conditions.filter(|condition| condition.type_ == "Ready").any(said)
}

struct Ranges {
    index: Index,
    client: Client,
    recorder: Recorder,
}

/// How an apply ended.
enum Outcome {
    Now(Box<ServiceCIDR>),
    /// It went while this was under way.
    Gone,
    Again(Duration),
}

impl Reconciler for Ranges {
    type Input = Input;
    /// The ServiceCIDR's name.
    type Key = String;
    type Plan = (Arc<ServiceCIDR>, Plan);
    type Outcome = Outcome;

    fn index(&mut self, input: Input, dirty: &mut Vec<String>) {
        self.index.take(input, dirty);
    }

    fn plan(&mut self, name: &String) -> Option<Self::Plan> {
        // A clock that cannot be read as a timestamp is one that stands at the beginning of time.
        let now = Timestamp::try_from(SystemTime::now()).unwrap_or_default();
        let plan = self.index.plan(name, now)?;
        Some((self.index.get(name)?.clone(), plan))
    }

    fn apply(
        &self,
        name: String,
        (range, plan): Self::Plan,
    ) -> impl Future<Output = Result<Outcome, Failure>> + Send + 'static {
        let (api, recorder) = (Api::<ServiceCIDR>::all(self.client.clone()), self.recorder.clone());
        async move {
            let done = match plan {
                Plan::Wait(rest) => return Ok(Outcome::Again(rest)),
                Plan::Keep { finalizer, condition } => keep(&api, &recorder, &range, finalizer, condition).await,
                Plan::Block => say(&api, &name, in_use()).await,
                Plan::Release => {
                    info!(%name, "nobody needs the ServiceCIDR any more, letting it go");
                    let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}});
                    api.patch(&name, &PatchParams::default(), &Patch::Strategic(patch)).await
                }
            };
            match done {
                Ok(now) => Ok(Outcome::Now(Box::new(now))),
                Err(error) if is_code(&error, 404) => Ok(Outcome::Gone),
                Err(error) => Err(error.into()),
            }
        }
    }

    fn applied(&mut self, _: &String, outcome: Outcome) -> Option<Duration> {
        match outcome {
            Outcome::Now(range) => self.index.take_range(Change::Apply(*range)),
            Outcome::Gone => {}
            Outcome::Again(delay) => return Some(delay),
        }
        None
    }
}

async fn keep(
    api: &Api<ServiceCIDR>,
    recorder: &Recorder,
    range: &ServiceCIDR,
    finalizer: bool,
    condition: bool,
) -> Result<ServiceCIDR, kube::Error> {
    let name = range.metadata.name.as_deref().unwrap_or_default();
    let mut now = range.clone();
    if finalizer {
        let patch = json!({"metadata": {"finalizers": [FINALIZER]}});
        now = api.patch(name, &PatchParams::default(), &Patch::Strategic(patch)).await?;
    }
    if condition {
        now = say(api, name, ready()).await.inspect_err(|_| {
            let message = "The ServiceCIDR Status can not be set to Ready=True";
            recorder.event(&reference(range), Reason::KubernetesServiceCIDRError, message);
        })?;
    }
    Ok(now)
}

/// Sets the condition Ready.
async fn say(
    api: &Api<ServiceCIDR>,
    name: &str,
    (status, reason, message): Saying,
) -> Result<ServiceCIDR, kube::Error> {
    let condition = Condition {
        type_: "Ready".into(),
        status: status.into(),
        reason: reason.into(),
        message: message.into(),
        last_transition_time: Time(k8s_openapi::jiff::Timestamp::now()),
        observed_generation: None,
    };
    let patch = json!({"status": {"conditions": [condition]}});
    api.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await
}
