//! The loops that compare what Services hold with what is recorded as allocated, say what is wrong, and repair what can
//! be repaired. Upstream runs them inside kube-apiserver; here they are clients of the API like everything else, so
//! `up` runs them, and `portolan controllers` does not, because a real cluster has them already.
//!
//! - [`addresses`]: ClusterIPs and IPAddress objects.
//! - [`ports`]: node ports.
//!
//! Upstream: `pkg/registry/core/service/ipallocator/controller/repairip.go`, `portallocator/controller/repair.go`.

pub mod addresses;
pub mod ports;

use std::{collections::HashMap, time::Duration};

use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Service};
use portolan_objects::ObjectKey;
use portolan_runtime::{Backoff, Change};

/// How often everything is looked at again, even if nothing changes.
const EVERYTHING: Duration = Duration::from_secs(180);
/// After a failure: 5 ms, doubled, fifteen times.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(5), max: Duration::from_secs(1000), attempts: Some(15) };
/// One repair is a few requests.
const TIMEOUT: Duration = Duration::from_secs(60);

/// What a Service holds, and what an Event needs to name it. The rest of a Service is not kept.
#[derive(Debug, Clone, PartialEq)]
struct Holder {
    key: ObjectKey,
    uid: Option<String>,
    resource_version: Option<String>,
    created: Option<Timestamp>,
    is_external_name: bool,
    /// `spec.clusterIPs` as they are written; empty if it needs none.
    addresses: Vec<String>,
    /// Node ports, the health check's among them, each once.
    ports: Vec<i32>,
}

impl Holder {
    fn of(service: &Service) -> Self {
        let spec = service.spec.clone().unwrap_or_default();
        let has_address = spec.cluster_ip.as_deref().is_some_and(|address| !address.is_empty() && address != "None");
        let node_ports = spec.ports.iter().flatten().filter_map(|port| port.node_port);
        let mut ports: Vec<i32> = node_ports.chain(spec.health_check_node_port).filter(|port| *port != 0).collect();
        ports.sort_unstable();
        ports.dedup();
        Self {
            key: ObjectKey::of(service),
            uid: service.metadata.uid.clone(),
            resource_version: service.metadata.resource_version.clone(),
            created: service.metadata.creation_timestamp.as_ref().map(|time| time.0),
            is_external_name: spec.type_.as_deref() == Some("ExternalName"),
            addresses: if has_address { spec.cluster_ips.unwrap_or_default() } else { Vec::new() },
            ports,
        }
    }

    fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some("v1".into()),
            kind: Some("Service".into()),
            namespace: Some(self.key.namespace.clone()),
            name: Some(self.key.name.clone()),
            uid: self.uid.clone(),
            resource_version: self.resource_version.clone(),
            ..ObjectReference::default()
        }
    }

    /// Whether both hold the same in the same name.
    fn is_like(&self, other: &Self) -> bool {
        let others_version = Self { resource_version: other.resource_version.clone(), ..self.clone() };
        others_version == *other
    }
}

/// The Services that the watch has shown.
#[derive(Debug, Default)]
struct Holders(HashMap<ObjectKey, Holder>);

impl Holders {
    /// Takes a change in. Gives each Service whose holdings changed, as it was and as it is.
    fn take(&mut self, change: Change<Service>) -> Vec<(Option<Holder>, Option<Holder>)> {
        match change {
            Change::Apply(service) => vec![self.put(&service)],
            Change::Delete(service) => vec![(self.0.remove(&ObjectKey::of(&service)), None)],
            Change::Reset(services) => {
                let mut before = std::mem::take(&mut self.0);
                let mut changes: Vec<_> = services.iter().map(|service| self.put(service)).collect();
                for (was, now) in &mut changes {
                    *was = now.as_ref().and_then(|now| before.remove(&now.key));
                }
                changes.extend(before.into_values().map(|gone| (Some(gone), None)));
                changes
            }
        }
    }

    fn put(&mut self, service: &Service) -> (Option<Holder>, Option<Holder>) {
        let now = Holder::of(service);
        (self.0.insert(now.key.clone(), now.clone()), Some(now))
    }

    fn get(&self, key: &ObjectKey) -> Option<&Holder> {
        self.0.get(key)
    }
}

/// Ticks for another look at everything; the first after one interval.
fn again_and_again() -> impl Stream<Item = ()> + Send {
    stream::repeat(()).then(|()| tokio::time::sleep(EVERYTHING))
}
