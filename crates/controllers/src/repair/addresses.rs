//! ClusterIPs and IPAddress objects: each address of a Service has one IPAddress that names the Service, and each
//! IPAddress that the allocator made has its Service.
//!
//! ```text
//! Service --- clusterIPs --> IPAddress --- parentRef --> Service
//! ```
//!
//! The index suspects, the apply judges: Services, IPAddresses and ServiceCIDRs come in three streams, of which one may be
//! ahead, so whatever looks wrong is read again from the API and judged by the same rules before anything is said or
//! done. An IPAddress that is deleted under its Service is made again at once, not only when the Service changes or
//! three minutes are over, as upstream.

mod judge;
mod mend;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    future::Future,
    net::IpAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures::StreamExt;
use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::{
    core::v1::Service,
    networking::v1::{IPAddress, ServiceCIDR},
};
use kube::Client;
use portolan_events::SeriesRecorder;
use portolan_objects::ObjectKey;
use portolan_runtime::{Change, Failure, Inputs, Metrics, Observed, Options, Reconciler};
use tokio_util::sync::CancellationToken;

use self::{
    judge::{OfAddress, View, Why},
    mend::Mended,
};
use super::{BACKOFF, Holder, Holders, TIMEOUT, again_and_again};
use crate::servicecidr::{contains, nets};

/// The reporting controller of its Events, and its name in the API's log.
pub const NAME: &str = "ipallocator-repair-controller";

/// The ServiceCIDR of the API server's own ranges. Before it is there nothing can be judged.
const DEFAULT_RANGE: &str = "kubernetes";

/// Upstream has five workers for Services and five for IPAddresses.
const OPTIONS: Options = Options { name: NAME, workers: 10, backoff: BACKOFF, timeout: TIMEOUT };

/// Runs the loop until `stop`.
pub async fn run(client: Client, recorder: SeriesRecorder, metrics: Metrics, stop: CancellationToken) {
    let inputs = Inputs::new()
        .all(&client, |change| Input::Service(Box::new(change)))
        .all(&client, |change| Input::Address(Box::new(change)))
        .all(&client, |change| Input::Range(Box::new(change)))
        .signal(again_and_again().map(|()| Input::Again));
    let part = Addresses { index: Index::default(), client, recorder };
    portolan_runtime::run(part, inputs, OPTIONS, metrics, stop).await;
}

enum Input {
    Service(Box<Change<Service>>),
    Address(Box<Change<IPAddress>>),
    Range(Box<Change<ServiceCIDR>>),
    Again,
}

/// What is judged at a time.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Service(ObjectKey),
    /// By name.
    Address(String),
}

/// What to do about it.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Something looks wrong.
    Judge,
    /// Nothing is wrong yet; look again then.
    Wait(Duration),
}

#[derive(Debug, Default)]
struct Index {
    services: Holders,
    addresses: Observed<IPAddress>,
    ranges: HashMap<String, Vec<IpNet>>,
}

impl Index {
    fn take(&mut self, input: Input, dirty: &mut Vec<Key>) {
        match input {
            Input::Service(change) => {
                for (was, now) in self.services.take(*change) {
                    match (was, now) {
                        (Some(was), Some(now)) if was.is_like(&now) => {}
                        // Its addresses may be left without it.
                        (Some(was), now) => {
                            dirty.extend(was.addresses.iter().cloned().map(Key::Address));
                            dirty.extend(now.map(|now| Key::Service(now.key)));
                        }
                        (None, now) => dirty.extend(now.map(|now| Key::Service(now.key))),
                    }
                }
            }
            Input::Address(change) => self.take_address(*change, dirty),
            Input::Range(change) => {
                take_range(&mut self.ranges, *change);
                self.all(dirty);
            }
            Input::Again => self.all(dirty),
        }
    }

    fn take_address(&mut self, change: Change<IPAddress>, dirty: &mut Vec<Key>) {
        let mut touch = |address: &IPAddress| {
            dirty.push(Key::Address(ObjectKey::of(address).name));
            dirty.extend(judge::parent(address).map(Key::Service));
        };
        match change {
            Change::Apply(address) => {
                touch(&address);
                self.addresses.apply(address);
            }
            Change::Delete(address) => {
                touch(&address);
                self.addresses.delete(&address);
            }
            Change::Reset(addresses) => {
                addresses.iter().for_each(&mut touch);
                let before: Vec<Arc<IPAddress>> = self.addresses.iter().cloned().collect();
                before.iter().for_each(|address| touch(address));
                self.addresses.reset(addresses);
            }
        }
    }

    fn all(&self, dirty: &mut Vec<Key>) {
        dirty.extend(self.services.0.keys().cloned().map(Key::Service));
        dirty.extend(self.addresses.iter().map(|address| Key::Address(ObjectKey::of(&**address).name)));
    }

    fn plan(&self, key: &Key, now: Timestamp) -> Option<Plan> {
        if !self.ranges.contains_key(DEFAULT_RANGE) {
            return None;
        }
        match key {
            Key::Service(key) => {
                let service = self.services.get(key)?;
                (!judge::service(service, self).is_empty()).then_some(Plan::Judge)
            }
            Key::Address(name) => match judge::address(self.address(name)?, self, now) {
                OfAddress::Fine => None,
                OfAddress::Wait(delay) => Some(Plan::Wait(delay)),
                OfAddress::Leftover(Why::NotHeld(_)) => Some(Plan::Judge),
                // That the reference is wrong is then said on the Service, and repaired from there.
                OfAddress::Leftover(_) => (!self.is_held(name)).then_some(Plan::Judge),
            },
        }
    }
}

impl Index {
    fn is_held(&self, name: &str) -> bool {
        let Ok(address) = name.parse::<IpAddr>() else { return false };
        self.services.0.values().any(|service| service.addresses.iter().any(|held| held.parse() == Ok(address)))
    }
}

impl View for Index {
    fn service(&self, key: &ObjectKey) -> Option<&Holder> {
        self.services.get(key)
    }

    fn address(&self, name: &str) -> Option<&IPAddress> {
        self.addresses.get(&ObjectKey::new("", name)).map(|address| &**address)
    }

    fn covers(&self, address: IpAddr) -> bool {
        self.ranges.values().flatten().any(|range| contains(range, address))
    }
}

fn take_range(ranges: &mut HashMap<String, Vec<IpNet>>, change: Change<ServiceCIDR>) {
    match change {
        Change::Apply(range) => drop(ranges.insert(ObjectKey::of(&range).name, nets(&range))),
        Change::Delete(range) => drop(ranges.remove(&ObjectKey::of(&range).name)),
        Change::Reset(all) => {
            *ranges = all.iter().map(|range| (ObjectKey::of(range).name, nets(range))).collect();
        }
    }
}

struct Addresses {
    index: Index,
    client: Client,
    recorder: SeriesRecorder,
}

/// How an apply ended.
enum Outcome {
    /// What was written to IPAddresses.
    Mended(Vec<Mended>),
    Again(Duration),
}

impl Reconciler for Addresses {
    type Input = Input;
    type Key = Key;
    type Plan = Plan;
    type Outcome = Outcome;

    fn index(&mut self, input: Input, dirty: &mut Vec<Key>) {
        self.index.take(input, dirty);
    }

    fn plan(&mut self, key: &Key) -> Option<Plan> {
        self.index.plan(key, now())
    }

    fn apply(&self, key: Key, plan: Plan) -> impl Future<Output = Result<Outcome, Failure>> + Send + 'static {
        let (client, recorder) = (self.client.clone(), self.recorder.clone());
        async move {
            match (plan, key) {
                (Plan::Wait(delay), _) => Ok(Outcome::Again(delay)),
                (Plan::Judge, Key::Service(key)) => mend::service(&client, &recorder, &key).await.map(Outcome::Mended),
                (Plan::Judge, Key::Address(name)) => {
                    mend::address(&client, &recorder, &name, now()).await.map(Outcome::Mended)
                }
            }
        }
    }

    fn applied(&mut self, _: &Key, outcome: Outcome) -> Option<Duration> {
        match outcome {
            Outcome::Again(delay) => return Some(delay),
            Outcome::Mended(writes) => {
                for write in writes {
                    match write {
                        Mended::Made(address) => drop(self.index.addresses.apply(*address)),
                        Mended::Gone(address) => drop(self.index.addresses.delete(&address)),
                    }
                }
            }
        }
        None
    }
}

fn now() -> Timestamp {
    // A clock that cannot be read as a timestamp is one that stands at the beginning of time.
    Timestamp::try_from(SystemTime::now()).unwrap_or_default()
}
