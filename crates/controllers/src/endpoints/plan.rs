//! The Endpoints that exists against the one that is wanted. Pure.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Endpoints, Pod, Service},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use portolan_objects::{labels, service};

use super::subsets::{self, CAPACITY};
use crate::trigger;

/// What to write under one key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum EndpointsPlan {
    /// There is none yet.
    Create { service: Arc<Service>, endpoints: Endpoints },
    /// The complete new state, on the revision that was observed.
    Update { service: Arc<Service>, endpoints: Endpoints },
    /// Its Service is gone.
    Delete(Arc<Endpoints>),
}

/// Plans for a Service with a selector; `None` if its Endpoints is right.
pub(crate) fn plan(
    service: &Arc<Service>,
    pods: &[Arc<Pod>],
    existing: Option<&Endpoints>,
    trigger: Option<Timestamp>,
) -> Option<EndpointsPlan> {
    let mut wanted = subsets::subsets(service, pods);
    let truncated = subsets::truncate(&mut wanted, CAPACITY);
    let labels = endpoints_labels(service);
    let before = existing.map(|endpoints| &endpoints.metadata);
    if let Some(endpoints) = existing {
        let same = subsets::canonical(endpoints.subsets.clone().unwrap_or_default()) == wanted
            && endpoints.metadata.labels.as_ref() == Some(&labels)
            && says_truncated(&endpoints.metadata) == truncated.then_some("truncated");
        if same {
            return None;
        }
    }
    let mut metadata = before.cloned().unwrap_or_else(|| ObjectMeta {
        name: service.metadata.name.clone(),
        namespace: service.metadata.namespace.clone(),
        ..ObjectMeta::default()
    });
    metadata.labels = Some(labels);
    annotate(&mut metadata, labels::TRIGGER_TIME, trigger.map(trigger::annotation));
    annotate(&mut metadata, labels::OVER_CAPACITY, truncated.then(|| "truncated".to_owned()));
    let endpoints = Endpoints { metadata, subsets: Some(wanted).filter(|subsets| !subsets.is_empty()) };
    let service = Arc::clone(service);
    Some(match existing {
        None => EndpointsPlan::Create { service, endpoints },
        Some(_) => EndpointsPlan::Update { service, endpoints },
    })
}

/// The Service's labels and who writes the object.
fn endpoints_labels(service: &Service) -> BTreeMap<String, String> {
    let mut set = service.metadata.labels.clone().unwrap_or_default();
    set.remove(labels::HEADLESS);
    if service::is_headless(service) {
        set.insert(labels::HEADLESS.to_owned(), String::new());
    }
    set.insert(labels::ENDPOINTS_MANAGED_BY.to_owned(), labels::ENDPOINTS_CONTROLLER.to_owned());
    set
}

fn says_truncated(metadata: &ObjectMeta) -> Option<&str> {
    metadata.annotations.as_ref()?.get(labels::OVER_CAPACITY).map(String::as_str)
}

fn annotate(metadata: &mut ObjectMeta, key: &str, value: Option<String>) {
    let annotations = metadata.annotations.get_or_insert_default();
    match value {
        Some(value) => annotations.insert(key.to_owned(), value),
        None => annotations.remove(key),
    };
    if annotations.is_empty() {
        metadata.annotations = None;
    }
}

#[cfg(test)]
mod tests;
