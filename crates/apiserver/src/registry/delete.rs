//! Delete: preconditions, finalizers, the grace of pods, namespaces, and what becomes of dependents.
//!
//! [`plan`] is pure: from the present object and the options to what is to be done. Dependents themselves are the
//! garbage collector's work; here the `orphan` and `foregroundDeletion` finalizers are set that tell it so.
//! Upstream: `registry/rest/delete.go`, `registry/generic/registry/store.go`, the pod strategy.

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use portolan_kinds::{ContentType, Resource};
use serde_json::{Value, json};

use super::{Answer, RETRIES, Refused, Registry, meta, render, services, view};
use crate::{
    http::{
        accept::Form,
        options::{DeleteOptions, Include, ListOptions, Propagation},
        request::ResourceRequest,
    },
    status::{self, ApiError},
    store::{Expect, Key, Object, Step, Write},
};

#[cfg(test)]
mod tests;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
/// Grace of a pod that names none.
const DEFAULT_GRACE: i64 = 30;
/// Namespaces that the server would only make again.
const PERMANENT: [&str; 3] = ["default", "kube-system", "kube-public"];

/// What a delete does to an object.
#[derive(Debug, Clone, PartialEq)]
enum Plan {
    /// Remove it.
    Remove(Value),
    /// Keep it, marked, until its finalizers and grace are over.
    Mark(Value),
    /// It is marked already and nothing changes.
    Nothing,
}

/// What was done.
enum Deleted {
    Removed { uid: String, last: std::sync::Arc<Object> },
    Marked(std::sync::Arc<Object>),
}

impl Registry {
    pub(super) async fn delete_one(
        &self,
        request: &ResourceRequest,
        name: &str,
        options: &DeleteOptions,
        body: &Bytes,
    ) -> Result<Answer, ApiError> {
        let options = with_body(options, body)?;
        match self.delete(request.resource, &request.namespace, name, &options).await? {
            Deleted::Removed { last, .. } if request.resource.returns_deleted() => Ok(self.answer(200, request, &last)),
            Deleted::Removed { uid, .. } => {
                Ok(Answer::value(200, &status::success(request.resource, name, Some(&uid))))
            }
            Deleted::Marked(object) => Ok(self.answer(200, request, &object)),
        }
    }

    pub(super) async fn delete_many(
        &self,
        request: &ResourceRequest,
        list: &ListOptions,
        options: &DeleteOptions,
        body: &Bytes,
    ) -> Result<Answer, ApiError> {
        let options = with_body(options, body)?;
        let page = self.select(request, list)?;
        let mut deleted = Vec::new();
        for object in &page.objects {
            match self.delete(request.resource, &object.key.namespace, &object.key.name, &options).await {
                Ok(Deleted::Removed { last, .. }) => deleted.push(last),
                Ok(Deleted::Marked(object)) => deleted.push(object),
                // Someone else deleted it in between: that was the aim.
                Err(error) if error.code == 404 => {}
                Err(error) => return Err(error),
            }
        }
        let head = render::ListHead { revision: self.store.revision(), next: None, remaining: None };
        let objects = deleted.iter().map(AsRef::as_ref);
        Ok(Answer::json(200, render::list(request.resource, objects, &head, Form::Plain, Include::Metadata)))
    }

    /// Evicting a pod is deleting it: no budget speaks against it here.
    pub(super) async fn evict(
        &self,
        request: &ResourceRequest,
        name: &str,
        eviction: &Value,
    ) -> Result<Answer, ApiError> {
        let options = merge_options(&DeleteOptions::default(), &eviction["deleteOptions"])?;
        self.delete(request.resource, &request.namespace, name, &options).await?;
        Ok(Answer::value(
            201,
            &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        ))
    }

    async fn delete(
        &self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, ApiError> {
        if resource.storage.as_str() == "namespaces" && PERMANENT.contains(&name) {
            return Err(ApiError::forbidden(resource, name, "this namespace may not be deleted"));
        }
        for _ in 0..RETRIES {
            let current = self.current(resource, namespace, name)?;
            let object = view(resource, &current);
            check(resource, name, &object, options)?;
            let done = match plan(resource, object, options, Timestamp::now()) {
                Plan::Nothing => Some(Deleted::Marked(current)),
                Plan::Mark(mut marked) if options.dry_run => {
                    resource.from_view(&mut marked);
                    let key = current.key.clone();
                    Some(Deleted::Marked(self.store.preview(resource.storage.as_str(), key, marked).into()))
                }
                Plan::Mark(marked) => self.replace(resource, &current, marked).await?.map(Deleted::Marked),
                Plan::Remove(last) => self.remove(resource, &current, last, options.dry_run).await?,
            };
            if let Some(done) = done {
                return Ok(done);
            }
        }
        Err(ApiError::stale(resource, name))
    }

    /// The step that deletes an object together with another one. None if it is not there, or marked already.
    pub(super) fn deletion_step(&self, plural: &str, key: &Key) -> Option<Step> {
        let resource = portolan_kinds::find("", "v1", plural)?;
        let storage = resource.storage.as_str();
        let current = self.store.get(storage, key)?;
        let write = match plan(resource, current.value(), &DeleteOptions::default(), Timestamp::now()) {
            Plan::Remove(last) => Write::Delete(last),
            Plan::Mark(marked) => Write::Put(marked),
            Plan::Nothing => return None,
        };
        Some(Step { storage, key: key.clone(), expect: Expect::Revision(current.revision), write })
    }

    /// Removes the version `current`. None if someone was faster.
    async fn remove(
        &self,
        resource: &'static Resource,
        current: &std::sync::Arc<Object>,
        mut last: Value,
        dry_run: bool,
    ) -> Result<Option<Deleted>, ApiError> {
        let uid = meta::text(&last, "uid").to_owned();
        if dry_run {
            return Ok(Some(Deleted::Removed { uid, last: current.clone() }));
        }
        let mut steps = if services::is_service(resource) { self.leavings(&last) } else { Vec::new() };
        resource.from_view(&mut last);
        steps.insert(
            0,
            Step {
                storage: resource.storage.as_str(),
                key: current.key.clone(),
                expect: Expect::Revision(current.revision),
                write: Write::Delete(last),
            },
        );
        match self.commit(resource, steps).await {
            Ok(last) => Ok(Some(Deleted::Removed { uid, last })),
            Err(Refused::Lost { .. }) => Ok(None),
            Err(Refused::Error(error)) => Err(error),
        }
    }
}

fn check(resource: &Resource, name: &str, object: &Value, options: &DeleteOptions) -> Result<(), ApiError> {
    let recreated = "The object might have been deleted and then recreated";
    for (field, what, wanted, hint) in [
        ("uid", "UID", &options.uid, recreated),
        ("resourceVersion", "ResourceVersion", &options.revision, "The object might have been modified"),
    ] {
        let is = meta::text(object, field);
        if wanted.as_ref().is_some_and(|wanted| wanted != is) {
            let wanted = wanted.as_deref().unwrap_or("");
            let why =
                format!("the {what} in the precondition ({wanted}) does not match the {what} in record ({is}). {hint}");
            return Err(ApiError::precondition(resource, name, &why));
        }
    }
    Ok(())
}

/// From the present object to what is to be done with it.
fn plan(resource: &Resource, mut object: Value, options: &DeleteOptions, now: Timestamp) -> Plan {
    let before = object.clone();
    set_finalizers(&mut object, options.propagation);
    let grace = grace(resource, &object, options.grace);
    let is_namespace = resource.storage.as_str() == "namespaces";
    let namespace_holds = is_namespace && !object["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty);
    let holds = namespace_holds || !meta::finalizers(&object).is_empty();
    if grace == 0 && !holds {
        if resource.storage.as_str() == "pods" {
            // The last that watchers see of a pod says that its end came by request.
            mark(&mut object, Some(0), now);
        }
        return Plan::Remove(object);
    }
    let metadata = &object["metadata"];
    let marked = !metadata["deletionTimestamp"].is_null();
    let shorter = metadata["deletionGracePeriodSeconds"].as_i64().is_some_and(|given| grace < given);
    if !marked || shorter {
        mark(&mut object, (!is_namespace).then_some(grace), now);
        if is_namespace {
            object["status"]["phase"] = "Terminating".into();
        }
    }
    if object == before { Plan::Nothing } else { Plan::Mark(object) }
}

/// Writes the end of the object's grace. A later, shorter grace counts from the first request; the first one also moves
/// the generation.
fn mark(object: &mut Value, grace: Option<i64>, now: Timestamp) {
    let metadata = meta::metadata(object);
    let seconds = |key: &str| metadata.get(key).and_then(Value::as_i64).map(SignedDuration::from_secs);
    let before = metadata.get("deletionTimestamp").and_then(|at| at.as_str()?.parse::<Timestamp>().ok());
    let asked = before.and_then(|end| end.checked_sub(seconds("deletionGracePeriodSeconds").unwrap_or_default()).ok());
    let end = asked.unwrap_or(now).checked_add(SignedDuration::from_secs(grace.unwrap_or(0))).unwrap_or(now);
    metadata.insert("deletionTimestamp".to_owned(), meta::time(end).into());
    if let Some(grace) = grace {
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    }
    let generation = metadata.get("generation").and_then(Value::as_i64).filter(|n| *n > 0 && before.is_none());
    if let Some(generation) = generation {
        metadata.insert("generation".to_owned(), (generation + 1).into());
    }
}

/// Seconds the object keeps existing: only pods that run on a node get any.
fn grace(resource: &Resource, object: &Value, asked: Option<i64>) -> i64 {
    let spec = &object["spec"];
    let is_pod = resource.storage.as_str() == "pods";
    let bound = spec["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let over = matches!(object["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if !is_pod || !bound || over {
        return 0;
    }
    let given = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let default = given.or(spec["terminationGracePeriodSeconds"].as_i64()).unwrap_or(DEFAULT_GRACE);
    // As upstream: a negative grace means the shortest that still lets the node stop it.
    match asked.unwrap_or(default) {
        negative if negative < 0 => 1,
        seconds => given.map_or(seconds, |given| seconds.min(given)),
    }
}

fn set_finalizers(object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let mut finalizers = meta::finalizers(object);
    let before = finalizers.clone();
    finalizers.retain(|name| name != ORPHAN && name != FOREGROUND);
    match propagation {
        Propagation::Orphan => finalizers.push(ORPHAN.to_owned()),
        Propagation::Foreground => finalizers.push(FOREGROUND.to_owned()),
        Propagation::Background => {}
    }
    if finalizers == before {
        return;
    }
    if finalizers.is_empty() {
        meta::metadata(object).remove("finalizers");
    } else {
        meta::metadata(object).insert("finalizers".to_owned(), finalizers.into());
    }
}

fn with_body(query: &DeleteOptions, body: &Bytes) -> Result<DeleteOptions, ApiError> {
    if body.is_empty() {
        return Ok(query.clone());
    }
    let (options, _) = portolan_kinds::parse(body, ContentType::Yaml)?;
    merge_options(query, &options)
}

/// DeleteOptions of a body over those of the query.
fn merge_options(query: &DeleteOptions, body: &Value) -> Result<DeleteOptions, ApiError> {
    let mut options = query.clone();
    match body["dryRun"].as_array().map(Vec::as_slice) {
        None | Some([]) => {}
        Some([all]) if all == "All" => options.dry_run = true,
        Some(_) => return Err(ApiError::bad_request("dryRun may hold only \"All\"")),
    }
    if let Some(grace) = body["gracePeriodSeconds"].as_i64() {
        options.grace = Some(grace);
    }
    if let Some(policy) = body["propagationPolicy"].as_str() {
        options.propagation = Some(Propagation::parse(policy)?);
    } else if let Some(orphan) = body["orphanDependents"].as_bool() {
        options.propagation = Some(if orphan { Propagation::Orphan } else { Propagation::Background });
    }
    let precondition = |field: &str| body["preconditions"][field].as_str().map(str::to_owned);
    options.uid = precondition("uid").or(options.uid);
    options.revision = precondition("resourceVersion").or(options.revision);
    Ok(options)
}
