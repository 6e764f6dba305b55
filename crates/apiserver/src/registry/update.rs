//! Update and patch: read, change, prepare, validate, commit against the version read; again if someone was faster.

use std::sync::Arc;

use bytes::Bytes;
use portolan_kinds::{ContentType, FieldValidation, Part, Resource, patch};
use serde_json::Value;

use super::{Answer, RETRIES, Refused, Registry, decode, meta, services, view};
use crate::{
    http::{
        options::{PatchKind, WriteOptions},
        request::ResourceRequest,
    },
    status::ApiError,
    store::{Expect, Key, Object, Step, Write},
};

/// The new version that a change makes of the present one, with warnings.
pub(super) type Changed = Result<(Value, Vec<String>), ApiError>;

/// What one attempt came to.
enum Attempt {
    Done(Arc<Object>, Vec<String>),
    /// Someone was faster.
    Again,
}

/// The part that a request may change.
fn part(request: &ResourceRequest) -> Part {
    match request.subresource.map(|part| part.name) {
        Some("status") => Part::Status,
        Some("scale") => Part::Scale,
        Some("finalize") => Part::Finalize,
        _ => Part::Main,
    }
}

impl Registry {
    pub(super) async fn update(
        &self,
        request: &ResourceRequest,
        name: &str,
        options: WriteOptions,
        body: &Bytes,
        format: ContentType,
    ) -> Result<Answer, ApiError> {
        let resource = request.resource;
        if part(request) == Part::Scale {
            let (scale, _) = portolan_kinds::parse(body, format)?;
            return self.rescale(request, name, options.dry_run, |_| Ok(scale.clone())).await;
        }
        let (mut object, warnings) = decode(resource, body, format, options.validation)?;
        meta::place(resource, &request.namespace, &mut object)?;
        let given = meta::text(&object, "name");
        if given != name {
            return Err(ApiError::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        let there = self.store.get(resource.storage.as_str(), &Key::new(request.namespace.as_str(), name)).is_some();
        if !there && resource.creates_on_update() && part(request) == Part::Main {
            return self.create_by_update(request, name, object, options.dry_run, warnings).await;
        }
        let make = |_: &Value| Ok((object.clone(), warnings.clone()));
        let (object, warnings) = self.change(request, name, options.dry_run, make).await?;
        Ok(self.answer(200, request, &object).warn(warnings))
    }

    /// A PUT of what is not there. The version that the client has seen does not matter, the uid does.
    async fn create_by_update(
        &self,
        request: &ResourceRequest,
        name: &str,
        mut object: Value,
        dry_run: bool,
        warnings: Vec<String>,
    ) -> Result<Answer, ApiError> {
        let uid = meta::text(&object, "uid");
        if !uid.is_empty() {
            let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: ");
            return Err(ApiError::conflict(request.resource, name, &why));
        }
        meta::metadata(&mut object).remove("resourceVersion");
        let created = self.create(request.resource, &request.namespace, object, dry_run).await?;
        Ok(self.answer(201, request, &created).warn(warnings))
    }

    pub(super) async fn patch(
        &self,
        request: &ResourceRequest,
        name: &str,
        kind: PatchKind,
        options: WriteOptions,
        body: &Bytes,
    ) -> Result<Answer, ApiError> {
        let resource = request.resource;
        let (patch, duplicates) = portolan_kinds::parse(body, ContentType::Json)?;
        let duplicates: Vec<_> = duplicates.iter().map(|field| format!("duplicate field {field:?}")).collect();
        if options.validation == FieldValidation::Strict && !duplicates.is_empty() {
            return Err(ApiError::bad_request(format!("strict decoding error: {}", duplicates.join(", "))));
        }
        if part(request) == Part::Scale {
            let make = |current: &Value| {
                let mut scale = resource.scale(current).ok_or_else(ApiError::no_such_path)?;
                // Scale has no lists: the strategic patch of it is a merge patch.
                apply(resource, if kind == PatchKind::Json { kind } else { PatchKind::Merge }, &mut scale, &patch)?;
                Ok(scale)
            };
            return self.rescale(request, name, options.dry_run, make).await;
        }
        let make = |current: &Value| {
            let mut object = current.clone();
            apply(resource, kind, &mut object, &patch)?;
            let mut warnings =
                if options.validation == FieldValidation::Warn { duplicates.clone() } else { Vec::new() };
            let unknown = resource.decode(&mut object, options.validation)?;
            if options.validation == FieldValidation::Warn {
                warnings.extend(unknown);
            }
            if meta::text(&object, "name") != name {
                return Err(ApiError::bad_request(format!(
                    "the name of the object ({}) does not match the name on the URL ({name})",
                    meta::text(&object, "name")
                )));
            }
            meta::place(resource, &request.namespace, &mut object)?;
            Ok((object, warnings))
        };
        let (object, warnings) = self.change(request, name, options.dry_run, make).await?;
        Ok(self.answer(200, request, &object).warn(warnings))
    }

    async fn rescale(
        &self,
        request: &ResourceRequest,
        name: &str,
        dry_run: bool,
        make: impl Fn(&Value) -> Result<Value, ApiError>,
    ) -> Result<Answer, ApiError> {
        let resource = request.resource;
        let scaled = |current: &Value| {
            let scale = make(current)?;
            let mut object = current.clone();
            let invalid = |error: portolan_kinds::ScaleError| match error {
                portolan_kinds::ScaleError::Invalid(field) => ApiError::invalid(resource, name, &[field]),
                other => ApiError::bad_request(other.to_string()),
            };
            resource.apply_scale(&mut object, &scale).map_err(invalid)?;
            // The client's precondition travels in the Scale.
            let revision = scale["metadata"]["resourceVersion"].clone();
            meta::metadata(&mut object).insert("resourceVersion".to_owned(), revision);
            Ok((object, Vec::new()))
        };
        let (object, _) = self.change(request, name, dry_run, scaled).await?;
        self.scale_of(resource, name, &object)
    }

    pub(super) fn scale_of(&self, resource: &Resource, name: &str, object: &Object) -> Result<Answer, ApiError> {
        let scale = resource.scale(&object.value()).ok_or_else(|| ApiError::not_found(resource, name))?;
        Ok(Answer::value(200, &scale))
    }

    /// Makes a new version of an object from the present one and commits it; up to [`RETRIES`] times when others are
    /// faster. A change that changes nothing writes nothing.
    async fn change(
        &self,
        request: &ResourceRequest,
        name: &str,
        dry_run: bool,
        make: impl Fn(&Value) -> Changed,
    ) -> Result<(Arc<Object>, Vec<String>), ApiError> {
        let resource = request.resource;
        for _ in 0..RETRIES {
            let current = self.current(resource, &request.namespace, name)?;
            let old = view(resource, &current);
            let (new, warnings) = make(&old)?;
            let change = Change { resource, part: part(request), current, old, new, dry_run };
            match self.attempt(change, warnings).await? {
                Attempt::Done(object, warnings) => return Ok((object, warnings)),
                Attempt::Again => {}
            }
        }
        Err(ApiError::stale(resource, name))
    }

    async fn attempt(&self, change: Change, warnings: Vec<String>) -> Result<Attempt, ApiError> {
        let Change { resource, part, current, old, mut new, dry_run } = change;
        let key = current.key.clone();
        check_preconditions(resource, &key.name, &current, &old, &new)?;
        let metadata = meta::metadata(&mut new);
        metadata.insert("resourceVersion".to_owned(), current.revision.to_string().into());
        metadata.remove("managedFields");
        resource.default(&mut new);
        resource.prepare_update(&mut new, &old, part);
        let allocates = services::is_service(resource) && part == Part::Main;
        if allocates {
            self.fill_families(resource, &key.name, &mut new, Some(&old))?;
        }
        let errors = resource.validate_update(&new, &old, part);
        if !errors.is_empty() {
            return Err(ApiError::invalid(resource, &key.name, &errors));
        }
        let reservation = if allocates { Some(self.reserve(resource, &key.name, &mut new, Some(&old))?) } else { None };
        if new == old && !is_finished(&new) {
            self.settle(reservation);
            return Ok(Attempt::Done(current, warnings));
        }
        let finished = is_finished(&new);
        let released = (finished && services::is_service(resource)).then(|| new.clone());
        resource.from_view(&mut new);
        let storage = resource.storage.as_str();
        if dry_run {
            self.settle(reservation);
            return Ok(Attempt::Done(Arc::new(self.store.preview(storage, key, new)), warnings));
        }
        let mut steps = self.address_steps(reservation.as_ref(), &key);
        if let Some(service) = &released {
            steps.extend(self.leavings(service));
        }
        let write = if finished { Write::Delete(new) } else { Write::Put(new) };
        steps.insert(0, Step { storage, key, expect: Expect::Revision(current.revision), write });
        let committed = self.commit(resource, steps).await;
        self.settle(reservation);
        match committed {
            Ok(object) => Ok(Attempt::Done(object, warnings)),
            Err(Refused::Lost { .. }) => Ok(Attempt::Again),
            Err(Refused::Error(error)) => Err(error),
        }
    }

    /// Commits a version that the server itself makes of an object, past preparation and validation: for bindings and
    /// for marks of deletion. None if someone was faster.
    pub(super) async fn replace(
        &self,
        resource: &'static Resource,
        current: &Object,
        mut new: Value,
    ) -> Result<Option<Arc<Object>>, ApiError> {
        resource.from_view(&mut new);
        let key: Key = current.key.clone();
        let storage = resource.storage.as_str();
        let expect = Expect::Revision(current.revision);
        match self.commit(resource, vec![Step { storage, key, expect, write: Write::Put(new) }]).await {
            Ok(object) => Ok(Some(object)),
            Err(Refused::Lost { .. }) => Ok(None),
            Err(Refused::Error(error)) => Err(error),
        }
    }
}

/// One attempt at a change.
struct Change {
    resource: &'static Resource,
    part: Part,
    current: Arc<Object>,
    old: Value,
    new: Value,
    dry_run: bool,
}

fn apply(resource: &Resource, kind: PatchKind, object: &mut Value, patch: &Value) -> Result<(), ApiError> {
    match kind {
        PatchKind::Json => patch::json(object, patch),
        PatchKind::Merge => patch::merge(object, patch),
        PatchKind::Strategic => patch::strategic(resource, object, patch),
    }
    .map_err(ApiError::from)
}

/// A resourceVersion or uid in the object is a precondition.
fn check_preconditions(
    resource: &Resource,
    name: &str,
    current: &Object,
    old: &Value,
    new: &Value,
) -> Result<(), ApiError> {
    let revision = meta::text(new, "resourceVersion");
    if !matches!(revision, "" | "0") && revision != current.revision.to_string() {
        return Err(ApiError::stale(resource, name));
    }
    let (given, is) = (meta::text(new, "uid"), meta::text(old, "uid"));
    if !given.is_empty() && given != is {
        let why = format!("Precondition failed: UID in precondition: {given}, UID in object meta: {is}");
        return Err(ApiError::conflict(resource, name, &why));
    }
    Ok(())
}

/// Whether an object that is being deleted waits for nothing any more.
fn is_finished(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let waits_for_namespace = object["kind"] == "Namespace"
        && object["spec"]["finalizers"].as_array().is_some_and(|finalizers| !finalizers.is_empty());
    !metadata["deletionTimestamp"].is_null()
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && meta::finalizers(object).is_empty()
        && !waits_for_namespace
}
