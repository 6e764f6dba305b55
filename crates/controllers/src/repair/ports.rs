//! Node ports that Services should not have.
//!
//! Upstream compares the Services with a bitmap that is stored beside them, and writes a new one. Here no such record
//! exists: the API server's allocator *is* the stored Services, so a port that a Service holds is allocated by that
//! alone, and `PortNotAllocated` can never be true; it is not emitted. Nor is a port that one Service names twice "assigned to
//! multiple services". What can be true, after the range was changed between two runs or after a store was restored:
//!
//! - a port outside the range, which no Service would be given today;
//! - a port that several Services hold. The first in the order of namespace and name keeps it, as upstream, and each
//!   other one is told.
//!
//! Nothing is repaired: the user has to recreate the Service, as the Event says. The Services come in one stream, so what
//! this loop sees was the cluster's state at some moment, and no second look is needed.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    ops::RangeInclusive,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{ObjectReference, Service};
use kube::Client;
use portolan_catalogue::Reason;
use portolan_events::SeriesRecorder;
use portolan_objects::ObjectKey;
use portolan_runtime::{Change, Failure, Inputs, Metrics, Options, Reconciler};
use tokio_util::sync::CancellationToken;

use super::{BACKOFF, Holder, Holders, TIMEOUT, again_and_again};

#[cfg(test)]
mod tests;

/// The reporting controller of its Events, and its name in the API's log.
pub const NAME: &str = "portallocator-repair-controller";

const ACTION: &str = "PortAllocation";

const OPTIONS: Options = Options { name: NAME, workers: 1, backoff: BACKOFF, timeout: TIMEOUT };

/// Runs the loop until `stop`. `range` is that of the API server, which the API does not tell.
pub async fn run(
    client: Client,
    recorder: SeriesRecorder,
    range: RangeInclusive<u16>,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let inputs = Inputs::new()
        .all(&client, |change| Input::Service(Box::new(change)))
        .signal(again_and_again().map(|()| Input::Again));
    let part = Ports { index: Index::new(range), recorder };
    portolan_runtime::run(part, inputs, OPTIONS, metrics, stop).await;
}

enum Input {
    Service(Box<Change<Service>>),
    Again,
}

/// What is wrong with one port of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Problem {
    OutOfRange(i32),
    Shared(i32),
}

#[derive(Debug)]
struct Index {
    range: RangeInclusive<i32>,
    services: Holders,
    holders: BTreeMap<i32, BTreeSet<ObjectKey>>,
}

impl Index {
    fn new(range: RangeInclusive<u16>) -> Self {
        let range = i32::from(*range.start())..=i32::from(*range.end());
        Self { range, services: Holders::default(), holders: BTreeMap::new() }
    }

    fn take(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        let change = match input {
            Input::Service(change) => *change,
            Input::Again => return dirty.extend(self.services.0.keys().cloned()),
        };
        for (was, now) in self.services.take(change) {
            if let (Some(was), Some(now)) = (&was, &now)
                && was.is_like(now)
            {
                continue;
            }
            was.iter().for_each(|was| self.forget(was, dirty));
            now.iter().for_each(|now| self.remember(now));
            dirty.extend(now.map(|now| now.key));
        }
    }

    fn remember(&mut self, holder: &Holder) {
        for port in &holder.ports {
            self.holders.entry(*port).or_default().insert(holder.key.clone());
        }
    }

    /// Whoever else holds what this one gives up may be alone with it now.
    fn forget(&mut self, holder: &Holder, dirty: &mut Vec<ObjectKey>) {
        for port in &holder.ports {
            let Some(others) = self.holders.get_mut(port) else { continue };
            others.remove(&holder.key);
            dirty.extend(others.iter().cloned());
            if others.is_empty() {
                self.holders.remove(port);
            }
        }
    }

    fn plan(&self, key: &ObjectKey) -> Option<Plan> {
        let holder = self.services.get(key)?;
        let problem = |port: &i32| {
            if !self.range.contains(port) {
                return Some(Problem::OutOfRange(*port));
            }
            let first = self.holders.get(port).and_then(BTreeSet::first);
            (first != Some(key)).then_some(Problem::Shared(*port))
        };
        let problems: Vec<Problem> = holder.ports.iter().filter_map(problem).collect();
        (!problems.is_empty()).then(|| Plan { service: holder.reference(), problems })
    }

    fn describe(&self, problem: Problem) -> (Reason, String) {
        match problem {
            Problem::OutOfRange(port) => {
                let (first, last) = (self.range.start(), self.range.end());
                let range = format!("{first}-{last}");
                let note = format!("Port {port} is not within the port range {range}; please recreate service");
                (Reason::PortOutOfRange, note)
            }
            Problem::Shared(port) => {
                let note = format!("Port {port} was assigned to multiple services; please recreate service");
                (Reason::PortAlreadyAllocated, note)
            }
        }
    }
}

/// What is to be said about one Service.
#[derive(Debug)]
struct Plan {
    service: ObjectReference,
    problems: Vec<Problem>,
}

struct Ports {
    index: Index,
    recorder: SeriesRecorder,
}

impl Reconciler for Ports {
    type Input = Input;
    type Key = ObjectKey;
    type Plan = Plan;
    type Outcome = ();

    fn index(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        self.index.take(input, dirty);
    }

    fn plan(&mut self, key: &ObjectKey) -> Option<Plan> {
        self.index.plan(key)
    }

    fn apply(&self, _: ObjectKey, plan: Plan) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let notes: Vec<(Reason, String)> = plan.problems.iter().map(|problem| self.index.describe(*problem)).collect();
        let recorder = self.recorder.clone();
        async move {
            for (reason, note) in notes {
                recorder.event(&plan.service, None, reason, ACTION, note);
            }
            Ok(())
        }
    }

    fn applied(&mut self, _: &ObjectKey, (): ()) -> Option<Duration> {
        None
    }
}
