//! What is compared: the state of one side as a tree in which everything that two runs choose freely is replaced by what it
//! stands for. Uids become the object they belong to, names of slices go, times go.
//!
//! A tree has two levels on purpose: the *subject* (`slices of one/s1 by ...`, `Endpoints one/s1`) is what a difference is
//! reported for, what lies below is compared value by value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    mirror::{Key, Objects},
    request::{self, Collection},
    side::Side,
};

/// The canonical state of one side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// What has to be equal, by subject.
    pub subjects: BTreeMap<String, Value>,
    /// How the endpoints of each group are divided into slices, as sorted sizes: counted, not required to be equal.
    pub packing: BTreeMap<String, Vec<usize>>,
    /// Groups with a trigger time on some slice or Endpoints: counted only, since it depends on what one sync saw at once.
    pub triggers: BTreeSet<String>,
}

/// The zone that a hint of the topology mode names depends on the order in which endpoints arrived; that there is one does not.
const SOME_ZONE: &str = "(a zone)";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const TRIGGER_TIME: &str = "endpoints.kubernetes.io/last-change-trigger-time";
const MODES: [&str; 2] = ["service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"];

/// Reads the canonical state of a side.
pub fn state(side: &Side) -> State {
    let services = side.mirror.objects(request::SERVICES);
    let endpoints = side.mirror.objects(request::ENDPOINTS);
    let mut reader = Reader { side, services: &services, endpoints: &endpoints, state: State::default() };
    reader.slices(&side.mirror.objects(request::SLICES));
    for (key, object) in &endpoints {
        reader.endpoints(key, object);
    }
    for (key, object) in &services {
        reader.plain(request::SERVICES, key, object, &["spec", "status"]);
    }
    for (key, object) in &side.mirror.objects(request::ADDRESSES) {
        reader.plain(request::ADDRESSES, key, object, &["spec"]);
    }
    for (key, object) in &side.mirror.objects(request::CIDRS) {
        reader.cidr(key, object);
    }
    for (key, object) in &side.mirror.objects(request::PODS) {
        reader.pod(key, object);
    }
    reader.state
}

struct Reader<'a> {
    side: &'a Side,
    services: &'a Objects,
    endpoints: &'a Objects,
    state: State,
}

impl Reader<'_> {
    /// Whether an object belongs to the run: a control plane has a Service and namespaces of its own.
    fn outside(key: &Key) -> bool {
        key.0 == "default" || key.0.starts_with("kube-")
    }

    fn slices(&mut self, slices: &Objects) {
        let mut groups: BTreeMap<String, Group> = BTreeMap::new();
        for (key, slice) in slices {
            if Self::outside(key) {
                continue;
            }
            let label = |name: &str| slice["metadata"]["labels"][name].as_str().unwrap_or("-").to_owned();
            let (service, manager) = (label(SERVICE_NAME), label(MANAGED_BY));
            let name = format!("slices of {}/{service} by {manager}", key.0);
            let auto =
                self.services.get(&(key.0.clone(), service.clone())).is_some_and(|service| topology_mode(service));
            let mut meta = self.metadata(&name, slice);
            // A slice that takes the place of another keeps its name, but not always its generateName.
            meta["named after the Service"] = key.1.starts_with(&format!("{service}-")).into();
            groups.entry(name).or_default().add(slice, meta, |endpoint| self.endpoint(endpoint, auto));
        }
        for (name, group) in groups {
            self.state.packing.extend(group.packing(&name));
            self.state.subjects.insert(name, group.tree());
        }
    }

    fn endpoint(&self, endpoint: &Value, auto: bool) -> Value {
        let mut endpoint = endpoint.clone();
        self.name_target(&mut endpoint["targetRef"]);
        let ready = endpoint["conditions"]["ready"] == Value::Bool(true);
        if endpoint["conditions"] == json!({}) {
            endpoint["conditions"] = Value::Null;
        }
        if !ready && auto {
            endpoint["hints"] = Value::Null;
        } else if auto && let Some(zones) = endpoint.pointer_mut("/hints/forZones").and_then(Value::as_array_mut) {
            for zone in zones {
                zone["name"] = SOME_ZONE.into();
            }
        }
        without_nulls(endpoint)
    }

    fn endpoints(&mut self, key: &Key, object: &Value) {
        if Self::outside(key) {
            return;
        }
        let name = format!("Endpoints {}/{}", key.0, key.1);
        let mut tree = self.metadata(&name, object);
        let mut subsets = Map::new();
        for subset in object["subsets"].as_array().into_iter().flatten() {
            let mut subset = subset.clone();
            let ports = sorted(subset["ports"].take());
            for kind in ["addresses", "notReadyAddresses"] {
                for address in subset[kind].as_array_mut().into_iter().flatten() {
                    self.name_target(&mut address["targetRef"]);
                }
                subset[kind] = by_key(&subset[kind], |address| {
                    address["ip"].to_string() + &address["targetRef"]["name"].to_string()
                });
            }
            subsets.insert(ports.to_string(), without_nulls(subset));
        }
        tree["subsets"] = Value::Object(subsets);
        self.state.subjects.insert(name, tree);
    }

    fn plain(&mut self, collection: Collection, key: &Key, object: &Value, parts: &[&str]) {
        let parent = (text(&object["spec"]["parentRef"]["namespace"]), text(&object["spec"]["parentRef"]["name"]));
        if Self::outside(key) || Self::outside(&parent) {
            return;
        }
        let name = format!("{} {}/{}", collection.kind, key.0, key.1);
        let mut tree = self.metadata(&name, object);
        for part in parts {
            tree[*part] = object[*part].clone();
        }
        // The default, written out or not.
        if tree.pointer("/spec/type") == Some(&Value::from("ExternalName")) {
            tree["spec"]["internalTrafficPolicy"] = Value::Null;
        }
        if tree.pointer("/spec/publishNotReadyAddresses") == Some(&Value::Bool(false)) {
            tree["spec"]["publishNotReadyAddresses"] = Value::Null;
        }
        self.state.subjects.insert(name, without_nulls(tree));
    }

    fn cidr(&mut self, key: &Key, object: &Value) {
        let conditions: Vec<Value> = object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|c| json!({"type": c["type"], "status": c["status"], "reason": c["reason"], "message": c["message"]}))
            .collect();
        let tree = json!({
            "spec": object["spec"],
            "finalizers": object["metadata"]["finalizers"],
            "deleting": !object["metadata"]["deletionTimestamp"].is_null(),
            "conditions": conditions,
        });
        self.state.subjects.insert(format!("ServiceCIDR {}", key.1), without_nulls(tree));
    }

    /// Pods are input: only what a controller reads of them is looked at, to be sure that both sides got the same. (Labels
    /// that the server copies from the node are none of that.)
    fn pod(&mut self, key: &Key, object: &Value) {
        let ready: Vec<&Value> =
            object["status"]["conditions"].as_array().into_iter().flatten().filter(|c| c["type"] == "Ready").collect();
        let mut labels = object["metadata"]["labels"].clone();
        if let Some(labels) = labels.as_object_mut() {
            labels.retain(|name, _| !name.starts_with("topology.kubernetes.io/"));
        }
        let tree = json!({
            "labels": labels,
            "deleting": !object["metadata"]["deletionTimestamp"].is_null(),
            "node": object["spec"]["nodeName"],
            "phase": object["status"]["phase"],
            "podIPs": object["status"]["podIPs"],
            "ready": ready.first().map(|condition| condition["status"].clone()),
        });
        self.state.subjects.insert(format!("Pod {}/{}", key.0, key.1), without_nulls(tree));
    }

    fn metadata(&mut self, subject: &str, object: &Value) -> Value {
        let metadata = &object["metadata"];
        let mut annotations = metadata["annotations"].clone();
        if let Some(annotations) = annotations.as_object_mut()
            && annotations.remove(TRIGGER_TIME).is_some()
        {
            self.state.triggers.insert(subject.to_owned());
        }
        if annotations.as_object().is_some_and(Map::is_empty) {
            annotations = Value::Null;
        }
        let mut owners = metadata["ownerReferences"].clone();
        for owner in owners.as_array_mut().into_iter().flatten() {
            owner["uid"] = self.owner(&text(&metadata["namespace"]), owner).into();
        }
        without_nulls(json!({
            "labels": metadata["labels"],
            "annotations": annotations,
            "ownerReferences": owners,
            "finalizers": metadata["finalizers"],
            "deleting": if metadata["deletionTimestamp"].is_null() { Value::Null } else { true.into() },
        }))
    }

    fn owner(&self, namespace: &str, owner: &Value) -> String {
        let uid = text(&owner["uid"]);
        if let Some(identity) = self.side.identity(&uid) {
            return identity;
        }
        let key = (namespace.to_owned(), text(&owner["name"]));
        let current = self.endpoints.get(&key).is_some_and(|object| object["metadata"]["uid"] == uid);
        if current { "the present object".to_owned() } else { "an object that is gone".to_owned() }
    }

    fn name_target(&self, target: &mut Value) {
        if let Some(uid) = target["uid"].as_str().map(str::to_owned) {
            target["uid"] = self.side.identity(&uid).unwrap_or(uid).into();
        }
    }
}

/// The slices of one Service by one controller.
#[derive(Debug, Default)]
struct Group {
    metadata: BTreeSet<String>,
    /// By address type and ports: the endpoints, and how many each slice has.
    parts: BTreeMap<String, (Vec<Value>, Vec<usize>)>,
}

impl Group {
    fn add(&mut self, slice: &Value, metadata: Value, endpoint: impl Fn(&Value) -> Value) {
        self.metadata.insert(metadata.to_string());
        let part = format!("{} {}", text(&slice["addressType"]), sorted(slice["ports"].clone()));
        let (endpoints, sizes) = self.parts.entry(part).or_default();
        let before = endpoints.len();
        endpoints.extend(slice["endpoints"].as_array().into_iter().flatten().map(endpoint));
        sizes.push(endpoints.len() - before);
    }

    fn packing(&self, name: &str) -> Vec<(String, Vec<usize>)> {
        let sizes = |sizes: &Vec<usize>| {
            let mut sizes = sizes.clone();
            sizes.sort_unstable();
            sizes
        };
        self.parts.iter().map(|(part, (_, sizes_of))| (format!("{name} {part}"), sizes(sizes_of))).collect()
    }

    fn tree(&self) -> Value {
        let metadata: Vec<Value> = self.metadata.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        let mut tree = json!({"metadata": if metadata.len() == 1 { metadata[0].clone() } else { metadata.into() }});
        for (part, (endpoints, _)) in &self.parts {
            tree[part] = by_key(&Value::Array(endpoints.clone()), |endpoint| {
                format!("{} {}", endpoint["addresses"], endpoint["targetRef"]["name"])
            });
        }
        tree
    }
}

/// Whether the hints of a Service are those of the topology mode, or may be: without a selector, or as an ExternalName, the
/// slices stay as they were under an earlier annotation.
fn topology_mode(service: &Value) -> bool {
    if service["spec"]["type"] == "ExternalName" || service["spec"]["selector"].is_null() {
        return true;
    }
    let annotations = &service["metadata"]["annotations"];
    let mode = MODES.iter().find_map(|name| annotations[*name].as_str());
    mode.is_some_and(|mode| mode == "Auto" || mode == "auto")
}

/// A list as a map, so that the difference names the element; equal keys are numbered.
fn by_key(list: &Value, key: impl Fn(&Value) -> String) -> Value {
    let mut items: Vec<(String, &Value)> =
        list.as_array().into_iter().flatten().map(|item| (key(item).replace('"', ""), item)).collect();
    if items.is_empty() {
        return if list.is_null() { Value::Null } else { json!({}) };
    }
    items.sort_by_key(|(key, item)| (key.clone(), item.to_string()));
    let mut map = Map::new();
    for (key, item) in items {
        let mut name = key.clone();
        let mut number = 2;
        while map.contains_key(&name) {
            name = format!("{key} ({number})");
            number += 1;
        }
        map.insert(name, item.clone());
    }
    Value::Object(map)
}

fn sorted(list: Value) -> Value {
    match list {
        Value::Array(mut items) => {
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Null => Value::Array(Vec::new()),
        other => other,
    }
}

/// Without fields that are null, at any depth.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_keys_do_not_hide_one_another() {
        let map = by_key(&json!([{"ip": "1"}, {"ip": "1"}, {"ip": "2"}]), |item| item["ip"].to_string());
        assert_eq!(map.as_object().expect("a map").len(), 3);
    }

    #[test]
    fn the_order_of_ports_and_of_endpoints_does_not_count() {
        let slice = |ports: Value, endpoints: Value| {
            let mut group = Group::default();
            group.add(&json!({"addressType": "IPv4", "ports": ports, "endpoints": endpoints}), json!({}), Value::clone);
            group.tree()
        };
        let one = slice(json!([{"port": 1}, {"port": 2}]), json!([{"addresses": ["a"]}, {"addresses": ["b"]}]));
        let other = slice(json!([{"port": 2}, {"port": 1}]), json!([{"addresses": ["b"]}, {"addresses": ["a"]}]));
        assert_eq!(one, other);
    }

    #[test]
    fn the_division_into_slices_is_counted_but_not_compared() {
        let mut split = Group::default();
        let mut whole = Group::default();
        let slice = |endpoints: Value| json!({"addressType": "IPv4", "endpoints": endpoints});
        split.add(&slice(json!([{"addresses": ["a"]}])), json!({}), Value::clone);
        split.add(&slice(json!([{"addresses": ["b"]}])), json!({}), Value::clone);
        whole.add(&slice(json!([{"addresses": ["a"]}, {"addresses": ["b"]}])), json!({}), Value::clone);
        assert_eq!(split.tree(), whole.tree());
        assert_ne!(split.packing("x"), whole.packing("x"));
    }
}
