//! Does what a plan says: creates, then updates, then deletes. A create or update that fails stops the rest, which is
//! retried.

use std::sync::Arc;

use k8s_openapi::api::{core::v1::Endpoints, discovery::v1::EndpointSlice};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams, Preconditions},
};
use portolan_events::{Recorder, reference};
use portolan_objects::ObjectKey;
use portolan_runtime::{Failure, describe, has_finalizers, is_code, is_namespace_terminating};

use super::{
    metrics::Metrics,
    plan::{MirrorPlan, Writes},
};
use crate::count::Operation;

/// What got through.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) written: Vec<EndpointSlice>,
    pub(crate) deleted: Vec<Arc<EndpointSlice>>,
    /// The Endpoints as the API has it.
    pub(crate) read: Option<Box<Endpoints>>,
    /// Why the sync has to be repeated although this much is done.
    pub(crate) failure: Option<Failure>,
}

/// One request that the API did not take. Worth another try with the back-off of the Endpoints.
#[derive(Debug, thiserror::Error)]
enum SyncError {
    #[error("cannot read Endpoints {key}: {}", describe(.source))]
    Read { key: ObjectKey, source: kube::Error },
    #[error("cannot create an EndpointSlice for Endpoints {key}: {}", describe(.source))]
    Create { key: ObjectKey, source: kube::Error },
    #[error("cannot update EndpointSlice {slice} for Endpoints {key}: {}", describe(.source))]
    Update { slice: String, key: ObjectKey, source: kube::Error },
    #[error("cannot delete EndpointSlice {slice} of Endpoints {key}: {}", describe(.source))]
    Delete { slice: String, key: ObjectKey, source: kube::Error },
}

pub(crate) async fn apply(
    client: Client,
    recorder: Recorder,
    metrics: &Metrics,
    key: ObjectKey,
    plan: MirrorPlan,
) -> Written {
    let mut written = Written::default();
    let result = match plan {
        MirrorPlan::Fetch => read(&Api::namespaced(client, &key.namespace), &key, &mut written).await,
        MirrorPlan::Write(writes) => {
            complain(&recorder, &writes);
            let sync = Sync { api: Api::namespaced(client, &key.namespace), key: &key, metrics };
            sync.write(&writes, &mut written).await
        }
    };
    written.failure = result.err().map(|error| Failure::new(&error));
    written
}

async fn read(api: &Api<Endpoints>, key: &ObjectKey, written: &mut Written) -> Result<(), SyncError> {
    let endpoints = api.get_opt(&key.name).await.map_err(|source| SyncError::Read { key: key.clone(), source })?;
    // If it is gone, the watch will say so.
    written.read = endpoints.map(Box::new);
    Ok(())
}

fn complain(recorder: &Recorder, writes: &Writes) {
    let Some(endpoints) = &writes.endpoints else { return };
    for complaint in &writes.complaints {
        recorder.event(&reference(&**endpoints), complaint.reason, complaint.message.clone());
    }
}

/// The writes for one Endpoints.
struct Sync<'a> {
    api: Api<EndpointSlice>,
    key: &'a ObjectKey,
    metrics: &'a Metrics,
}

impl Sync<'_> {
    async fn write(&self, writes: &Writes, written: &mut Written) -> Result<(), SyncError> {
        for slice in &writes.creates {
            match self.api.create(&PostParams::default(), slice).await {
                Ok(created) => written.written.push(created),
                Err(error) if is_namespace_terminating(&error) => return Ok(()),
                Err(source) => return Err(SyncError::Create { key: self.key.clone(), source }),
            }
            self.metrics.changed(Operation::Create);
        }
        for slice in &writes.updates {
            let name = slice.metadata.name.as_deref().unwrap_or_default();
            match self.api.replace(name, &PostParams::default(), slice).await {
                Ok(updated) => written.written.push(updated),
                Err(source) => {
                    return Err(SyncError::Update { slice: name.to_owned(), key: self.key.clone(), source });
                }
            }
            self.metrics.changed(Operation::Update);
        }
        // One that cannot be deleted does not save the others.
        let mut result = Ok(());
        for slice in &writes.deletes {
            result = result.and(self.delete(slice, written).await);
        }
        result
    }

    async fn delete(&self, slice: &Arc<EndpointSlice>, written: &mut Written) -> Result<(), SyncError> {
        let name = slice.metadata.name.as_deref().unwrap_or_default();
        let uid = Preconditions { uid: slice.metadata.uid.clone(), resource_version: None };
        match self.api.delete(name, &DeleteParams::default().preconditions(uid)).await {
            Ok(answer) => {
                self.metrics.changed(Operation::Delete);
                // Somebody's finalizer holds it: no longer ours, and the watch will show its end.
                if let Some(held) = answer.left().filter(|held| has_finalizers(&held.metadata)) {
                    written.written.push(held);
                    return Ok(());
                }
            }
            // Somebody else was faster, such as garbage collection.
            Err(error) if is_code(&error, 404) => {}
            Err(source) => return Err(SyncError::Delete { slice: name.to_owned(), key: self.key.clone(), source }),
        }
        written.deleted.push(Arc::clone(slice));
        Ok(())
    }
}
