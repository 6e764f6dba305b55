//! What pods ask of a node, as numbers. Upstream: `component-helpers/resource` (`PodRequests`).

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, Pod, ResourceRequirements},
    apimachinery::pkg::api::resource::Quantity,
};

use crate::{pod, quantity};

/// Amounts by resource: `cpu` in thousandths, everything else in whole units. Never holds a zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resources(BTreeMap<String, u64>);

impl Resources {
    /// The amounts of a list such as `status.allocatable`. What does not parse counts as nothing; the API lets no such
    /// thing in.
    pub fn of_list(list: Option<&BTreeMap<String, Quantity>>) -> Self {
        let amount = |(name, Quantity(text)): (&String, &Quantity)| {
            let amount = if name == "cpu" { quantity::milli(text) } else { quantity::whole(text) };
            amount.filter(|amount| *amount > 0).map(|amount| (name.clone(), amount))
        };
        Self(list.into_iter().flatten().filter_map(amount).collect())
    }

    /// What a pod needs at the moment when it needs most: all its containers together, or one of its init containers
    /// and the sidecars started before it.
    pub fn of_pod(pod: &Pod) -> Self {
        let Some(spec) = &pod.spec else { return Self::default() };
        let of = |container: &Container| Self::requested(container.resources.as_ref());
        let (mut sidecars, mut starting) = (Self::default(), Self::default());
        for container in spec.init_containers.iter().flatten() {
            let mut now = of(container);
            now.add(&sidecars);
            if pod::is_sidecar(container) {
                sidecars = now.clone();
            }
            starting.raise(&now);
        }
        let mut needed = sidecars;
        spec.containers.iter().for_each(|container| needed.add(&of(container)));
        needed.raise(&starting);
        // What the pod asks for as a whole replaces what its containers add up to.
        needed.0.extend(Self::requested(spec.resources.as_ref()).0);
        needed.add(&Self::of_list(spec.overhead.as_ref()));
        needed
    }

    fn requested(resources: Option<&ResourceRequirements>) -> Self {
        Self::of_list(resources.and_then(|resources| resources.requests.as_ref()))
    }

    /// How much of one resource.
    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// Every resource of which there is some.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, amount)| (name.as_str(), *amount))
    }

    /// More, by the amounts of `other`.
    pub fn add(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.set(name, self.get(name).saturating_add(amount));
        }
    }

    /// Less, by the amounts of `other`, but never less than nothing.
    pub fn subtract(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.set(name, self.get(name).saturating_sub(amount));
        }
    }

    /// At least the amounts of `other`.
    fn raise(&mut self, other: &Self) {
        for (name, amount) in other.iter() {
            self.set(name, self.get(name).max(amount));
        }
    }

    fn set(&mut self, name: &str, amount: u64) {
        if amount == 0 {
            self.0.remove(name);
        } else if let Some(held) = self.0.get_mut(name) {
            *held = amount;
        } else {
            self.0.insert(name.to_owned(), amount);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use k8s_openapi::serde_json::{self, Value, json};

    use super::*;

    /// CPU and memory of a pod with this spec.
    fn needs(spec: Value) -> (u64, u64) {
        let needed = Resources::of_pod(&serde_json::from_value(json!({"spec": spec})).unwrap());
        (needed.get("cpu"), needed.get("memory"))
    }

    fn container(cpu: &str, memory: &str) -> Value {
        json!({"name": "c", "resources": {"requests": {"cpu": cpu, "memory": memory}}})
    }

    #[test]
    fn a_pod_needs_its_containers_or_its_greediest_start() {
        let main = || [container("500m", "1Ki"), container("1", "0")];
        let sidecar = |cpu| {
            let mut sidecar = container(cpu, "10");
            sidecar["restartPolicy"] = json!("Always");
            sidecar
        };
        let rows = [
            ("containers add up", json!({"containers": main()}), (1500, 1024)),
            ("asking for nothing", json!({"containers": [{"name": "c"}]}), (0, 0)),
            (
                "init containers run one after another",
                json!({"containers": main(), "initContainers": [container("2", "5"), container("1", "2Ki")]}),
                (2000, 2048),
            ),
            ("sidecars stay", json!({"containers": main(), "initContainers": [sidecar("250m")]}), (1750, 1034)),
            (
                "an init container runs beside the sidecars before it",
                json!({"containers": main(), "initContainers": [sidecar("1"), container("3", "0"), sidecar("2")]}),
                (4500, 1044),
            ),
            (
                "only beside those",
                json!({"containers": [], "initContainers": [sidecar("1"), container("3", "0"), sidecar("1")]}),
                (4000, 20),
            ),
            (
                "overhead comes on top",
                json!({"containers": main(), "overhead": {"cpu": "100m", "memory": "1"}}),
                (1600, 1025),
            ),
            (
                "the pod's own requests win",
                json!({"containers": main(), "resources": {"requests": {"cpu": "3"}}}),
                (3000, 1024),
            ),
        ];
        for (name, spec, expected) in rows {
            assert_eq!(needs(spec), expected, "{name}");
        }
    }

    #[test]
    fn what_was_added_can_be_taken_away() {
        let list = |cpu: &str| BTreeMap::from([("cpu".to_owned(), Quantity(cpu.to_owned()))]);
        let one = Resources::of_list(Some(&list("1")));
        let mut sum = one.clone();
        sum.add(&one);
        assert_eq!(sum.iter().collect::<Vec<_>>(), [("cpu", 2000)]);
        sum.subtract(&one);
        assert_eq!(sum, one);
        sum.subtract(&Resources::of_list(Some(&list("5"))));
        assert_eq!(sum, Resources::default());
        assert_eq!(Resources::of_list(Some(&list("many"))), Resources::default());
    }
}
