//! What a scripted provider does wrong, as data.

use std::{net::IpAddr, time::Duration};

use ipnet::{IpNet, Ipv4Net};
use portolan_objects::ObjectKey;
use serde::{Deserialize, Serialize};

use super::vendor;
use crate::{Class, CloudError, Held};

const EXHAUSTED: &str = "exhausted";

/// A whole script. The default is a provider that is well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Script {
    /// Most balancers that the account may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota: Option<usize>,
    /// Which addresses are to be had, if not all of the provider's pool. Balancers keep what they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Addresses>,
    /// Faults. All delays that match a call add up; of the other faults the first one that matches counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Script {
    /// How much longer this call takes, and what else happens to it. Counts it.
    pub(crate) fn strike(&mut self, call: Call, service: Option<&ObjectKey>) -> (Duration, Option<Effect>) {
        let (mut delay, mut effect) = (Duration::ZERO, None);
        for fault in &mut self.faults {
            match &fault.effect {
                Effect::Delay(longer) => {
                    let longer = *longer;
                    delay += if fault.strikes(call, service) { longer } else { Duration::ZERO };
                }
                other if effect.is_none() => {
                    let other = other.clone();
                    effect = fault.strikes(call, service).then_some(other);
                }
                _ => {}
            }
        }
        (delay, effect)
    }
}

/// What a script leaves to balancers that do not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    quota: Option<usize>,
    pool: Option<Addresses>,
}

impl Script {
    pub(crate) fn limits(&self) -> Limits {
        Limits { quota: self.quota, pool: self.pool }
    }
}

impl Limits {
    pub(crate) fn are_none(self) -> bool {
        self.quota.is_none() && self.pool.is_none()
    }

    /// The address that one more balancer has to ask for, if it may not choose; `held` is all that exist.
    pub(crate) fn for_another(self, held: &[Held], requested: Option<IpAddr>) -> Result<Option<IpAddr>, CloudError> {
        if let Some(quota) = self.quota.filter(|quota| held.len() >= *quota) {
            let message = format!("the account has its {quota} load balancers; delete one or raise the limit");
            return Err(CloudError::new(Class::Quota, "TooManyLoadBalancers", message));
        }
        let (network, pool) = match self.pool {
            None => return Ok(requested),
            Some(Addresses::Exhausted) => (None, "the pool".to_owned()),
            Some(Addresses::Within(network)) => (Some(network), format!("the pool {network}")),
        };
        if let (Some(network), Some(address)) = (network, requested) {
            if IpNet::V4(network).contains(&address) {
                return Ok(requested);
            }
            let message = format!("{address} is not in {pool}; choose an address from it");
            return Err(CloudError::new(Class::Invalid, "AddressNotInPool", message));
        }
        let is_free = |address: &IpAddr| !held.iter().any(|held| held.status.addresses.contains(address));
        let free = network.and_then(|network| network.hosts().map(IpAddr::V4).find(is_free));
        free.map(Some).ok_or_else(|| {
            let message = format!(
                "all addresses of {pool} are in use; delete a Service of type LoadBalancer or give a larger pool"
            );
            CloudError::new(Class::Pool, "AddressPoolExhausted", message)
        })
    }
}

/// What a pool has to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Addresses {
    /// `exhausted`: nothing.
    Exhausted,
    /// A network: only its addresses.
    Within(Ipv4Net),
}

impl TryFrom<String> for Addresses {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            EXHAUSTED => Ok(Self::Exhausted),
            text => text.parse().map(Self::Within).map_err(|_| {
                format!(
                    "{text:?} is no set of addresses; write it as ADDRESS/BITS, such as 203.0.113.8/30, or {EXHAUSTED}"
                )
            }),
        }
    }
}

impl From<Addresses> for String {
    fn from(addresses: Addresses) -> Self {
        match addresses {
            Addresses::Exhausted => EXHAUSTED.to_owned(),
            Addresses::Within(network) => network.to_string(),
        }
    }
}

/// One fault. An empty list means all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// Which calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// Which Services, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<String>,
    /// So many matching calls go well first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skip: u32,
    /// Only so many calls after that; without it, until the script changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What goes wrong.
    pub effect: Effect,
}

/// The calls of [`crate::LoadBalancers`] that reach the provider's machinery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Call {
    /// `list`
    List,
    /// `get`
    Get,
    /// `ensure`
    Ensure,
    /// `update_nodes`
    UpdateNodes,
    /// `delete`
    Delete,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// It takes this much longer, in milliseconds.
    Delay(#[serde(with = "crate::milliseconds")] Duration),
    /// It is refused and nothing happens.
    Refuse(Refusal),
    /// The provider cannot be reached; nothing happens.
    Unreachable,
    /// It is never answered; nothing happens.
    Hang,
    /// It is carried out, but the caller only sees a timeout.
    LoseAnswer,
    /// It stops in the middle with this error: an `ensure` leaves a balancer without listeners that holds its address, a
    /// `delete` leaves the same.
    Halfway(Refusal),
    /// The provider goes down at this point of the call and answers nothing more until [`super::Scripted::recover`].
    Crash(Point),
}

/// Where in a call the provider goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Point {
    /// Before anything happens.
    Before,
    /// In the middle, as with [`Effect::Halfway`].
    Halfway,
    /// When everything is done but not answered.
    After,
}

/// An error in a vendor's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    /// The code; those that [`vendor::lookup`] knows need nothing else.
    pub code: String,
    /// Another message than the vendor's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Another class than the code's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// When to come back, in milliseconds.
    #[serde(
        default,
        rename = "retryAfterMilliseconds",
        skip_serializing_if = "Option::is_none",
        with = "crate::milliseconds::option"
    )]
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// The vendor's own error of this code.
    pub fn new(code: &str) -> Self {
        Self { code: code.to_owned(), message: None, class: None, retry_after: None }
    }

    pub(crate) fn error(&self) -> CloudError {
        let known = vendor::lookup(&self.code);
        let class = self.class.or_else(|| known.map(|known| known.trouble.into())).unwrap_or(Class::Other);
        let message = self.message.clone().or_else(|| known.map(|known| known.message.to_owned()));
        let error = CloudError::new(class, self.code.clone(), message.unwrap_or_else(|| "refused".to_owned()));
        CloudError { retry_after: self.retry_after, ..error }
    }
}

impl Fault {
    /// Every call, for ever.
    pub fn always(effect: Effect) -> Self {
        Self { calls: Vec::new(), services: Vec::new(), skip: 0, times: None, effect }
    }

    /// The next `times` calls of this kind.
    pub fn next(call: Call, times: u32, effect: Effect) -> Self {
        Self { calls: vec![call], times: Some(times), ..Self::always(effect) }
    }

    /// Whether it concerns this call; counts it if so.
    fn strikes(&mut self, call: Call, service: Option<&ObjectKey>) -> bool {
        let is_call = self.calls.is_empty() || self.calls.contains(&call);
        let is_service = self.services.is_empty()
            || service.is_some_and(|service| self.services.iter().any(|name| *name == service.to_string()));
        if !(is_call && is_service) || self.times == Some(0) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        if let Some(times) = &mut self.times {
            *times -= 1;
        }
        true
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature.
fn is_zero(count: &u32) -> bool {
    *count == 0
}
