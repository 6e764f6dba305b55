//! A provider that keeps true records of balancers, in memory or in a file, and fails as a [`Script`] says.
//!
//! No packet passes through it: it stands for a vendor's API in laboratories and tests. Its records obey the rules of
//! [`crate::LoadBalancers`], whatever the script does to the calls; so a balancer that a faulty call leaves behind is
//! really there, with its address, until somebody deletes it.

mod script;
#[cfg(test)]
mod tests;
pub mod vendor;

use std::{
    collections::{BTreeMap, VecDeque},
    fs::{self, File},
    io::{self, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::future::{self, BoxFuture, FutureExt};
use ipnet::Ipv4Net;
use parking_lot::Mutex;
use portolan_objects::ObjectKey;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use script::{Addresses, Call, Effect, Fault, Point, Refusal, Script};

use crate::{BalancerId, Class, CloudError, Held, LoadBalancer, LoadBalancers, Observer, Status, Step, pool::Pool};

/// Calls that are remembered for [`Scripted::calls`].
const REMEMBERED: usize = 1 << 16;

/// What the provider knows of one balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// As it was last asked for.
    pub wanted: LoadBalancer,
    /// Where clients reach it.
    pub status: Status,
    /// It has its listeners; `false` after an `ensure` or `delete` that stopped halfway.
    pub complete: bool,
}

/// A call that came in, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Instant,
    /// Which.
    pub call: Call,
    /// For which Service; `list` is for none.
    pub service: Option<ObjectKey>,
}

/// The provider. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Scripted {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    script: Script,
    pool: Pool,
    records: BTreeMap<BalancerId, Record>,
    file: Option<PathBuf>,
    down: bool,
    seen: VecDeque<Seen>,
}

/// What a call that was let in has to do besides its work.
#[derive(Debug, Default)]
struct Admitted {
    halfway: Option<CloudError>,
    lost: Option<CloudError>,
    crash: bool,
}

/// The records cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the records in {path}")]
pub struct RecordsError {
    path: String,
    source: io::Error,
}

// === impl Scripted ===

impl Scripted {
    /// A provider with the addresses of `pool` and no balancer, in memory.
    pub fn new(pool: Ipv4Net, script: Script) -> Self {
        let state = State {
            script,
            pool: Pool::new(pool),
            records: BTreeMap::new(),
            file: None,
            down: false,
            seen: VecDeque::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The same with its records in a file, which are on the disk before a call is answered. The file is made if it does
    /// not exist.
    pub fn open(path: &Path, pool: Ipv4Net, script: Script) -> Result<Self, RecordsError> {
        let failed = |source| RecordsError { path: path.display().to_string(), source };
        let records: Vec<Record> = match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let provider = Self::new(pool, script);
        {
            let mut state = provider.state.lock();
            state.file = Some(path.to_owned());
            for record in records {
                if let Some(address) = v4(&record.status.addresses) {
                    state.pool.adopt(&record.wanted.id, address);
                }
                state.records.insert(record.wanted.id.clone(), record);
            }
            state.save().map_err(|error| failed(io::Error::other(error.message)))?;
        }
        Ok(provider)
    }

    /// Replaces the script; counts begin anew.
    pub fn set(&self, script: Script) {
        self.state.lock().script = script;
    }

    /// The script with what is left of its counts.
    pub fn script(&self) -> Script {
        self.state.lock().script.clone()
    }

    /// Everything that exists.
    pub fn records(&self) -> Vec<Record> {
        self.state.lock().records.values().cloned().collect()
    }

    /// The last calls, oldest first.
    pub fn calls(&self) -> Vec<Seen> {
        self.state.lock().seen.iter().cloned().collect()
    }

    /// Deletes a balancer behind everybody's back, as by hand in the vendor's console. `false` if there is none.
    pub fn lose(&self, service: &ObjectKey) -> Result<bool, CloudError> {
        let mut state = self.state.lock();
        let ids: Vec<BalancerId> = state.records.keys().filter(|id| id.service == *service).cloned().collect();
        for id in &ids {
            state.remove(id);
        }
        state.save()?;
        Ok(!ids.is_empty())
    }

    /// Whether a [`Effect::Crash`] has taken it down.
    pub fn is_down(&self) -> bool {
        self.state.lock().down
    }

    /// Starts it again after a crash.
    pub fn recover(&self) {
        self.state.lock().down = false;
    }

    /// Notes the call, applies the script to it and, if it comes that far, does its work.
    async fn call<T>(
        &self,
        call: Call,
        service: Option<&ObjectKey>,
        work: impl FnOnce(&mut State, Option<CloudError>) -> Result<T, CloudError>,
    ) -> Result<T, CloudError> {
        let (delay, effect) = self.state.lock().note(call, service)?;
        tokio::time::sleep(delay).await;
        let mut admitted = Admitted::default();
        match effect {
            None | Some(Effect::Delay(_)) => {}
            Some(Effect::Refuse(refusal)) => return Err(refusal.error()),
            Some(Effect::Unreachable) => return Err(unreachable_error()),
            Some(Effect::Hang) => return future::pending().await,
            Some(Effect::LoseAnswer) => admitted.lost = Some(timeout_error()),
            Some(Effect::Halfway(refusal)) => admitted.halfway = Some(refusal.error()),
            Some(Effect::Crash(Point::Before)) => {
                self.state.lock().down = true;
                return Err(unreachable_error());
            }
            Some(Effect::Crash(Point::Halfway)) => {
                admitted.crash = true;
                admitted.halfway = Some(unreachable_error());
            }
            Some(Effect::Crash(Point::After)) => {
                admitted.crash = true;
                admitted.lost = Some(unreachable_error());
            }
        }
        let mut state = self.state.lock();
        let result = work(&mut state, admitted.halfway);
        state.down |= admitted.crash;
        match admitted.lost {
            Some(error) => result.and(Err(error)),
            None => result,
        }
    }
}

impl LoadBalancers for Scripted {
    /// Its records say more than any Service; without them (it may have begun anew, in memory) the addresses are kept.
    fn adopt<'a>(&'a self, held: &'a [Held]) -> BoxFuture<'a, Result<(), CloudError>> {
        let mut state = self.state.lock();
        for held in held {
            if let Some(address) = v4(&held.status.addresses) {
                state.pool.adopt(&held.id, address);
            }
        }
        future::ready(Ok(())).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<Option<Vec<Held>>, CloudError>> {
        let list = |state: &mut State, _| Ok(Some(state.held()));
        self.call(Call::List, None, list).boxed()
    }

    fn get<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<Option<Status>, CloudError>> {
        let get = |state: &mut State, _| Ok(state.records.get(id).map(|record| record.status.clone()));
        self.call(Call::Get, Some(&id.service), get).boxed()
    }

    fn ensure<'a>(
        &'a self,
        wanted: &'a LoadBalancer,
        observer: Observer<'a>,
    ) -> BoxFuture<'a, Result<Status, CloudError>> {
        let ensure = |state: &mut State, halfway| state.ensure(wanted, observer, halfway);
        self.call(Call::Ensure, Some(&wanted.id.service), ensure).boxed()
    }

    fn update_nodes<'a>(&'a self, wanted: &'a LoadBalancer) -> BoxFuture<'a, Result<(), CloudError>> {
        let update = |state: &mut State, halfway| state.update_nodes(wanted, halfway);
        self.call(Call::UpdateNodes, Some(&wanted.id.service), update).boxed()
    }

    fn delete<'a>(&'a self, id: &'a BalancerId) -> BoxFuture<'a, Result<(), CloudError>> {
        let delete = |state: &mut State, halfway| state.delete(id, halfway);
        self.call(Call::Delete, Some(&id.service), delete).boxed()
    }
}

// === impl State ===

impl State {
    /// How much longer the call takes, and what else happens to it.
    fn note(&mut self, call: Call, service: Option<&ObjectKey>) -> Result<(Duration, Option<Effect>), CloudError> {
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(Seen { at: Instant::now(), call, service: service.cloned() });
        if self.down {
            return Err(unreachable_error());
        }
        Ok(self.script.strike(call, service))
    }

    fn ensure(
        &mut self,
        wanted: &LoadBalancer,
        observer: Observer<'_>,
        halfway: Option<CloudError>,
    ) -> Result<Status, CloudError> {
        let id = &wanted.id;
        let complete = self.records.get(id).map(|record| record.complete);
        let limits = self.script.limits();
        let requested = match complete {
            None if !limits.are_none() => limits.for_another(&self.held(), wanted.requested),
            _ => Ok(wanted.requested),
        };
        let requested = requested.map(|requested| v4(requested.as_slice()));
        let allocated = requested.and_then(|requested| self.pool.allocate(id, requested, v4(&wanted.published)));
        let (address, new) = allocated.inspect_err(|error| {
            if error.class != Class::Quota {
                observer(Step::AddressRefused(error.message.clone()));
            }
        })?;
        if new {
            observer(Step::AddressAllocated(address.into()));
        }
        if complete.is_none() {
            observer(Step::Creating);
        }
        let status = Status { addresses: vec![address.into()], hostnames: Vec::new() };
        let record = Record { wanted: wanted.clone(), status: status.clone(), complete: halfway.is_none() };
        self.records.insert(id.clone(), record);
        self.save()?;
        if let Some(error) = halfway {
            return Err(error);
        }
        if complete != Some(true) {
            observer(Step::Created(status.clone()));
        }
        Ok(status)
    }

    fn held(&self) -> Vec<Held> {
        let held = |(id, record): (&BalancerId, &Record)| Held { id: id.clone(), status: record.status.clone() };
        self.records.iter().map(held).collect()
    }

    fn update_nodes(&mut self, wanted: &LoadBalancer, halfway: Option<CloudError>) -> Result<(), CloudError> {
        let Some(record) = self.records.get_mut(&wanted.id) else {
            let message = format!("{} has no balancer to update", wanted.id.service);
            return Err(CloudError::new(Class::Invalid, "LoadBalancerNotFound", message));
        };
        record.wanted.nodes.clone_from(&wanted.nodes);
        record.complete &= halfway.is_none();
        self.save()?;
        halfway.map_or(Ok(()), Err)
    }

    fn delete(&mut self, id: &BalancerId, halfway: Option<CloudError>) -> Result<(), CloudError> {
        let Some(record) = self.records.get_mut(id) else {
            self.pool.release(id);
            return Ok(());
        };
        if let Some(error) = halfway {
            record.complete = false;
            self.save()?;
            return Err(error);
        }
        self.remove(id);
        self.save()
    }

    fn remove(&mut self, id: &BalancerId) {
        self.records.remove(id);
        self.pool.release(id);
    }

    /// Writes the records, if they have a file: whole and on the disk, or not at all.
    fn save(&self) -> Result<(), CloudError> {
        let Some(path) = &self.file else { return Ok(()) };
        let write = || {
            let new = path.with_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(&serde_json::to_vec_pretty(&self.records.values().collect::<Vec<_>>())?)?;
            file.sync_all()?;
            fs::rename(&new, path)
        };
        write().map_err(|error| {
            let message = format!("cannot write {}: {error}; make room or choose another file", path.display());
            CloudError::new(Class::Other, "RecordsNotWritten", message)
        })
    }
}

fn v4(addresses: &[IpAddr]) -> Option<std::net::Ipv4Addr> {
    addresses.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    })
}

pub(crate) fn unreachable_error() -> CloudError {
    CloudError::new(Class::Unreachable, "ConnectionRefused", "the provider cannot be reached")
}

pub(crate) fn timeout_error() -> CloudError {
    CloudError::new(Class::Timeout, "DeadlineExceeded", "context deadline exceeded")
}
