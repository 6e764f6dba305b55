//! What the watches show, and which Services a change touches.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use k8s_openapi::api::core::v1::Service;
use portolan_objects::ObjectKey;
use portolan_runtime::Change;

use super::{
    Input,
    apply::Written,
    metrics::{Census, Metrics},
    nodes::{Node, Nodes},
    observed::Slices,
    pace::Pace,
    plan::{self, SlicePlan},
    topology::Topology,
};
use crate::{
    backends::{Backends, Watched},
    batch::Batch,
    trigger::Triggers,
};

/// Everything that a plan is made from.
#[derive(Debug)]
pub(crate) struct Index {
    backends: Backends,
    nodes: Nodes,
    slices: Slices,
    triggers: Triggers,
    topology: Topology,
    /// Services some of whose pods are on nodes that do not exist, by the names of these.
    waiting: HashMap<ObjectKey, HashSet<String>>,
    /// Services that pods have touched.
    by_pods: Pace,
    /// Services that somebody else's change of a slice has touched.
    by_slices: Batch,
    census: Census,
    metrics: Metrics,
    max_per_slice: usize,
}

impl Index {
    pub(crate) fn new(by_pods: Pace, by_slices: Batch, metrics: Metrics, max_per_slice: usize) -> Self {
        Self {
            backends: Backends::default(),
            nodes: Nodes::default(),
            slices: Slices::default(),
            triggers: Triggers::default(),
            topology: Topology::default(),
            waiting: HashMap::new(),
            by_pods,
            by_slices,
            census: Census::default(),
            metrics,
            max_per_slice,
        }
    }

    pub(crate) fn take(&mut self, input: Input, dirty: &mut Vec<ObjectKey>) {
        let mut touched = Vec::new();
        match input {
            Input::Service(change) => self.backends.services_changed(*change, dirty),
            Input::Pod(change) => {
                // A complete set is the start, or the end of a time without news: nothing is worth waiting for.
                if matches!(*change, Change::Reset(_)) {
                    return self.backends.pods_changed(*change, dirty);
                }
                self.backends.pods_changed(*change, &mut touched);
                for key in touched {
                    let pods = self.backends.pods_of(&key);
                    self.by_pods.touch(key, pods, dirty);
                }
            }
            Input::Node(change) => self.nodes_changed(*change, dirty),
            Input::Slice(change) => {
                self.slices.changed(*change, &mut touched);
                self.by_slices.add(touched, dirty);
            }
            Input::PodsDue(key) => self.by_pods.due(key, dirty),
            Input::SlicesDue(key) => {
                self.by_slices.due(key, &mut touched);
                // By now the answers are there: what has turned out to be this controller's own is no reason to look, and
                // least of all before the pods have waited.
                dirty.extend(touched.into_iter().filter(|key| self.slices.is_news(key)));
            }
        }
    }

    /// What has to be done for this Service; `None` if nothing, or if its slices are nobody's business. Those of a
    /// Service that loses its selector or becomes an alias stay as they are, and so does what is remembered of it.
    pub(crate) fn plan(&mut self, key: &ObjectKey) -> Option<SlicePlan> {
        if self.backends.service(key).is_none() {
            self.forget(key);
            return None;
        }
        let (service, pods) = self.backends.selected(key)?;
        let service: Arc<Service> = Arc::clone(service);
        let trigger = self.triggers.sync(key, &service, &pods);
        let existing = self.slices.of(key);
        let inputs = plan::Inputs {
            service: &service,
            pods: &pods,
            existing: &existing,
            nodes: &self.nodes,
            trigger,
            max: self.max_per_slice,
        };
        let plan = plan::plan(inputs, &mut self.topology);
        self.census.take(key, &plan, &self.metrics);
        self.waiting.remove(key);
        if !plan.skipped.is_empty() {
            let nodes = plan.skipped.iter().map(|skipped| skipped.node.clone());
            self.waiting.insert(key.clone(), nodes.collect());
        }
        if plan.is_empty() {
            plan.families.iter().for_each(|_| self.metrics.finished(plan.mode, 0));
            return None;
        }
        Some(plan)
    }

    /// Brings the slices forward by what this controller has written itself.
    pub(crate) fn wrote(&mut self, written: Written) {
        written.written.into_iter().for_each(|slice| self.slices.wrote(slice));
        written.deleted.iter().for_each(|slice| self.slices.deleted(slice));
    }

    fn forget(&mut self, key: &ObjectKey) {
        self.triggers.forget(key);
        self.topology.forget(key);
        self.census.forget(key, &self.metrics);
        self.waiting.remove(key);
    }

    /// As upstream has it, a node that moves to another zone or goes away is no reason to look at the Services of its
    /// pods: their next sync sees it. One that appears is, for those that wait for it.
    fn nodes_changed(&mut self, change: Change<Watched<Node>>, dirty: &mut Vec<ObjectKey>) {
        let news = self.nodes.changed(change);
        let waits = |nodes: &HashSet<String>| news.appeared.iter().any(|name| nodes.contains(&**name));
        dirty.extend(self.waiting.iter().filter(|(_, nodes)| waits(nodes)).map(|(key, _)| key.clone()));
        if news.shares {
            dirty.extend(self.topology.overloaded(self.nodes.shares()));
        }
    }
}

#[cfg(test)]
mod tests;
