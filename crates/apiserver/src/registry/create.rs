//! Create.

use std::sync::Arc;

use portolan_kinds::Resource;
use serde_json::Value;

use super::{RETRIES, Refused, Registry, canonical, meta, services};
use crate::{
    status::ApiError,
    store::{Expect, Key, Object, Step, Write},
};

/// How many generated names are tried before the collision is reported.
const NAMES: usize = 8;

impl Registry {
    /// Stores a decoded object. Also the way in for what the server itself makes.
    pub(crate) async fn create(
        &self,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Arc<Object>, ApiError> {
        resource.default(&mut object);
        meta::begin_create(resource, namespace, &mut object)?;
        resource.prepare_create(&mut object);
        if resource.storage.as_str() == "pods" {
            self.label_with_topology(&mut object);
        }
        let base = meta::text(&object, "generateName").to_owned();
        let generated = meta::text(&object, "name").is_empty();
        if generated && base.is_empty() {
            return Err(meta::nameless(resource));
        }
        for attempt in 1.. {
            let mut object = object.clone();
            if generated {
                meta::metadata(&mut object).insert("name".to_owned(), meta::generate_name(&base).into());
            }
            match self.create_named(resource, namespace, object, dry_run).await {
                Err(error) if error.reason == "AlreadyExists" && generated && attempt < NAMES => {}
                result => return result,
            }
        }
        unreachable!("the loop above returns")
    }

    async fn create_named(
        &self,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Arc<Object>, ApiError> {
        let name = meta::text(&object, "name").to_owned();
        if services::is_service(resource) {
            self.fill_families(resource, &name, &mut object, None)?;
        }
        let errors = resource.validate_create(&object);
        if !errors.is_empty() {
            return Err(ApiError::invalid(resource, &name, &errors));
        }
        let key = Key::new(namespace, name.as_str());
        self.check_namespace(resource, &key)?;
        for _ in 0..RETRIES {
            if self.store.get(resource.storage.as_str(), &key).is_some() {
                return Err(ApiError::already_exists(resource, &name));
            }
            if let Some(created) = self.create_once(resource, &key, object.clone(), dry_run).await? {
                return Ok(created);
            }
        }
        Err(ApiError::conflict(resource, &name, "its IPAddress was changed meanwhile; please try again"))
    }

    /// One attempt. None if somebody else took an address that this one had chosen.
    async fn create_once(
        &self,
        resource: &'static Resource,
        key: &Key,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Option<Arc<Object>>, ApiError> {
        let (storage, name) = (resource.storage.as_str(), key.name.as_str());
        let reservation =
            if services::is_service(resource) { Some(self.reserve(resource, name, &mut object, None)?) } else { None };
        resource.from_view(&mut object);
        if dry_run {
            self.settle(reservation);
            return Ok(Some(Arc::new(self.store.preview(storage, key.clone(), object))));
        }
        let mut steps = vec![Step { storage, key: key.clone(), expect: Expect::Absent, write: Write::Put(object) }];
        if resource.namespaced {
            steps.push(Step {
                storage: "namespaces",
                key: Key::new("", key.namespace.as_str()),
                expect: Expect::Live,
                write: Write::Check,
            });
        }
        steps.extend(self.address_steps(reservation.as_ref(), key));
        let committed = self.commit(resource, steps).await;
        self.settle(reservation);
        match committed {
            Ok(created) => Ok(Some(created)),
            Err(Refused::Error(error)) => Err(error),
            Err(Refused::Lost { step: 0, .. }) => Err(ApiError::already_exists(resource, name)),
            Err(Refused::Lost { step: 1, current: None }) if resource.namespaced => {
                Err(ApiError::namespace_not_found(&key.namespace))
            }
            Err(Refused::Lost { step: 1, .. }) if resource.namespaced => {
                Err(ApiError::namespace_terminating(resource, name, &key.namespace))
            }
            Err(Refused::Lost { .. }) => Ok(None),
        }
    }

    /// Refuses early what the commit would refuse: also for dry runs, and before anything is allocated.
    fn check_namespace(&self, resource: &Resource, key: &Key) -> Result<(), ApiError> {
        if !resource.namespaced {
            return Ok(());
        }
        match self.store.get("namespaces", &Key::new("", key.namespace.as_str())) {
            None => Err(ApiError::namespace_not_found(&key.namespace)),
            Some(namespace) if namespace.deleting => {
                Err(ApiError::namespace_terminating(resource, &key.name, &key.namespace))
            }
            Some(_) => Ok(()),
        }
    }

    /// Stores an object that the server makes by itself, unless it exists.
    pub(crate) async fn ensure(&self, resource: &'static Resource, object: Value) -> Result<(), ApiError> {
        let namespace = meta::text(&object, "namespace").to_owned();
        let key = Key::new(namespace.as_str(), meta::text(&object, "name"));
        if self.store.get(resource.storage.as_str(), &key).is_some() {
            return Ok(());
        }
        match self.create(canonical(resource), &namespace, object, false).await {
            Err(error) if error.reason == "AlreadyExists" => Ok(()),
            result => result.map(|_| ()),
        }
    }
}
