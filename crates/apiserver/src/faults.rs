//! Faults on demand: an API server that refuses, conflicts or is slow, for the clients and requests that a list names.
//!
//! There are two lists. `GET` and `PUT /debug/faults` read and replace one; both need the group `system:masters`. The
//! other is declared by the process that the server runs in ([`Faults::declare`]). Neither knows of the other, and a
//! request meets the first fault that names it, by hand before declared. Both are memory only: a restarted server is
//! well. Laboratories and tests use them to make the true cause of an Event happen (a write that the API really refused)
//! without touching the client under test.
//!
//! Watches of components can be silenced besides ([`Faults::silence`]): they stay open and say nothing, so that the
//! component works with what it knew, as one with a stuck cache does.

mod silence;

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use portolan_kinds::faults::{Fault, Refusal};
use tokio::sync::watch;

pub(crate) use silence::Silence;

use crate::{
    auth::Identity,
    http::request::{ResourceRequest, Verb},
};

/// Who may switch faults.
const OPERATORS: &str = "system:masters";
/// Whom no fault concerns: who repairs them.
pub const EXEMPT: &str = "system:portolan:exempt";
/// Where the ConfigMap is that declares faults. Operators always reach it: what broke the API can be taken back.
const SWITCHES: (&str, &str) = ("kube-system", "configmaps");

/// The faults that are switched on.
#[derive(Debug, Default)]
pub struct Faults {
    /// Spares every request the lock while there are none.
    any: AtomicBool,
    lists: Mutex<Lists>,
    silenced: watch::Sender<BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Lists {
    by_hand: Vec<Fault>,
    declared: Vec<Fault>,
}

/// What one request has to bear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burden {
    /// Wait first.
    pub delay: Duration,
    /// Then answer this.
    pub refusal: Option<Refusal>,
}

impl Faults {
    /// The list of `/debug/faults` as it is: faults with `times` count down.
    pub fn list(&self) -> Vec<Fault> {
        self.lists.lock().by_hand.clone()
    }

    /// Puts another list in the place of that of `/debug/faults`; an error says what is wrong with it, and the old one
    /// stays.
    pub fn replace(&self, faults: Vec<Fault>) -> Result<(), String> {
        check(&faults)?;
        self.change(|lists| lists.by_hand = faults);
        Ok(())
    }

    /// Puts another list in the place of the declared one, on the same terms. Counts begin anew.
    pub fn declare(&self, faults: Vec<Fault>) -> Result<(), String> {
        check(&faults)?;
        self.change(|lists| lists.declared = faults);
        Ok(())
    }

    fn change(&self, change: impl FnOnce(&mut Lists)) {
        let mut lists = self.lists.lock();
        change(&mut lists);
        self.any.store(!(lists.by_hand.is_empty() && lists.declared.is_empty()), Ordering::Release);
    }

    /// From now on the watches of these users, and of no others, say nothing. What they missed comes when they may speak
    /// again.
    pub fn silence(&self, users: BTreeSet<String>) {
        self.silenced.send_replace(users);
    }

    /// What keeps the watch of this request silent, if it is one that can be silenced: a component's.
    pub(crate) fn silence_of(&self, identity: Option<&Identity>, request: &ResourceRequest) -> Option<Silence> {
        let user = identity.map(|identity| &identity.user)?;
        let Verb::Watch(options) = &request.verb else { return None };
        let component = user.starts_with("system:");
        component.then(|| Silence::new(user.clone(), self.silenced.subscribe(), options.initial_events == Some(true)))
    }

    /// What befalls this request: the first fault that names it. Counts it.
    pub fn befall(&self, identity: Option<&Identity>, request: &ResourceRequest) -> Option<Burden> {
        if !self.any.load(Ordering::Acquire) || identity.is_some_and(|identity| is_spared(identity, request)) {
            return None;
        }
        let mut lists = self.lists.lock();
        let Lists { by_hand, declared } = &mut *lists;
        let fault = by_hand.iter_mut().chain(declared).find(|fault| names(fault, identity, request))?;
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(Burden { delay: Duration::from_millis(fault.delay_milliseconds), refusal: fault.error.clone() })
    }
}

fn check(faults: &[Fault]) -> Result<(), String> {
    for (index, fault) in faults.iter().enumerate() {
        if let Some(mistake) = fault.mistake() {
            return Err(format!("[{index}].{mistake}"));
        }
    }
    Ok(())
}

/// Whether faults are nothing to this request.
fn is_spared(identity: &Identity, request: &ResourceRequest) -> bool {
    let exempt = identity.groups.iter().any(|group| group == EXEMPT);
    exempt || is_operator(identity) && (request.namespace.as_str(), request.resource.plural) == SWITCHES
}

/// Whether the fault concerns this request.
fn names(fault: &Fault, identity: Option<&Identity>, request: &ResourceRequest) -> bool {
    let among = |names: &[String], name: &str| names.is_empty() || names.iter().any(|listed| listed == name);
    let resource = match request.subresource {
        Some(below) => format!("{}/{}", request.resource.plural, below.name),
        None => request.resource.plural.to_owned(),
    };
    fault.times != Some(0)
        && among(&fault.verbs, request.verb.as_str())
        && among(&fault.resources, &resource)
        && among(&fault.namespaces, &request.namespace)
        && among(&fault.users, identity.map_or("", |identity| &identity.user))
}

/// Whether this client may see and switch faults.
pub fn is_operator(identity: &Identity) -> bool {
    identity.groups.iter().any(|group| group == OPERATORS)
}

#[cfg(test)]
mod tests;
