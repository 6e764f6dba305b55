//! The sequence of work: from a seed, steps that both peers get. The generator keeps a model of what exists, so that
//! most steps mean something; what the servers compute never enters it, so that both get the same requests.
//!
//! Addresses, node ports and transition times are the generator's own: the peers then have nothing to choose but the
//! names of slices.

mod cidrs;
mod custom;
mod nodes;
mod pods;
mod services;

use std::collections::BTreeMap;

use fastrand::Rng;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::request::{self, Answer, Collection, Request, Verb};
use {cidrs::Cidr, nodes::Node, pods::Pod, services::Service};

/// The namespaces that the work goes to.
pub const NAMESPACES: [&str; 2] = ["one", "two"];
/// The label that Services select by.
const APPS: [&str; 5] = ["a", "b", "c", "d", "e"];
const ZONES: [&str; 3] = ["east", "west", "south"];
const NODES: [&str; 6] = ["n1", "n2", "n3", "n4", "n5", "n6"];
/// More pods than this, and some are removed first.
const CROWD: usize = 260;
/// For so many steps a Service of which upstream has lost track is left like that.
const LOST_FOR: usize = 15;

/// What happens at once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// In words.
    pub title: String,
    /// Whether the order of the requests does not matter.
    pub parallel: bool,
    /// Whether it touches what controllers write, and has to wait until they have come to rest.
    #[serde(default)]
    pub after_rest: bool,
    /// The Service (namespace/name) of which upstream's controllers lose track by it: see [`crate::deliberate`].
    #[serde(default)]
    pub loses: Option<String>,
    /// The requests.
    pub requests: Vec<Request>,
}

impl Step {
    fn new(title: String, requests: Vec<Request>) -> Self {
        Self { title, parallel: false, after_rest: false, loses: None, requests }
    }

    fn parallel(title: String, requests: Vec<Request>) -> Self {
        Self { title, parallel: true, after_rest: false, loses: None, requests }
    }

    fn after_rest(title: String, request: Request) -> Self {
        Self { title, parallel: false, after_rest: true, loses: None, requests: vec![request] }
    }
}

/// Namespace and name.
type Key = (String, String);

/// The model. A clone of it is taken before each step and put back if the step was refused.
#[derive(Debug, Clone)]
struct Model {
    pods: BTreeMap<Key, Pod>,
    nodes: BTreeMap<String, Node>,
    services: BTreeMap<Key, Service>,
    /// Endpoints that were created by hand.
    custom: BTreeMap<Key, ()>,
    /// Slices that were created by hand.
    foreign: BTreeMap<Key, ()>,
    cidrs: BTreeMap<String, Cidr>,
    /// Services of which upstream has lost track, and since which step.
    lost: BTreeMap<Key, usize>,
    /// A Service to be created next.
    awaited: Option<Key>,
}

/// Numbers that are never given out twice.
#[derive(Debug, Clone, Default)]
struct Counters {
    pod: u32,
    address: u32,
    cluster: u32,
    port: u32,
    foreign: u32,
    cidr: u32,
}

/// The generator.
#[derive(Debug)]
pub struct Generator {
    rng: Rng,
    now: Timestamp,
    model: Model,
    before: Option<Model>,
    next: Counters,
    /// Steps made so far.
    made: usize,
    bursts: bool,
}

impl Generator {
    /// A generator whose steps follow from the seed and from the time of its start.
    pub fn new(seed: u64, now: Timestamp, bursts: bool) -> Self {
        let model = Model {
            pods: BTreeMap::new(),
            nodes: BTreeMap::new(),
            services: BTreeMap::new(),
            custom: BTreeMap::new(),
            foreign: BTreeMap::new(),
            cidrs: BTreeMap::new(),
            lost: BTreeMap::new(),
            awaited: None,
        };
        Self { rng: Rng::with_seed(seed), now, model, before: None, next: Counters::default(), made: 0, bursts }
    }

    /// The next step.
    pub fn next_step(&mut self) -> Step {
        self.made += 1;
        self.before = Some(self.model.clone());
        // Whole seconds, as the API stores them, and later with every step.
        self.now += jiff::SignedDuration::from_secs(1);
        loop {
            if let Some(step) = self.try_step() {
                return step;
            }
        }
    }

    /// Takes the last step out of the model, since the servers refused a part of it, and learns from the refusals what
    /// exists.
    pub fn refused(&mut self, step: &Step, answers: &[Answer]) {
        if let Some(before) = self.before.take() {
            self.model = before;
        }
        let requests = step.requests.iter().filter(|request| request.verb != Verb::Barrier);
        for (request, answer) in requests.zip(answers) {
            match answer.code {
                404 => self.missing(&request.path),
                409 if request.verb == Verb::Create => self.present(request),
                _ => {}
            }
        }
    }

    fn missing(&mut self, path: &str) {
        let at = |collection: Collection, key: &Key| {
            path.strip_prefix(&collection.object(&key.0, &key.1))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.model.pods.retain(|key, _| !at(request::PODS, key));
        self.model.services.retain(|key, _| !at(request::SERVICES, key));
        self.model.custom.retain(|key, ()| !at(request::ENDPOINTS, key));
        self.model.foreign.retain(|key, ()| !at(request::SLICES, key));
    }

    fn present(&mut self, request: &Request) {
        let name = |field: &str| request.body["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = (name("namespace"), name("name"));
        if request.path == request::ENDPOINTS.path(&key.0) {
            self.model.custom.insert(key, ());
        }
    }

    fn try_step(&mut self) -> Option<Step> {
        if self.model.awaited.is_some() {
            return self.create_awaited();
        }
        if self.model.nodes.len() < 3 {
            return self.create_node();
        }
        if self.model.services.len() < 8 {
            return self.create_service();
        }
        if self.model.pods.len() < 20 {
            return self.create_pods();
        }
        if let Some(step) = self.find_lost() {
            return Some(step);
        }
        if self.model.pods.len() > CROWD {
            return self.delete_crowd();
        }
        if self.bursts
            && let Some(step) = self.burst()
        {
            return Some(step);
        }
        let step: fn(&mut Self) -> Option<Step> = match self.rng.u32(0..100) {
            0..9 => Self::create_pods,
            9..19 => Self::flip_ready,
            19..23 => Self::move_pod,
            23..26 => Self::end_pod,
            26..30 => Self::label_pod,
            30..37 => Self::delete_pod,
            37..42 => Self::finish_pod,
            42..45 => Self::recreate_pod,
            45..47 => Self::bind_pod,
            47..49 => Self::create_node,
            49..50 => Self::delete_node,
            50..55 => Self::change_node,
            55..60 => Self::create_service,
            60..63 => Self::delete_service,
            63..65 => Self::recreate_service,
            65..84 => Self::change_service,
            84..91 => Self::custom_endpoints,
            91..95 => Self::edit_endpoints,
            95..98 => Self::edit_slices,
            98..99 => Self::foreign_slice,
            _ => Self::change_cidrs,
        };
        step(self)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.u32(0..100) < percent
    }

    fn one_of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.rng.usize(0..items.len())].clone()
    }

    fn some_key<T>(&mut self, map: &BTreeMap<Key, T>, fits: impl Fn(&T) -> bool) -> Option<Key> {
        let keys: Vec<&Key> = map.iter().filter(|(_, value)| fits(value)).map(|(key, _)| key).collect();
        if keys.is_empty() { None } else { Some(keys[self.rng.usize(0..keys.len())].clone()) }
    }

    fn namespace(&mut self) -> String {
        // Most work in one namespace, so that Services, pods and names meet.
        if self.chance(85) { NAMESPACES[0].to_owned() } else { NAMESPACES[1].to_owned() }
    }

    fn time(&self) -> Value {
        self.now.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(seed: u64, count: usize) -> Vec<String> {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let mut generator = Generator::new(seed, start, true);
        (0..count).map(|_| serde_json::to_string(&generator.next_step()).expect("steps are data")).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_steps() {
        assert_eq!(steps(7, 600), steps(7, 600));
        assert_ne!(steps(7, 50), steps(8, 50));
    }

    #[test]
    fn two_thousand_steps_reach_everything_that_is_compared() {
        let all = steps(1, 2000).join("\n");
        for part in [
            "publishNotReadyAddresses",
            "trafficDistribution",
            "PreferDualStack",
            "ExternalName",
            "LoadBalancer",
            "NodePort",
            "topology-mode",
            "skip-mirror",
            "notReadyAddresses",
            "binding",
            "subdomain",
            "Succeeded",
            "Failed",
            "zone",
            "internalTrafficPolicy",
            "externalTrafficPolicy",
            "servicecidrs",
            "labelSelector",
            "allocatable",
        ] {
            assert!(all.contains(part), "no step with {part}");
        }
    }
}
