//! The registry: what each verb does, written once for all resources.
//!
//! Called by `http` with a parsed request and its body; reads and commits through the store. Kind-specific rules come
//! from [`portolan_kinds::Resource`]; the few kinds that the server itself acts for (Services and their addresses, pods
//! and their grace, namespaces, events and their life) have their own modules here.
//!
//! An object is decoded, defaulted, prepared and validated in the form the client used, then stored in the one form of
//! its storage. The two differ only for Events.

mod create;
mod delete;
mod logs;
mod meta;
mod nodes;
mod read;
mod render;
mod reviews;
pub(crate) use self::reviews::review;
mod services;
mod subresources;
mod ttl;
pub(crate) use self::ttl::expire_events;
mod update;
mod watch;

use std::sync::Arc;

use bytes::Bytes;
use portolan_kinds::{ContentType, DecodeError, FieldValidation, Resource, allocate::Allocators};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub use self::read::Continue;
use self::services::Allocation;
use crate::{
    http::{
        body::Body,
        options::Include,
        request::{ResourceRequest, Verb},
    },
    status::ApiError,
    store::{self, CommitError, Key, Object, Step, Store},
};

/// How often a write that lost a race is done again inside the server.
const RETRIES: usize = 5;

/// The registry. One per server.
pub struct Registry {
    store: Store,
    /// What Services take and give back.
    allocation: Allocation,
    /// For the logs of pods and the agents of nodes.
    kubelet: Option<Arc<rustls::ClientConfig>>,
    /// Ends watches and background work.
    stop: CancellationToken,
}

/// A successful answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub code: u16,
    /// `application/json` for all but logs and what a node answers itself.
    pub content_type: &'static str,
    /// The body.
    pub body: Body,
    /// Texts for `Warning` headers.
    pub warnings: Vec<String>,
}

impl Answer {
    fn json(code: u16, body: impl Into<Bytes>) -> Self {
        Self { code, content_type: "application/json", body: Body::full(body), warnings: Vec::new() }
    }

    fn value(code: u16, value: &Value) -> Self {
        Self::json(code, value.to_string())
    }

    fn warn(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }
}

impl Registry {
    /// A registry over an open store. `allocators` learn from it what is taken.
    pub fn new(
        store: Store,
        allocators: Allocators,
        kubelet: Option<Arc<rustls::ClientConfig>>,
        stop: CancellationToken,
    ) -> Self {
        let allocation = Allocation::new(store.clone(), allocators);
        Self { store, allocation, kubelet, stop }
    }

    /// The store below.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Does what a request asks for.
    pub async fn handle(&self, request: &ResourceRequest, body: &Bytes) -> Result<Answer, ApiError> {
        match &request.verb {
            Verb::Get { name, .. } => self.get(request, name),
            Verb::Log { name, query } => self.logs(request, name, query).await,
            Verb::Proxy { name, path, query } => self.node_proxy(request.resource, name, path, query).await,
            Verb::List(options) => self.list(request, options),
            Verb::Watch(options) => self.watch(request, options),
            Verb::Create { name: Some(name), options, body: format } => {
                self.create_below(request, name, *options, body, *format).await
            }
            Verb::Create { name: None, options, body: format } => {
                let (object, warnings) = decode(request.resource, body, *format, options.validation)?;
                let created = self.create(request.resource, &request.namespace, object, options.dry_run).await?;
                Ok(self.answer(201, request, &created).warn(warnings))
            }
            Verb::Update { name, options, body: format } => self.update(request, name, *options, body, *format).await,
            Verb::Patch { name, kind, options } => self.patch(request, name, *kind, *options, body).await,
            Verb::Delete { name, options } => self.delete_one(request, name, options, body).await,
            Verb::DeleteCollection { list, options } => self.delete_many(request, list, options, body).await,
        }
    }

    fn current(&self, resource: &Resource, namespace: &str, name: &str) -> Result<Arc<Object>, ApiError> {
        self.store
            .get(resource.storage.as_str(), &Key::new(namespace, name))
            .ok_or_else(|| ApiError::not_found(resource, name))
    }

    /// The answer that holds one object in the form asked for.
    fn answer(&self, code: u16, request: &ResourceRequest, object: &Object) -> Answer {
        Answer::json(code, render::one(request.resource, object, request.form, Include::Metadata))
    }

    /// Commits steps of which the first writes the object of the request.
    async fn commit(&self, resource: &Resource, steps: Vec<Step>) -> Result<Arc<Object>, Refused> {
        match self.store.commit(steps).await {
            Ok(written) => {
                written.into_iter().next().ok_or_else(|| Refused::Error(ApiError::internal("nothing written")))
            }
            Err(CommitError::Unexpected { step, current, .. }) => Err(Refused::Lost { step, current }),
            Err(error) => {
                tracing::error!(%error, resource = resource.plural, "a write was refused by the store");
                Err(Refused::Error(ApiError::internal(error)))
            }
        }
    }
}

/// Why a commit did not happen.
enum Refused {
    /// Someone else was faster; this is what is there now.
    Lost { step: usize, current: Option<Arc<Object>> },
    /// No retry helps.
    Error(ApiError),
}

/// The resource in whose form the objects of its storage are stored.
pub(crate) fn canonical(resource: &Resource) -> &'static Resource {
    portolan_kinds::resources()
        .iter()
        .find(|candidate| candidate.storage == resource.storage)
        .unwrap_or_else(|| unreachable!("{} is in the table of resources", resource.plural))
}

/// Whether clients of this resource see the stored form.
fn is_stored_form(resource: &Resource) -> bool {
    std::ptr::eq(canonical(resource), resource)
}

/// A stored object in the form of `resource`.
fn view(resource: &Resource, object: &Object) -> Value {
    let mut value = object.value();
    resource.to_view(&mut value);
    value
}

/// The names of all storages.
pub(crate) fn storages() -> Vec<&'static str> {
    let stored = portolan_kinds::resources().iter().filter(|resource| resource.is_stored());
    let mut names: Vec<_> = stored.map(|resource| resource.storage.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// How the store reads selectable fields: under the names of every view of the storage.
pub(crate) fn index() -> store::Index {
    Box::new(|storage, object| {
        let mut fields: Vec<(&'static str, String)> = Vec::new();
        for resource in portolan_kinds::resources().iter().filter(|resource| resource.storage.as_str() == storage) {
            let found = if is_stored_form(resource) {
                resource.fields(object)
            } else {
                let mut view = object.clone();
                resource.to_view(&mut view);
                resource.fields(&view)
            };
            for (name, value) in found {
                if !fields.iter().any(|(known, _)| *known == name) {
                    fields.push((name, value));
                }
            }
        }
        fields
    })
}

/// Body to object, with the warnings of lenient validation.
fn decode(
    resource: &'static Resource,
    body: &[u8],
    format: ContentType,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), ApiError> {
    let (mut value, duplicates) = portolan_kinds::parse(body, format)?;
    if !value.is_object() {
        return Err(ApiError::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: the body is not an object",
            resource.kind, resource.version, resource.kind
        )));
    }
    let mut warnings: Vec<_> = duplicates.iter().map(|field| format!("duplicate field {field:?}")).collect();
    if validation == FieldValidation::Strict && !warnings.is_empty() {
        // Unknown fields are named in the same answer.
        if let Err(DecodeError::Strict { problems, .. }) = resource.decode(&mut value, validation) {
            warnings.extend(problems);
        }
        return Err(DecodeError::Strict { kind: resource.kind, version: resource.version, problems: warnings }.into());
    }
    let unknown = resource.decode(&mut value, validation)?;
    if validation == FieldValidation::Ignore {
        warnings.clear();
    } else {
        warnings.extend(unknown);
    }
    Ok((value, warnings))
}
