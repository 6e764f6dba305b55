//! What the watches show, and which Services a change touches.

use std::sync::Arc;

use portolan_objects::{ObjectKey, labels};
use portolan_runtime::{Change, Observed};

use super::{
    Input,
    apply::Written,
    plan::{self, EndpointsPlan},
    stored::Stored,
};
use crate::{backends::Backends, batch::Batch, trigger::Triggers};

/// Everything that a plan is made from.
#[derive(Debug)]
pub(crate) struct Index {
    backends: Backends,
    endpoints: Observed<Stored>,
    triggers: Triggers,
    /// Services that pods have touched.
    batch: Batch,
    /// The sweep after start has been made.
    swept: bool,
}

impl Index {
    pub(crate) fn new(batch: Batch) -> Self {
        Self {
            backends: Backends::default(),
            endpoints: Observed::default(),
            triggers: Triggers::default(),
            batch,
            swept: false,
        }
    }

    pub(crate) fn take(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        match input {
            Input::Service(change) => self.backends.services_changed(*change, dirty),
            Input::Pod(change) => {
                let mut touched = Vec::new();
                self.backends.pods_changed(*change, &mut touched);
                self.batch.add(touched, dirty);
            }
            Input::Endpoints(change) => self.endpoints_changed(*change, dirty),
            Input::Due(key) => self.batch.due(key, dirty),
        }
    }

    /// What has to be written under this key; `None` if nothing.
    pub(crate) fn plan(&mut self, key: &ObjectKey) -> Option<EndpointsPlan> {
        let existing = self.endpoints.get(key);
        if self.backends.service(key).is_none() {
            self.triggers.forget(key);
            let orphan = existing.filter(|held| held.metadata.deletion_timestamp.is_none())?;
            return Some(EndpointsPlan::Delete(Arc::clone(orphan)));
        }
        // Without a selector somebody else writes the Endpoints.
        let (service, pods) = self.backends.selected(key)?;
        let trigger = self.triggers.sync(key, service, &pods);
        plan::plan(service, &pods, existing.map(Arc::as_ref), trigger)
    }

    /// Brings the index forward by what this controller has written itself.
    pub(crate) fn wrote(&mut self, written: Written) {
        match written {
            Written::Now(endpoints) => {
                self.endpoints.apply(Stored::of(*endpoints));
            }
            Written::Gone(endpoints) => {
                self.endpoints.delete(&endpoints);
            }
            Written::Nothing => {}
        }
    }

    fn endpoints_changed(&mut self, change: Change<Stored>, dirty: &mut Vec<ObjectKey>) {
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
        self.endpoints.get(key).is_some_and(|held| held.annotation(labels::LEADER).is_some())
    }
}

#[cfg(test)]
mod tests;
