//! Writes one plan: creates, then updates, then deletes. The first error stops the rest, which is retried.

use std::sync::Arc;

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams, Preconditions},
};
use portolan_catalogue::Reason;
use portolan_events::{Recorder, reference};
use portolan_objects::ObjectKey;
use portolan_runtime::{Failure, describe, has_finalizers, is_code, is_namespace_terminating};
use tracing::debug;

use super::plan::SlicePlan;

/// What got through.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) written: Vec<EndpointSlice>,
    pub(crate) deleted: Vec<Arc<EndpointSlice>>,
    /// Why the sync has to be repeated although this much is done.
    pub(crate) failure: Option<Failure>,
}

/// One write that the API did not take. Worth another try with the Service's back-off.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("failed to create EndpointSlice for Service {service}: {}", describe(.source))]
    Create { service: ObjectKey, source: kube::Error },
    #[error("failed to update {slice} EndpointSlice for Service {service}: {}", describe(.source))]
    Update { slice: String, service: ObjectKey, source: kube::Error },
    #[error("failed to delete {slice} EndpointSlice for Service {service}: {}", describe(.source))]
    Delete { slice: String, service: ObjectKey, source: kube::Error },
}

impl WriteError {
    /// The full vocabulary has a word for each verb; upstream has one for all.
    fn reason(&self) -> Reason {
        match self {
            Self::Create { .. } => Reason::FailedToCreateEndpointSlice,
            Self::Update { .. } => Reason::FailedToUpdateEndpointSlice,
            Self::Delete { .. } => Reason::FailedToDeleteEndpointSlice,
        }
    }
}

pub(crate) async fn apply(client: Client, recorder: Recorder, plan: SlicePlan) -> Written {
    let key = ObjectKey::of(&*plan.service);
    let api: Api<EndpointSlice> = Api::namespaced(client, &key.namespace);
    let mut written = Written::default();
    let result = write(&api, &key, &plan, &mut written).await;
    debug!(service = %key, written = written.written.len(), deleted = written.deleted.len(), "slices written");
    written.failure = report(&recorder, &plan.service, &key, &plan, result);
    written
}

async fn write(
    api: &Api<EndpointSlice>,
    service: &ObjectKey,
    plan: &SlicePlan,
    written: &mut Written,
) -> Result<(), WriteError> {
    for slice in &plan.creates {
        match api.create(&PostParams::default(), slice).await {
            Ok(created) => written.written.push(created),
            Err(error) if is_namespace_terminating(&error) => return Ok(()),
            Err(source) => return Err(WriteError::Create { service: service.clone(), source }),
        }
    }
    for slice in &plan.updates {
        let name = slice.metadata.name.as_deref().unwrap_or_default();
        match api.replace(name, &PostParams::default(), slice).await {
            Ok(updated) => written.written.push(updated),
            Err(source) => {
                return Err(WriteError::Update { slice: name.to_owned(), service: service.clone(), source });
            }
        }
    }
    for slice in &plan.deletes {
        let name = slice.metadata.name.as_deref().unwrap_or_default();
        let uid = Preconditions { uid: slice.metadata.uid.clone(), resource_version: None };
        match api.delete(name, &DeleteParams::default().preconditions(uid)).await {
            Ok(answer) => {
                // Somebody's finalizer holds it: no longer ours, and the watch will show its end.
                if let Some(held) = answer.left().filter(|held| has_finalizers(&held.metadata)) {
                    written.written.push(held);
                    continue;
                }
            }
            // Somebody else was faster.
            Err(error) if is_code(&error, 404) => {}
            Err(source) => {
                return Err(WriteError::Delete { slice: name.to_owned(), service: service.clone(), source });
            }
        }
        written.deleted.push(Arc::clone(slice));
    }
    Ok(())
}

/// One Event and one failure for everything that went wrong.
fn report(
    recorder: &Recorder,
    service: &Service,
    key: &ObjectKey,
    plan: &SlicePlan,
    result: Result<(), WriteError>,
) -> Option<Failure> {
    let skipped = plan
        .skipped
        .iter()
        .map(|skipped| format!("skipping Pod {} for Service {key}: Node {} Not Found", skipped.pod, skipped.node));
    let mut errors: Vec<String> = skipped.collect();
    let mut reason = Reason::FailedToUpdateEndpointSlices;
    let mut conflict = false;
    if let Err(error) = result {
        reason = error.reason();
        conflict = errors.is_empty() && Failure::new(&error).conflict;
        errors.push(error.to_string());
    }
    let text = match errors.as_slice() {
        [] => return None,
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    recorder.event(&reference(service), reason, format!("Error updating Endpoint Slices for Service {key}: {text}"));
    Some(Failure { conflict, ..Failure::message(text) })
}
