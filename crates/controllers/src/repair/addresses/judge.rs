//! The rules: what is wrong with a Service's addresses, and with an IPAddress. Pure, so that they can be applied to the
//! index and to what the API says.

use std::{net::IpAddr, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{IPAddress, ParentReference};
use portolan_objects::ObjectKey;

use super::super::Holder;
use crate::servicecidr::{ALLOCATOR, MANAGER_LABEL};

pub(super) const FAMILY_LABEL: &str = "ipaddress.kubernetes.io/ip-family";

/// How long an IPAddress may be without its Service: where the two are not one transaction, the IPAddress is first, and a
/// request may take this long.
const LEAK_GRACE: Duration = Duration::from_secs(60);
/// How long a new IPAddress may name a Service that does not name it: the write of the Service may be under way, or on
/// its way back.
const YOUNG: Duration = Duration::from_secs(5);

/// The cluster as somebody sees it.
pub(super) trait View {
    fn service(&self, key: &ObjectKey) -> Option<&Holder>;
    fn address(&self, name: &str) -> Option<&IPAddress>;
    /// Whether any ServiceCIDR has the address, ready or not.
    fn covers(&self, address: IpAddr) -> bool;
}

/// What is wrong with one address of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OfService {
    NotValid(String),
    OutOfRange(IpAddr),
    /// There is no IPAddress.
    NotAllocated(IpAddr),
    /// The IPAddress names somebody who does not hold the address and is not there.
    WrongReference(IpAddr),
    /// The IPAddress names another Service, which holds the address as well.
    Shared(IpAddr),
    /// The IPAddress does not look like the allocator's.
    WrongLabels(IpAddr),
}

/// Everything that is wrong with a Service's addresses.
pub(super) fn service(service: &Holder, view: &impl View) -> Vec<OfService> {
    service.addresses.iter().flat_map(|address| of_service(service, address, view)).collect()
}

fn of_service(service: &Holder, written: &str, view: &impl View) -> Vec<OfService> {
    let Ok(address) = written.parse::<IpAddr>() else { return vec![OfService::NotValid(written.to_owned())] };
    if !view.covers(address) {
        return vec![OfService::OutOfRange(address)];
    }
    let Some(object) = view.address(&address.to_string()) else { return vec![OfService::NotAllocated(address)] };
    let Some(named) = parent(object) else { return vec![OfService::WrongReference(address)] };
    let mut problems = Vec::new();
    if named != service.key {
        let Some(other) = view.service(&named) else { return vec![OfService::WrongReference(address)] };
        if other.addresses.iter().any(|held| held.parse() == Ok(address)) {
            problems.push(OfService::Shared(address));
        }
    }
    if !has_allocators_labels(object, address) {
        problems.push(OfService::WrongLabels(address));
    }
    problems
}

/// What becomes of an IPAddress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OfAddress {
    Fine,
    /// It may yet be fine: to be judged again then.
    Wait(Duration),
    /// To be deleted.
    Leftover(Why),
}

/// Why an IPAddress is deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// It has the allocator's label but names no Service.
    NamesNoService,
    /// Its Service has been gone for long.
    Leaked(ObjectKey),
    /// Its Service does not hold it.
    NotHeld(ObjectKey),
}

/// What is wrong with an IPAddress by itself. Those of others than the allocator are never wrong.
pub(super) fn address(object: &IPAddress, view: &impl View, now: Timestamp) -> OfAddress {
    if label(object, MANAGER_LABEL) != Some(ALLOCATOR) {
        return OfAddress::Fine;
    }
    let Some(named) = parent(object) else { return OfAddress::Leftover(Why::NamesNoService) };
    let created = object.metadata.creation_timestamp.as_ref().map(|time| time.0);
    let age = created.and_then(|created| Duration::try_from(now.duration_since(created)).ok()).unwrap_or_default();
    let Some(service) = view.service(&named) else {
        return if age > LEAK_GRACE { OfAddress::Leftover(Why::Leaked(named)) } else { after(LEAK_GRACE, age) };
    };
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let is_it = |held: &String| held == name || held.parse::<IpAddr>().is_ok_and(|held| held.to_string() == name);
    if service.addresses.iter().any(is_it) {
        return OfAddress::Fine;
    }
    if service.is_external_name && age < LEAK_GRACE {
        return after(LEAK_GRACE, age);
    }
    if created > service.created && age < YOUNG {
        return OfAddress::Wait(YOUNG);
    }
    OfAddress::Leftover(Why::NotHeld(named))
}

/// A moment longer than the rest, so that the next look is behind the limit and not on it.
fn after(limit: Duration, age: Duration) -> OfAddress {
    OfAddress::Wait(limit.saturating_sub(age) + Duration::from_millis(10))
}

/// The Service that an IPAddress names; none if it names something else.
pub(super) fn parent(object: &IPAddress) -> Option<ObjectKey> {
    let ParentReference { group, name, namespace, resource } = &object.spec.parent_ref;
    let is_service = group.as_deref().unwrap_or_default().is_empty() && resource == "services";
    is_service.then(|| ObjectKey::new(namespace.clone().unwrap_or_default(), name.as_str()))
}

fn label<'a>(object: &'a IPAddress, name: &str) -> Option<&'a str> {
    object.metadata.labels.as_ref()?.get(name).map(String::as_str)
}

fn has_allocators_labels(object: &IPAddress, address: IpAddr) -> bool {
    label(object, FAMILY_LABEL) == Some(family(address)) && label(object, MANAGER_LABEL) == Some(ALLOCATOR)
}

/// As Events and labels spell it.
pub(super) fn family(address: IpAddr) -> &'static str {
    if address.is_ipv4() { "IPv4" } else { "IPv6" }
}
