//! Reads what the suspicion is about from the API, judges it, repairs what can be and says what was wrong.
//!
//! Reading several objects takes time in which they change. So a Service is judged by what was read while it stayed the
//! same, and a repair is checked: an IPAddress was missing if its creation succeeds and the Service holds the address
//! still, it was left over if exactly this one could be deleted. Only then anything is said.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use ipnet::IpNet;
use jiff::Timestamp;
use k8s_openapi::api::{
    core::v1::Service,
    networking::v1::{IPAddress, ParentReference, ServiceCIDR},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, PostParams, Preconditions},
};
use portolan_catalogue::Reason;
use portolan_events::{SeriesRecorder, reference};
use portolan_objects::ObjectKey;
use portolan_runtime::{Failure, is_code};

use super::{
    super::Holder,
    judge::{self, OfAddress, OfService, View, Why},
};
use crate::servicecidr::{ALLOCATOR, MANAGER_LABEL, contains, nets};

/// How often a Service that changes is read again before it is left for later.
const READS: usize = 3;

const ALLOCATION: &str = "ClusterIPAllocation";
const VALIDATION: &str = "ClusterIPValidation";
const OF_ADDRESS: &str = "IPAddressAllocation";

/// What was written.
#[derive(Debug)]
pub(super) enum Mended {
    Made(Box<IPAddress>),
    Gone(Box<IPAddress>),
}

/// The part of the cluster that one judgement looks at, as the API has it now.
#[derive(Default)]
struct Now {
    services: HashMap<ObjectKey, Holder>,
    addresses: HashMap<String, IPAddress>,
    ranges: Vec<IpNet>,
}

impl View for Now {
    fn service(&self, key: &ObjectKey) -> Option<&Holder> {
        self.services.get(key)
    }

    fn address(&self, name: &str) -> Option<&IPAddress> {
        self.addresses.get(name)
    }

    fn covers(&self, address: IpAddr) -> bool {
        self.ranges.iter().any(|range| contains(range, address))
    }
}

impl Now {
    /// What the judgement of a Service needs, all of it from while the Service stayed as it is. None if it is gone.
    async fn around(client: &Client, key: &ObjectKey) -> Result<Option<(Holder, Self)>, Failure> {
        for _ in 0..READS {
            let mut now = Self::default();
            let Some(service) = read_service(client, key).await? else { return Ok(None) };
            now.services.insert(key.clone(), service.clone());
            let ranges = Api::<ServiceCIDR>::all(client.clone()).list(&ListParams::default()).await?;
            now.ranges = ranges.iter().flat_map(nets).collect();
            for address in service.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok()) {
                now.read_address(client, &address.to_string()).await?;
            }
            let named: HashSet<ObjectKey> = now.addresses.values().filter_map(judge::parent).collect();
            for other in named.iter().filter(|other| *other != key) {
                now.services.extend(read_service(client, other).await?.map(|service| (other.clone(), service)));
            }
            if read_service(client, key).await?.as_ref() == Some(&service) {
                return Ok(Some((service, now)));
            }
        }
        Err(Failure::conflict("the Service keeps changing"))
    }

    async fn read_address(&mut self, client: &Client, name: &str) -> Result<(), kube::Error> {
        if let Some(address) = Api::<IPAddress>::all(client.clone()).get_opt(name).await? {
            self.addresses.insert(name.to_owned(), address);
        }
        Ok(())
    }
}

async fn read_service(client: &Client, key: &ObjectKey) -> Result<Option<Holder>, kube::Error> {
    let api = Api::<Service>::namespaced(client.clone(), &key.namespace);
    Ok(api.get_opt(&key.name).await?.as_ref().map(Holder::of))
}

/// Puts a Service's IPAddresses right.
pub(super) async fn service(
    client: &Client,
    recorder: &SeriesRecorder,
    key: &ObjectKey,
) -> Result<Vec<Mended>, Failure> {
    let Some((service, now)) = Now::around(client, key).await? else { return Ok(Vec::new()) };
    let mut writes = Vec::new();
    for problem in judge::service(&service, &now) {
        let repaired = match &problem {
            OfService::NotAllocated(address) => make(client, &service, *address, &mut writes).await,
            OfService::WrongReference(address) | OfService::WrongLabels(address) => {
                if let Some(wrong) = now.address(&address.to_string()) {
                    writes.extend(delete(client, wrong).await?);
                }
                make(client, &service, *address, &mut writes).await
            }
            OfService::NotValid(_) | OfService::OutOfRange(_) | OfService::Shared(_) => Ok(true),
        };
        match repaired {
            Ok(true) => say(recorder, &service, &problem),
            Ok(false) => {}
            // Somebody else made it first.
            Err(error) if is_code(&error, 409) => return Err(error.into()),
            Err(error) => {
                say(recorder, &service, &problem);
                return Err(error.into());
            }
        }
    }
    Ok(writes)
}

fn say(recorder: &SeriesRecorder, service: &Holder, problem: &OfService) {
    let key = &service.key;
    let (reason, action, note) = match problem {
        OfService::NotValid(text) => (
            Reason::ClusterIPNotValid,
            VALIDATION,
            format!("Cluster IP {text} is not a valid IP; please recreate service"),
        ),
        OfService::OutOfRange(ip) => (
            Reason::ClusterIPOutOfRange,
            ALLOCATION,
            format!(
                "Cluster IP [{}]: {ip} is not within any configured Service CIDR; please recreate service",
                judge::family(*ip)
            ),
        ),
        OfService::NotAllocated(ip) => (
            Reason::ClusterIPNotAllocated,
            ALLOCATION,
            format!("Cluster IP [{}]: {ip} is not allocated; repairing", judge::family(*ip)),
        ),
        OfService::WrongReference(ip) => (
            Reason::ClusterIPNotAllocated,
            ALLOCATION,
            format!(
                "the ClusterIP [{}]: {ip} for Service {}/{} has a wrong reference; repairing",
                judge::family(*ip),
                key.namespace,
                key.name
            ),
        ),
        OfService::Shared(ip) => (
            Reason::ClusterIPAlreadyAllocated,
            ALLOCATION,
            format!(
                "Cluster IP [{}]:{ip} was assigned to multiple services; please recreate service",
                judge::family(*ip)
            ),
        ),
        // Upstream repairs labels without a word.
        OfService::WrongLabels(_) => return,
    };
    recorder.event(&service.reference(), None, reason, action, note);
}

/// Deletes an IPAddress that nobody needs.
pub(super) async fn address(
    client: &Client,
    recorder: &SeriesRecorder,
    name: &str,
    at: Timestamp,
) -> Result<Vec<Mended>, Failure> {
    let mut now = Now::default();
    now.read_address(client, name).await?;
    let Some(object) = now.addresses.get(name).cloned() else { return Ok(Vec::new()) };
    if let Some(named) = judge::parent(&object) {
        now.services.extend(read_service(client, &named).await?.map(|service| (named, service)));
    }
    // What is fine after all is seen by the watch in a moment; what has to wait is looked at again by then.
    let OfAddress::Leftover(why) = judge::address(&object, &now, at) else { return Ok(Vec::new()) };
    let (reason, note) = match &why {
        Why::NamesNoService => {
            let parent = show(&object.spec.parent_ref);
            let note = format!(
                "IPAddress {name} appears to have been modified, not referencing a Service {parent}: cleaning up"
            );
            (Reason::IPAddressNotAllocated, note)
        }
        Why::Leaked(named) => {
            let note = format!(
                "IPAddress: {name} for Service {}/{} appears to have leaked: cleaning up",
                named.namespace, named.name
            );
            (Reason::IPAddressNotAllocated, note)
        }
        Why::NotHeld(named) => {
            let note = format!(
                "IPAddress: {name} for Service {}/{} has a wrong reference; cleaning up",
                named.namespace, named.name
            );
            (Reason::IPAddressWrongReference, note)
        }
    };
    let gone = delete(client, &object).await;
    // Refused is not gone, but what was said of it is true.
    if !matches!(gone, Ok(None)) {
        recorder.event(&reference(&object), None, reason, OF_ADDRESS, note);
    }
    Ok(gone?.into_iter().collect())
}

/// A reference as Go prints it.
fn show(parent: &ParentReference) -> String {
    let ParentReference { group, name, namespace, resource } = parent;
    let (group, namespace) = (group.as_deref().unwrap_or_default(), namespace.as_deref().unwrap_or_default());
    format!("&ParentReference{{Group:{group},Resource:{resource},Namespace:{namespace},Name:{name},}}")
}

/// Makes the IPAddress. False if the Service gave the address up meanwhile: then there is none.
async fn make(
    client: &Client,
    service: &Holder,
    address: IpAddr,
    writes: &mut Vec<Mended>,
) -> Result<bool, kube::Error> {
    let mut object = IPAddress::default();
    object.metadata.name = Some(address.to_string());
    object.metadata.labels = Some(
        [(judge::FAMILY_LABEL, judge::family(address)), (MANAGER_LABEL, ALLOCATOR)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    );
    object.spec.parent_ref = ParentReference {
        group: None,
        resource: "services".into(),
        namespace: Some(service.key.namespace.clone()),
        name: service.key.name.clone(),
    };
    let made = Api::all(client.clone()).create(&PostParams::default(), &object).await?;
    let now = read_service(client, &service.key).await?;
    let held =
        now.is_some_and(|now| now.uid == service.uid && now.addresses.iter().any(|ip| ip.parse() == Ok(address)));
    if held {
        writes.push(Mended::Made(Box::new(made)));
    } else {
        writes.extend(delete(client, &made).await?);
    }
    Ok(held)
}

/// Deletes exactly this version of the IPAddress. None if it is gone already or is another by now.
async fn delete(client: &Client, object: &IPAddress) -> Result<Option<Mended>, kube::Error> {
    let metadata = &object.metadata;
    let exactly = Preconditions { uid: metadata.uid.clone(), resource_version: metadata.resource_version.clone() };
    let name = object.metadata.name.as_deref().unwrap_or_default();
    let api = Api::<IPAddress>::all(client.clone());
    match api.delete(name, &DeleteParams::default().preconditions(exactly)).await {
        // Even if a finalizer holds it for a while: nobody will use it again.
        Ok(_) => Ok(Some(Mended::Gone(Box::new(object.clone())))),
        Err(error) if is_code(&error, 404) || is_code(&error, 409) => Ok(None),
        Err(error) => Err(error),
    }
}
