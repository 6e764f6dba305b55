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
use serde::{Deserialize, Serialize};
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

/// What happens to which requests. An empty list of names means all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Verbs as discovery names them: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verbs: Vec<String>,
    /// Plural names, with the subresource behind a slash: `endpointslices`, `services/status`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// User names, `system:serviceaccount:kube-system:endpoint-controller`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Only the next so many requests; without it, until the fault is taken from the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// The answer is held back this long, in milliseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub delay_milliseconds: u64,
    /// The answer is this error; without it the request goes through (late, if there is a delay).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

/// A Status that says no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    /// HTTP status, 400 to 599.
    pub code: u16,
    /// Machine-readable reason, `Forbidden`.
    pub reason: String,
    /// For people.
    pub message: String,
    /// `Retry-After`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

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
        let fault = by_hand.iter_mut().chain(declared).find(|fault| fault.names(identity, request))?;
        if let Some(times) = &mut fault.times {
            *times -= 1;
        }
        Some(Burden { delay: Duration::from_millis(fault.delay_milliseconds), refusal: fault.error.clone() })
    }
}

fn check(faults: &[Fault]) -> Result<(), String> {
    for (index, fault) in faults.iter().enumerate() {
        if let Some(refusal) = &fault.error
            && !(400..600).contains(&refusal.code)
        {
            return Err(format!("[{index}].error.code: {} is no error; use 400 to 599", refusal.code));
        }
    }
    Ok(())
}

/// Whether faults are nothing to this request.
fn is_spared(identity: &Identity, request: &ResourceRequest) -> bool {
    let exempt = identity.groups.iter().any(|group| group == EXEMPT);
    exempt || is_operator(identity) && (request.namespace.as_str(), request.resource.plural) == SWITCHES
}

impl Fault {
    fn names(&self, identity: Option<&Identity>, request: &ResourceRequest) -> bool {
        let among = |names: &[String], name: &str| names.is_empty() || names.iter().any(|listed| listed == name);
        let resource = match request.subresource {
            Some(below) => format!("{}/{}", request.resource.plural, below.name),
            None => request.resource.plural.to_owned(),
        };
        self.times != Some(0)
            && among(&self.verbs, request.verb.as_str())
            && among(&self.resources, &resource)
            && among(&self.namespaces, &request.namespace)
            && among(&self.users, identity.map_or("", |identity| &identity.user))
    }
}

/// Whether this client may see and switch faults.
pub fn is_operator(identity: &Identity) -> bool {
    identity.groups.iter().any(|group| group == OPERATORS)
}

#[cfg(test)]
mod tests;
