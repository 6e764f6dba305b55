//! What the watches show, and which Services a change touches.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Endpoints;
use portolan_objects::{ObjectKey, labels};
use portolan_runtime::{Change, Observed};

use super::{
    Input,
    apply::Written,
    plan::{self, EndpointsPlan},
};
use crate::{backends::Backends, trigger::Triggers};

/// Everything that a plan is made from.
#[derive(Debug, Default)]
pub(crate) struct Index {
    backends: Backends,
    endpoints: Observed<Endpoints>,
    triggers: Triggers,
    /// The sweep after start has been made.
    swept: bool,
}

impl Index {
    pub(crate) fn take(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        match input {
            Input::Service(change) => self.backends.services_changed(*change, dirty),
            Input::Pod(change) => self.backends.pods_changed(*change, dirty),
            Input::Endpoints(change) => self.endpoints_changed(*change, dirty),
        }
    }

    /// What has to be written under this key; `None` if nothing.
    pub(crate) fn plan(&mut self, key: &ObjectKey) -> Option<EndpointsPlan> {
        let existing = self.endpoints.get(key);
        let Some((service, pods)) = self.backends.selected(key) else {
            self.triggers.forget(key);
            // Without a selector somebody else writes the Endpoints, as long as there is a Service at all.
            let orphan = existing
                .filter(|held| self.backends.service(key).is_none() && held.metadata.deletion_timestamp.is_none())?;
            return Some(EndpointsPlan::Delete(Arc::clone(orphan)));
        };
        let trigger = self.triggers.sync(key, service, &pods);
        plan::plan(service, &pods, existing.map(Arc::as_ref), trigger)
    }

    /// Brings the index forward by what this controller has written itself.
    pub(crate) fn wrote(&mut self, written: Written) {
        match written {
            Written::Now(endpoints) => {
                self.endpoints.apply(*endpoints);
            }
            Written::Gone(endpoints) => {
                self.endpoints.delete(&endpoints);
            }
            Written::Nothing => {}
        }
    }

    fn endpoints_changed(&mut self, change: Change<Endpoints>, dirty: &mut Vec<ObjectKey>) {
        match change {
            Change::Apply(endpoints) => {
                let key = ObjectKey::of(&endpoints);
                if self.endpoints.apply(endpoints) && self.backends.service(&key).is_some() {
                    dirty.push(key);
                }
            }
            Change::Delete(endpoints) => {
                if self.endpoints.delete(&endpoints) {
                    dirty.push(ObjectKey::of(&endpoints));
                }
            }
            Change::Reset(all) => {
                let keys = self.endpoints.reset(all);
                // Once, after start, orphans of Services deleted meanwhile are found. Later on an Endpoints without a
                // Service is somebody's own.
                let sweep = !std::mem::replace(&mut self.swept, true);
                dirty.extend(
                    keys.into_iter()
                        .filter(|key| self.backends.service(key).is_some() || (sweep && !self.is_lock(key))),
                );
            }
        }
    }

    fn is_lock(&self, key: &ObjectKey) -> bool {
        let annotations = self.endpoints.get(key).and_then(|held| held.metadata.annotations.as_ref());
        annotations.is_some_and(|annotations| annotations.contains_key(labels::LEADER))
    }
}

#[cfg(test)]
mod tests;
