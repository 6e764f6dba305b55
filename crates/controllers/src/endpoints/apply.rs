//! Writes one Endpoints object, and says so if it could not.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Endpoints, ObjectReference, Service};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams, Preconditions},
};
use portolan_catalogue::Reason;
use portolan_events::{Recorder, Vocabulary, reference};
use portolan_objects::ObjectKey;
use portolan_runtime::{Failure, describe, has_finalizers, is_code, is_namespace_terminating};

use super::{plan::EndpointsPlan, stored::Stored};

/// What got through.
#[derive(Debug)]
pub(crate) enum Written {
    /// The object as the API now has it.
    Now(Box<Endpoints>),
    /// Deleted.
    Gone(Arc<Stored>),
    /// The namespace is being deleted: nothing to do any more.
    Nothing,
}

/// A write that the API did not take. Worth another try with the Service's back-off.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("Failed to create endpoint for service {key}: {}", describe(.source))]
    Create { key: ObjectKey, source: kube::Error },
    #[error("Failed to update endpoint {key}: {}", describe(.source))]
    Update { key: ObjectKey, source: kube::Error },
    #[error("Failed to delete endpoint {key}: {}", describe(.source))]
    Delete { key: ObjectKey, source: kube::Error },
}

pub(crate) async fn apply(
    client: Client,
    recorder: Recorder,
    key: ObjectKey,
    plan: EndpointsPlan,
) -> Result<Written, Failure> {
    let api: Api<Endpoints> = Api::namespaced(client, &key.namespace);
    write(&api, &key, &plan).await.map_err(|error| {
        let (object, reason) = regarding(&recorder, &plan);
        recorder.event(&object, reason, error.to_string());
        Failure::new(&error)
    })
}

async fn write(api: &Api<Endpoints>, key: &ObjectKey, plan: &EndpointsPlan) -> Result<Written, WriteError> {
    match plan {
        EndpointsPlan::Create { endpoints, .. } => match api.create(&PostParams::default(), endpoints).await {
            Ok(created) => Ok(Written::Now(Box::new(created))),
            Err(error) if is_namespace_terminating(&error) => Ok(Written::Nothing),
            Err(error) => Err(WriteError::Create { key: key.clone(), source: error }),
        },
        EndpointsPlan::Update { endpoints, .. } => {
            let updated = api.replace(&key.name, &PostParams::default(), endpoints).await;
            updated
                .map(|now| Written::Now(Box::new(now)))
                .map_err(|error| WriteError::Update { key: key.clone(), source: error })
        }
        EndpointsPlan::Delete(endpoints) => {
            let uid = Preconditions { uid: endpoints.metadata.uid.clone(), resource_version: None };
            match api.delete(&key.name, &DeleteParams::default().preconditions(uid)).await {
                Ok(answer) => Ok(match answer.left() {
                    // Somebody's finalizer holds it: the watch will show its end.
                    Some(held) if has_finalizers(&held.metadata) => Written::Now(Box::new(held)),
                    _ => Written::Gone(Arc::clone(endpoints)),
                }),
                Err(error) if is_code(&error, 404) => Ok(Written::Gone(Arc::clone(endpoints))),
                Err(error) => Err(WriteError::Delete { key: key.clone(), source: error }),
            }
        }
    }
}

/// Where the Event goes and which it is. The full vocabulary puts it on the Service, where `kubectl describe` shows
/// it. Kubernetes puts it on the Endpoints, and for a creation on one without namespace and UID, so that it lands in
/// the namespace `default` where only `kubectl get events` finds it.
fn regarding(recorder: &Recorder, plan: &EndpointsPlan) -> (ObjectReference, Reason) {
    let full = recorder.vocabulary() == Vocabulary::Full;
    let on = |service: &Service, endpoints: &Endpoints| {
        if full { reference(service) } else { reference(endpoints) }
    };
    match plan {
        EndpointsPlan::Create { service, endpoints } => {
            let mut object = on(service, endpoints);
            if !full {
                object.namespace = None;
            }
            (object, Reason::FailedToCreateEndpoint)
        }
        EndpointsPlan::Update { service, endpoints } => (on(service, endpoints), Reason::FailedToUpdateEndpoint),
        EndpointsPlan::Delete(endpoints) => (reference(&**endpoints), Reason::FailedToDeleteEndpoint),
    }
}
