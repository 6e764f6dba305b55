//! Writes one plan: of each family creates, then updates, then deletes. The first error stops the rest of the family,
//! which is retried.

use std::{future::Future, sync::Arc};

use futures::{StreamExt, stream::FuturesUnordered};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{
    Client, Resource,
    api::{DeleteParams, PostParams, Preconditions},
    core::Request,
};
use portolan_catalogue::Reason;
use portolan_events::{Recorder, reference};
use portolan_objects::ObjectKey;
use portolan_runtime::{Failure, describe, has_finalizers, is_code, is_namespace_terminating};
use tracing::debug;

use super::{
    metrics::Metrics,
    plan::{FamilyPlan, SlicePlan},
    slice::Slice,
};
use crate::{backends::Watched, count::Operation};

/// Writes of one kind that are under way for one Service. A large one has dozens of slices.
const PARALLEL: usize = 4;

/// What got through.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) written: Vec<Slice>,
    pub(crate) deleted: Vec<Arc<Slice>>,
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
    /// Of a family that the Service does not have any more.
    #[error("error deleting {slice} EndpointSlice for Service {service}: {}", describe(.source))]
    Unwanted { slice: String, service: ObjectKey, source: kube::Error },
}

impl WriteError {
    /// The full vocabulary has a word for each verb; upstream has one for all.
    fn reason(&self) -> Reason {
        match self {
            Self::Create { .. } => Reason::FailedToCreateEndpointSlice,
            Self::Update { .. } => Reason::FailedToUpdateEndpointSlice,
            Self::Delete { .. } | Self::Unwanted { .. } => Reason::FailedToDeleteEndpointSlice,
        }
    }
}

/// Does it, and reports it.
pub(crate) async fn apply(
    client: Client,
    recorder: Recorder,
    metrics: Metrics,
    key: ObjectKey,
    plan: SlicePlan,
) -> Written {
    let request = Request::new(EndpointSlice::url_path(&(), Some(&key.namespace)));
    let writer = Writer { client, request, metrics, service: key };
    let (mut written, mut errors) = (Written::default(), Vec::new());
    for family in &plan.families {
        match writer.write(family, &mut written).await {
            Ok(()) => writer.metrics.finished(plan.mode, family.writes()),
            Err(Stop::NamespaceTerminating) => {}
            Err(Stop::Error(error)) => errors.push(error),
        }
    }
    for slice in &plan.unwanted {
        match writer.delete(slice).await {
            Ok(gone) => gone.take(&mut written),
            Err(source) => {
                let (slice, service) = (slice.name().to_owned(), writer.service.clone());
                errors.push(WriteError::Unwanted { slice, service, source });
            }
        }
    }
    debug!(
        service = %writer.service, written = written.written.len(), deleted = written.deleted.len(), "slices written"
    );
    for (reason, message) in &plan.events {
        recorder.event(&reference(&*plan.service), *reason, message.clone());
    }
    written.failure = report(&recorder, &writer.service, &plan, &errors);
    writer.metrics.synced(written.failure.is_none());
    written
}

/// Why the rest of a family is not written.
#[derive(Debug)]
enum Stop {
    /// Nothing can be created, and everything will be gone in a moment.
    NamespaceTerminating,
    Error(WriteError),
}

/// What a deletion led to.
enum Deleted {
    Gone(Arc<Slice>),
    /// Somebody's finalizer holds it: no longer ours, and the watch will show its end.
    Held(Box<Slice>),
}

impl Deleted {
    fn take(self, written: &mut Written) {
        match self {
            Self::Gone(slice) => written.deleted.push(slice),
            Self::Held(slice) => written.written.push(*slice),
        }
    }
}

struct Writer {
    client: Client,
    request: Request,
    metrics: Metrics,
    service: ObjectKey,
}

impl Writer {
    async fn write(&self, plan: &FamilyPlan, written: &mut Written) -> Result<(), Stop> {
        let service = || self.service.clone();
        let (created, failed) = all(plan.creates.iter().map(|slice| self.create(slice))).await;
        written.written.extend(created);
        match failed {
            Some(((), error)) if is_namespace_terminating(&error) => return Err(Stop::NamespaceTerminating),
            Some(((), source)) => return Err(Stop::Error(WriteError::Create { service: service(), source })),
            None => {}
        }
        let (updated, failed) = all(plan.updates.iter().map(|slice| self.update(slice))).await;
        written.written.extend(updated);
        if let Some((slice, source)) = failed {
            if is_code(&source, 404) {
                // Next time it is known to be gone.
                written.deleted.push(Arc::new(slice.clone()));
            }
            let slice = slice.name().to_owned();
            return Err(Stop::Error(WriteError::Update { slice, service: service(), source }));
        }
        let deletes = plan.deletes.iter().map(|slice| async move { self.delete(slice).await.map_err(|e| (slice, e)) });
        let (deleted, failed) = all(deletes).await;
        deleted.into_iter().for_each(|gone| gone.take(written));
        if let Some((slice, source)) = failed {
            let slice = slice.name().to_owned();
            return Err(Stop::Error(WriteError::Delete { slice, service: service(), source }));
        }
        Ok(())
    }

    async fn create(&self, slice: &Slice) -> Result<Slice, ((), kube::Error)> {
        let send = async {
            let body = serde_json::to_vec(&slice.to_api()).map_err(kube::Error::SerdeError)?;
            let request = self.request.create(&PostParams::default(), body).map_err(kube::Error::BuildRequest)?;
            self.client.request::<Watched<Slice>>(request).await
        };
        let created = send.await.map_err(|error| ((), error))?;
        self.metrics.wrote(Operation::Create);
        Ok(created.facts)
    }

    async fn update<'a>(&self, slice: &'a Slice) -> Result<Slice, (&'a Slice, kube::Error)> {
        let send = async {
            let body = serde_json::to_vec(&slice.to_api()).map_err(kube::Error::SerdeError)?;
            let request = self.request.replace(slice.name(), &PostParams::default(), body);
            self.client.request::<Watched<Slice>>(request.map_err(kube::Error::BuildRequest)?).await
        };
        let updated = send.await.map_err(|error| (slice, error))?;
        self.metrics.wrote(Operation::Update);
        Ok(updated.facts)
    }

    async fn delete(&self, slice: &Arc<Slice>) -> Result<Deleted, kube::Error> {
        let uid = Preconditions { uid: slice.metadata.uid.clone(), resource_version: None };
        let request = self.request.delete(slice.name(), &DeleteParams::default().preconditions(uid));
        let request = request.map_err(kube::Error::BuildRequest)?;
        match self.client.request_status::<Watched<Slice>>(request).await {
            Ok(answer) => {
                self.metrics.wrote(Operation::Delete);
                let held = answer.left().map(|held| held.facts).filter(|held| has_finalizers(&held.metadata));
                Ok(held.map_or_else(|| Deleted::Gone(Arc::clone(slice)), |held| Deleted::Held(Box::new(held))))
            }
            // Somebody else was faster.
            Err(error) if is_code(&error, 404) => Ok(Deleted::Gone(Arc::clone(slice))),
            Err(error) => Err(error),
        }
    }
}

/// Runs writes, a few at a time. After the first error no other is begun, but those under way are waited for: what
/// they do has to be known.
async fn all<T, E, F>(writes: impl Iterator<Item = F>) -> (Vec<T>, Option<E>)
where
    F: Future<Output = Result<T, E>>,
{
    let (mut done, mut failed) = (Vec::new(), None);
    let mut waiting = writes;
    let mut running: FuturesUnordered<F> = waiting.by_ref().take(PARALLEL).collect();
    while let Some(result) = running.next().await {
        match result {
            Ok(value) => done.push(value),
            Err(error) => failed = failed.or(Some(error)),
        }
        if failed.is_none() {
            running.extend(waiting.next());
        }
    }
    (done, failed)
}

/// One Event and one failure for everything that went wrong.
fn report(recorder: &Recorder, key: &ObjectKey, plan: &SlicePlan, errors: &[WriteError]) -> Option<Failure> {
    let skipped = plan
        .skipped
        .iter()
        .map(|skipped| format!("skipping Pod {} for Service {key}: Node {} Not Found", skipped.pod, skipped.node));
    let texts: Vec<String> = skipped.chain(errors.iter().map(WriteError::to_string)).collect();
    let text = match texts.as_slice() {
        [] => return None,
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    let reason = errors.first().map_or(Reason::FailedToUpdateEndpointSlices, WriteError::reason);
    let message = format!("Error updating Endpoint Slices for Service {key}: {text}");
    recorder.event(&reference(&*plan.service), reason, message);
    let conflict = plan.skipped.is_empty() && errors.iter().all(|error| Failure::new(error).conflict);
    Some(Failure { conflict, ..Failure::message(text) })
}

#[cfg(test)]
mod tests;
