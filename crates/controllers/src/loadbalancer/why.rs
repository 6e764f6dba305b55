//! Why a Service still has no address, as a condition that people and tools find on the Service itself. Pure.

use k8s_openapi::{
    api::core::v1::Service,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use portolan_cloud::{Class, CloudError};
use serde_json::{Value, json};

/// The condition's type.
pub(super) const TYPE: &str = "Why";

/// What keeps a Service from its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Why {
    pub reason: &'static str,
    pub message: String,
}

impl Why {
    /// The blocker behind an error, and what to do about it.
    pub fn of(error: &CloudError, nodes: usize) -> Self {
        let (reason, remedy) = match error.class {
            Class::Pool => {
                ("PoolExhausted", "free an address by deleting a Service of type LoadBalancer, or enlarge the pool")
            }
            Class::Quota => ("QuotaExceeded", "delete a load balancer that is not needed, or have the limit raised"),
            Class::Conflict => {
                ("AddressConflict", "ask for another address, ask for none, or delete the Service that holds it")
            }
            Class::Auth => (
                "CredentialsRejected",
                "renew the credentials of the load-balancer provider, or give them the missing right",
            ),
            Class::Throttled => (
                "Throttled",
                "nothing: it is tried again; if it lasts, lower the rate of calls or have the limit raised",
            ),
            Class::Timeout => ("Timeout", "check the provider's health and the way to it; it is tried again"),
            Class::Unreachable => {
                ("ProviderUnreachable", "check that the provider runs and that the way to it is open")
            }
            Class::Invalid if nodes > 0 => ("InvalidParameter", "correct the Service"),
            _ if nodes == 0 => (
                "NoNodes",
                "add a node, or remove the label node.kubernetes.io/exclude-from-external-load-balancers from one",
            ),
            _ => ("ProviderFailed", "read the message and the provider's log; it is tried again"),
        };
        Self { reason, message: format!("{error}. What to do: {remedy}.") }
    }
}

pub(super) fn current(service: &Service) -> Option<&Condition> {
    let conditions = service.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == TYPE)
}

/// The change of `status.conditions` that makes the Service say `why`, for a strategic merge; `None` if it does.
pub(super) fn change(service: &Service, why: Option<&Why>, now: Timestamp) -> Option<Value> {
    let current = current(service);
    match (current, why) {
        (None, None) => None,
        (Some(_), None) => Some(json!([{"$patch": "delete", "type": TYPE}])),
        (Some(current), Some(why)) if current.reason == why.reason && current.message == why.message => None,
        (current, Some(why)) => {
            // It has been true since then, whatever the reason was.
            let since = current.map_or(Time(now), |current| current.last_transition_time.clone());
            Some(json!([{
                "type": TYPE,
                "status": "True",
                "reason": why.reason,
                "message": why.message,
                "lastTransitionTime": since,
                "observedGeneration": service.metadata.generation,
            }]))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_blocker_has_its_word() {
        let rows = [
            (Class::Pool, 1, "PoolExhausted"),
            (Class::Quota, 1, "QuotaExceeded"),
            (Class::Conflict, 1, "AddressConflict"),
            (Class::Auth, 1, "CredentialsRejected"),
            (Class::Throttled, 1, "Throttled"),
            (Class::Invalid, 1, "InvalidParameter"),
            (Class::Timeout, 1, "Timeout"),
            (Class::Unreachable, 1, "ProviderUnreachable"),
            (Class::Other, 1, "ProviderFailed"),
            (Class::Other, 0, "NoNodes"),
            (Class::Invalid, 0, "NoNodes"),
            (Class::Throttled, 0, "Throttled"),
        ];
        for (class, nodes, reason) in rows {
            let why = Why::of(&CloudError::new(class, "Code", "10.0.0.1 is in use by shop/web"), nodes);
            assert_eq!(why.reason, reason);
            assert!(why.message.starts_with("Code: 10.0.0.1 is in use by shop/web. What to do: "), "{}", why.message);
        }
    }

    #[test]
    fn the_condition_is_written_when_it_changes_and_removed_at_the_end() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let why = Why::of(&CloudError::new(Class::Quota, "QuotaExceeded", "full"), 1);
        let bare = Service::default();
        let written = change(&bare, Some(&why), now).unwrap();
        assert_eq!(written[0]["lastTransitionTime"], "1970-01-12T13:46:40Z");
        assert_eq!(change(&bare, None, now), None);
        let said: Service = serde_json::from_value(json!({"status": {"conditions": written}})).unwrap();
        assert_eq!(change(&said, Some(&why), now), None);
        assert_eq!(change(&said, None, now).unwrap()[0]["$patch"], "delete");
        let other = Why::of(&CloudError::new(Class::Auth, "AuthFailure", "no"), 1);
        let later = change(&said, Some(&other), Timestamp::from_second(2_000_000).unwrap()).unwrap();
        assert_eq!(later[0]["lastTransitionTime"], "1970-01-12T13:46:40Z", "it has waited since then");
        assert_eq!(later[0]["reason"], "CredentialsRejected");
    }
}
