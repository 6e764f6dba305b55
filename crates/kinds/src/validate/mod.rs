//! Validation: every rule an object breaks, with upstream's field paths and texts.
//!
//! Runs on defaulted and prepared objects. On update the rules of a new object hold as well, plus those on what may
//! change; a status write is held to the rules of status alone.

mod core;
mod endpoints;
mod event;
mod meta;
mod names;
mod pod;
mod policy;
mod probe;
pub(crate) mod report;
pub(crate) mod service;
mod workload;

use serde_json::Value;

use self::report::Report;
use crate::error::FieldError;
use crate::resource::{Model, Part, Resource};

/// See [`Resource::validate_create`].
pub(crate) fn create(resource: &Resource, object: &Value) -> Vec<FieldError> {
    let mut report = Report::default();
    meta::object(&mut report, resource, object);
    kind(&mut report, resource.model, object, None);
    if matches!(resource.model, Model::CoreEvent | Model::NewEvent) {
        event::create(&mut report, resource.model, object);
    }
    report.into_errors()
}

/// See [`Resource::validate_update`].
pub(crate) fn update(resource: &Resource, new: &Value, old: &Value, part: Part) -> Vec<FieldError> {
    let mut report = Report::default();
    meta::object(&mut report, resource, new);
    meta::update(&mut report, new, old);
    match part {
        Part::Status => status(&mut report, resource.model, new),
        Part::Finalize => {}
        // Of a Service, upstream names first what may not change.
        Part::Main | Part::Scale if resource.model == Model::Service => {
            change(&mut report, resource.model, new, old);
            kind(&mut report, resource.model, new, Some(old));
        }
        Part::Main | Part::Scale => {
            kind(&mut report, resource.model, new, Some(old));
            change(&mut report, resource.model, new, old);
        }
    }
    report.into_errors()
}

/// Rules of any object of the kind; `old` is the stored one of an update.
fn kind(report: &mut Report, model: Model, object: &Value, old: Option<&Value>) {
    match model {
        Model::Service => service::validate(report, object, old),
        Model::Endpoints => endpoints::endpoints(report, object),
        Model::EndpointSlice => endpoints::slice(report, object),
        Model::Pod => pod::spec(report, "spec", &object["spec"]),
        Model::Deployment => workload::deployment(report, object),
        Model::ReplicaSet => workload::replica_set(report, object),
        Model::Node => core::node(report, object),
        Model::ConfigMap => core::config_map(report, object),
        Model::Secret => core::secret(report, object),
        Model::Lease => core::lease(report, object),
        Model::NetworkPolicy => policy::network_policy(report, object),
        // Of a stored one only the change is judged.
        Model::ServiceCidr if old.is_some() => {}
        Model::ServiceCidr => core::service_cidr(report, object),
        Model::IpAddress => core::ip_address(report, object),
        Model::Namespace | Model::ServiceAccount | Model::CoreEvent | Model::NewEvent | Model::Review => {}
    }
}

/// What may not change.
fn change(report: &mut Report, model: Model, new: &Value, old: &Value) {
    match model {
        Model::Service => service::update(report, new, old),
        Model::EndpointSlice => endpoints::slice_update(report, new, old),
        Model::Pod => pod::update(report, new, old),
        Model::Deployment | Model::ReplicaSet => workload::update(report, new, old),
        Model::Node => core::node_update(report, new, old),
        Model::ConfigMap => core::config_map_update(report, new, old),
        Model::Secret => core::secret_update(report, new, old),
        Model::ServiceCidr => core::service_cidr_update(report, new, old),
        Model::IpAddress => core::ip_address_update(report, new, old),
        Model::CoreEvent | Model::NewEvent => event::update(report, model, new, old),
        Model::Endpoints
        | Model::Namespace
        | Model::ServiceAccount
        | Model::Lease
        | Model::NetworkPolicy
        | Model::Review => {}
    }
}

/// Rules of a status.
fn status(report: &mut Report, model: Model, object: &Value) {
    match model {
        Model::Service => service::status(report, object),
        Model::Deployment | Model::ReplicaSet => workload::status(report, object),
        Model::Pod => pod::status(report, object),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
