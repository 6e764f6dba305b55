//! Nodes: where endpoints get their zone from, and what topology hints are shared out by.

use serde_json::{Value, json};

use super::{Generator, NODES, Step, ZONES};
use crate::request::{self, Request};

/// A node of the model.
#[derive(Debug, Clone)]
pub(super) struct Node {
    ready: bool,
}

impl Generator {
    pub(super) fn create_node(&mut self) -> Option<Step> {
        let free: Vec<&str> = NODES.into_iter().filter(|name| !self.model.nodes.contains_key(*name)).collect();
        if free.is_empty() {
            return None;
        }
        let name = self.one_of(&free);
        let ready = self.chance(90);
        let mut labels = json!({"kubernetes.io/hostname": name});
        if self.chance(92) {
            labels["topology.kubernetes.io/zone"] = self.one_of(&ZONES).into();
        }
        if self.chance(5) {
            labels["node-role.kubernetes.io/control-plane"] = "".into();
        }
        let mut status = self.ready(ready);
        if self.chance(95) {
            status["allocatable"] = self.cpu();
        }
        self.model.nodes.insert(name.to_owned(), Node { ready });
        let requests = vec![
            Request::create(request::NODES, "", name, json!({"metadata": {"labels": labels}})),
            Request::status(request::NODES, "", name, status),
        ];
        Some(Step::new(format!("create node {name}, ready: {ready}"), requests))
    }

    pub(super) fn delete_node(&mut self) -> Option<Step> {
        let name = self.some_node()?;
        self.model.nodes.remove(&name);
        Some(Step::new(format!("delete node {name}"), vec![Request::delete(request::NODES, "", &name, None)]))
    }

    pub(super) fn change_node(&mut self) -> Option<Step> {
        let name = self.some_node()?;
        let (what, request) = match self.rng.u32(0..10) {
            0..4 => {
                let zone = if self.chance(85) { json!(self.one_of(&ZONES)) } else { Value::Null };
                let body = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": zone}}});
                (format!("zone {zone}"), Request::merge(request::NODES, "", &name, body))
            }
            4..8 => {
                let ready = self.model.nodes.get(&name).is_some_and(|node| !node.ready);
                self.model.nodes.insert(name.clone(), Node { ready });
                (format!("ready: {ready}"), Request::status(request::NODES, "", &name, self.ready(ready)))
            }
            8 => {
                let cpu = self.cpu();
                let status = json!({"allocatable": cpu});
                (format!("allocatable {cpu}"), Request::status(request::NODES, "", &name, status))
            }
            _ => {
                let role = if self.chance(30) { json!("") } else { Value::Null };
                let body = json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": role}}});
                (format!("control-plane role {role}"), Request::merge(request::NODES, "", &name, body))
            }
        };
        Some(Step::new(format!("node {name}: {what}"), vec![request]))
    }

    fn some_node(&mut self) -> Option<String> {
        let names: Vec<String> = self.model.nodes.keys().cloned().collect();
        if names.is_empty() { None } else { Some(self.one_of(&names)) }
    }

    /// The name of a node for a pod: now and then of one that does not exist.
    pub(super) fn node_for_pod(&mut self) -> String {
        if self.chance(2) {
            return self.one_of(&NODES).to_owned();
        }
        self.some_node().unwrap_or_else(|| NODES[0].to_owned())
    }

    fn ready(&self, ready: bool) -> Value {
        let status = if ready { "True" } else { "False" };
        let time = self.time();
        json!({"conditions": [
            {"type": "Ready", "status": status, "reason": "Peers", "message": "", "lastTransitionTime": time, "lastHeartbeatTime": time}
        ]})
    }

    fn cpu(&mut self) -> Value {
        json!({"cpu": self.one_of(&["2", "4", "4", "8", "1500m"]), "memory": "8Gi", "pods": "500"})
    }
}
