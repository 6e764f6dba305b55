//! What users write by hand: Endpoints of Services without a selector, and edits of what controllers manage.

use serde_json::{Value, json};

use super::{Generator, Key, NODES, Step};
use crate::request::{self, Request};

/// Ports of hand-written subsets.
const PORTS: [&str; 4] = [
    r#"[{"name":"http","port":8080,"protocol":"TCP"}]"#,
    r#"[{"port":9376,"protocol":"TCP"}]"#,
    r#"[{"name":"a","port":1,"protocol":"TCP"},{"name":"b","port":2,"protocol":"UDP","appProtocol":"example.com/own"}]"#,
    r#"[]"#,
];

impl Generator {
    /// Creates, replaces, labels or deletes Endpoints of a Service without a selector, or of no Service at all.
    pub(super) fn custom_endpoints(&mut self) -> Option<Step> {
        let services = self.model.services.clone();
        let key = match self.some_key(&services, |service| !service.selector) {
            Some(key) if self.chance(90) => key,
            _ => (self.namespace(), format!("lonely{}", self.rng.u32(1..3))),
        };
        let (namespace, name) = &key;
        if !self.model.custom.contains_key(&key) {
            self.model.custom.insert(key.clone(), ());
            let body = self.endpoints();
            let title = format!("create Endpoints {namespace}/{name}");
            return Some(Step::after_rest(title, Request::create(request::ENDPOINTS, namespace, name, body)));
        }
        let (what, request) = match self.rng.u32(0..10) {
            0..4 => ("replace", Request::replace(request::ENDPOINTS, namespace, name, self.endpoints())),
            4..6 => {
                let label = if self.chance(60) { json!(self.rng.u32(0..3).to_string()) } else { Value::Null };
                let body = json!({"metadata": {"labels": {"of-user": label}, "annotations": {"note": label}}});
                ("label", Request::merge(request::ENDPOINTS, namespace, name, body))
            }
            6..8 => {
                let skip = if self.chance(50) { json!("true") } else { Value::Null };
                let body = json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": skip}}});
                ("toggle mirroring of", Request::merge(request::ENDPOINTS, namespace, name, body))
            }
            _ => {
                self.model.custom.remove(&key);
                ("delete", Request::delete(request::ENDPOINTS, namespace, name, None))
            }
        };
        Some(Step::after_rest(format!("{what} Endpoints {namespace}/{name}"), request))
    }

    fn endpoints(&mut self) -> Value {
        let mut subsets: Vec<Value> = (0..self.rng.usize(0..3)).map(|_| self.subset()).collect();
        let applications = |subset: &Value| subset["ports"].to_string().contains("appProtocol");
        if subsets.iter().filter(|subset| applications(subset)).count() > 1 {
            subsets.truncate(1);
        }
        let mut metadata = json!({"labels": {"made-by": "user"}});
        if self.chance(15) {
            metadata["labels"]["endpointslice.kubernetes.io/skip-mirror"] = "true".into();
        }
        if self.chance(30) {
            metadata["annotations"] = json!({
                "note": "by hand",
                "kubectl.kubernetes.io/last-applied-configuration": "{}",
                "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z",
            });
        }
        json!({"metadata": metadata, "subsets": subsets})
    }

    fn subset(&mut self) -> Value {
        let ports: Value = serde_json::from_str(self.one_of(&PORTS)).unwrap_or_default();
        let first = self.rng.u32(1..200);
        let count = self.rng.u32(1..6);
        let addresses: Vec<Value> = (first..first + count).map(|number| self.address(number)).collect();
        let not_ready: Vec<Value> =
            (0..self.rng.u32(0..3)).map(|number| self.address(first + count + number)).collect();
        let mut subset = json!({"addresses": addresses});
        if !not_ready.is_empty() {
            subset["notReadyAddresses"] = not_ready.into();
        }
        if ports.as_array().is_some_and(|ports| !ports.is_empty()) {
            subset["ports"] = ports;
        }
        subset
    }

    fn address(&mut self, number: u32) -> Value {
        let ip =
            if self.chance(75) { format!("192.0.2.{}", number % 250 + 1) } else { format!("2001:db8::{number:x}") };
        let mut address = json!({"ip": ip});
        if self.chance(20) {
            address["hostname"] = format!("h{number}").into();
        }
        if self.chance(20) {
            address["nodeName"] = self.one_of(&NODES).into();
        }
        if self.chance(10) {
            address["targetRef"] =
                json!({"kind": "Pod", "namespace": "one", "name": format!("t{number}"), "uid": "0-0"});
        }
        address
    }

    /// Somebody changes or deletes Endpoints that the controller writes.
    pub(super) fn edit_endpoints(&mut self) -> Option<Step> {
        let (namespace, name) = self.selecting_service()?;
        let (what, request) = match self.rng.u32(0..4) {
            0 | 1 => ("delete", Request::delete(request::ENDPOINTS, &namespace, &name, None)),
            2 => {
                let body = json!({"subsets": [{"addresses": [{"ip": "192.0.2.7"}], "ports": [{"port": 7, "protocol": "TCP"}]}]});
                ("overwrite", Request::merge(request::ENDPOINTS, &namespace, &name, body))
            }
            _ => {
                let body = json!({"metadata": {"labels": {"intruder": "yes"}}});
                ("label", Request::merge(request::ENDPOINTS, &namespace, &name, body))
            }
        };
        Some(Step::after_rest(format!("a user: {what} managed Endpoints {namespace}/{name}"), request))
    }

    /// Somebody changes or deletes slices that a controller writes.
    pub(super) fn edit_slices(&mut self) -> Option<Step> {
        let services = self.model.services.clone();
        let (namespace, name) = self.some_key(&services, |_| true)?;
        let selector = format!("kubernetes.io/service-name={name}");
        let mut loses = None;
        let (what, request) = match self.rng.u32(0..14) {
            0..5 => ("delete", Request::delete_selected(request::SLICES, &namespace, &selector)),
            5..8 => {
                let body = json!({"endpoints": []});
                ("empty", Request::merge_selected(request::SLICES, &namespace, &selector, body))
            }
            8..10 => {
                let body = json!({"ports": [{"name": "odd", "port": 1, "protocol": "TCP"}]});
                ("change ports of", Request::merge_selected(request::SLICES, &namespace, &selector, body))
            }
            10..12 => {
                let body = json!({"metadata": {"labels": {"intruder": "yes"}}});
                ("label", Request::merge_selected(request::SLICES, &namespace, &selector, body))
            }
            12 => {
                loses = Some(format!("{namespace}/{name}"));
                let body = json!({"metadata": {"labels": {"endpointslice.kubernetes.io/managed-by": "somebody"}}});
                ("take over", Request::merge_selected(request::SLICES, &namespace, &selector, body))
            }
            _ => {
                loses = Some(format!("{namespace}/{name}"));
                let body = json!({"metadata": {"labels": {"kubernetes.io/service-name": null}}});
                ("unhook", Request::merge_selected(request::SLICES, &namespace, &selector, body))
            }
        };
        if loses.is_some() {
            self.model.lost.insert((namespace.clone(), name.clone()), self.made);
        }
        let step = Step::after_rest(format!("a user: {what} slices of {namespace}/{name}"), request);
        Some(Step { loses, ..step })
    }

    /// A slice of somebody else's for a Service: controllers leave it alone.
    pub(super) fn foreign_slice(&mut self) -> Option<Step> {
        let foreign = self.model.foreign.clone();
        if let Some(key) = self.some_key(&foreign, |()| true)
            && self.chance(50)
        {
            self.model.foreign.remove(&key);
            let title = format!("a user: delete own slice {}/{}", key.0, key.1);
            return Some(Step::after_rest(title, Request::delete(request::SLICES, &key.0, &key.1, None)));
        }
        let services = self.model.services.clone();
        let (namespace, service) = self.some_key(&services, |_| true)?;
        self.next.foreign += 1;
        let name = format!("foreign{}", self.next.foreign);
        self.model.foreign.insert((namespace.clone(), name.clone()), ());
        // Some claim to be a controller's, which owns up to none of them.
        let manager = self.one_of(&["somebody", "endpointslice-controller.k8s.io"]);
        let body = json!({
            "metadata": {"labels": {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": manager}},
            "addressType": "IPv4", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["192.0.2.99"]}],
        });
        let title = format!("a user: create slice {namespace}/{name} of {service}, managed by {manager}");
        Some(Step::after_rest(title, Request::create(request::SLICES, &namespace, &name, body)))
    }

    fn selecting_service(&mut self) -> Option<Key> {
        let services = self.model.services.clone();
        self.some_key(&services, |service| service.selector)
    }
}
