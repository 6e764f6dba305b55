//! Pods through their life, one at a time and in crowds.

use serde_json::{Value, json};

use super::{APPS, CROWD, Generator, Key, Step};
use crate::request::{self, Request, Verb};

/// A pod of the model.
#[derive(Debug, Clone)]
pub(super) struct Pod {
    /// Bound to a node: deletion is then graceful.
    bound: bool,
    ready: bool,
    addressed: bool,
    ended: bool,
    terminating: bool,
    app: String,
}

/// Named ports of the containers: the same names lead to different numbers.
const PORTS: [&str; 4] = [
    r#"[{"name":"http","containerPort":8080,"protocol":"TCP"}]"#,
    r#"[{"name":"http","containerPort":8081,"protocol":"TCP"},{"name":"dns","containerPort":5353,"protocol":"UDP"}]"#,
    r#"[{"name":"http","containerPort":8080,"protocol":"TCP"},{"name":"dns","containerPort":53,"protocol":"UDP"}]"#,
    r#"[{"name":"admin","containerPort":9090,"protocol":"TCP"}]"#,
];

impl Generator {
    pub(super) fn create_pods(&mut self) -> Option<Step> {
        let namespace = self.namespace();
        let app = self.one_of(&APPS).to_owned();
        let count = self.rng.usize(1..7);
        let mut requests = Vec::new();
        for _ in 0..count {
            let name = self.new_pod_name();
            requests.extend(self.pod(&(namespace.clone(), name), &app, 85));
        }
        Some(Step::new(format!("create {count} pods app={app} in {namespace}"), requests))
    }

    pub(super) fn flip_ready(&mut self) -> Option<Step> {
        let pods = self.model.pods.clone();
        let key = self.some_key(&pods, |pod| pod.addressed && !pod.ended)?;
        let pod = self.model.pods.get_mut(&key)?;
        pod.ready = !pod.ready;
        let ready = pod.ready;
        let status = json!({"conditions": self.ready_condition(ready)});
        Some(Step::new(format!("pod {} ready: {ready}", name(&key)), vec![status_of(&key, status)]))
    }

    pub(super) fn move_pod(&mut self) -> Option<Step> {
        let pods = self.model.pods.clone();
        let key = self.some_key(&pods, |pod| pod.bound && !pod.ended)?;
        let addresses = self.addresses();
        self.model.pods.get_mut(&key)?.addressed = true;
        Some(Step::new(format!("pod {} has new addresses", name(&key)), vec![status_of(&key, addresses)]))
    }

    pub(super) fn end_pod(&mut self) -> Option<Step> {
        let pods = self.model.pods.clone();
        let key = self.some_key(&pods, |pod| !pod.ended && pod.bound)?;
        let phase = self.one_of(&["Succeeded", "Failed"]);
        let pod = self.model.pods.get_mut(&key)?;
        pod.ended = true;
        pod.ready = false;
        let status = json!({"phase": phase, "conditions": self.ready_condition(false)});
        Some(Step::new(format!("pod {} {phase}", name(&key)), vec![status_of(&key, status)]))
    }

    pub(super) fn label_pod(&mut self) -> Option<Step> {
        let pods = self.model.pods.clone();
        let key = self.some_key(&pods, |_| true)?;
        let app = self.one_of(&APPS);
        let labels = if self.chance(80) { json!({"app": app}) } else { json!({"tier": self.one_of(&["x", "y"])}) };
        let title = format!("pod {} labels {labels}", name(&key));
        let body = json!({"metadata": {"labels": labels}});
        Some(Step::new(title, vec![Request::merge(request::PODS, &key.0, &key.1, body)]))
    }

    /// Asks for a deletion: a bound pod terminates and stays until it is finished off.
    pub(super) fn delete_pod(&mut self) -> Option<Step> {
        let pods = self.model.pods.clone();
        let key = self.some_key(&pods, |pod| !pod.terminating)?;
        let pod = self.model.pods.get_mut(&key)?;
        if pod.bound && !pod.ended {
            pod.terminating = true;
        } else {
            self.model.pods.remove(&key);
        }
        let request = Request::delete(request::PODS, &key.0, &key.1, Some(3600));
        Some(Step::new(format!("delete pod {}", name(&key)), vec![request]))
    }

    pub(super) fn finish_pod(&mut self) -> Option<Step> {
        let pods = self.model.pods.clone();
        let key = self.some_key(&pods, |pod| pod.terminating)?;
        self.model.pods.remove(&key);
        let request = Request::delete(request::PODS, &key.0, &key.1, Some(0));
        Some(Step::new(format!("pod {} is gone", name(&key)), vec![request]))
    }

    /// The same name, another uid.
    pub(super) fn recreate_pod(&mut self) -> Option<Step> {
        let pods = self.model.pods.clone();
        let key = self.some_key(&pods, |_| true)?;
        let app = self.model.pods.get(&key)?.app.clone();
        let mut requests = vec![Request::delete(request::PODS, &key.0, &key.1, Some(0))];
        requests.extend(self.pod(&key, &app, 85));
        Some(Step::new(format!("pod {} is another one", name(&key)), requests))
    }

    pub(super) fn bind_pod(&mut self) -> Option<Step> {
        let pods = self.model.pods.clone();
        let key = self.some_key(&pods, |pod| !pod.bound)?;
        self.model.pods.get_mut(&key)?.bound = true;
        let node = self.node_for_pod();
        let body = json!({
            "apiVersion": "v1", "kind": "Binding", "metadata": {"name": key.1},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        });
        let path = format!("{}/binding", request::PODS.object(&key.0, &key.1));
        Some(Step::new(format!("bind pod {} to {node}", name(&key)), vec![Request { verb: Verb::Create, path, body }]))
    }

    /// Once in a while many pods at once: more than a slice holds, or more than an Endpoints object holds.
    pub(super) fn burst(&mut self) -> Option<Step> {
        let count = match self.made % 500 {
            150 => 110,
            300 => 230,
            450 if self.made % 1000 == 450 => 1050,
            _ => return None,
        };
        let namespace = self.namespace();
        let app = self.one_of(&APPS).to_owned();
        let requests = (0..count)
            .map(|_| {
                let name = self.new_pod_name();
                self.pod(&(namespace.clone(), name), &app, 100)
            })
            .collect::<Vec<_>>();
        let title = format!("{count} pods app={app} at once in {namespace}");
        // A pod's status follows its creation: all creations first, then all the rest.
        let (first, rest): (Vec<_>, Vec<_>) =
            requests.into_iter().flatten().partition(|request| request.verb == Verb::Create);
        let mut step = Step::parallel(title, first);
        step.requests.push(Request::barrier());
        step.requests.extend(rest);
        Some(step)
    }

    /// Removes most pods of a crowd at once.
    pub(super) fn delete_crowd(&mut self) -> Option<Step> {
        let surplus = self.model.pods.len().saturating_sub(CROWD / 2);
        let mut keys: Vec<Key> = self.model.pods.keys().cloned().collect();
        self.rng.shuffle(&mut keys);
        keys.truncate(surplus);
        for key in &keys {
            self.model.pods.remove(key);
        }
        let requests = keys.iter().map(|key| Request::delete(request::PODS, &key.0, &key.1, Some(0))).collect();
        Some(Step::parallel(format!("{surplus} pods are gone at once"), requests))
    }

    fn new_pod_name(&mut self) -> String {
        self.next.pod += 1;
        format!("p{}", self.next.pod)
    }

    /// The requests that make a pod, and a running one of it for most.
    fn pod(&mut self, key: &Key, app: &str, running: u32) -> Vec<Request> {
        let ports: Value = serde_json::from_str(self.one_of(&PORTS)).unwrap_or_default();
        let mut spec = json!({
            "automountServiceAccountToken": false,
            "containers": [{"name": "main", "image": "image", "ports": ports}],
        });
        if self.chance(8) {
            spec["initContainers"] = json!([{
                "name": "side", "image": "image", "restartPolicy": "Always",
                "ports": [{"name": "admin", "containerPort": 9191, "protocol": "TCP"}],
            }]);
        }
        if self.chance(20) {
            spec["hostname"] = format!("host-{}", key.1).into();
            let names: Vec<String> = self.model.services.keys().map(|(_, name)| name.clone()).collect();
            let near = !names.is_empty() && self.chance(80);
            spec["subdomain"] = if near { self.one_of(&names).into() } else { "elsewhere".into() };
        }
        let bound = self.chance(96);
        if bound {
            spec["nodeName"] = self.node_for_pod().into();
        }
        let mut labels = json!({"app": app});
        if self.chance(50) {
            labels["tier"] = self.one_of(&["x", "y"]).into();
        }
        let create =
            Request::create(request::PODS, &key.0, &key.1, json!({"metadata": {"labels": labels}, "spec": spec}));
        let mut requests = vec![create];
        let addressed = bound && self.chance(running);
        let ready = addressed && self.chance(80);
        if addressed {
            let mut status = self.addresses();
            status["phase"] = "Running".into();
            status["conditions"] = self.ready_condition(ready);
            requests.push(status_of(key, status));
        }
        let pod = Pod { bound, ready, addressed, ended: false, terminating: false, app: app.to_owned() };
        self.model.pods.insert(key.clone(), pod);
        requests
    }

    /// New addresses: mostly of both families, in either order, sometimes of one.
    fn addresses(&mut self) -> Value {
        self.next.address += 1;
        let number = self.next.address;
        let four = json!({"ip": format!("10.244.{}.{}", number / 250, number % 250 + 1)});
        let six = json!({"ip": format!("fd10:244::{number:x}")});
        let list = match self.rng.u32(0..10) {
            0..7 => vec![four, six],
            7 => vec![six, four],
            8 => vec![four],
            _ => vec![six],
        };
        json!({"podIP": list[0]["ip"], "podIPs": list})
    }

    fn ready_condition(&self, ready: bool) -> Value {
        let status = if ready { "True" } else { "False" };
        json!([{"type": "Ready", "status": status, "lastTransitionTime": self.time()}])
    }
}

fn status_of(key: &Key, status: Value) -> Request {
    Request::status(request::PODS, &key.0, &key.1, status)
}

fn name(key: &Key) -> String {
    format!("{}/{}", key.0, key.1)
}
